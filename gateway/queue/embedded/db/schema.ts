import type { EmbeddedDatabase } from "../../../../kit/embedded-database.ts";

/** Marks a file as ours ("FSLQ"), so that another program's database is never taken for a queue. */
const APPLICATION_ID = 0x46534c51;
const SCHEMA_VERSION = 5;
/** Calls moved at a time from an earlier release's table: their room is used again for those that follow. */
const MOVED_AT_A_TIME = 500;

// calls: what has not ended. `fn` is the key of turns. Large bodies follow the small columns, so that scans and updates
//   of those seldom touch overflow pages. `due` is 0 for a call whose turn may come at any time or that is being tried,
//   else the time of its retry or the end of its delay: the index thus gives both the order of acceptance and what is
//   due, and how much there is of each function. `expires` is set for those that the queue itself is to end. `refusals`
//   counts attempts in a row that the platform refused, since `refused`. `bytes` is 0 for calls of an earlier release.
// identity: `hidden_from` is the first place whose call has an id that does not tell its place.
// under_way: a row that is there on opening is a call that a crash cut off.
// finished: what is remembered of calls that have ended; results are apart, so that counting stays cheap.
// names: ids that callers chose. idempotency: by function, whatever its queue; `print` says of which request, null for
//   those of an earlier release.
// callbacks: of calls whose function has answered, to be tried again; their `fn` is the key of callbacks. `again` is the
//   place of a call that has ended, for whose callback alone this one was made. finished: `callback` is how that ended.
// batches: `phase` is 0 while the lines are made members, 1 while these run, 2 when the end has been told;
//   `failures` counts how often that was in vain.
//   Members, and what is remembered of them, go with the batch.
const CALLBACKS = `
  CREATE TABLE callbacks (
    seq INTEGER PRIMARY KEY,
    again INTEGER,
    told TEXT NOT NULL,
    since INTEGER NOT NULL,
    tries INTEGER NOT NULL,
    failure TEXT,
    status INTEGER NOT NULL,
    duration REAL NOT NULL,
    headers TEXT,
    body BLOB
  ) STRICT;
  CREATE INDEX callbacks_again ON callbacks (again) WHERE again IS NOT NULL;
`;

const SCHEMA = `
  CREATE TABLE identity (key BLOB NOT NULL, hidden_from INTEGER NOT NULL DEFAULT 0) STRICT;
  INSERT INTO identity (key) VALUES (randomblob(32));
  CREATE TABLE calls (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    fn TEXT NOT NULL,
    due INTEGER NOT NULL,
    bytes INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL,
    interruptions INTEGER NOT NULL,
    refusals INTEGER NOT NULL DEFAULT 0,
    refused INTEGER,
    accepted INTEGER NOT NULL,
    started INTEGER,
    status INTEGER,
    duration REAL,
    not_after INTEGER,
    expires INTEGER,
    call_id TEXT,
    idem TEXT,
    whole INTEGER,
    member INTEGER,
    meta TEXT NOT NULL,
    body BLOB NOT NULL
  ) STRICT;
  CREATE INDEX calls_by_function ON calls (fn, due, seq, bytes);
  CREATE INDEX calls_by_due ON calls (due, fn) WHERE due > 0;
  CREATE INDEX calls_by_expiry ON calls (expires) WHERE expires IS NOT NULL;
  CREATE TABLE under_way (seq INTEGER PRIMARY KEY) STRICT;
  CREATE TABLE finished (
    seq INTEGER PRIMARY KEY,
    fn TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    accepted INTEGER NOT NULL,
    started INTEGER,
    ended INTEGER NOT NULL,
    status INTEGER,
    duration REAL,
    not_after INTEGER,
    reason TEXT,
    result_bytes INTEGER,
    call_id TEXT,
    idem TEXT,
    whole INTEGER,
    callback TEXT
  ) STRICT;
  CREATE INDEX finished_by_end ON finished (ended) WHERE whole IS NULL;
  CREATE TABLE results (seq INTEGER PRIMARY KEY, bytes INTEGER NOT NULL, headers TEXT NOT NULL, body BLOB NOT NULL) STRICT;
  CREATE TABLE names (call_id TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (call_id, seq)) STRICT, WITHOUT ROWID;
  CREATE TABLE idempotency (
    fn TEXT NOT NULL, idem TEXT NOT NULL, seq INTEGER NOT NULL, print TEXT, PRIMARY KEY (fn, idem)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE batches (
    seq INTEGER PRIMARY KEY,
    phase INTEGER NOT NULL,
    size INTEGER NOT NULL,
    published INTEGER NOT NULL,
    done INTEGER NOT NULL,
    dead INTEGER NOT NULL,
    cancelled INTEGER NOT NULL,
    expired INTEGER NOT NULL,
    ending INTEGER NOT NULL,
    failures INTEGER NOT NULL DEFAULT 0,
    fn TEXT,
    attempts INTEGER,
    accepted INTEGER,
    started INTEGER,
    not_after INTEGER,
    call_id TEXT,
    idem TEXT,
    meta TEXT
  ) STRICT;
  CREATE TABLE members (whole INTEGER NOT NULL, place INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (whole, place))
    STRICT, WITHOUT ROWID;
  CREATE TABLE dead (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    seq INTEGER NOT NULL,
    fn TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    accepted INTEGER NOT NULL,
    died INTEGER NOT NULL,
    status INTEGER,
    reason TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    body_bytes INTEGER NOT NULL,
    call_id TEXT,
    idem TEXT,
    whole INTEGER,
    meta TEXT NOT NULL,
    body BLOB NOT NULL
  ) STRICT;
  CREATE INDEX dead_by_call ON dead (seq);
  ${CALLBACKS}
  PRAGMA application_id = ${APPLICATION_ID};
  PRAGMA user_version = ${SCHEMA_VERSION};
`;

/**
 * Makes a database a queue, or sees that it is one; one of an earlier release becomes one of this.
 * @throws {Error} when it is damaged, someone else's or of an unknown schema
 */
export function prepareQueueDatabase(db: EmbeddedDatabase): void {
  const version = db.number("PRAGMA user_version");
  const owner = db.number("PRAGMA application_id");
  if (owner === 0 && version === 0 && db.number("SELECT count(*) FROM sqlite_schema") === 0) {
    db.transaction(() => db.exec(SCHEMA));
  } else if (owner !== APPLICATION_ID) {
    throw new Error("the file is a database of something else");
  } else if (version === 1) {
    db.transaction(() => renameOldTables(db));
  } else if (version === 2) {
    db.transaction(() => upgrade(db, upgradeVersion2, upgradeVersion3, upgradeVersion4));
  } else if (version === 3) {
    db.transaction(() => upgrade(db, upgradeVersion3, upgradeVersion4));
  } else if (version === 4) {
    db.transaction(() => upgrade(db, upgradeVersion4));
  } else if (version !== SCHEMA_VERSION) {
    throw new Error(`it has schema version ${version}, this release reads versions 1 to ${SCHEMA_VERSION}`);
  }
  // Not in one transaction: a process that dies over a large file goes on where it was.
  for (const move of [moveCalls, moveDead]) while (db.transaction(() => move(db)));
}

function upgrade(db: EmbeddedDatabase, ...steps: readonly ((db: EmbeddedDatabase) => void)[]): void {
  for (const step of steps) step(db);
  db.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`);
}

/** Rows stay as they are, so that a large file is not written anew. */
function upgradeVersion2(db: EmbeddedDatabase): void {
  db.exec(`
    ALTER TABLE calls ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE calls ADD COLUMN refusals INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE calls ADD COLUMN refused INTEGER;
    DROP INDEX calls_by_function;
    CREATE INDEX calls_by_function ON calls (fn, due, seq, bytes);
    ALTER TABLE idempotency ADD COLUMN print TEXT;
    ALTER TABLE identity ADD COLUMN hidden_from INTEGER NOT NULL DEFAULT 0;
    UPDATE identity SET hidden_from = 1 + coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'calls'), 0);
  `);
}

function upgradeVersion3(db: EmbeddedDatabase): void {
  db.exec(`${CALLBACKS} ALTER TABLE finished ADD COLUMN callback TEXT;`);
}

function upgradeVersion4(db: EmbeddedDatabase): void {
  db.exec("ALTER TABLE batches ADD COLUMN failures INTEGER NOT NULL DEFAULT 0");
}

const OLD_CALLS = "calls_of_version_1";
const OLD_DEAD = "dead_of_version_1";

/** Version 1 knew calls, those under way and the dead, by an id that the gateway or the caller had chosen. */
function renameOldTables(db: EmbeddedDatabase): void {
  db.exec(`
    DROP INDEX calls_by_id;
    DROP INDEX calls_by_function;
    DROP INDEX calls_by_due;
    ALTER TABLE calls RENAME TO ${OLD_CALLS};
    ALTER TABLE dead RENAME TO ${OLD_DEAD};
    ALTER TABLE under_way RENAME TO under_way_of_version_1;
  `);
  db.exec(SCHEMA);
  db.exec(`
    INSERT INTO under_way (seq) SELECT seq FROM under_way_of_version_1;
    DROP TABLE under_way_of_version_1;
    UPDATE sqlite_sequence SET seq = (SELECT max(seq) FROM sqlite_sequence WHERE name IN ('calls', '${OLD_CALLS}'))
      WHERE name = 'calls';
    INSERT INTO sqlite_sequence (name, seq) SELECT 'calls', seq FROM sqlite_sequence
      WHERE name = '${OLD_CALLS}' AND NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'calls');
  `);
}

/** What identified a call to its caller; text that is no JSON is kept for the consumer to complain about. */
const CALL_ID = "CASE WHEN json_valid(meta) THEN json_extract(meta, '$.callId') END";

/** @returns whether there may be more */
function moveCalls(db: EmbeddedDatabase): boolean {
  if (!hasTable(db, OLD_CALLS)) return false;
  const last = lastOf(db, OLD_CALLS, "seq");
  if (last === undefined) {
    db.exec(`DROP TABLE ${OLD_CALLS}`);
    return false;
  }
  db.exec(`
    INSERT INTO calls (seq, fn, due, bytes, attempts, interruptions, accepted, call_id, meta, body)
      SELECT seq, fn, due, length(meta) + length(body), attempts, interruptions, accepted, ${CALL_ID}, meta, body FROM ${OLD_CALLS} WHERE seq <= ${last};
    INSERT INTO names (call_id, seq)
      SELECT ${CALL_ID}, seq FROM ${OLD_CALLS} WHERE seq <= ${last} AND ${CALL_ID} IS NOT NULL;
    DELETE FROM ${OLD_CALLS} WHERE seq <= ${last};
  `);
  return true;
}

function moveDead(db: EmbeddedDatabase): boolean {
  if (!hasTable(db, OLD_DEAD)) return false;
  const last = lastOf(db, OLD_DEAD, "place");
  if (last === undefined) {
    db.exec(`DROP TABLE ${OLD_DEAD}`);
    return false;
  }
  db.exec(`
    INSERT INTO dead (place, seq, fn, attempts, accepted, died, reason, bytes, body_bytes, call_id, meta, body)
      SELECT place, seq, fn, attempts, accepted, died, reason, bytes, length(body), ${CALL_ID}, meta, body
      FROM ${OLD_DEAD} WHERE place <= ${last};
    DELETE FROM ${OLD_DEAD} WHERE place <= ${last};
  `);
  return true;
}

function hasTable(db: EmbeddedDatabase, name: string): boolean {
  return db.get("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?", name) !== undefined;
}

/** The last of the rows to be moved next; undefined when none is left. */
function lastOf(db: EmbeddedDatabase, table: string, key: "seq" | "place"): number | undefined {
  return db.number(`SELECT max(${key}) FROM (SELECT ${key} FROM ${table} ORDER BY ${key} LIMIT ${MOVED_AT_A_TIME})`);
}
