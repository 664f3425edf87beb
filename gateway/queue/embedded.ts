import { mkdir, open } from "node:fs/promises";
import { dirname } from "node:path";
import { Worker } from "node:worker_threads";
import { FaasError } from "../../provider/contract/errors.ts";
import type { Logger } from "../../provider/kit/log.ts";
import { EmbeddedConsumer } from "./embedded-consumer.ts";
import {
  type EmbeddedSettings,
  encodeMeta,
  type FromWorker,
  packBodies,
  type Settlement,
  type ToWorker,
  type WireCall,
} from "./embedded-protocol.ts";
import type { ConsumeOptions, Consumer, Deliver, Queue, QueuedCall, QueueStats } from "./queue.ts";

const MIB = 1024 ** 2;

export interface EmbeddedQueueOptions {
  /** The database file; it and its folder are made when missing. One process at a time can have it open. */
  readonly path: string;
  readonly maxBodyBytes: number;
  /** Unfinished calls it holds; more are `overloaded`. Default 1,000,000. */
  readonly maxWaiting?: number;
  /** Size the file may reach, beside a log of some 64 MiB; more is `unavailable`. Default 16 GiB. */
  readonly maxBytes?: number;
  /** Calls on their way to the disk, in bytes; more are `overloaded`. Default 64 MiB. */
  readonly maxUnstoredBytes?: number;
  /** Dead calls kept, in number and bytes; the oldest go first. Default 10,000 and 256 MiB. */
  readonly maxDead?: number;
  readonly maxDeadBytes?: number;
  /** How often a call may be under way when the process dies before it is dead. Default 10. */
  readonly maxInterruptions?: number;
  readonly log: Pick<Logger, "info" | "warn" | "error">;
  /** Told once when the queue's thread dies. From then on nothing is accepted or delivered; a new process is needed. */
  readonly onFailure?: (error: Error) => void;
  /** Starts the thread; another one in tests. */
  readonly startThread?: (settings: EmbeddedSettings) => Worker;
}

/**
 * A queue in one SQLite file, written by a thread of its own, so that neither disk nor database ever blocks the caller.
 * What is published at the same time shares one commit.
 *
 * A call is known, and another one of the same function with its id ignored, until it is done or dead. An attempt that
 * a crash of the process cuts off is not counted as an attempt; a call cut off `maxInterruptions` times is dead.
 * @throws {Error} naming the file, when it cannot be opened or is not a queue of this release
 */
export async function openEmbeddedQueue(options: EmbeddedQueueOptions): Promise<Queue> {
  await mkdir(dirname(options.path), { recursive: true, mode: 0o700 });
  // Bodies and credentials of callers: for nobody else to read. What SQLite puts beside it has the same mode.
  // A path that cannot be opened is for SQLite to report.
  await open(options.path, "a", 0o600).then(
    (file) => file.close(),
    () => undefined,
  );
  const settings: EmbeddedSettings = {
    path: options.path,
    maxWaiting: options.maxWaiting ?? 1_000_000,
    maxBytes: options.maxBytes ?? 16 * 1024 * MIB,
    maxDead: options.maxDead ?? 10_000,
    maxDeadBytes: options.maxDeadBytes ?? 256 * MIB,
    maxInterruptions: options.maxInterruptions ?? 10,
  };
  const thread = (options.startThread ?? startThread)(settings);
  const queue = new EmbeddedQueue(thread, options);
  await queue.opened;
  return queue;
}

function startThread(settings: EmbeddedSettings): Worker {
  return new Worker(new URL("./embedded-worker.ts", import.meta.url), {
    name: "faaslane-queue",
    workerData: settings,
    env: {},
    // `node:sqlite` and type stripping say that they are young.
    execArgv: ["--disable-warning=ExperimentalWarning"],
  });
}

interface Unstored {
  readonly bytes: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

class EmbeddedQueue implements Queue {
  readonly maxBodyBytes: number;
  readonly opened: Promise<void>;
  readonly #thread: Worker;
  readonly #options: EmbeddedQueueOptions;
  readonly #maxUnstoredBytes: number;
  /** Since the last flush. */
  #calls: { readonly call: WireCall; readonly body: Uint8Array; readonly unstored: Unstored }[] = [];
  #bodyBytes = 0;
  #settlements: Settlement[] = [];
  #flushing = false;
  /** Sent, not yet durable, by the name of the batch. */
  readonly #batches = new Map<number, readonly Unstored[]>();
  #lastBatch = 0;
  #unstoredBytes = 0;
  readonly #questions = new Map<number, PromiseWithResolvers<QueueStats>>();
  #lastQuestion = 0;
  #consumer: EmbeddedConsumer | undefined;
  #closing: Promise<void> | undefined;
  #failure: FaasError | undefined;
  readonly #opening = Promise.withResolvers<void>();
  readonly #exited: Promise<void>;

  constructor(thread: Worker, options: EmbeddedQueueOptions) {
    this.maxBodyBytes = options.maxBodyBytes;
    this.#options = options;
    this.#maxUnstoredBytes = options.maxUnstoredBytes ?? 64 * MIB;
    this.#thread = thread;
    this.opened = this.#opening.promise;
    this.#exited = new Promise((resolve) => thread.once("exit", () => resolve()));
    thread.on("message", (message: FromWorker) => this.#receive(message));
    thread.on("error", (error) => this.#fail(error));
    thread.on("exit", (code) => {
      if (!this.#closing) this.#fail(new Error(`the queue's thread ended with code ${code}`));
    });
  }

  publish(call: QueuedCall): Promise<void> {
    const refused = this.#failure ?? this.#refuse(call);
    if (refused) return Promise.reject(refused);
    const { key, meta } = encodeMeta(call);
    const { body } = call;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const wire: WireCall = {
      id: call.id,
      key,
      acceptedAt: call.acceptedAt,
      meta,
      bodyAt: this.#bodyBytes,
      bodyBytes: body.byteLength,
    };
    const bytes = body.byteLength + meta.length;
    this.#calls.push({ call: wire, body, unstored: { bytes, resolve, reject } });
    this.#bodyBytes += body.byteLength;
    this.#unstoredBytes += bytes;
    this.#flushSoon();
    return promise;
  }

  #refuse({ body }: QueuedCall): FaasError | undefined {
    if (this.#closing) return new FaasError("unavailable", "the queue is closed");
    if (body.byteLength > this.maxBodyBytes) {
      return new FaasError("tooLarge", `request body is too large, maximum: ${this.maxBodyBytes} bytes`);
    }
    if (this.#unstoredBytes > 0 && this.#unstoredBytes + body.byteLength > this.#maxUnstoredBytes) {
      return new FaasError("overloaded", "the queue is busy: too much waits for the disk");
    }
    return undefined;
  }

  async consume(deliver: Deliver, options: ConsumeOptions): Promise<Consumer> {
    if (this.#failure) throw this.#failure;
    if (this.#closing) throw new FaasError("unavailable", "the queue is closed");
    if (this.#consumer) throw new FaasError("conflict", "the embedded queue has a consumer already");
    const consumer = new EmbeddedConsumer(deliver, this.#options.log, {
      settle: (settlement) => this.#settle(settlement),
      pause: () => this.#post({ kind: "pause" }),
      closed: () => {
        this.#consumer = undefined;
      },
    });
    this.#consumer = consumer;
    this.#post({ kind: "consume", concurrency: options.concurrency, perFunction: options.perFunction });
    return consumer;
  }

  stats(): Promise<QueueStats> {
    if (this.#failure) return Promise.reject(this.#failure);
    if (this.#closing) return Promise.reject(new FaasError("unavailable", "the queue is closed"));
    const question = ++this.#lastQuestion;
    const answer = Promise.withResolvers<QueueStats>();
    this.#questions.set(question, answer);
    this.#post({ kind: "stats", question });
    return answer.promise;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#flush();
    if (!this.#failure) this.#post({ kind: "close" });
    await this.#exited;
    this.#consumer?.settled();
    this.#abandon(new FaasError("unavailable", "the queue is closed"));
  }

  #settle(settlement: Settlement): void {
    this.#settlements.push(settlement);
    this.#flushSoon();
  }

  /** What is published in one turn of the event loop travels together. */
  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    setImmediate(() => this.#flush());
  }

  #flush(): void {
    this.#flushing = false;
    if (this.#failure || (this.#calls.length === 0 && this.#settlements.length === 0)) return;
    const batch = this.#calls.length > 0 ? ++this.#lastBatch : 0;
    if (batch > 0)
      this.#batches.set(
        batch,
        this.#calls.map(({ unstored }) => unstored),
      );
    const bodies = packBodies(this.#calls.map(({ body }) => body));
    const calls = this.#calls.map(({ call }) => call);
    const settlements = this.#settlements;
    this.#calls = [];
    this.#settlements = [];
    this.#bodyBytes = 0;
    this.#post({ kind: "batch", batch, calls, bodies, settlements }, [bodies]);
  }

  #post(message: ToWorker, transfer: readonly ArrayBuffer[] = []): void {
    this.#thread.postMessage(message, transfer);
  }

  #receive(message: FromWorker): void {
    switch (message.kind) {
      case "opened":
        this.#opening.resolve();
        break;
      case "refusedToOpen":
        this.#closing = this.#exited;
        this.#opening.reject(new Error(message.message));
        break;
      case "stored":
        this.#conclude(message);
        break;
      case "deliver":
        for (const call of message.calls) {
          if (this.#consumer) this.#consumer.start(call);
          else this.#settle({ seq: call.seq, kind: "back" });
        }
        break;
      case "idle":
        this.#consumer?.settled();
        break;
      case "stats":
        this.#questions.get(message.question)?.resolve(message.stats);
        this.#questions.delete(message.question);
        break;
      case "log":
        this.#options.log[message.level](message.facts, message.message);
        break;
      case "closed":
        break;
    }
  }

  #conclude({ batch, refused }: Extract<FromWorker, { kind: "stored" }>): void {
    const calls = this.#batches.get(batch) ?? [];
    this.#batches.delete(batch);
    const refusals = new Map(refused);
    calls.forEach(({ bytes, resolve, reject }, i) => {
      this.#unstoredBytes -= bytes;
      const refusal = refusals.get(i);
      if (refusal) reject(new FaasError(refusal.kind, refusal.message));
      else resolve();
    });
  }

  #fail(cause: Error): void {
    if (this.#failure) return;
    this.#failure = new FaasError("unavailable", "the queue has failed", { cause });
    this.#opening.reject(cause);
    this.#abandon(this.#failure);
    this.#consumer?.settled();
    this.#options.log.error({ err: cause }, "the queue has failed");
    this.#options.onFailure?.(cause);
  }

  /** Lets nobody wait for an answer that will not come. */
  #abandon(error: FaasError): void {
    for (const { reject } of [...this.#batches.values()].flat()) reject(error);
    for (const { unstored } of this.#calls) unstored.reject(error);
    for (const { reject } of this.#questions.values()) reject(error);
    this.#batches.clear();
    this.#questions.clear();
    this.#calls = [];
    this.#settlements = [];
  }
}
