import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { SealedCallIds } from "../../../../gateway/queue/embedded/call-ids.ts";
import { encodeMeta } from "../../../../gateway/queue/embedded/call-meta.ts";
import { openEmbeddedQueue } from "../../../../gateway/queue/embedded/index.ts";
import type { NewCall, Queue } from "../../../../gateway/queue/queue.ts";
import { createLogger } from "../../../../kit/log.ts";
import { Deliveries, limited, newCall } from "../../../contracts/queue-contract.ts";
import { eventually } from "../../../support/eventually.ts";

/** As the release before wrote it. */
const VERSION_2 = `
  PRAGMA auto_vacuum = INCREMENTAL;
  PRAGMA journal_mode = WAL;
  CREATE TABLE identity (key BLOB NOT NULL) STRICT;
  INSERT INTO identity (key) VALUES (randomblob(32));
  CREATE TABLE calls (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    fn TEXT NOT NULL,
    due INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    interruptions INTEGER NOT NULL,
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
  CREATE INDEX calls_by_function ON calls (fn, due);
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
    whole INTEGER
  ) STRICT;
  CREATE INDEX finished_by_end ON finished (ended) WHERE whole IS NULL;
  CREATE TABLE results (seq INTEGER PRIMARY KEY, bytes INTEGER NOT NULL, headers TEXT NOT NULL, body BLOB NOT NULL) STRICT;
  CREATE TABLE names (call_id TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (call_id, seq)) STRICT, WITHOUT ROWID;
  CREATE TABLE idempotency (
    fn TEXT NOT NULL, idem TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (fn, idem)
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
  PRAGMA application_id = 1179864145;
  PRAGMA user_version = 2;
`;

const KEY = Buffer.alloc(32, 5);
/** As that release made ids. */
const oldIds = new SealedCallIds({ secret: KEY, hiddenFrom: 2 ** 48 });
const body = Buffer.from("the body");
const headers = [["Authorization", "Bearer mine"]] as const;

let folder: string;
let path: string;
let queue: Queue;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "faaslane-upgrade-"));
  path = join(folder, "queue.db");
  const db = new DatabaseSync(path);
  db.exec(VERSION_2);
  db.prepare("UPDATE identity SET key = ?").run(KEY);
  db.exec("BEGIN");
  for (let i = 1; i <= 50; i++)
    add(db, `call-${i}`, newCall({ path: `/${i}`, headers, body, idempotencyKey: `key-${i}` }));
  db.exec("COMMIT");
  db.exec(`
    INSERT INTO finished (seq, fn, state, attempts, accepted, ended, idem)
      SELECT seq, fn, 'done', 1, accepted, ${Date.now()}, idem FROM calls WHERE seq = 50;
    DELETE FROM calls WHERE seq = 50;
  `);
  db.close();
  queue = await openEmbeddedQueue({ path, maxBodyBytes: 1024 ** 2, log: createLogger("silent") });
});

afterEach(async () => {
  await queue.close();
  await rm(folder, { recursive: true, force: true });
});

function add(db: DatabaseSync, callId: string, call: NewCall): void {
  const fn = `${call.function}.${call.namespace}`;
  const { lastInsertRowid } = db
    .prepare(
      `INSERT INTO calls (fn, due, attempts, interruptions, accepted, idem, meta, body) VALUES (?, 0, 0, 0, ?, ?, ?, ?)`,
    )
    .run(fn, call.acceptedAt, call.idempotencyKey ?? null, encodeMeta({ ...call }), call.body);
  db.prepare("INSERT INTO idempotency (fn, idem, seq) VALUES (?, ?, ?)").run(
    fn,
    call.idempotencyKey ?? callId,
    lastInsertRowid,
  );
}

test("calls keep their order and their ids, which are understood; later ones get ids that tell nothing", async () => {
  const first = oldIds.encode(1);
  expect(await queue.find(first)).toMatchObject({ id: first, callId: first, state: "waiting" });
  const { id } = await queue.publish(newCall());
  expect(id).not.toBe(oldIds.encode(51));
  expect(await queue.find(oldIds.encode(51))).toBeUndefined();
  const deliveries = new Deliveries();
  const consumer = await queue.consume(deliveries.deliver, limited(100));
  await eventually("all start", () => deliveries.started.length === 50);
  expect(deliveries.ids).toEqual([...Array.from({ length: 49 }, (_, i) => oldIds.encode(i + 1)), id]);
  expect(deliveries.started[0]?.call).toMatchObject({ path: "/1", headers, callId: first });
  deliveries.endAll();
  await eventually("they are done", async () => (await queue.find(first))?.state === "done");
  expect(await queue.stats()).toMatchObject({ waiting: 0, inFlight: 0, bytes: 0 });
  await consumer.close(1000);
});

test("a key of a call that waits stands for its request", async () => {
  const request = newCall({ path: "/7", headers, body, idempotencyKey: "key-7" });
  const id = oldIds.encode(7);
  expect(await queue.publish(request)).toEqual({ id, callId: id, duplicate: true });
  for (const other of [{ path: "/8" }, { headers: [] }, { body: Buffer.from("another") }]) {
    await expect(queue.publish({ ...request, ...other })).rejects.toMatchObject({ kind: "unprocessable" });
  }
});

test("a key of a call that has ended, whose request is not known any more, is refused to everybody", async () => {
  const request = newCall({ path: "/50", headers, body, idempotencyKey: "key-50" });
  await expect(queue.publish(request)).rejects.toMatchObject({ kind: "unprocessable" });
});

test("it is opened again as it is", async () => {
  const { id } = await queue.publish(newCall());
  await queue.close();
  queue = await openEmbeddedQueue({ path, maxBodyBytes: 1024 ** 2, log: createLogger("silent") });
  expect(await queue.find(id)).toMatchObject({ id });
  expect(await queue.find(oldIds.encode(3))).toMatchObject({ id: oldIds.encode(3) });
  expect(await queue.stats()).toMatchObject({ waiting: 50 });
});
