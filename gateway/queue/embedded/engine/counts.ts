import { addLoads, type CallLoad, NO_LOAD } from "../../call-limits.ts";
import { LastMinute } from "../../last-minute.ts";
import { functionOf } from "../protocol.ts";

/** Changes that one transaction makes to the counts of a key. */
export interface Delta {
  calls: number;
  bytes: number;
  dead: number;
  accepted: number;
  finished: number;
}

interface Count {
  calls: number;
  bytes: number;
  dead: number;
  readonly accepted: LastMinute;
  readonly finished: LastMinute;
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
  readonly #loads = new Map<string, CallLoad>();
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
        count = { calls: 0, bytes: 0, dead: 0, accepted: new LastMinute(), finished: new LastMinute() };
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
    const load = addLoads(this.loadOf(fn), { calls, bytes });
    if (load.calls === 0) this.#loads.delete(fn);
    else this.#loads.set(fn, load);
  }

  /** @param fn `name.namespace` */
  loadOf(fn: string): CallLoad {
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
