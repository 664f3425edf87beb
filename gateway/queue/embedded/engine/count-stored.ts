import type { PersistentClock } from "../../../../kit/persistent-clock.ts";
import type { EmbeddedStore } from "../db/store.ts";
import { Draft, type Totals } from "./draft.ts";
import type { CallsUnderWay } from "./under-way.ts";

export interface StoredCounts {
  readonly totals: Totals;
  readonly deltas: Draft["deltas"];
  /** Keys that have calls. */
  readonly waiting: readonly string[];
}

/** Counts what is on disk, once, for the numbers that are kept in memory from then on. */
export function countOnDisk(store: EmbeddedStore, clock: PersistentClock, underWay: CallsUnderWay): StoredCounts {
  const nothing = { calls: 0, bytes: 0, dead: 0, deadBytes: 0, finished: 0, finishedBytes: 0 };
  const draft = new Draft(clock, nothing, 0, underWay);
  const waiting: string[] = [];
  for (const { key, calls, bytes } of store.calls.countByKey()) {
    draft.calls += calls;
    draft.bytes += bytes;
    Object.assign(draft.of(key), { calls, bytes });
    waiting.push(key);
  }
  for (const { key, count, bytes } of store.dead.countByKey()) {
    draft.dead += count;
    draft.deadBytes += bytes;
    draft.of(key).dead = count;
  }
  ({ count: draft.finished, bytes: draft.finishedBytes } = store.history.count());
  return { totals: draft, deltas: draft.deltas, waiting };
}
