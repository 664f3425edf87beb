import type { RateLimitPolicy } from "../../contract/policies/rate-limit-policy.ts";

/** Where a key stands after a call. */
export interface RateState {
  readonly admitted: boolean;
  /** Calls that it may make at once now. */
  readonly remaining: number;
  /** Until it has all of them again, in milliseconds. */
  readonly fullAfterMs: number;
  /** Until the next call is admitted; 0 while one is. */
  readonly retryAfterMs: number;
}

/** Callers that are remembered; the one that has not called for longest makes room for another. */
const MAX_KEYS = 20_000;
/** Old ones that are looked at with each new one, so that what nobody needs goes as fast as it comes. */
const SWEEP = 2;
/** Rounding of sums of intervals, in milliseconds. */
const EPSILON_MS = 1e-6;

/**
 * A token bucket for each key, kept as the one moment at which it will be full: the generic cell rate algorithm.
 * @see https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm
 */
export class RateLimiter {
  readonly #intervalMs: number;
  readonly #toleranceMs: number;
  readonly #maxKeys: number;
  /** When the bucket is full, by key; those that called last come last. */
  readonly #fullAt = new Map<string, number>();

  constructor({ calls, periodMs, burst }: RateLimitPolicy, maxKeys = MAX_KEYS) {
    this.#intervalMs = periodMs / calls;
    this.#toleranceMs = this.#intervalMs * burst;
    this.#maxKeys = maxKeys;
  }

  /** Keys that are remembered. */
  get size(): number {
    return this.#fullAt.size;
  }

  /** Counts a call, unless there were too many. @param now milliseconds of a clock that only goes forward */
  take(key: string, now: number): RateState {
    const before = this.#fullAt.get(key);
    const fullAt = Math.max(before ?? now, now) + this.#intervalMs;
    const overMs = fullAt - now - this.#toleranceMs;
    if (overMs > EPSILON_MS) {
      return { admitted: false, remaining: 0, fullAfterMs: fullAt - this.#intervalMs - now, retryAfterMs: overMs };
    }
    if (before === undefined) this.#makeRoom(now);
    else this.#fullAt.delete(key);
    this.#fullAt.set(key, fullAt);
    const remaining = Math.floor((this.#toleranceMs - (fullAt - now) + EPSILON_MS) / this.#intervalMs);
    return { admitted: true, remaining, fullAfterMs: fullAt - now, retryAfterMs: 0 };
  }

  #makeRoom(now: number): void {
    let looked = 0;
    for (const [key, fullAt] of this.#fullAt) {
      if (looked++ >= SWEEP || (fullAt > now && this.#fullAt.size < this.#maxKeys)) return;
      this.#fullAt.delete(key);
    }
  }
}

/** Says where a caller stands. @see draft-ietf-httpapi-ratelimit-headers-10 */
export function rateHeaders({ calls, periodMs }: RateLimitPolicy, state: RateState): Record<string, string> {
  const seconds = (ms: number) => String(Math.max(1, Math.ceil(ms / 1000)));
  return {
    "ratelimit-policy": `"calls";q=${calls};w=${seconds(periodMs)}`,
    ratelimit: `"calls";r=${state.remaining};t=${Math.ceil(state.fullAfterMs / 1000)}`,
    ...(!state.admitted && { "retry-after": seconds(state.retryAfterMs) }),
  };
}
