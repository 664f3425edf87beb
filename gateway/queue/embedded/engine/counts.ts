import { functionOf } from "../protocol.ts";

const BUCKET_MS = 5000;
const BUCKETS = 12;

/** How often something happened over the last minute. */
class Rate {
  readonly #buckets = new Uint32Array(BUCKETS);
  /** Number of the bucket that counts now. */
  #current = 0;

  add(count: number, now: number): void {
    this.#turn(now);
    this.#buckets[this.#current % BUCKETS] = (this.#buckets[this.#current % BUCKETS] ?? 0) + count;
  }

  perSecond(now: number): number {
    this.#turn(now);
    return this.#buckets.reduce((sum, count) => sum + count, 0) / ((BUCKETS * BUCKET_MS) / 1000);
  }

  #turn(now: number): void {
    const current = Math.floor(now / BUCKET_MS);
    for (let passed = 0; this.#current < current && passed < BUCKETS; passed++) {
      this.#buckets[++this.#current % BUCKETS] = 0;
    }
    this.#current = Math.max(this.#current, current);
  }
}

/** Changes that one transaction makes to the counts of a key. */
export interface Delta {
  calls: number;
  bytes: number;
  dead: number;
  accepted: number;
  finished: number;
}

/** Unfinished calls of a function. */
export interface Load {
  readonly calls: number;
  readonly bytes: number;
}

export const NO_LOAD: Load = { calls: 0, bytes: 0 };

interface Count {
  calls: number;
  bytes: number;
  dead: number;
  readonly accepted: Rate;
  readonly finished: Rate;
}

export interface KeyCounts {
  readonly key: string;
  /** That have not ended, and their bytes. */
  readonly calls: number;
  readonly bytes: number;
  readonly dead: number;
  readonly acceptedPerSecond: number;
  readonly finishedPerSecond: number;
}

/** How many calls each key has, and how fast they come and go. */
export class KeyCounters {
  readonly #counts = new Map<string, Count>();
  /** Of functions that have any. */
  readonly #loads = new Map<string, Load>();
  readonly #clock: () => number;

  /** @param clock milliseconds that only go forward */
  constructor(clock: () => number) {
    this.#clock = clock;
  }

  apply(deltas: ReadonlyMap<string, Delta>): void {
    const now = this.#clock();
    for (const [key, { calls, bytes, dead, accepted, finished }] of deltas) {
      let count = this.#counts.get(key);
      if (!count) {
        count = { calls: 0, bytes: 0, dead: 0, accepted: new Rate(), finished: new Rate() };
        this.#counts.set(key, count);
      }
      count.calls += calls;
      count.bytes += bytes;
      if (calls !== 0) this.#load(functionOf(key), calls, bytes);
      count.dead += dead;
      if (accepted > 0) count.accepted.add(accepted, now);
      if (finished > 0) count.finished.add(finished, now);
    }
  }

  #load(fn: string, calls: number, bytes: number): void {
    const before = this.loadOf(fn);
    const load = { calls: before.calls + calls, bytes: before.bytes + bytes };
    if (load.calls === 0) this.#loads.delete(fn);
    else this.#loads.set(fn, load);
  }

  /** @param fn `name.namespace` */
  loadOf(fn: string): Load {
    return this.#loads.get(fn) ?? NO_LOAD;
  }

  /** Of keys with anything to tell; others are forgotten. */
  all(): KeyCounts[] {
    const now = this.#clock();
    const all: KeyCounts[] = [];
    for (const [key, { calls, bytes, dead, accepted, finished }] of this.#counts) {
      const acceptedPerSecond = accepted.perSecond(now);
      const finishedPerSecond = finished.perSecond(now);
      if (calls + dead + acceptedPerSecond + finishedPerSecond === 0) this.#counts.delete(key);
      else all.push({ key, calls, bytes, dead, acceptedPerSecond, finishedPerSecond });
    }
    return all;
  }
}
