import type { EmbeddedDatabase } from "../../../../kit/embedded-database.ts";
import type { UnfinishedState } from "../../queue.ts";
import type { StoredRequest } from "../call-scan.ts";

/** Which calls are looked for. */
export interface Wanted {
  /** Of these keys; of all when absent. */
  readonly keys?: readonly string[];
  readonly state?: UnfinishedState;
  /** Places after this one. */
  readonly after: number;
  /** Up to this one. */
  readonly upTo: number;
  readonly limit: number;
}

/** What a list shows of a call beside its facts. */
export interface ListedContent {
  readonly bodyBytes: number;
  /** Line of its batch, if it is a member of one. */
  readonly index: number | undefined;
}

const NOT_UNDER_WAY = "AND (? = 0 OR seq NOT IN (SELECT seq FROM under_way))";

/** Calls that have not ended as people look through them, in the order of acceptance. */
export class EmbeddedListing {
  readonly #db: EmbeddedDatabase;

  constructor(db: EmbeddedDatabase) {
    this.#db = db;
  }

  /** Goes through all calls between `after` and `upTo` until there are enough. */
  inOrder({ keys, state, after, upTo, limit }: Wanted): number[] {
    const waiting = state === "waiting" ? 1 : 0;
    if (!keys) {
      const sql = `SELECT seq FROM calls WHERE seq > ? AND seq <= ? ${NOT_UNDER_WAY} ORDER BY seq LIMIT ?`;
      return this.#db.numbers(sql, after, upTo, waiting, limit);
    }
    return this.#db.numbers(
      `SELECT seq FROM calls WHERE seq > ? AND seq <= ? ${NOT_UNDER_WAY}
         AND +fn IN (SELECT value FROM json_each(?)) ORDER BY seq LIMIT ?`,
      after,
      upTo,
      waiting,
      JSON.stringify(keys),
      limit,
    );
  }

  /** Goes through all calls of the keys, wherever they lie, in an index alone. */
  byKey({ keys, state, after, limit }: Wanted): number[] {
    return this.#db.numbers(
      `SELECT seq FROM json_each(?) CROSS JOIN calls INDEXED BY calls_by_function ON fn = value
       WHERE seq > ? ${NOT_UNDER_WAY} ORDER BY seq LIMIT ?`,
      JSON.stringify(keys ?? []),
      after,
      state === "waiting" ? 1 : 0,
      limit,
    );
  }

  /** Goes through those that are being tried. */
  underWay({ keys, after, limit }: Wanted): number[] {
    return this.#db.numbers(
      `SELECT under_way.seq FROM under_way CROSS JOIN calls ON calls.seq = under_way.seq
       WHERE under_way.seq > ? AND (? IS NULL OR fn IN (SELECT value FROM json_each(?))) ORDER BY under_way.seq LIMIT ?`,
      after,
      keys ? "" : null,
      JSON.stringify(keys ?? []),
      limit,
    );
  }

  /** The place of the call that is so many after `after`; undefined when there are not so many. */
  placeAfter(after: number, count: number): number | undefined {
    return this.#db.number("SELECT seq FROM calls WHERE seq > ? ORDER BY seq LIMIT 1 OFFSET ?", after, count - 1);
  }

  content(seq: number): ListedContent | undefined {
    const row = this.#db.get("SELECT length(body) AS bytes, whole, member FROM calls WHERE seq = ?", seq);
    if (!row) return undefined;
    return { bodyBytes: row.bytes as number, index: row.whole === null ? undefined : (row.member as number) };
  }

  /** Of a call that has not ended, or is dead. */
  request(seq: number, bodyBytes: number): StoredRequest | undefined {
    const columns = "meta, length(body) AS bytes, substr(body, 1, ?) AS body";
    const row =
      this.#db.get(`SELECT ${columns} FROM calls WHERE seq = ?`, bodyBytes, seq) ??
      this.#db.get(`SELECT ${columns} FROM dead WHERE seq = ? ORDER BY place DESC LIMIT 1`, bodyBytes, seq);
    return row && { meta: row.meta as string, bodyBytes: row.bytes as number, body: row.body as Uint8Array };
  }
}
