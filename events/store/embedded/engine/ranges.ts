import type { EmbeddedDatabase } from "../../../../kit/embedded-database.ts";

/** Events that an index names, by the place of each. */
export type EventRange = { readonly first: number; readonly last: number } & (
  | {
      readonly db: EmbeddedDatabase;
      /** Selects `seq`, of an index that is in its order. */
      readonly sql: string;
      readonly values: readonly number[];
    }
  /** Named one by one, in order. */
  | { readonly places: readonly number[] }
);

/** Rows that are read at a time. */
const CHUNK = 200;

/** Places in order, each once. @param after to go on after that one */
export function* mergedRanges(ranges: readonly EventRange[], newest: boolean, after?: number): Generator<number> {
  const sign = newest ? -1 : 1;
  const heads = ranges.map((range) => placesOf(range, newest, after)).map((places) => ({ places, at: places.next() }));
  for (;;) {
    let next: number | undefined;
    for (const { at } of heads) if (!at.done && (next === undefined || sign * at.value < sign * next)) next = at.value;
    if (next === undefined) return;
    yield next;
    for (const head of heads) if (!head.at.done && head.at.value === next) head.at = head.places.next();
  }
}

function* placesOf(range: EventRange, newest: boolean, after?: number): Generator<number> {
  let from = range.first;
  let to = range.last;
  if (after !== undefined && newest) to = Math.min(to, after - 1);
  else if (after !== undefined) from = Math.max(from, after + 1);
  if ("places" in range) {
    const places = range.places.filter((place) => place >= from && place <= to);
    yield* newest ? places.toReversed() : places;
    return;
  }
  const { db, sql, values } = range;
  const column = sql.startsWith("DISTINCT event") ? "event" : "seq";
  while (from <= to) {
    const places = db.numbers(
      `SELECT ${sql} AND ${column} BETWEEN ? AND ? ORDER BY ${column} ${newest ? "DESC" : "ASC"} LIMIT ${CHUNK}`,
      ...[...values, from, to],
    );
    yield* places;
    const end = places.at(-1);
    if (end === undefined || places.length < CHUNK) return;
    if (newest) to = end - 1;
    else from = end + 1;
  }
}
