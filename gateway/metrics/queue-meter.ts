import { type FunctionRef, qualifiedName } from "../../contract/functions.ts";
import type { CallOrigin, DeliveryEnd, QueueWorkerEvents } from "../async/events.ts";
import type { NewCall, Queue } from "../queue/queue.ts";

type CallbackOutcome = Parameters<NonNullable<QueueWorkerEvents["calledBack"]>>[0]["outcome"];

/** What this process has seen of one function's asynchronous calls. */
export interface CallTally {
  readonly queue: string;
  /** `name.namespace`. */
  readonly functionName: string;
  accepted: number;
  duplicates: number;
  /** Deliveries under way. */
  inFlight: number;
  /** Deliveries by how they ended. */
  readonly ended: Record<DeliveryEnd, number>;
  /** Calls that the platform had no room for. */
  refused: number;
  readonly callbacks: Record<CallbackOutcome, number>;
  callbackRetries: number;
}

/** More functions than this are counted as one: each makes time series, and functions come and go. */
const MAX_TALLIES = 10_000;
const OTHERS = "others";

/** Counts of this process, per queue and function. Plain numbers: it runs for every call. */
export class QueueMeter {
  readonly #tallies = new Map<string, CallTally>();
  cancelled = 0;

  /** For the queue worker. */
  readonly events: QueueWorkerEvents = {
    delivered: (call) => {
      this.#of(call).inFlight++;
    },
    ended: ({ end, ...call }) => {
      const tally = this.#of(call);
      tally.inFlight--;
      tally.ended[end]++;
    },
    refused: (call) => {
      this.#of(call).refused++;
    },
    callbackRetried: (call) => {
      this.#of(call).callbackRetries++;
    },
    calledBack: ({ outcome, ...call }) => {
      this.#of(call).callbacks[outcome]++;
    },
  };

  tallies(): Iterable<Readonly<CallTally>> {
    return this.#tallies.values();
  }

  accepted(call: Pick<NewCall, "queue" | "function" | "namespace">, duplicate: boolean): void {
    const tally = this.#of(call);
    if (duplicate) tally.duplicates++;
    else tally.accepted++;
  }

  #of({ queue, function: name, namespace }: CallOrigin): CallTally {
    const ref: FunctionRef = { name, namespace };
    const functionName = qualifiedName(ref);
    const known = this.#tallies.get(`${queue} ${functionName}`);
    if (known) return known;
    return this.#tallies.size < MAX_TALLIES ? this.#add(queue, functionName) : this.#add(OTHERS, OTHERS);
  }

  #add(queue: string, functionName: string): CallTally {
    const key = `${queue} ${functionName}`;
    const tally = this.#tallies.get(key) ?? {
      queue,
      functionName,
      accepted: 0,
      duplicates: 0,
      inFlight: 0,
      ended: { done: 0, retry: 0, dead: 0, expired: 0, callback: 0, handedBack: 0 },
      refused: 0,
      callbacks: { delivered: 0, failed: 0, refused: 0 },
      callbackRetries: 0,
    };
    this.#tallies.set(key, tally);
    return tally;
  }
}

/** As much of a queue as the API uses. */
export type ApiQueue = Omit<Queue, "consume" | "close" | "maxResultBytes">;

/** `queue` for the API: what is accepted and cancelled through it is counted by `meter`. */
export function meterQueue(queue: Queue, meter: QueueMeter): ApiQueue {
  return {
    maxBodyBytes: queue.maxBodyBytes,
    deadLetters: queue.deadLetters,
    find: (id) => queue.find(id),
    result: (id) => queue.result(id),
    list: (filter, page) => queue.list(filter, page),
    request: (id, bodyBytes) => queue.request(id, bodyBytes),
    callBack: (id) => queue.callBack(id),
    stats: () => queue.stats(),
    async publish(call) {
      const receipt = await queue.publish(call);
      meter.accepted(call, receipt.duplicate);
      return receipt;
    },
    async cancel(id) {
      const before = await queue.cancel(id);
      if (before === "waiting" || before === "running") meter.cancelled++;
      return before;
    },
    async purge(ref) {
      const count = await queue.purge(ref);
      meter.cancelled += count;
      return count;
    },
  };
}
