import type { EmbeddedDatabase } from "../../../../kit/embedded-database.ts";
import type { DeliveredCall, WireCall } from "../protocol.ts";

/** A call to store. */
export type CallToStore = Omit<WireCall, "bodyAt" | "bodyBytes" | "wholeSize" | "tellExpiry"> & {
  /** When the queue itself is to end it. */
  readonly expires?: number;
  /** Its body holds a batch. */
  readonly isBatch: boolean;
  readonly body: Uint8Array;
};

/** What is known of a call that has not ended, but for its content. */
export interface CallFacts {
  readonly seq: number;
  readonly key: string;
  /** 0 when its turn may come at any time. */
  readonly due: number;
  /** That it counts for. */
  readonly bytes: number;
  readonly attempts: number;
  readonly acceptedAt: number;
  readonly startedAt: number | undefined;
  readonly status: number | undefined;
  readonly durationMs: number | undefined;
  readonly notAfter: number | undefined;
  readonly callId: string | undefined;
  readonly idempotencyKey: string | undefined;
  readonly whole: number | undefined;
  readonly isBatch: boolean;
}

/** How an attempt went that is not the last. */
export interface Tried {
  readonly counted: boolean;
  /** By the platform. */
  readonly refused: boolean;
  readonly startedAt: number | undefined;
  readonly status: number | undefined;
  readonly durationMs: number | undefined;
}

export interface AnsweredAttempt extends Omit<Tried, "refused"> {
  readonly key: string;
  /** That it counts for from now on. */
  readonly bytes: number;
}

/** In the column `member`: not one, but all of a batch. */
export const WHOLE_BATCH = -1;

const FIELDS = [
  ...["seq", "key", "due", "bytes", "attempts", "acceptedAt", "startedAt", "status", "durationMs", "notAfter"],
  ...["callId", "idempotencyKey", "whole", "member"],
];
const FACTS =
  "seq, fn, due, bytes, attempts, accepted, started, status, duration, not_after, call_id, idem, whole, member";

/** A call that is now under way. */
export interface Begun {
  readonly delivery: DeliveredCall;
  readonly isBatch: boolean;
}

/** Calls that have not ended. Changes are to be made inside a transaction. */
export class EmbeddedCalls {
  readonly #db: EmbeddedDatabase;

  constructor(db: EmbeddedDatabase) {
    this.#db = db;
  }

  /** @returns its place */
  insert(call: CallToStore): number {
    const { key, acceptedAt, callId, idempotencyKey, notBefore, notAfter, expires, member, isBatch, meta, body } = call;
    return this.#db.run(
      `INSERT INTO calls
         (fn, due, bytes, attempts, interruptions, accepted, not_after, expires, call_id, idem, whole, member, meta, body)
       VALUES (?, ?, ?, 0, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      key,
      notBefore === undefined ? 0 : Math.max(1, Math.ceil(notBefore)),
      bytesOf(call),
      acceptedAt,
      notAfter ?? null,
      expires ?? null,
      callId ?? null,
      idempotencyKey ?? null,
      member?.whole ?? null,
      isBatch ? WHOLE_BATCH : (member?.index ?? null),
      meta,
      body,
    ).lastRow;
  }

  find(seq: number): CallFacts | undefined {
    return toFacts(this.#db.object<FoundFacts>(FIELDS, `SELECT ${FACTS} FROM calls WHERE seq = ?`, seq));
  }

  /** The function's call that has been due longest, if any is due at `now`. From here on it waits for no time. */
  takeDue(key: string, now: number): number | undefined {
    const seq = this.#db.number(
      "SELECT seq FROM calls WHERE fn = ? AND due > 0 AND due <= ? ORDER BY due, seq LIMIT 1",
      key,
      now,
    );
    if (seq !== undefined) this.#db.run("UPDATE calls SET due = 0 WHERE seq = ?", seq);
    return seq;
  }

  /** The function's first call after `after` that waits for no time. */
  nextFresh(key: string, after: number): number | undefined {
    return this.#db.number(
      "SELECT seq FROM calls WHERE fn = ? AND due = 0 AND seq > ? ORDER BY seq LIMIT 1",
      key,
      after,
    );
  }

  /**
   * Notes that the call is being tried and gives it out; undefined when its time has passed at `now`.
   * @param withBody whether its function is to get that
   */
  begin(seq: number, now: number, withBody: boolean): Begun | undefined {
    const row = this.#db.get(
      `SELECT attempts, accepted, expires, refusals, refused, member, meta, ${withBody ? "body" : "x'' AS body"}
       FROM calls WHERE seq = ?`,
      seq,
    );
    if (row === undefined) throw new Error(`the call in place ${seq} is not there`);
    if (row.expires !== null && (row.expires as number) < now) return undefined;
    this.#db.run("INSERT INTO under_way (seq) VALUES (?)", seq);
    return {
      delivery: {
        seq,
        attempt: (row.attempts as number) + 1,
        acceptedAt: row.accepted as number,
        ...(row.refused !== null && {
          refused: { times: row.refusals as number, since: row.refused as number },
        }),
        meta: row.meta as string,
        body: row.body as Uint8Array<ArrayBuffer>,
      },
      isBatch: row.member === WHOLE_BATCH,
    };
  }

  /** Forgets that the call is being tried; it is as it was before. */
  handBack(seq: number): void {
    this.#db.run("DELETE FROM under_way WHERE seq = ?", seq);
  }

  /** The clock was set: calls wait as long as they had to before their next attempt. */
  shiftRetries(ms: number): void {
    this.#db.run(
      `UPDATE calls SET due = max(1, due + ?)
       WHERE due > 0 AND (attempts > 0 OR refusals > 0 OR seq IN (SELECT seq FROM callbacks))`,
      ms,
    );
    this.#db.run("UPDATE calls SET refused = refused + ? WHERE refused IS NOT NULL", ms);
  }

  /** The next attempt may start at `due`. */
  retryAt(seq: number, due: number, tried: Tried, now: number): void {
    const { counted, refused, startedAt, status, durationMs } = tried;
    this.handBack(seq);
    this.#db.run(
      `UPDATE calls SET due = ?, attempts = attempts + ?, refusals = iif(?, refusals + 1, 0),
         refused = iif(?, coalesce(refused, ?), NULL), started = coalesce(?, started), status = coalesce(?, status),
         duration = coalesce(?, duration) WHERE seq = ?`,
      Math.max(1, Math.ceil(due)),
      counted ? 1 : 0,
      refused ? 1 : 0,
      refused ? 1 : 0,
      now,
      startedAt ?? null,
      status ?? null,
      durationMs ?? null,
      seq,
    );
  }

  /** The function has answered. From here on only the callback is to be made. */
  answered(seq: number, { key, bytes, counted, startedAt, status, durationMs }: AnsweredAttempt): void {
    this.#db.run(
      `UPDATE calls SET fn = ?, bytes = ?, attempts = attempts + ?, refusals = 0, refused = NULL,
         started = coalesce(?, started), status = coalesce(?, status), duration = coalesce(?, duration) WHERE seq = ?`,
      key,
      bytes,
      counted ? 1 : 0,
      startedAt ?? null,
      status ?? null,
      durationMs ?? null,
      seq,
    );
  }

  setAttempts(seq: number, attempts: number): void {
    this.#db.run("UPDATE calls SET attempts = ? WHERE seq = ?", attempts, seq);
  }

  /** Its turn does not come before `due`. */
  wait(seq: number, due: number): void {
    this.handBack(seq);
    this.#db.run("UPDATE calls SET due = ? WHERE seq = ?", Math.max(1, Math.ceil(due)), seq);
  }

  /** @returns what it was, undefined when it is not there */
  remove(seq: number): CallFacts | undefined {
    this.handBack(seq);
    return toFacts(this.#db.object<FoundFacts>(FIELDS, `DELETE FROM calls WHERE seq = ? RETURNING ${FACTS}`, seq));
  }

  meta(seq: number): string | undefined {
    return this.#db.get("SELECT meta FROM calls WHERE seq = ?", seq)?.meta as string | undefined;
  }

  /** All that its caller sent. */
  content(seq: number): { readonly meta: string; readonly body: Uint8Array } | undefined {
    const row = this.#db.get("SELECT meta, body FROM calls WHERE seq = ?", seq);
    return row && { meta: row.meta as string, body: row.body as Uint8Array };
  }

  lastPlace(): number {
    return this.#db.number("SELECT max(seq) FROM calls") ?? 0;
  }

  /** Calls of a key that are not being tried, up to a place. */
  waiting(key: string, upTo: number, limit: number): number[] {
    return this.#db.numbers(
      "SELECT seq FROM calls WHERE fn = ? AND seq <= ? AND seq NOT IN (SELECT seq FROM under_way) LIMIT ?",
      key,
      upTo,
      limit,
    );
  }

  /**
   * Counts an interruption for every call that was under way when the process died.
   * @returns those interrupted `limit` times or more
   */
  recoverInterrupted(limit: number): number[] {
    // By key for the few rows concerned; a scan would read every waiting body.
    const rows = this.#db.all(
      `UPDATE calls SET interruptions = interruptions + 1 WHERE seq IN (SELECT seq FROM under_way)
       RETURNING seq, interruptions`,
    );
    this.#db.run("DELETE FROM under_way");
    return rows.filter((row) => (row.interruptions as number) >= limit).map((row) => row.seq as number);
  }

  /** How many calls each key has, and bytes. */
  countByKey(): { readonly key: string; readonly calls: number; readonly bytes: number }[] {
    return this.#db
      .all("SELECT fn, count(*) AS calls, sum(bytes) AS bytes FROM calls GROUP BY fn")
      .map(({ fn, calls, bytes }) => ({ key: fn as string, calls: calls as number, bytes: bytes as number }));
  }

  /** Keys with a call that comes due after `after` and until `until`. */
  keysDue(after: number, until: number): string[] {
    const rows = this.#db.all("SELECT DISTINCT fn FROM calls WHERE due > 0 AND due > ? AND due <= ?", after, until);
    return rows.map((row) => row.fn as string);
  }

  /** When the first call later than `after` is due. */
  nextDue(after: number): number | undefined {
    return this.#db.number("SELECT due FROM calls WHERE due > 0 AND due > ? ORDER BY due LIMIT 1", after);
  }

  /** Calls that are not being tried and whose time has passed at `now`. */
  expired(now: number, limit: number): number[] {
    return this.#db.numbers(
      `SELECT seq FROM calls WHERE expires IS NOT NULL AND expires < ? AND seq NOT IN (SELECT seq FROM under_way)
         ORDER BY expires LIMIT ?`,
      now,
      limit,
    );
  }

  /** When the time of the first call not being tried passes. */
  nextExpiry(): number | undefined {
    return this.#db.number(
      `SELECT expires FROM calls WHERE expires IS NOT NULL AND seq NOT IN (SELECT seq FROM under_way)
       ORDER BY expires LIMIT 1`,
    );
  }

  /** When the first call that is not being tried was accepted. */
  oldestAccepted(): number | undefined {
    return this.#db.number(
      "SELECT accepted FROM calls WHERE seq NOT IN (SELECT seq FROM under_way) ORDER BY seq LIMIT 1",
    );
  }

  /** As {@link oldestAccepted} for one key. Of many that wait for a time only those due first are looked at. */
  oldestAcceptedOf(key: string): number | undefined {
    const fresh = this.#db.number(
      `SELECT accepted FROM calls WHERE fn = ? AND due = 0 AND seq NOT IN (SELECT seq FROM under_way)
       ORDER BY seq LIMIT 1`,
      key,
    );
    const delayed = this.#db.number(
      `SELECT min(accepted) FROM
         (SELECT accepted FROM calls WHERE fn = ? AND due > 0 ORDER BY due LIMIT 64)`,
      key,
    );
    return fresh !== undefined && delayed !== undefined ? Math.min(fresh, delayed) : (fresh ?? delayed);
  }
}

/** Bytes that a call counts for. */
export function bytesOf({ meta, body }: Pick<CallToStore, "meta" | "body">): number {
  return meta.length + body.byteLength;
}

type FoundFacts = CallFacts & { isBatch: boolean; readonly member?: number };

function toFacts(found: FoundFacts | undefined): CallFacts | undefined {
  if (found) found.isBatch = found.member === WHOLE_BATCH;
  return found;
}
