import type { FunctionRef } from "../../../contract/functions.ts";
import type { Logger } from "../../../kit/log.ts";
import { within } from "../../../kit/within.ts";
import type { ConsumeOptions, Consumer, Deliver, FinishedMember } from "../queue.ts";
import type { Attempt, ClaimStore, Ending, FunctionQueue } from "../worker/store.ts";
import { QueueWorker } from "../worker/worker.ts";
import { BatchTeller } from "./batch-teller.ts";
import type { SealedCallIds } from "./call-ids.ts";
import { decodeDelivered } from "./call-meta.ts";
import { isCallbackKey } from "./callback-keys.ts";
import {
  type DeliveredCall,
  type EndedBatch,
  type FromWorker,
  functionOf,
  queueOf,
  refOf,
  type SettlementMessage,
} from "./protocol.ts";
import { toOutcome, toSettlement } from "./settlement.ts";

/** How long closing waits for the last settlements to be on disk. What is not is delivered again, which is allowed. */
const SETTLE_TIMEOUT_MS = 5000;

export interface ConsumerPort {
  claim(key: string, count: number): void;
  settle(settlement: SettlementMessage): void;
  /** Asks for no more calls; {@link EmbeddedConsumer.settled} is the answer. */
  pause(): void;
  members(whole: number): AsyncIterable<FinishedMember>;
  closed(): void;
}

export interface ConsumerContext {
  readonly ids: SealedCallIds;
  readonly maxResultBytes: number;
  readonly log: Pick<Logger, "error" | "warn">;
  readonly port: ConsumerPort;
}

/** The calls in the thread's file, as a worker claims them. */
export class EmbeddedConsumer implements Consumer, ClaimStore<DeliveredCall> {
  readonly #context: ConsumerContext;
  readonly #queues: ReadonlySet<string> | undefined;
  readonly #worker: QueueWorker<DeliveredCall>;
  readonly #teller: BatchTeller;
  /** In the hands of the worker, by their places. */
  readonly #claimed = new Map<number, DeliveredCall>();
  readonly #settled = Promise.withResolvers<void>();
  #told: Promise<void> | undefined;

  constructor(deliver: Deliver, options: ConsumeOptions, context: ConsumerContext) {
    const { ids, log, port } = context;
    this.#context = context;
    this.#queues = options.queues && new Set(options.queues);
    this.#worker = new QueueWorker(this, deliver, options, log);
    this.#teller = new BatchTeller(options, {
      ids,
      log,
      settle: (settlement) => port.settle(settlement),
      members: (whole) => port.members(whole),
    });
  }

  get closing(): boolean {
    return this.#worker.closing;
  }

  /** What comes of claims, and what can be claimed. */
  receive({ found, answers }: Extract<FromWorker, { kind: "deliver" }>): void {
    for (const key of found) {
      if (this.#queues?.has(queueOf(key)) ?? true) this.#worker.ready(functionQueueOf(key), Number.POSITIVE_INFINITY);
    }
    for (const { key, calls, missed, isOffer } of answers) {
      const functionQueue = functionQueueOf(key);
      for (const call of calls) this.#claimed.set(call.seq, call);
      if (isOffer) {
        for (const call of calls) this.#offer(functionQueue, call);
        continue;
      }
      if (calls.length > 0) this.#worker.delivered(functionQueue, calls);
      if (missed === 0) continue;
      this.#worker.missed(functionQueue, missed);
      this.#worker.ready(functionQueue, 0);
    }
  }

  #offer(functionQueue: FunctionQueue, call: DeliveredCall): void {
    const isOurs = this.#queues?.has(queueOf(functionQueue.key)) ?? true;
    if (!isOurs || !this.#worker.offer(functionQueue, call)) this.release(call);
  }

  /** These calls have been cancelled. */
  abort(calls: readonly number[]): void {
    for (const seq of calls) {
      const call = this.#claimed.get(seq);
      if (call) this.#worker.cancel(call);
    }
  }

  tell(batches: readonly EndedBatch[]): void {
    this.#teller.tell(batches);
  }

  /** Claims what there is room for, to travel with what is about to be sent. */
  turn(): void {
    this.#worker.turn();
  }

  /** Every call that was handed over is settled, or never will be because the thread is gone. */
  settled(): void {
    this.#settled.resolve();
  }

  /** The thread is gone: stops what is under way, for another thread to deliver it again. */
  async interrupt(): Promise<void> {
    if (this.closing) this.settled();
    this.#claimed.clear();
    await Promise.all([this.#teller.lost(), this.#worker.lost()]);
  }

  limitChanged(ref: FunctionRef): void {
    this.#worker.limitChanged(ref);
  }

  async close(drainTimeoutMs: number): Promise<void> {
    this.#told ??= this.#teller.close(drainTimeoutMs);
    await this.#worker.close(drainTimeoutMs);
  }

  claim({ key }: FunctionQueue, count: number): void {
    this.#context.port.claim(key, count);
  }

  /** The file has one consumer. */
  share(_functionQueue: FunctionQueue, limit: number): number {
    return limit;
  }

  open(claim: DeliveredCall): Attempt | undefined {
    const { ids, log } = this.#context;
    const id = ids.encode(claim.seq);
    try {
      const call = decodeDelivered(claim, id);
      const { callback, attempt } = claim;
      if (!callback) return { call, number: attempt };
      // The one that was answered has been counted.
      const number = Math.max(1, attempt - 1);
      return { call: { ...call, callback: { ...callback.waiting, outcome: toOutcome(callback.outcome) } }, number };
    } catch (err) {
      log.error({ err, callId: id }, "a stored call cannot be read");
      this.#settle({ seq: claim.seq, kind: "dead", reason: "the stored call cannot be read" });
      return undefined;
    }
  }

  freed(): void {
    // Limits are the worker's business alone.
  }

  settle({ seq, callback }: DeliveredCall, ending: Ending): void {
    // The thread has ended a cancelled call, and only keeps it listed.
    if (ending.kind === "cancelled") this.#settle({ seq, kind: "back" });
    else this.#settle(toSettlement(seq, ending, callback ? undefined : this.#context.maxResultBytes));
  }

  release({ seq }: DeliveredCall): void {
    this.#settle({ seq, kind: "back" });
  }

  #settle(settlement: SettlementMessage): void {
    this.#claimed.delete(settlement.seq);
    this.#context.port.settle(settlement);
  }

  stop(): void {
    this.#context.port.pause();
  }

  async flush(): Promise<void> {
    await this.#told;
    await within(SETTLE_TIMEOUT_MS, this.#settled.promise);
    this.#context.port.closed();
  }
}

function functionQueueOf(key: string): FunctionQueue {
  return { key, ref: refOf(functionOf(key)), callbacks: isCallbackKey(key) };
}
