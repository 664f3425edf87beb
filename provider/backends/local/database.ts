import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { ensurePrivateFile } from "../../kit/private-folder.ts";

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
];

/**
 * Opens `provider.db` in `dataDir`, making or lifting its schema, and keeps every other process out of it until it is
 * closed: two backends on one folder would take each other's replicas for leftovers. The kernel drops the lock of a
 * process that dies. A statement that has returned is on the disk.
 * @throws when another process has it open, it belongs to a newer release or cannot be read
 */
export function openDatabase(dataDir: string): DatabaseSync {
  const file = join(dataDir, "provider.db");
  const db = new DatabaseSync(file);
  try {
    ensurePrivateFile(file);
    // A process that was just killed may take a moment to let go.
    db.exec("PRAGMA busy_timeout = 1000; PRAGMA locking_mode = EXCLUSIVE");
    db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
    db.exec("BEGIN EXCLUSIVE; COMMIT");
    migrate(db);
  } catch (cause) {
    db.close();
    if ((cause as { errcode?: number }).errcode !== SQLITE_BUSY) throw cause;
    throw new Error(`another process uses ${dataDir}`, { cause });
  }
  return db;
}

function migrate(db: DatabaseSync): void {
  const { user_version: found } = db.prepare("PRAGMA user_version").get() as { user_version: number };
  if (found > MIGRATIONS.length) {
    throw new Error(`provider.db has schema ${found}; this release knows up to ${MIGRATIONS.length}`);
  }
  for (const [offset, sql] of MIGRATIONS.slice(found).entries()) {
    db.exec(`BEGIN IMMEDIATE; ${sql} PRAGMA user_version = ${found + offset + 1}; COMMIT`);
  }
}
