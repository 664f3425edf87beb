import { statfsSync, statSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { FaasError } from "../../../contract/errors.ts";
import { isOutOfSpace } from "../../../contract/shortages.ts";
import { ensurePrivateFile } from "../../../kit/private-folder.ts";
import { SpareSpace } from "../../../kit/spare-space.ts";

const SQLITE_BUSY = 5;

/** Each entry lifts the schema by one version; entries are never edited once released, only added. */
const MIGRATIONS = [
  `CREATE TABLE namespaces (
     name TEXT PRIMARY KEY, labels TEXT NOT NULL, annotations TEXT NOT NULL
   ) STRICT;
   CREATE TABLE functions (
     namespace TEXT NOT NULL, name TEXT NOT NULL, deployment TEXT NOT NULL, digest TEXT NOT NULL,
     replicas INTEGER NOT NULL, uid INTEGER NOT NULL, generation INTEGER NOT NULL, created_at TEXT NOT NULL,
     PRIMARY KEY (namespace, name)
   ) STRICT;
   CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
   INSERT INTO counters VALUES ('generation', 0);
   CREATE TABLE images (reference TEXT PRIMARY KEY, digest TEXT NOT NULL) STRICT;`,
  // A row for each page that the log has room for, whatever the disk has; see `makeRoom`.
  `CREATE TABLE slack (page INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
   WITH RECURSIVE pages (page) AS (SELECT 1 UNION ALL SELECT page + 1 FROM pages WHERE page < 96)
   INSERT INTO slack SELECT page, zeroblob(3900) FROM pages;`,
  // Images that are there already are kept from now on.
  `ALTER TABLE images ADD COLUMN kept_since INTEGER NOT NULL DEFAULT 0;
   UPDATE images SET kept_since = unixepoch() * 1000;
   CREATE INDEX images_by_digest ON images (digest);
   CREATE TABLE artefacts (digest TEXT PRIMARY KEY, bytes INTEGER NOT NULL) STRICT;`,
  `CREATE TABLE versions (
     namespace TEXT NOT NULL, name TEXT NOT NULL, generation INTEGER NOT NULL, document TEXT NOT NULL,
     PRIMARY KEY (namespace, name)
   ) STRICT;`,
];

/** The log goes back to its beginning after so many pages, and thus hardly ever needs more than `makeRoom` has made. */
const CHECKPOINT_PAGES = 32;
/** Of what has been changed, the log holds at least so much. */
const SLACK_BYTES = 96 * 4096;
/** Given up when not even what needs no room can be written. */
const SPARE_BYTES = 1024 ** 2;
/** With less left, nothing is taken on that has to be stored: its files would not find room either. */
const MIN_FREE_BYTES = 1024 ** 2;

/** The backend's tables. What has returned is on the disk; what was thrown has changed nothing. */
export interface ProviderDatabase {
  readonly sql: DatabaseSync;
  /** Writes something new in one transaction. @throws {FaasError} `noSpace` while there is no room */
  add<T>(write: () => T): T;
  /** Changes or removes what is there, in one transaction: for that there is always room. */
  change<T>(write: () => T): T;
  close(): void;
}

/**
 * Opens `provider.db` in `dataDir`, making or lifting its schema, and keeps every other process out of it until it is
 * closed: two backends on one folder would take each other's replicas for orphans. The kernel drops the lock of a
 * process that dies.
 * @throws when another process has it open, it belongs to a newer release or cannot be read
 */
export function openDatabase(dataDir: string): ProviderDatabase {
  const file = join(dataDir, "provider.db");
  const sql = new DatabaseSync(file);
  const spare = new SpareSpace(`${file}-spare`, SPARE_BYTES);
  const withSpare = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      if (!isOutOfSpace(error) || !spare.release()) throw error;
      return work();
    }
  };
  try {
    ensurePrivateFile(file);
    // A process that was just killed may take a moment to let go.
    sql.exec("PRAGMA busy_timeout = 1000; PRAGMA locking_mode = EXCLUSIVE");
    withSpare(() => {
      sql.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
      sql.exec("BEGIN EXCLUSIVE; COMMIT");
      migrate(sql);
    });
    sql.exec(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
    makeRoom(sql, file, withSpare);
  } catch (cause) {
    sql.close();
    if ((cause as { errcode?: number }).errcode !== SQLITE_BUSY) throw cause;
    throw new Error(`another process uses ${dataDir}`, { cause });
  }
  spare.ensure();

  return {
    sql,
    add: (write) => {
      if (freeBytes(dataDir) < MIN_FREE_BYTES || !spare.ensure()) throw outOfSpace();
      const result = inTransaction(sql, write);
      moveLog(sql, withSpare);
      return result;
    },
    change: (write) => withSpare(() => inTransaction(sql, write)),
    close: () => sql.close(),
  };
}

function outOfSpace(): FaasError {
  return new FaasError("noSpace", "no space is left on the platform's disk; nothing can be stored until there is some");
}

/** What this user may still write. */
function freeBytes(folder: string): number {
  const { bavail, bfree, bsize } = statfsSync(folder);
  return (process.geteuid?.() === 0 ? bfree : bavail) * bsize;
}

function migrate(sql: DatabaseSync): void {
  const { user_version: found } = sql.prepare("PRAGMA user_version").get() as { user_version: number };
  if (found > MIGRATIONS.length) {
    throw new Error(`provider.db has schema ${found}; this release knows up to ${MIGRATIONS.length}`);
  }
  for (const [offset, step] of MIGRATIONS.slice(found).entries()) {
    inTransaction(sql, () => sql.exec(`${step} PRAGMA user_version = ${found + offset + 1}`));
  }
}

function inTransaction<T>(sql: DatabaseSync, work: () => T): T {
  sql.exec("BEGIN IMMEDIATE");
  try {
    const result = work();
    sql.exec("COMMIT");
    return result;
  } catch (error) {
    // A full disk may already have ended the transaction.
    if (sql.isTransaction) sql.exec("ROLLBACK");
    throw error;
  }
}

/**
 * Makes the log as long as it gets when things are changed or removed, so that this goes on when the disk is full: a log
 * is written over from its beginning, and never cut. It is gone after a stop in good order.
 */
function makeRoom(sql: DatabaseSync, file: string, withSpare: (work: () => void) => void): void {
  if ((statSync(`${file}-wal`, { throwIfNoEntry: false })?.size ?? 0) >= SLACK_BYTES) return;
  try {
    withSpare(() => inTransaction(sql, () => sql.exec("UPDATE slack SET bytes = randomblob(3900)")));
    moveLog(sql, withSpare);
  } catch (error) {
    // What is there can be read; to write, the next attempt may find room.
    if (!isOutOfSpace(error)) throw error;
  }
}

/** Moves what the log holds to the file, which has to grow for what is new. */
function moveLog(sql: DatabaseSync, withSpare: (work: () => void) => void): void {
  try {
    withSpare(() => sql.exec("PRAGMA wal_checkpoint(PASSIVE)"));
  } catch (error) {
    // It is in the log, which is as good; nothing new is taken on until there is room again.
    if (!isOutOfSpace(error)) throw error;
  }
}
