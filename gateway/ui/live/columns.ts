import { DURATION_BUCKETS } from "../../proxy/function-meter.ts";

/** Classes of status codes; `other` is what had none. */
export const CODE_CLASSES = ["1xx", "2xx", "3xx", "4xx", "5xx", "other"] as const;

/**
 * What is kept of a function for each step of time, in this order. Only numbers that add up: percentiles are taken from the buckets
 * when somebody reads, so that steps, functions and gateways can be put together.
 */
export const COLUMN = {
  /** Seconds of the step in which somebody counted; none where nothing is known. */
  known: 0,
  codes: 1,
  buckets: 1 + CODE_CLASSES.length,
  cold: 2 + CODE_CLASSES.length + DURATION_BUCKETS.length,
  inFlight: 3 + CODE_CLASSES.length + DURATION_BUCKETS.length,
  held: 4 + CODE_CLASSES.length + DURATION_BUCKETS.length,
  replicas: 5 + CODE_CLASSES.length + DURATION_BUCKETS.length,
  available: 6 + CODE_CLASSES.length + DURATION_BUCKETS.length,
  /** Tenths of a percent of a processor, and of a MiB, each one more than it is: 0 stands for what nobody has measured. */
  cpu: 7 + CODE_CLASSES.length + DURATION_BUCKETS.length,
  memory: 8 + CODE_CLASSES.length + DURATION_BUCKETS.length,
} as const;

export const COLUMNS = COLUMN.memory + 1;
/** One for each bound, and one for what is above all. */
export const BUCKETS = DURATION_BUCKETS.length + 1;
/** Numbers that only grow are before this one. */
export const FIRST_GAUGE = COLUMN.inFlight;

/** What several points come to that follow each other in time: counts add up, the most of what is under way, and the last of replicas. */
export function addStep(into: Int32Array, point: Int32Array): void {
  for (let column = 0; column < FIRST_GAUGE; column++) into[column] = numberAt(into, column) + numberAt(point, column);
  if (numberAt(point, COLUMN.known) === 0) return;
  for (let column = FIRST_GAUGE; column < COLUMNS; column++) {
    const isLast = column === COLUMN.replicas || column === COLUMN.available;
    const value = numberAt(point, column);
    if (isLast || value > numberAt(into, column)) into[column] = value;
  }
}

/** What functions come to at the same time: everything adds up, but the time itself. */
export function addFunction(into: Int32Array, point: Int32Array): void {
  const known = Math.max(numberAt(into, COLUMN.known), numberAt(point, COLUMN.known));
  for (let column = 0; column < COLUMN.cpu; column++) into[column] = numberAt(into, column) + numberAt(point, column);
  into[COLUMN.known] = known;
}

export function numberAt(numbers: ArrayLike<number>, place: number): number {
  return numbers[place] as number;
}
