/** Rows that are in the page, or room for those that are not. */
export type Piece =
  | { readonly kind: "rows"; readonly from: number; readonly to: number }
  | { readonly kind: "space"; readonly rows: number };

/** So many beyond what can be seen are there, so that scrolling and the tab key meet them. */
const BEYOND = 20;
/** The window moves by so many rows at a time. */
export const STRIDE = 10;

export interface Scrolled {
  readonly count: number;
  /** First row that can be seen, and how many can. */
  readonly top: number;
  readonly visible: number;
  /** A row that stays wherever it is, with its neighbours: the one that has the focus. */
  readonly pinned?: number | undefined;
}

/** What of a long table is in the page. */
export function rowWindow({ count, top, visible, pinned }: Scrolled): readonly Piece[] {
  const first = Math.max(0, Math.min(top, count - visible));
  const from = Math.max(0, first - BEYOND);
  const to = Math.min(count, first + visible + STRIDE + BEYOND);
  const ranges = [{ from, to }];
  if (pinned !== undefined && pinned >= 0 && pinned < count) {
    ranges.push({ from: Math.max(0, pinned - 1), to: Math.min(count, pinned + 2) });
    ranges.sort((a, b) => a.from - b.from);
  }
  const pieces: Piece[] = [];
  let end = 0;
  for (const range of ranges) {
    if (range.from > end) pieces.push({ kind: "space", rows: range.from - end });
    if (range.to > end) pieces.push({ kind: "rows", from: Math.max(range.from, end), to: range.to });
    end = Math.max(end, range.to);
  }
  if (end < count) pieces.push({ kind: "space", rows: count - end });
  return pieces;
}

export interface Order<Row> {
  readonly by: ((row: Row) => number | string) | undefined;
  readonly descends: boolean;
}

/** Rows in their order; as they come without one. */
export function sortRows<Row>(rows: readonly Row[], { by, descends }: Order<Row>): readonly Row[] {
  if (!by) return rows;
  const factor = descends ? -1 : 1;
  return rows
    .map((row) => ({ row, value: by(row) }))
    .sort(({ value: a }, { value: b }) => factor * compare(a, b))
    .map(({ row }) => row);
}

const texts = new Intl.Collator(undefined, { numeric: true });

function compare(a: number | string, b: number | string): number {
  return typeof a === "number" && typeof b === "number" ? a - b : texts.compare(String(a), String(b));
}

/**
 * The same rows in the order that they had; undefined when they are not the same, by their keys.
 * @param keys in the order that they had
 */
export function keepOrder<Row>(
  rows: readonly Row[],
  keyOf: (row: Row) => string,
  keys: readonly string[],
): readonly Row[] | undefined {
  if (keys.length !== rows.length) return undefined;
  const byKey = new Map(rows.map((row) => [keyOf(row), row]));
  const kept: Row[] = [];
  for (const key of keys) {
    const row = byKey.get(key);
    if (row === undefined) return undefined;
    kept.push(row);
  }
  return kept;
}
