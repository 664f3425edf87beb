const BUCKETS = 60;
const BUCKET_MS = 1000;

/** How often something happened in the last minute. All times are milliseconds of one clock that only goes forward. */
export class LastMinute {
  readonly #counts = new Uint32Array(BUCKETS);
  /** Number of the bucket that counts now. */
  #current = 0;

  add(count: number, now: number): void {
    this.#turn(now);
    const at = this.#current % BUCKETS;
    this.#counts[at] = (this.#counts[at] as number) + count;
  }

  total(now: number): number {
    this.#turn(now);
    return this.#counts.reduce((sum, count) => sum + count, 0);
  }

  perSecond(now: number): number {
    return this.total(now) / ((BUCKETS * BUCKET_MS) / 1000);
  }

  #turn(now: number): void {
    const current = Math.floor(now / BUCKET_MS);
    for (let passed = 0; this.#current < current && passed < BUCKETS; passed++) {
      this.#counts[++this.#current % BUCKETS] = 0;
    }
    this.#current = Math.max(this.#current, current);
  }
}
