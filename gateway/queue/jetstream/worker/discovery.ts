import { countSubjects } from "../../../nats/count-subjects.ts";
import { type FunctionQueueRef, parseFunctionQueue, queueOfStream, queueStream, SIGNALS } from "../client/names.ts";
import type { Context } from "../store/context.ts";

/** Finds the functions that have calls: told by publishers at once, and looked up now and then. */
export class Discovery {
  readonly #context: Context;
  readonly #queues: ReadonlySet<string> | undefined;
  readonly #found: (functionQueue: FunctionQueueRef, calls: number | undefined) => void;
  readonly #looked: (queue: string, calls: ReadonlyMap<string, number>) => void;
  #off: () => void = () => {};
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  /** @param looked told what a queue has, by subject, after `found` has been for each */
  constructor(
    context: Context,
    queues: readonly string[] | undefined,
    found: (functionQueue: FunctionQueueRef, calls: number | undefined) => void,
    looked: (queue: string, calls: ReadonlyMap<string, number>) => void,
  ) {
    this.#context = context;
    this.#queues = queues && new Set(queues);
    this.#found = found;
    this.#looked = looked;
  }

  start(): void {
    const { link } = this.#context;
    const signals = link.nc.subscribe(SIGNALS.work, {
      callback: (_err, msg) => {
        const [stream = "", subject = ""] = msg.string().split(" ");
        const functionQueue = parseFunctionQueue(subject);
        if (functionQueue && queueOfStream(stream) === functionQueue.queue && this.#takes(functionQueue.queue))
          this.#found(functionQueue, undefined);
      },
    });
    const offReconnect = link.onReconnect(() => this.#lookAfter(0));
    this.#off = () => {
      offReconnect();
      if (!link.nc.isClosed()) signals.unsubscribe();
    };
    this.#lookAfter(0);
  }

  close(): void {
    this.#closed = true;
    this.#off();
    clearTimeout(this.#timer);
  }

  #takes(queue: string): boolean {
    return this.#queues?.has(queue) ?? true;
  }

  #lookAfter(waitMs: number): void {
    clearTimeout(this.#timer);
    if (this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#look()
        .catch((err: unknown) => this.#context.settings.log.debug({ err }, "queues could not be looked through"))
        .finally(() => this.#lookAfter(this.#context.settings.pollMs * (0.75 + Math.random() / 2)));
    }, waitMs);
  }

  async #look(): Promise<void> {
    if (!this.#context.link.connected) return;
    for (const queue of await this.#context.queues()) {
      if (!this.#takes(queue)) continue;
      const counts = await countSubjects(this.#context.link, queueStream(queue), ">");
      if (this.#closed) return;
      for (const [subject, calls] of counts) {
        const functionQueue = parseFunctionQueue(subject);
        if (functionQueue) this.#found(functionQueue, calls);
      }
      this.#looked(queue, counts);
    }
  }
}
