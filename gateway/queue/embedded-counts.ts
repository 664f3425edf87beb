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
    // A clock that is set back stays in its bucket for that long; one set forward empties them all.
    for (let passed = 0; this.#current < current && passed < BUCKETS; passed++) {
      this.#buckets[++this.#current % BUCKETS] = 0;
    }
    this.#current = Math.max(this.#current, current);
  }
}

/** Changes that one transaction makes to the counts of a key. */
export interface Delta {
  calls: number;
  dead: number;
  accepted: number;
  finished: number;
}

interface Count {
  calls: number;
  dead: number;
  readonly accepted: Rate;
  readonly finished: Rate;
}

export interface KeyCounts {
  readonly key: string;
  /** That have not ended. */
  readonly calls: number;
  readonly dead: number;
  readonly acceptedPerSecond: number;
  readonly finishedPerSecond: number;
}

/** How many calls each key has, and how fast they come and go. */
export class KeyCounters {
  readonly #counts = new Map<string, Count>();

  apply(deltas: ReadonlyMap<string, Delta>, now: number): void {
    for (const [key, { calls, dead, accepted, finished }] of deltas) {
      let count = this.#counts.get(key);
      if (!count) {
        count = { calls: 0, dead: 0, accepted: new Rate(), finished: new Rate() };
        this.#counts.set(key, count);
      }
      count.calls += calls;
      count.dead += dead;
      if (accepted > 0) count.accepted.add(accepted, now);
      if (finished > 0) count.finished.add(finished, now);
    }
  }

  /** Of keys with anything to tell; others are forgotten. */
  all(now: number): KeyCounts[] {
    const all: KeyCounts[] = [];
    for (const [key, { calls, dead, accepted, finished }] of this.#counts) {
      const acceptedPerSecond = accepted.perSecond(now);
      const finishedPerSecond = finished.perSecond(now);
      if (calls + dead + acceptedPerSecond + finishedPerSecond === 0) this.#counts.delete(key);
      else all.push({ key, calls, dead, acceptedPerSecond, finishedPerSecond });
    }
    return all;
  }
}
