export interface Slots {
  /** Calls that may be under way at a time. */
  readonly concurrency: number;
  /** Those under way, over all functions, and those promised a slot. */
  readonly taken: number;
  /** Of the function in question. */
  readonly own: number;
}

/** Part of all slots that is kept for functions with few calls under way, and what few is, as a part too. */
const KEPT = 1 / 4;
const FEW = 1 / 16;
/** With fewer, nobody can spare any. */
const KEEPS_FROM = 16;

/**
 * Further calls that a function may have under way as far as slots go. The last quarter of them is for functions that
 * have few calls under way: slow ones could fill everything else for as long as they take.
 */
export function slotsFor({ concurrency, taken, own }: Slots): number {
  const free = Math.max(0, concurrency - taken);
  if (concurrency < KEEPS_FROM) return free;
  const kept = Math.floor(concurrency * KEPT);
  const few = Math.floor(concurrency * FEW);
  return Math.min(free, Math.max(0, free - kept, few - own));
}

const SLOTLESS_AT_LEAST = 256;
const SLOTLESS_PER_SLOT = 4;

/**
 * Calls of a process that may be under way without one of its slots: those that only wait. What they hold in memory
 * is what bounds them; a further one keeps its slot.
 */
export function maxSlotless(concurrency: number): number {
  return Math.max(SLOTLESS_AT_LEAST, SLOTLESS_PER_SLOT * concurrency);
}
