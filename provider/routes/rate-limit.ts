export interface RateLimitOptions {
  /** Most in one second from one caller. */
  readonly perCaller: number;
  /** Most in one second from all of them. */
  readonly total: number;
  /** Milliseconds. */
  readonly now: () => number;
}

const WINDOW_MS = 1_000;

/** Counts by seconds; keeps no more callers than it lets through in one. */
export class RateLimit {
  readonly #options: RateLimitOptions;
  readonly #byCaller = new Map<string, number>();
  #begunAt = Number.NEGATIVE_INFINITY;
  #taken = 0;

  constructor(options: RateLimitOptions) {
    this.#options = options;
  }

  /** Whether one more is within the limits; it is counted then. */
  take(caller: string): boolean {
    const { perCaller, total, now } = this.#options;
    const at = now();
    if (at - this.#begunAt >= WINDOW_MS) {
      this.#begunAt = at;
      this.#taken = 0;
      this.#byCaller.clear();
    }
    const own = this.#byCaller.get(caller) ?? 0;
    if (own >= perCaller || this.#taken >= total) return false;
    this.#taken++;
    this.#byCaller.set(caller, own + 1);
    return true;
  }
}
