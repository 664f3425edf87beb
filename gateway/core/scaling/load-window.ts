/**
 * Average of a load over its last seconds. What is recorded in one second adds up; seconds without a record count as
 * zero, unless a whole window passes without any: then the average begins anew. Rules as in Knative's autoscaler.
 */
export class LoadWindow {
  readonly #buckets: Float64Array;
  #first = -1;
  #last = -1;

  /** @param windowMs whole seconds */
  constructor(windowMs: number) {
    this.#buckets = new Float64Array(Math.max(1, Math.round(windowMs / 1000)));
  }

  get windowMs(): number {
    return this.#buckets.length * 1000;
  }

  /** @param now milliseconds; a time before the last record counts as that record's */
  record(now: number, value: number): void {
    const size = this.#buckets.length;
    const second = Math.max(Math.floor(now / 1000), this.#last);
    if (this.#last < 0 || second - this.#last >= size) {
      this.#buckets.fill(0);
      this.#first = second;
    } else {
      for (let gap = this.#last + 1; gap <= second; gap++) this.#buckets[gap % size] = 0;
    }
    this.#last = second;
    this.#buckets[second % size] = (this.#buckets[second % size] as number) + value;
  }

  /** @returns undefined when nothing was recorded within the window */
  average(now: number): number | undefined {
    const size = this.#buckets.length;
    const age = Math.max(0, Math.floor(now / 1000) - this.#last);
    if (this.#last < 0 || age >= size) return undefined;
    const written = Math.min(this.#last - this.#first + 1, size - age);
    let sum = 0;
    for (let i = 0; i < written; i++) sum += this.#buckets[(this.#last - i) % size] as number;
    return Math.round((sum / written) * 1e6) / 1e6;
  }
}
