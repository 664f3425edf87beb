export interface Places {
  /** Calls that may be under way at a time. */
  readonly concurrency: number;
  /** Those under way, over all functions, and those promised a place. */
  readonly taken: number;
  /** Of the function in question. */
  readonly own: number;
}

/** Part of all places that is kept for functions with few calls under way, and what few is, as a part too. */
const KEPT = 1 / 4;
const FEW = 1 / 16;
/** With fewer, nobody can spare any. */
const KEEPS_FROM = 16;

/**
 * Further calls that a function may have under way as far as places go. The last quarter of them is for functions that
 * have few calls under way: slow ones could fill everything else for as long as they take.
 */
export function placesFor({ concurrency, taken, own }: Places): number {
  const free = Math.max(0, concurrency - taken);
  if (concurrency < KEEPS_FROM) return free;
  const kept = Math.floor(concurrency * KEPT);
  const few = Math.floor(concurrency * FEW);
  return Math.min(free, Math.max(0, free - kept, few - own));
}

const ASIDE_AT_LEAST = 256;
const ASIDE_PER_PLACE = 4;

/**
 * Calls of a process that may be under way without one of its places: those that only wait. What they hold in memory
 * is what bounds them; a further one keeps its place.
 */
export function maxAside(concurrency: number): number {
  return Math.max(ASIDE_AT_LEAST, ASIDE_PER_PLACE * concurrency);
}
