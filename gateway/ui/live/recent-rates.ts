/** What a function has counted since the gateway began; it may begin anew. */
export interface Counted {
  readonly ended: number;
  readonly failed: number;
  /** Ended calls by how long they took: the count of each bucket, the last of those above all bounds. */
  readonly buckets: readonly number[];
}

export interface RecentRate {
  /** Calls a second over the last minute, the share of them that failed, and the 95th percentile in milliseconds. */
  readonly rate: number;
  readonly errors: number;
  readonly p95Ms: number | undefined;
  /** Calls a second in each of the last 15 whole minutes, oldest first. */
  readonly spark: readonly number[];
}

const SECONDS = 60;
const MINUTES = 15;
/** The current minute, which is not over, beside them. */
const KEPT_MINUTES = MINUTES + 1;
/** Percentiles are taken over this many seconds at a time. */
const SLICE_S = 10;
const SLICES = SECONDS / SLICE_S;

interface Recent {
  last: Counted;
  readonly ended: Float64Array;
  readonly failed: Float64Array;
  readonly minutes: Float64Array;
  /** Of the buckets, by slice. */
  readonly slices: number[][];
  /** The tick that it was last asked about, and that something last ended at. */
  seenAt: number;
  endedAt: number;
}

/** How often functions were called of late. Fed once a second; a function that is not called costs a comparison. */
export class RecentRates {
  readonly #bounds: readonly number[];
  readonly #functions = new Map<string, Recent>();
  #tick = 0;

  /** @param bounds upper bounds of the buckets, in seconds */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
  }

  /** Takes what all functions have counted by now; those that are not among them are forgotten. */
  sample(functions: Iterable<readonly [name: string, counted: Counted]>): void {
    this.#tick++;
    for (const [name, counted] of functions) this.#take(name, counted);
    for (const [name, { seenAt }] of this.#functions) if (seenAt !== this.#tick) this.#functions.delete(name);
  }

  read(name: string): RecentRate {
    const recent = this.#functions.get(name);
    const spark = Array.from({ length: MINUTES }, (_, at) => {
      const minute = Math.floor(this.#tick / SECONDS) - MINUTES + at;
      return recent && minute >= 0 ? (recent.minutes[minute % KEPT_MINUTES] as number) / SECONDS : 0;
    });
    if (!recent || this.#tick - recent.endedAt >= SECONDS) return { rate: 0, errors: 0, p95Ms: undefined, spark };
    const ended = sum(recent.ended);
    const rate = ended / Math.min(SECONDS, this.#tick);
    return { rate, errors: ended === 0 ? 0 : sum(recent.failed) / ended, p95Ms: this.#percentile(recent, 0.95), spark };
  }

  #take(name: string, counted: Counted): void {
    const tick = this.#tick;
    let recent = this.#functions.get(name);
    if (!recent) {
      recent = begin(counted, tick);
      this.#functions.set(name, recent);
    }
    recent.seenAt = tick;
    const { last } = recent;
    const isIdle = counted.ended === last.ended && tick - recent.endedAt > SECONDS;
    if (isIdle && tick % SECONDS !== 0) return;
    // A gateway's counts begin anew where their keeper has.
    const since = counted.ended >= last.ended ? last : { ended: 0, failed: 0, buckets: [] };
    const ended = counted.ended - since.ended;
    const at = tick % SECONDS;
    recent.ended[at] = ended;
    recent.failed[at] = Math.max(0, counted.failed - since.failed);
    const minute = Math.floor(tick / SECONDS) % KEPT_MINUTES;
    if (at === 0) recent.minutes[minute] = 0;
    recent.minutes[minute] = (recent.minutes[minute] as number) + ended;
    const slice = Math.floor(tick / SLICE_S) % SLICES;
    if (tick % SLICE_S === 0) recent.slices[slice] = [];
    if (ended > 0) {
      recent.endedAt = tick;
      const into = recent.slices[slice] ?? [];
      recent.slices[slice] = into;
      for (const [place, count] of counted.buckets.entries()) {
        into[place] = (into[place] ?? 0) + count - (since.buckets[place] ?? 0);
      }
    }
    recent.last = counted;
  }

  /** In milliseconds, between the bounds of its bucket; the highest bound for those above all. */
  #percentile({ slices }: Recent, part: number): number | undefined {
    const counts = this.#bounds.map((_, place) => slices.reduce((all, slice) => all + (slice[place] ?? 0), 0));
    const above = slices.reduce((all, slice) => all + (slice[this.#bounds.length] ?? 0), 0);
    const wanted = (sum(counts) + above) * part;
    if (wanted === 0) return undefined;
    let below = 0;
    for (const [place, bound] of this.#bounds.entries()) {
      const count = counts[place] as number;
      if (below + count >= wanted && count > 0) {
        const from = place === 0 ? 0 : (this.#bounds[place - 1] as number);
        return (from + ((bound - from) * (wanted - below)) / count) * 1000;
      }
      below += count;
    }
    return (this.#bounds.at(-1) as number) * 1000;
  }
}

function begin(last: Counted, tick: number): Recent {
  return {
    last,
    ended: new Float64Array(SECONDS),
    failed: new Float64Array(SECONDS),
    minutes: new Float64Array(KEPT_MINUTES),
    slices: [],
    seenAt: tick,
    endedAt: Number.NEGATIVE_INFINITY,
  };
}

function sum(values: Iterable<number>): number {
  let all = 0;
  for (const value of values) all += value;
  return all;
}
