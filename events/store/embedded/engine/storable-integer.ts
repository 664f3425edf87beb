/** A century in milliseconds, which is as long as anything waits. */
export const LONGEST_MS = 100 * 365 * 24 * 3600_000;

/** The next whole number between two; the first of them for what is none. The database takes no others. */
export function storableInteger(value: number, min: number, max = Number.MAX_SAFE_INTEGER): number {
  return Number.isNaN(value) ? min : Math.min(max, Math.max(min, Math.ceil(value)));
}
