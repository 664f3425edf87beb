import { afterEach, beforeEach } from "@jest/globals";
import type {
  CallPermit,
  CallState,
  CallStatus,
  ConsumeOptions,
  Consumer,
  Deliver,
  Disposition,
  NewCall,
  Queue,
  QueuedCall,
  Receipt,
} from "../../../gateway/queue/queue.ts";
import type { CallLimits } from "../../../gateway/queue/stats.ts";
import { eventually } from "../../support/eventually.ts";

export interface QueueLimits {
  readonly maxBodyBytes?: number;
  readonly calls?: Partial<CallLimits>;
  readonly maxResultBytes?: number;
  readonly resultTtlMs?: number;
  /** Dead letters kept. */
  readonly maxDead?: number;
}

/** Opens one queue after another on the same storage. */
export interface QueueStorage {
  open(limits?: QueueLimits): Promise<Queue>;
  /** Removes the storage; every queue on it is closed by then. */
  remove(): Promise<void>;
}

/** Calls of a function under way, whatever its name. */
export const limited = (concurrency: number, perFunction = concurrency): ConsumeOptions => ({
  concurrency,
  limitOf: () => perFunction,
});

export const WIDE: ConsumeOptions = limited(64);
export const DONE: Disposition = { kind: "done" };
export const NAMESPACE = "openfaas-fn";

/** For a machine with two busy cores. */
const DEADLINE_MS = 25_000;

/** A call by a caller who names it nothing, of the function `shout`. */
export function newCall(given: Partial<NewCall> = {}): NewCall {
  return {
    queue: "faas-request",
    function: "shout",
    namespace: NAMESPACE,
    method: "POST",
    path: "/",
    query: "",
    headers: [],
    body: new Uint8Array(),
    acceptedAt: Date.now(),
    ...given,
  };
}

export const soon = <T>(what: string, check: () => T | Promise<T>) => eventually(what, check, DEADLINE_MS);

/** Calls that wait until the test says how they end. Those of a batch as a whole are no business of it. */
export class Deliveries {
  readonly started: {
    readonly call: QueuedCall;
    readonly attempt: number;
    readonly signal: AbortSignal;
    readonly permit: CallPermit;
  }[] = [];
  readonly #open = new Map<string, PromiseWithResolvers<Disposition>>();

  readonly deliver: Deliver = (call, attempt, signal, permit) => {
    this.started.push({ call, attempt, signal, permit });
    const ending = Promise.withResolvers<Disposition>();
    this.#open.set(call.id, ending);
    signal.addEventListener("abort", () => this.#end(call.id)?.reject(signal.reason));
    return ending.promise;
  };

  get ids(): string[] {
    return this.started.map(({ call }) => call.id);
  }

  get callIds(): string[] {
    return this.started.map(({ call }) => call.callId);
  }

  get functions(): string[] {
    return this.started.map(({ call }) => call.function);
  }

  isUnderWay(id: string): boolean {
    return this.#open.has(id);
  }

  get underWay(): number {
    return this.#open.size;
  }

  /** Of the last attempt. */
  permit(callId: string): CallPermit {
    const one = this.started.findLast(({ call }) => call.callId === callId);
    if (!one) throw new Error(`${callId} has not started`);
    return one.permit;
  }

  /** By the id that its caller chose. */
  endOf(callId: string, disposition: Disposition = DONE): void {
    const one = this.started.findLast(({ call }) => call.callId === callId);
    if (!one) throw new Error(`${callId} has not started`);
    this.end(one.call.id, disposition);
  }

  end(id: string, disposition: Disposition = DONE): void {
    this.#end(id)?.resolve(disposition);
  }

  endAll(disposition: Disposition = DONE): void {
    for (const id of this.#open.keys()) this.end(id, disposition);
  }

  #end(id: string): PromiseWithResolvers<Disposition> | undefined {
    const ending = this.#open.get(id);
    this.#open.delete(id);
    return ending;
  }
}

/** A queue on storage of its own for each test, closed after it with all its consumers. */
export class QueueSetup {
  #storage: QueueStorage | undefined;
  #queue: Queue | undefined;
  readonly #consumers: Consumer[] = [];

  /** Registers what a suite needs before and after each of its tests. */
  static use(newStorage: () => Promise<QueueStorage>): QueueSetup {
    const setup = new QueueSetup();
    beforeEach(async () => {
      setup.#storage = await newStorage();
      setup.#queue = await setup.#storage.open();
    });
    afterEach(async () => {
      await setup.close();
      await setup.#storage?.remove();
    });
    return setup;
  }

  get queue(): Queue {
    if (!this.#queue) throw new Error("no queue is open");
    return this.#queue;
  }

  async close(): Promise<void> {
    await Promise.all(this.#consumers.splice(0).map((consumer) => consumer.close(0)));
    await this.#queue?.close();
  }

  async reopen(limits?: QueueLimits): Promise<void> {
    await this.close();
    this.#queue = await this.#storage?.open(limits);
  }

  async consume(deliver: Deliver, options = WIDE): Promise<Consumer> {
    const consumer = await this.queue.consume(deliver, options);
    this.#consumers.push(consumer);
    return consumer;
  }

  get lastConsumer(): Consumer {
    const consumer = this.#consumers.at(-1);
    if (!consumer) throw new Error("no consumer has been started");
    return consumer;
  }

  /** Starts a consumer that leaves all calls to the test. */
  async hold(options = WIDE): Promise<Deliveries> {
    const deliveries = new Deliveries();
    await this.consume(deliveries.deliver, options);
    return deliveries;
  }

  publish(given: Partial<NewCall> = {}): Promise<Receipt> {
    return this.queue.publish(newCall(given));
  }

  /** `count` calls published at once, whose caller's ids are `PREFIX-0`, `PREFIX-1`… @returns those ids */
  async publishMany(count: number, prefix: string, given: Partial<NewCall> = {}): Promise<string[]> {
    const receipts = await Promise.all(
      Array.from({ length: count }, (_, i) => this.publish({ callId: `${prefix}-${i}`, ...given })),
    );
    return receipts.map(({ callId }) => callId);
  }

  async status(id: string): Promise<CallStatus> {
    const status = await this.queue.find(id);
    if (!status) throw new Error(`the queue does not know ${id}`);
    return status;
  }

  async untilState(id: string, state: CallState): Promise<CallStatus> {
    return await soon(`${id} is ${state}`, async () => {
      const status = await this.status(id);
      if (status.state !== state) throw new Error(`it is ${status.state}`);
      return status;
    });
  }

  /** Waits until no call waits or is under way. */
  async untilEmpty(): Promise<void> {
    await soon("the queue is empty", async () => {
      const { waiting, inFlight } = await this.queue.stats();
      return waiting + inFlight === 0;
    });
  }

  /** Until a call has ended as dead, one after another. @returns their ids */
  async bury(...calls: readonly Partial<NewCall>[]): Promise<string[]> {
    const ids: string[] = [];
    const consumer = await this.queue.consume(
      async ({ callId }) => ({ kind: "dead", reason: `no use: ${callId}`, outcome: { status: 500, durationMs: 3 } }),
      WIDE,
    );
    for (const call of calls) {
      const { id } = await this.publish(call);
      await this.untilState(id, "dead");
      ids.push(id);
      const before = Date.now();
      await soon("the clock has moved on", () => Date.now() > before + 1);
    }
    await consumer.close(1000);
    return ids;
  }
}
