import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { DeliveredCall } from "./embedded-protocol.ts";

/** Marks a file as ours ("FSLQ"), so that another program's database is never taken for a queue. */
const APPLICATION_ID = 0x46534c51;
const SCHEMA_VERSION = 1;

// Large bodies follow the small columns, so that scans and updates of those seldom touch overflow pages. `due` is 0
// for a call that has not been tried or is being tried, else the time of its retry: the index thus gives both the
// order of acceptance and what is due. A row of `under_way` that is there on opening is a call that a crash cut off.
const SCHEMA = `
  CREATE TABLE calls (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    fn TEXT NOT NULL,
    due INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    interruptions INTEGER NOT NULL,
    accepted INTEGER NOT NULL,
    meta TEXT NOT NULL,
    body BLOB NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX calls_by_id ON calls (id, fn);
  CREATE INDEX calls_by_function ON calls (fn, due);
  CREATE INDEX calls_by_due ON calls (due, fn) WHERE due > 0;
  CREATE TABLE under_way (seq INTEGER PRIMARY KEY) STRICT;
  CREATE TABLE dead (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    seq INTEGER NOT NULL,
    id TEXT NOT NULL,
    fn TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    accepted INTEGER NOT NULL,
    died INTEGER NOT NULL,
    reason TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    meta TEXT NOT NULL,
    body BLOB NOT NULL
  ) STRICT;
  PRAGMA application_id = ${APPLICATION_ID};
  PRAGMA user_version = ${SCHEMA_VERSION};
`;

const PAGE_BYTES = 4096;

export interface NewCall {
  readonly id: string;
  readonly key: string;
  readonly acceptedAt: number;
  readonly meta: string;
  readonly body: Uint8Array;
}

/** The queue's tables. Methods are synchronous; changes are to be made inside {@link EmbeddedStore.transaction}. */
export class EmbeddedStore {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  /** @throws {Error} when the file is locked, damaged, someone else's or of another schema */
  constructor(path: string, maxBytes: number) {
    this.#db = new DatabaseSync(path, { timeout: 0 });
    try {
      this.#open(maxBytes);
    } catch (cause) {
      this.#db.close();
      if (errorCode(cause) === SQLITE.busy) throw new Error("another process has it open", { cause });
      throw cause;
    }
  }

  #open(maxBytes: number): void {
    // Exclusive locking keeps a second platform off the same file, and spares the shared-memory index.
    this.#db.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA auto_vacuum = INCREMENTAL;");
    this.#db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 0;");
    this.#db.exec("PRAGMA wal_autocheckpoint = 1500; PRAGMA journal_size_limit = 8388608;");
    const version = this.#number("PRAGMA user_version");
    const owner = this.#number("PRAGMA application_id");
    if (owner === 0 && version === 0 && this.#number("SELECT count(*) FROM sqlite_schema") === 0) {
      this.transaction(() => this.#db.exec(SCHEMA));
    } else if (owner !== APPLICATION_ID) {
      throw new Error("the file is a database of something else");
    } else if (version !== SCHEMA_VERSION) {
      throw new Error(`it has schema version ${version}, this release reads version ${SCHEMA_VERSION}`);
    }
    this.#db.exec(`PRAGMA max_page_count = ${Math.max(64, Math.floor(maxBytes / PAGE_BYTES))}`);
  }

  /** Runs `change` and commits it, or leaves everything as it was and throws what it threw. */
  transaction<T>(change: () => T): T {
    this.#db.exec("BEGIN IMMEDIATE");
    try {
      const result = change();
      this.#db.exec("COMMIT");
      return result;
    } catch (error) {
      // A full disk may already have ended the transaction.
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
      throw error;
    }
  }

  /** False when a call of this function with this id is already there. */
  insert({ id, key, acceptedAt, meta, body }: NewCall): boolean {
    const { changes } = this.#prepare(
      `INSERT INTO calls (id, fn, due, attempts, interruptions, accepted, meta, body) VALUES (?, ?, 0, 0, 0, ?, ?, ?)
       ON CONFLICT DO NOTHING`,
    ).run(id, key, acceptedAt, meta, body);
    return changes === 1;
  }

  /** The function's retry that has been due longest, if any is due at `now`. From here on it counts as not waiting for a time. */
  takeRetry(key: string, now: number): number | undefined {
    const seq = this.#prepare(
      "SELECT seq FROM calls WHERE fn = ? AND due > 0 AND due <= ? ORDER BY due, seq LIMIT 1",
    ).get(key, now)?.seq as number | undefined;
    if (seq !== undefined) this.#prepare("UPDATE calls SET due = 0 WHERE seq = ?").run(seq);
    return seq;
  }

  /** The function's first call after `after` that waits for no retry. */
  nextFresh(key: string, after: number): number | undefined {
    return this.#prepare("SELECT seq FROM calls WHERE fn = ? AND due = 0 AND seq > ? ORDER BY seq LIMIT 1").get(
      key,
      after,
    )?.seq as number | undefined;
  }

  /** Notes that the call is being tried and gives it out. */
  begin(seq: number): DeliveredCall {
    this.#prepare("INSERT INTO under_way (seq) VALUES (?)").run(seq);
    const row = this.#prepare("SELECT id, attempts, accepted, meta, body FROM calls WHERE seq = ?").get(seq);
    return {
      seq,
      attempt: (row?.attempts as number) + 1,
      id: row?.id as string,
      acceptedAt: row?.accepted as number,
      meta: row?.meta as string,
      body: row?.body as Uint8Array<ArrayBuffer>,
    };
  }

  /** Forgets that the call is being tried; it is as it was before. */
  handBack(seq: number): void {
    this.#prepare("DELETE FROM under_way WHERE seq = ?").run(seq);
  }

  finish(seq: number): void {
    this.handBack(seq);
    this.#prepare("DELETE FROM calls WHERE seq = ?").run(seq);
  }

  /** Counts the attempt; the next may start at `due`. */
  retryAt(seq: number, due: number): void {
    this.handBack(seq);
    this.#prepare("UPDATE calls SET due = ?, attempts = attempts + 1 WHERE seq = ?").run(Math.max(1, due), seq);
  }

  /** Moves the call to the dead; returns the bytes it takes there. */
  bury(seq: number, reason: string, now: number): number {
    const bytes = this.#prepare(
      `INSERT INTO dead (seq, id, fn, attempts, accepted, died, reason, bytes, meta, body)
       SELECT seq, id, fn, attempts + 1, accepted, ?, ?, length(meta) + length(body), meta, body FROM calls WHERE seq = ?
       RETURNING bytes`,
    ).get(now, reason, seq)?.bytes as number | undefined;
    this.finish(seq);
    return bytes ?? 0;
  }

  /** Removes the call that died first; returns its bytes, undefined when there is none. */
  dropOldestDead(): number | undefined {
    return this.#prepare("DELETE FROM dead WHERE place = (SELECT min(place) FROM dead) RETURNING bytes").get()?.bytes as
      | number
      | undefined;
  }

  /**
   * Counts an interruption for every call that was under way when the process died.
   * @returns those interrupted `limit` times or more
   */
  recoverInterrupted(limit: number): number[] {
    // By key for the few rows concerned; a scan would read every waiting body.
    const rows = this.#prepare(
      `UPDATE calls SET interruptions = interruptions + 1 WHERE seq IN (SELECT seq FROM under_way)
       RETURNING seq, interruptions`,
    ).all();
    this.#db.exec("DELETE FROM under_way");
    return rows.filter((row) => (row.interruptions as number) >= limit).map((row) => row.seq as number);
  }

  countCalls(): number {
    return this.#number("SELECT count(*) FROM calls");
  }

  countDead(): { readonly count: number; readonly bytes: number } {
    const row = this.#prepare("SELECT count(*) AS count, coalesce(sum(bytes), 0) AS bytes FROM dead").get();
    return { count: row?.count as number, bytes: row?.bytes as number };
  }

  /** Every function that has a call. */
  functions(): string[] {
    // Hops along the index from function to function: `DISTINCT` would walk over every call.
    const rows = this.#prepare(
      `WITH RECURSIVE hop (fn) AS (
         SELECT min(fn) FROM calls UNION ALL SELECT (SELECT min(fn) FROM calls WHERE fn > hop.fn) FROM hop WHERE hop.fn IS NOT NULL
       ) SELECT fn FROM hop WHERE fn IS NOT NULL`,
    ).all();
    return rows.map((row) => row.fn as string);
  }

  /** Functions with a retry that comes due after `after` and until `until`. */
  functionsDue(after: number, until: number): string[] {
    const rows = this.#prepare("SELECT DISTINCT fn FROM calls WHERE due > 0 AND due > ? AND due <= ?").all(
      after,
      until,
    );
    return rows.map((row) => row.fn as string);
  }

  /** When the first retry later than `after` is due. */
  nextDue(after: number): number | undefined {
    return this.#prepare("SELECT due FROM calls WHERE due > 0 AND due > ? ORDER BY due LIMIT 1").get(after)?.due as
      | number
      | undefined;
  }

  /** When the first call that is not being tried was accepted. */
  oldestAccepted(): number | undefined {
    return this.#prepare(
      "SELECT accepted FROM calls WHERE seq NOT IN (SELECT seq FROM under_way) ORDER BY seq LIMIT 1",
    ).get()?.accepted as number | undefined;
  }

  /** Gives up to `pages` unused pages back to the file system, but keeps `spare` of them. @returns whether to go on */
  shrink(pages: number, spare: number): boolean {
    const surplus = this.#number("PRAGMA freelist_count") - spare;
    if (surplus <= 0) return false;
    this.#db.exec(`PRAGMA incremental_vacuum(${Math.min(pages, surplus)})`);
    return surplus > pages;
  }

  /** Moves the log's content into the database file and empties it. */
  checkpoint(): void {
    this.#db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  }

  close(): void {
    this.#statements.clear();
    this.#db.close();
  }

  #number(sql: string): number {
    return Object.values(this.#prepare(sql).get() ?? {})[0] as number;
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (!statement) {
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}

/** Primary result codes. @see https://www.sqlite.org/rescode.html */
const SQLITE = { busy: 5, corrupt: 11, notADatabase: 26 } as const;

function errorCode(error: unknown): number | undefined {
  const { errcode } = error as { errcode?: unknown };
  return typeof errcode === "number" ? errcode & 0xff : undefined;
}

/** Whether the database cannot be trusted any more; a full disk, say, passes. */
export function isDamage(error: unknown): boolean {
  const code = errorCode(error);
  return code === SQLITE.corrupt || code === SQLITE.notADatabase;
}
