import { DatabaseSync, type SQLInputValue, type SQLOutputValue, type StatementSync } from "node:sqlite";

export type Row = Record<string, SQLOutputValue>;

/** Statements by their text, prepared once, and transactions. Everything is synchronous. */
export class EmbeddedDatabase {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  /** Whether commits wait for the disk. */
  #flushing = true;

  constructor(path: string) {
    this.#db = new DatabaseSync(path, { timeout: 0 });
  }

  /**
   * Runs `change` and commits it, or leaves everything as it was and throws what it threw.
   * @param flush whether it is to be on disk then, with all before it; otherwise it survives the end of the process, but
   * may be undone should the machine lose power before the next one that is, or the next checkpoint
   */
  transaction<T>(change: () => T, flush = true): T {
    if (flush !== this.#flushing) {
      this.#db.exec(`PRAGMA synchronous = ${flush ? "FULL" : "NORMAL"}`);
      this.#flushing = flush;
    }
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

  exec(sql: string): void {
    this.#db.exec(sql);
  }

  /** @returns how many rows it changed, and the last one inserted */
  run(sql: string, ...values: SQLInputValue[]): { readonly changes: number; readonly lastRow: number } {
    const { changes, lastInsertRowid } = this.#prepare(sql).run(...values);
    return { changes: Number(changes), lastRow: Number(lastInsertRowid) };
  }

  get(sql: string, ...values: SQLInputValue[]): Row | undefined {
    return this.#prepare(sql).get(...values);
  }

  all(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.#prepare(sql).all(...values);
  }

  /** The first column of the first row. */
  number(sql: string, ...values: SQLInputValue[]): number | undefined {
    const row = this.get(sql, ...values);
    return (row && (Object.values(row)[0] as number | null)) ?? undefined;
  }

  /**
   * The first row as an object; what is `NULL` is undefined. Rows come as arrays, which costs half of what objects do.
   * @param fields names of the columns, in their order
   */
  object<T>(fields: readonly string[], sql: string, ...values: SQLInputValue[]): T | undefined {
    const row = this.#prepare(sql, true).get(...values) as unknown as SQLOutputValue[] | undefined;
    if (!row) return undefined;
    const object: Record<string, unknown> = {};
    for (let i = 0; i < fields.length; i++) object[fields[i] as string] = row[i] ?? undefined;
    return object as T;
  }

  /** The first column of all rows. */
  numbers(sql: string, ...values: SQLInputValue[]): number[] {
    return this.all(sql, ...values).map((row) => Object.values(row)[0] as number);
  }

  close(): void {
    this.#statements.clear();
    this.#db.close();
  }

  #prepare(sql: string, asArrays = false): StatementSync {
    let statement = this.#statements.get(sql);
    if (!statement) {
      statement = this.#db.prepare(sql);
      if (asArrays) statement.setReturnArrays(true);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}

/** Primary result codes. @see https://www.sqlite.org/rescode.html */
const SQLITE = { busy: 5, readOnly: 8, corrupt: 11, cannotOpen: 14, notADatabase: 26 } as const;

function errorCode(error: unknown): number | undefined {
  const { errcode } = error as { errcode?: unknown };
  return typeof errcode === "number" ? errcode & 0xff : undefined;
}

export function isBusy(error: unknown): boolean {
  return errorCode(error) === SQLITE.busy;
}

/** Whether the file cannot be read or written by this user. */
export function isOutOfReach(error: unknown): boolean {
  const code = errorCode(error);
  return code === SQLITE.cannotOpen || code === SQLITE.readOnly;
}

/** Whether the database cannot be trusted any more; a full disk, say, passes. */
export function isDamage(error: unknown): boolean {
  const code = errorCode(error);
  return code === SQLITE.corrupt || code === SQLITE.notADatabase;
}
