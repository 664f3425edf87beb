import type { EmbeddedDatabase } from "../../../../kit/embedded-database.ts";
import type { FinalState } from "../../queue.ts";
import { functionOf, type StoredOutcome, type StoredResult } from "../protocol.ts";
import type { CallFacts } from "./calls.ts";

/** What is remembered of a call that has ended. */
export interface FinishedCall
  extends Pick<CallFacts, "seq" | "key" | "attempts" | "acceptedAt">,
    Partial<
      Pick<CallFacts, "startedAt" | "status" | "durationMs" | "notAfter" | "callId" | "idempotencyKey" | "whole">
    > {
  readonly state: FinalState;
  readonly endedAt: number;
  readonly reason?: string | undefined;
  /** JSON text of how its callback ended. */
  readonly callback?: string | undefined;
}

const FIELDS = [
  ...["seq", "key", "state", "attempts", "acceptedAt", "startedAt", "endedAt", "status", "durationMs", "notAfter"],
  ...["reason", "callId", "idempotencyKey", "whole", "callback", "bytes"],
];
const COLUMNS = `seq, fn, state, attempts, accepted, started, ended, status, duration, not_after, reason, call_id, idem,
  whole, callback, result_bytes`;

/** Reasons are for people to read. */
const MAX_REASON = 1000;

/** Calls that have ended and what they answered, and the names of all calls. To be changed inside a transaction. */
export class EmbeddedHistory {
  readonly #db: EmbeddedDatabase;

  constructor(db: EmbeddedDatabase) {
    this.#db = db;
  }

  /** @returns bytes of the result */
  add(call: FinishedCall, result: StoredResult | undefined): number {
    const bytes = result ? result.body.byteLength + result.headers.length : null;
    this.#db.run(
      `INSERT INTO finished (seq, fn, state, attempts, accepted, started, ended, status, duration, not_after, reason,
         result_bytes, call_id, idem, whole, callback) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      call.seq,
      call.key,
      call.state,
      call.attempts,
      call.acceptedAt,
      call.startedAt ?? null,
      call.endedAt,
      call.status ?? null,
      call.durationMs ?? null,
      call.notAfter ?? null,
      call.reason?.slice(0, MAX_REASON) ?? null,
      bytes,
      call.callId ?? null,
      call.idempotencyKey ?? null,
      call.whole ?? null,
      call.callback ?? null,
    );
    if (result && bytes !== null) {
      this.#db.run(
        "INSERT INTO results (seq, bytes, headers, body) VALUES (?, ?, ?, ?)",
        call.seq,
        bytes,
        result.headers,
        result.body,
      );
    }
    return bytes ?? 0;
  }

  find(seq: number): (FinishedCall & { readonly hasResult: boolean }) | undefined {
    type Found = FinishedCall & { hasResult: boolean; readonly bytes?: number };
    const found = this.#db.object<Found>(FIELDS, `SELECT ${COLUMNS} FROM finished WHERE seq = ?`, seq);
    if (found) found.hasResult = found.bytes !== undefined;
    return found;
  }

  /** The callback of a call that has ended was sent once more. @param rescued it is dead no more by that */
  calledBack(seq: number, callback: string, rescued: boolean): void {
    this.#db.run(
      `UPDATE finished SET callback = ?, state = iif(?, 'done', state), reason = iif(?, NULL, reason) WHERE seq = ?`,
      callback,
      rescued ? 1 : 0,
      rescued ? 1 : 0,
      seq,
    );
  }

  outcome({
    seq,
    status,
    durationMs,
    hasResult,
  }: NonNullable<ReturnType<EmbeddedHistory["find"]>>): StoredOutcome | undefined {
    if (status === undefined) return undefined;
    const row = hasResult ? this.#db.get("SELECT headers, body FROM results WHERE seq = ?", seq) : undefined;
    const result = row && { headers: row.headers as string, body: row.body as Uint8Array };
    return { status, durationMs: durationMs ?? 0, ...(result && { result }) };
  }

  /** Removes what is remembered of a call, its names too. @returns bytes of its result, undefined when there is none */
  forget(seq: number): number | undefined {
    const row = this.#db.get(
      "DELETE FROM finished WHERE seq = ? RETURNING fn, result_bytes, call_id, idem, whole",
      seq,
    );
    if (!row) return undefined;
    if (row.result_bytes !== null) this.#db.run("DELETE FROM results WHERE seq = ?", seq);
    if (row.call_id !== null && row.whole === null) this.unname(row.call_id as string, seq);
    if (row.idem !== null) {
      this.#db.run(
        "DELETE FROM idempotency WHERE fn = ? AND idem = ? AND seq = ?",
        functionOf(row.fn as string),
        row.idem as string,
        seq,
      );
    }
    return (row.result_bytes as number | null) ?? 0;
  }

  /** The first calls to have ended, members of batches apart: these go with their batch. */
  oldest(limit: number): { readonly seq: number; readonly endedAt: number }[] {
    return this.#db
      .all("SELECT seq, ended FROM finished WHERE whole IS NULL ORDER BY ended LIMIT ?", limit)
      .map(({ seq, ended }) => ({ seq: seq as number, endedAt: ended as number }));
  }

  /** Removes the result accepted first, if there is one. @returns its bytes */
  dropOldestResult(): number | undefined {
    const row = this.#db.get("DELETE FROM results WHERE seq = (SELECT min(seq) FROM results) RETURNING seq, bytes");
    if (!row) return undefined;
    this.#db.run("UPDATE finished SET result_bytes = NULL WHERE seq = ?", row.seq as number);
    return row.bytes as number;
  }

  name(callId: string, seq: number): void {
    this.#db.run("INSERT OR IGNORE INTO names (call_id, seq) VALUES (?, ?)", callId, seq);
  }

  unname(callId: string, seq: number): void {
    this.#db.run("DELETE FROM names WHERE call_id = ? AND seq = ?", callId, seq);
  }

  /** The last call that has this name. */
  named(callId: string): number | undefined {
    return this.#db.number("SELECT max(seq) FROM names WHERE call_id = ?", callId);
  }

  /** The call that stands for all of this function with this key, and the request that they are. */
  known(key: string, idempotencyKey: string): { readonly seq: number; readonly print: string | undefined } | undefined {
    const row = this.#db.get(
      "SELECT seq, print FROM idempotency WHERE fn = ? AND idem = ?",
      functionOf(key),
      idempotencyKey,
    );
    return row && { seq: row.seq as number, print: (row.print as string | null) ?? undefined };
  }

  remember(key: string, idempotencyKey: string, seq: number, print: string | undefined): void {
    this.#db.run(
      "INSERT OR IGNORE INTO idempotency (fn, idem, seq, print) VALUES (?, ?, ?, ?)",
      functionOf(key),
      idempotencyKey,
      seq,
      print ?? null,
    );
  }

  count(): { readonly count: number; readonly bytes: number } {
    const row = this.#db.get("SELECT count(*) AS count, coalesce(sum(result_bytes), 0) AS bytes FROM finished");
    return { count: row?.count as number, bytes: row?.bytes as number };
  }
}
