export type Values = readonly (number | null)[];

/** A change by less is none. */
const STEADY = 0.1;
/** The trend is that of the last fifth against the fifth before it. */
const PART = 5;

export type Trend = "rising" | "falling" | "steady";

/** The last value that is known, and where it is going; undefined when nothing is known. */
export function lastAndTrend(values: Values): { readonly last: number; readonly trend: Trend } | undefined {
  const last = values.findLast((value) => value !== null);
  if (last === undefined || last === null) return undefined;
  const size = Math.max(1, Math.ceil(values.length / PART));
  const late = meanOf(values.slice(-size)) ?? last;
  const before = meanOf(values.slice(-2 * size, -size)) ?? late;
  const change = late - before;
  const least = STEADY * Math.max(Math.abs(before), Math.abs(late));
  return { last, trend: Math.abs(change) <= least ? "steady" : change > 0 ? "rising" : "falling" };
}

/** Of those that are known; undefined when none is. */
export function meanOf(values: Values): number | undefined {
  let sum = 0;
  let count = 0;
  for (const value of values) {
    if (value === null || value === undefined) continue;
    sum += value;
    count++;
  }
  return count === 0 ? undefined : sum / count;
}

/** Whether there is anything to draw. */
export function isEmpty(lines: readonly { readonly values: Values }[]): boolean {
  return lines.every(({ values }) => values.every((value) => value === null));
}

/** Places of values with nothing before and after them: no line is drawn to these. */
export function alone(values: Values): number[] {
  const isThere = (at: number) => values[at] !== null && values[at] !== undefined;
  return values.flatMap((_value, at) => (isThere(at) && !isThere(at - 1) && !isThere(at + 1) ? [at] : []));
}

export interface SeriesTimes {
  /** Of the first point, in milliseconds since the epoch. */
  readonly from: number;
  readonly stepSeconds: number;
}

export interface TableRow {
  /** Of its first point, in milliseconds since the epoch. */
  readonly at: number;
  /** Of each line: the mean of what is known. */
  readonly values: readonly (number | undefined)[];
}

export interface Rows {
  /** How long each is. */
  readonly seconds: number;
  /** Newest first. */
  readonly rows: readonly TableRow[];
}

/** The same as a chart, in at most so many rows. */
export function rowsOf(
  { from, stepSeconds }: SeriesTimes,
  lines: readonly { readonly values: Values }[],
  most: number,
): Rows {
  const count = Math.max(0, ...lines.map(({ values }) => values.length));
  const each = Math.max(1, Math.ceil(count / most));
  const rows: TableRow[] = [];
  // From the end, so that the newest is whole.
  for (let end = count; end > 0; end -= each) {
    const begin = Math.max(0, end - each);
    rows.push({
      at: from + begin * stepSeconds * 1000,
      values: lines.map(({ values }) => meanOf(values.slice(begin, end))),
    });
  }
  return { seconds: each * stepSeconds, rows };
}
