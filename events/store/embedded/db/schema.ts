import type { EmbeddedDatabase } from "../../../../kit/embedded-database.ts";

/** Marks a file as ours ("FSLE"), so that another program's database is never taken for a store of events. */
const APPLICATION_ID = 0x46534c45;
const SCHEMA_VERSION = 2;

// marks: the next place of an event, the next id of a delivery, the last version of a resource; `lag` is by how many milliseconds
//   at most an event came after one that had arrived later.
// events: small and changed often; what is large is in `contents`, and `verdicts` are written once. `phase` is 0 while it
//   is not routed, 1 while it has open deliveries, 2 then. `high` is the latest arrival up to there, so that it goes up
//   with `seq` whatever the clock does. `data_bytes` is -1 for none. `overdue` is set of those that were ended for their age.
// deliveries: `state` is 0 waiting, 1 retrying, 2 delivered, 3 dead, 4 dropped; `due` is 0 when that is at once, and
//   `wait` how long it was to be waited. `blocked` is set while another one of its key is before it.
// resources: `uid` and `generation` are of the cluster's object that has declared it.
// loads: of each trigger at each broker, its open deliveries, and between which events it has been seen.
const SCHEMA = `
  CREATE TABLE marks (next_event INTEGER NOT NULL, next_delivery INTEGER NOT NULL, last_version INTEGER NOT NULL, lag INTEGER NOT NULL) STRICT;
  INSERT INTO marks VALUES (1, 1, 0, 0);
  CREATE TABLE brokers (
    no INTEGER PRIMARY KEY,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    max_age INTEGER NOT NULL,
    max_bytes INTEGER NOT NULL,
    max_events INTEGER NOT NULL,
    events INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    pending INTEGER NOT NULL,
    dead INTEGER NOT NULL,
    UNIQUE (namespace, name)
  ) STRICT;
  CREATE TABLE triggers (no INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE) STRICT;
  CREATE TABLE loads (
    broker INTEGER NOT NULL, trigger INTEGER NOT NULL, open INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    PRIMARY KEY (broker, trigger)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    broker INTEGER NOT NULL,
    phase INTEGER NOT NULL,
    open INTEGER NOT NULL,
    dead INTEGER NOT NULL,
    overdue INTEGER NOT NULL,
    keep INTEGER NOT NULL,
    arrived INTEGER NOT NULL,
    high INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    data_bytes INTEGER NOT NULL,
    hops INTEGER NOT NULL,
    id_key INTEGER NOT NULL,
    source_hash INTEGER NOT NULL,
    type_hash INTEGER NOT NULL,
    via TEXT NOT NULL,
    sha BLOB
  ) STRICT;
  CREATE INDEX events_by_phase ON events (broker, phase);
  CREATE INDEX events_by_arrival ON events (broker, overdue, arrived);
  CREATE INDEX events_by_id ON events (id_key);
  CREATE INDEX events_by_source ON events (source_hash);
  CREATE INDEX events_by_type ON events (type_hash);
  CREATE TABLE contents (seq INTEGER PRIMARY KEY, head TEXT NOT NULL, data BLOB) STRICT;
  CREATE TABLE verdicts (seq INTEGER PRIMARY KEY, verdicts TEXT NOT NULL) STRICT;
  CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY,
    event INTEGER NOT NULL,
    broker INTEGER NOT NULL,
    trigger INTEGER NOT NULL,
    state INTEGER NOT NULL,
    blocked INTEGER NOT NULL,
    due INTEGER NOT NULL,
    wait INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    tries INTEGER NOT NULL,
    order_key TEXT,
    extra TEXT,
    reason TEXT,
    attempts TEXT
  ) STRICT;
  CREATE INDEX deliveries_by_due ON deliveries (trigger, due) WHERE state < 2 AND blocked = 0;
  CREATE INDEX deliveries_by_key ON deliveries (trigger, order_key) WHERE state < 2 AND order_key IS NOT NULL;
  CREATE INDEX deliveries_by_event ON deliveries (event);
  CREATE INDEX deliveries_by_state ON deliveries (broker, state, event) WHERE state <> 2;
  CREATE INDEX deliveries_retrying ON deliveries (due) WHERE state = 1;
  CREATE TABLE once (
    broker INTEGER NOT NULL, key TEXT NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (broker, key)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX once_by_time ON once (at);
  CREATE TABLE resources (
    kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, spec TEXT NOT NULL,
    uid TEXT, generation INTEGER,
    PRIMARY KEY (kind, namespace, name)
  ) STRICT;
  PRAGMA application_id = ${APPLICATION_ID};
  PRAGMA user_version = ${SCHEMA_VERSION};
`;

/** Of the version before. */
const FROM_1 = `
  ALTER TABLE resources ADD COLUMN uid TEXT;
  ALTER TABLE resources ADD COLUMN generation INTEGER;
  PRAGMA user_version = ${SCHEMA_VERSION};
`;

/**
 * Makes a database a store of events, or sees that it is one.
 * @throws {Error} when it is damaged, someone else's or of another release's schema
 */
export function prepareEventDatabase(db: EmbeddedDatabase): void {
  const version = db.number("PRAGMA user_version");
  const owner = db.number("PRAGMA application_id");
  if (owner === 0 && version === 0 && db.number("SELECT count(*) FROM sqlite_schema") === 0) {
    db.transaction(() => db.exec(SCHEMA));
  } else if (owner !== APPLICATION_ID) {
    throw new Error("the file is a database of something else");
  } else if (version === 1) {
    db.transaction(() => db.exec(FROM_1));
  } else if (version !== SCHEMA_VERSION) {
    throw new Error(`it has schema version ${version}, this release reads version ${SCHEMA_VERSION}`);
  }
}
