import type { SQLInputValue } from "node:sqlite";
import type { EmbeddedDatabase, Row } from "../../../../kit/embedded-database.ts";
import type { LetterFilter, StoredLetter } from "../protocol.ts";
import { WHOLE_BATCH } from "./calls.ts";

const COLUMNS = "place, seq, fn, call_id, reason, attempts, status, accepted, died, body_bytes";
const MAX_REASON = 1000;

export interface RemovedLetter {
  readonly key: string;
  readonly bytes: number;
}

export interface DeadCall {
  readonly seq: number;
  /** Of its function's calls. */
  readonly key: string;
  readonly attempts: number;
  readonly status: number | undefined;
}

/** Calls that are dead. To be changed inside a transaction. */
export class EmbeddedDead {
  readonly #db: EmbeddedDatabase;

  constructor(db: EmbeddedDatabase) {
    this.#db = db;
  }

  /** Copies a call that has not ended to the dead. @returns the bytes it takes there */
  add({ seq, key, attempts, status }: DeadCall, reason: string, now: number): number {
    const row = this.#db.get(
      `INSERT INTO dead (seq, fn, attempts, accepted, died, status, reason, bytes, body_bytes, call_id, idem, whole, meta, body)
       SELECT seq, ?, ?, accepted, ?, ?, ?, length(meta) + length(body), length(body), call_id, idem, whole, meta, body
       FROM calls WHERE seq = ? RETURNING bytes`,
      key,
      attempts,
      now,
      status ?? null,
      reason.slice(0, MAX_REASON),
      seq,
    );
    return (row?.bytes as number | undefined) ?? 0;
  }

  /** The call by its place among calls. */
  find(seq: number): StoredLetter | undefined {
    const row = this.#db.get(`SELECT ${COLUMNS} FROM dead WHERE seq = ? ORDER BY place DESC LIMIT 1`, seq);
    return row && toLetter(row);
  }

  /** In the order of death. */
  list(filter: LetterFilter, after: number, upTo: number | undefined, limit: number): StoredLetter[] {
    const conditions = ["place > ?"];
    const values: SQLInputValue[] = [after];
    const where = (condition: string, value: SQLInputValue | undefined) => {
      if (value === undefined) return;
      conditions.push(condition);
      values.push(value);
    };
    where("place <= ?", upTo);
    where("seq = ?", filter.seq);
    where("died >= ?", filter.since);
    where("died < ?", filter.until);
    if (filter.fn !== undefined) {
      // A function's calls may lie in several queues.
      conditions.push("(fn = ? OR substr(fn, 1, ?) = ?)");
      values.push(filter.fn, filter.fn.length + 1, `${filter.fn}@`);
    }
    const sql = `SELECT ${COLUMNS} FROM dead WHERE ${conditions.join(" AND ")} ORDER BY place LIMIT ?`;
    return this.#db.all(sql, ...values, limit).map(toLetter);
  }

  lastPlace(): number {
    return this.#db.number("SELECT max(place) FROM dead") ?? 0;
  }

  /**
   * Makes it a call again, in its old place or, when it was a member of a batch, in a new one: that batch has seen its
   * end. Its times are over and count no more.
   * @returns its place
   */
  revive(place: number, now: number): number | undefined {
    return this.#db.number(
      `INSERT INTO calls (seq, fn, due, bytes, attempts, interruptions, accepted, call_id, idem, member, meta, body)
       SELECT CASE WHEN whole IS NULL THEN seq END, fn, ?, bytes, 0, 0, accepted, call_id, CASE WHEN whole IS NULL THEN idem END,
         CASE WHEN json_valid(meta) AND json_extract(meta, '$.batch.kind') = 'whole' THEN ${WHOLE_BATCH} END,
         CASE WHEN NOT json_valid(meta) THEN meta
              WHEN whole IS NULL THEN json_remove(meta, '$.notAfter', '$.notBefore')
              ELSE json_remove(meta, '$.notAfter', '$.notBefore', '$.batch') END,
         body FROM dead WHERE place = ? RETURNING seq`,
      Math.max(1, now),
      place,
    );
  }

  /** How many lines the batch has that the letter holds, if it holds one. */
  batchSize(place: number): number | undefined {
    return this.#db.number(
      `SELECT json_extract(meta, '$.batch.size') FROM dead
       WHERE place = ? AND json_valid(meta) AND json_extract(meta, '$.batch.kind') = 'whole'`,
      place,
    );
  }

  remove(place: number): RemovedLetter | undefined {
    const row = this.#db.get("DELETE FROM dead WHERE place = ? RETURNING fn, bytes", place);
    return row && { key: row.fn as string, bytes: row.bytes as number };
  }

  /** Removes the call that died first. */
  removeOldest(): RemovedLetter | undefined {
    const row = this.#db.get("DELETE FROM dead WHERE place = (SELECT min(place) FROM dead) RETURNING fn, bytes");
    return row && { key: row.fn as string, bytes: row.bytes as number };
  }

  countByKey(): { readonly key: string; readonly count: number; readonly bytes: number }[] {
    return this.#db
      .all("SELECT fn, count(*) AS count, sum(bytes) AS bytes FROM dead GROUP BY fn")
      .map(({ fn, count, bytes }) => ({ key: fn as string, count: count as number, bytes: bytes as number }));
  }
}

function toLetter(row: Row): StoredLetter {
  return {
    place: row.place as number,
    seq: row.seq as number,
    key: row.fn as string,
    ...(row.call_id !== null && { callId: row.call_id as string }),
    reason: row.reason as string,
    attempts: row.attempts as number,
    ...(row.status !== null && { status: row.status as number }),
    acceptedAt: row.accepted as number,
    diedAt: row.died as number,
    bodyBytes: row.body_bytes as number,
  };
}
