/** So many times what stays free a trigger may have. */
const SHARE = 4;

/**
 * Whether a trigger may have one more delivery under way. However much waits for it, it leaves some room: a slow one must
 * not keep all from others, which may have something to deliver in a moment.
 * @param taken by the trigger
 * @param limit of the trigger
 * @param takenInAll by all
 */
export function mayTakeMore(taken: number, limit: number, takenInAll: number, concurrency: number): boolean {
  const free = concurrency - takenInAll - 1;
  return taken < limit && free >= 0 && free >= Math.floor((taken + 1) / SHARE);
}
