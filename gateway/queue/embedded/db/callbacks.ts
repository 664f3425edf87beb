import type { EmbeddedDatabase, Row } from "../../../../kit/embedded-database.ts";
import type { CallbackNews, CallbackStatus } from "../../queue.ts";
import type { StoredOutcome, StoredResult, WaitingCallback } from "../protocol.ts";

/** A callback that waits, with the answer that it tells. */
export interface CallbackRow {
  readonly callback: WaitingCallback;
  readonly outcome: StoredOutcome;
  /** Place of the call that has ended, whose callback is sent once more. */
  readonly again: number | undefined;
}

/** What a callback tells, and why the call is dead all the same. */
type Told = CallbackNews & Pick<WaitingCallback, "reason">;

/** Callbacks that are to be tried again, by the places of their calls. To be changed inside a transaction. */
export class EmbeddedCallbacks {
  readonly #db: EmbeddedDatabase;

  constructor(db: EmbeddedDatabase) {
    this.#db = db;
  }

  add(seq: number, { callback, outcome, again }: CallbackRow): void {
    const { tries, since, failure, url, state, retry, retryMax, durationMs, reason } = callback;
    const told: Told = { url, state, retry, retryMax, durationMs, ...(reason !== undefined && { reason }) };
    const { status, durationMs: tookMs, result } = outcome;
    this.#db.run(
      `INSERT INTO callbacks (seq, again, told, since, tries, failure, status, duration, headers, body)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      seq,
      again ?? null,
      JSON.stringify(told),
      since,
      tries,
      failure ?? null,
      status,
      tookMs,
      result?.headers ?? null,
      result?.body ?? null,
    );
  }

  /** Notes a try that has failed. */
  tried(seq: number, { tries, failure }: Pick<WaitingCallback, "tries" | "failure">): void {
    this.#db.run("UPDATE callbacks SET tries = ?, failure = ? WHERE seq = ?", tries, failure ?? null, seq);
  }

  find(seq: number): CallbackRow | undefined {
    const row = this.#db.get("SELECT * FROM callbacks WHERE seq = ?", seq);
    return row && toCallback(row);
  }

  /** @returns what it was */
  remove(seq: number): CallbackRow | undefined {
    const row = this.#db.get("DELETE FROM callbacks WHERE seq = ? RETURNING *", seq);
    return row && toCallback(row);
  }

  /** @param due of its next try; 0 when that may begin at any time, or is under way */
  status(seq: number, due: number): CallbackStatus | undefined {
    const row = this.#db.get("SELECT tries, failure FROM callbacks WHERE seq = ?", seq);
    if (!row) return undefined;
    const tries = row.tries as number;
    const nextAttemptAt = due > 0 ? { nextAttemptAt: due } : {};
    return {
      state: "waiting",
      tries,
      ...nextAttemptAt,
      ...(row.failure !== null && { reason: row.failure as string }),
    };
  }

  /** Place of the callback that is sent once more for a call that has ended, while it waits. */
  again(seq: number): number | undefined {
    return this.#db.number("SELECT seq FROM callbacks WHERE again = ?", seq);
  }

  /** Place of the call that has ended whose callback is sent once more in this place; undefined for other callbacks. */
  sentFor(seq: number): number | undefined {
    return this.#db.number("SELECT again FROM callbacks WHERE seq = ?", seq);
  }

  /** The clock was set: their time is as long as it was. */
  shift(ms: number): void {
    this.#db.run("UPDATE callbacks SET since = since + ?", ms);
  }
}

function toCallback(row: Row): CallbackRow {
  const result: StoredResult | undefined =
    row.body === null ? undefined : { headers: row.headers as string, body: row.body as Uint8Array };
  return {
    callback: {
      ...(JSON.parse(row.told as string) as Told),
      tries: row.tries as number,
      since: row.since as number,
      ...(row.failure !== null && { failure: row.failure as string }),
    },
    outcome: { status: row.status as number, durationMs: row.duration as number, ...(result && { result }) },
    again: (row.again as number | null) ?? undefined,
  };
}
