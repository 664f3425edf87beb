/** Buckets for each doubling: neighbours differ by 9 %, and within one is interpolated. */
const PER_DOUBLING = 8;
const LEAST_MS = 0.125;
/** The last is for all that is longer: half an hour and more. */
export const LATENCY_BUCKETS = 192;

/** Counts of the buckets that have any, by number. */
export type LatencyReport = readonly (readonly [bucket: number, count: number])[];

/** Counts times so finely that two versions can be compared by a percentile. */
export class LatencyCounts {
  readonly #buckets = new Map<number, number>();
  #count = 0;

  observe(ms: number): void {
    this.#add(bucketOf(ms), 1);
  }

  add(report: LatencyReport): void {
    for (const [bucket, count] of report) this.#add(bucket, count);
  }

  #add(bucket: number, count: number): void {
    this.#buckets.set(bucket, (this.#buckets.get(bucket) ?? 0) + count);
    this.#count += count;
  }

  report(): LatencyReport {
    return [...this.#buckets];
  }

  /** @param share from 0 to 1 @returns milliseconds; undefined while nothing was counted */
  quantile(share: number): number | undefined {
    if (this.#count === 0) return undefined;
    const wanted = share * this.#count;
    let below = 0;
    for (const [bucket, count] of [...this.#buckets].sort(([a], [b]) => a - b)) {
      if (below + count >= wanted) {
        const from = bucket === 0 ? 0 : lowerBound(bucket);
        return from + (lowerBound(bucket + 1) - from) * ((wanted - below) / count);
      }
      below += count;
    }
    return lowerBound(LATENCY_BUCKETS);
  }
}

function bucketOf(ms: number): number {
  if (!(ms > LEAST_MS)) return 0;
  return Math.min(LATENCY_BUCKETS - 1, 1 + Math.floor(PER_DOUBLING * Math.log2(ms / LEAST_MS)));
}

function lowerBound(bucket: number): number {
  return LEAST_MS * 2 ** ((bucket - 1) / PER_DOUBLING);
}
