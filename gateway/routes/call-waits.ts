import { FaasError } from "../../contract/errors.ts";
import { sleep } from "../../kit/sleep.ts";
import type { CallStatus } from "../queue/queue.ts";

const FINAL: ReadonlySet<string> = new Set(["done", "dead", "cancelled", "expired"]);

export function hasEnded({ state }: Pick<CallStatus, "state">): boolean {
  return FINAL.has(state);
}

/** First and longest pause between two looks, in milliseconds: short calls show at once, long ones cost little. */
const PAUSE_MS = [20, 500] as const;

/** Callers that wait for their calls to end. Queues do not tell of it, so each is looked up now and then. */
export class CallWaits {
  readonly #maxWaits: number;
  readonly #closing = new AbortController();
  #waits = 0;

  constructor(maxWaits: number) {
    this.#maxWaits = maxWaits;
  }

  /**
   * @param look at the call
   * @param signal aborts when the caller has left
   * @returns the call once it has ended, or as it is after `waitMs` or at {@link close}; undefined when it is unknown
   * @throws {FaasError} `overloaded` when too many wait already; and what `look` throws
   */
  async untilFinal(
    look: () => Promise<CallStatus | undefined>,
    waitMs: number,
    signal: AbortSignal,
  ): Promise<CallStatus | undefined> {
    const deadline = performance.now() + waitMs;
    let status = await look();
    if (!status || hasEnded(status) || waitMs === 0) return status;
    if (this.#waits >= this.#maxWaits) throw new FaasError("overloaded", "wait: too many callers wait already");
    this.#waits++;
    try {
      const stop = AbortSignal.any([signal, this.#closing.signal]);
      for (
        let pauseMs: number = PAUSE_MS[0];
        status && !hasEnded(status);
        pauseMs = Math.min(pauseMs * 1.5, PAUSE_MS[1])
      ) {
        const leftMs = deadline - performance.now();
        if (leftMs <= 0 || stop.aborted) break;
        await sleep(Math.min(pauseMs, leftMs), stop); // aborted: one last look
        status = await look();
      }
      return status;
    } finally {
      this.#waits--;
    }
  }

  /** Everybody who waits gets the state as it is. */
  close(): void {
    this.#closing.abort();
  }
}
