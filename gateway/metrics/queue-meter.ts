import type { FunctionRef } from "../../provider/contract/functions.ts";
import { qualifiedName } from "../../provider/contract/functions.ts";
import type { ConsumeOptions, Consumer, Deliver, Disposition, NewCall, Queue } from "../queue/queue.ts";

/** What this process has seen of one function's asynchronous calls. */
export interface CallTally {
  readonly queue: string;
  /** `name.namespace`. */
  readonly functionName: string;
  accepted: number;
  duplicates: number;
  /** Attempts under way. */
  inFlight: number;
  /** Attempts by what followed, `handedBack` those that were stopped with the process or failed by mistake. */
  readonly attempts: Record<Disposition["kind"] | "handedBack", number>;
  readonly callbacks: { delivered: number; failed: number };
}

/** More functions than this are counted as one: each makes time series, and functions come and go. */
const MAX_TALLIES = 10_000;
const OTHERS = "others";

/** Counts of this process, per queue and function. Plain numbers: it runs for every call. */
export class QueueMeter {
  readonly #tallies = new Map<string, CallTally>();
  cancelled = 0;

  tallies(): Iterable<Readonly<CallTally>> {
    return this.#tallies.values();
  }

  of(queue: string, ref: FunctionRef): CallTally {
    const functionName = qualifiedName(ref);
    const known = this.#tallies.get(`${queue} ${functionName}`);
    if (known) return known;
    return this.#tallies.size < MAX_TALLIES ? this.#add(queue, functionName) : this.#add(queue, OTHERS);
  }

  #add(queue: string, functionName: string): CallTally {
    const key = `${queue} ${functionName}`;
    const tally = this.#tallies.get(key) ?? {
      queue,
      functionName,
      accepted: 0,
      duplicates: 0,
      inFlight: 0,
      attempts: { done: 0, retry: 0, dead: 0, expired: 0, handedBack: 0 },
      callbacks: { delivered: 0, failed: 0 },
    };
    this.#tallies.set(key, tally);
    return tally;
  }
}

/** `queue`, counted by `meter` as it is used through what is returned. */
export function meterQueue(queue: Queue, meter: QueueMeter): Queue {
  const tallyOf = ({
    queue: name,
    function: functionName,
    namespace,
  }: Pick<NewCall, "queue" | "function" | "namespace">) => meter.of(name, { name: functionName, namespace });
  return {
    maxBodyBytes: queue.maxBodyBytes,
    maxResultBytes: queue.maxResultBytes,
    deadLetters: queue.deadLetters,
    async publish(call) {
      const receipt = await queue.publish(call);
      const tally = tallyOf(call);
      if (receipt.duplicate) tally.duplicates++;
      else tally.accepted++;
      return receipt;
    },
    async consume(deliver: Deliver, options: ConsumeOptions): Promise<Consumer> {
      return await queue.consume(async (call, attempt, signal) => {
        const tally = tallyOf(call);
        tally.inFlight++;
        let ended: keyof CallTally["attempts"] = "handedBack";
        try {
          const disposition = await deliver(call, attempt, signal);
          if (!signal.aborted) ended = disposition.kind;
          return disposition;
        } finally {
          tally.inFlight--;
          tally.attempts[ended]++;
        }
      }, options);
    },
    async cancel(id) {
      const before = await queue.cancel(id);
      if (before === "waiting" || before === "running") meter.cancelled++;
      return before;
    },
    find: (id) => queue.find(id),
    result: (id) => queue.result(id),
    stats: () => queue.stats(),
    close: () => queue.close(),
  };
}
