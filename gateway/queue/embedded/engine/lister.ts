import type { CallScan } from "../call-scan.ts";
import type { EmbeddedListing } from "../db/listing.ts";
import { functionOf, queueOf } from "../protocol.ts";
import type { KeyCounters } from "./counts.ts";

/** Calls that one question goes through. */
const LOOKED_AT = 5000;

export interface FoundPlaces {
  readonly places: readonly number[];
  /** Where to go on; absent at the end. */
  readonly next?: number;
}

/** Finds the calls that a filter matches without ever going through all that there are. */
export class CallLister {
  readonly #listing: EmbeddedListing;
  readonly #counters: Pick<KeyCounters, "all">;

  constructor(listing: EmbeddedListing, counters: Pick<KeyCounters, "all">) {
    this.#listing = listing;
    this.#counters = counters;
  }

  find({ fn, queue, state, after, limit }: CallScan): FoundPlaces {
    const keys = fn === undefined && queue === undefined ? undefined : this.#keysOf(fn, queue);
    if (keys?.count === 0) return { places: [] };
    const wanted = {
      ...(keys && { keys: keys.keys }),
      ...(state && { state }),
      after,
      upTo: Number.MAX_SAFE_INTEGER,
      limit: limit + 1,
    };
    if (state === "running") return cut(this.#listing.underWay(wanted), limit);
    if (!keys) return cut(this.#listing.inOrder(wanted), limit);
    if (keys.count <= LOOKED_AT) return cut(this.#listing.byKey(wanted), limit);
    // They may lie anywhere among the others.
    const end = this.#listing.placeAfter(after, LOOKED_AT);
    const found = cut(this.#listing.inOrder({ ...wanted, ...(end !== undefined && { upTo: end }) }), limit);
    return found.next === undefined && end !== undefined ? { ...found, next: end } : found;
  }

  /** Keys that can match, and how many calls they have. */
  #keysOf(fn: string | undefined, queue: string | undefined): { readonly keys: string[]; readonly count: number } {
    const matching = this.#counters
      .all()
      .filter(({ key, calls }) => calls > 0 && matches(functionOf(key), fn) && matches(queueOf(key), queue));
    return { keys: matching.map(({ key }) => key), count: matching.reduce((sum, { calls }) => sum + calls, 0) };
  }
}

function matches(found: string, wanted: string | undefined): boolean {
  return wanted === undefined || found === wanted;
}

/** @param found one more than `limit` when there are more */
function cut(found: number[], limit: number): FoundPlaces {
  if (found.length <= limit) return { places: found };
  const places = found.slice(0, limit);
  const next = places.at(-1);
  return { places, ...(next !== undefined && { next }) };
}
