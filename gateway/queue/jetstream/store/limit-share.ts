/** Calls of a function that another process has under way, those that are without a slot apart; some. */
export interface Sharer {
  readonly process: string;
  readonly taken: number;
}

/**
 * Calls of a function that this process may have under way while the server lets in more than the function's limit. What
 * others have is known a second late, so nobody goes below an equal part, of which the first by name have what is left
 * over: processes that all made room for each other would make way together, and come back together.
 */
export function shareOfLimit(limit: number, self: string, others: readonly Sharer[]): number {
  const taken = others.reduce((sum, other) => sum + other.taken, 0);
  const parts = others.length + 1;
  const rank = others.filter(({ process }) => process < self).length;
  const part = Math.floor(limit / parts) + (rank < limit % parts ? 1 : 0);
  return Math.max(part, limit - taken);
}
