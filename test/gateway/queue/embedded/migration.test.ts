import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { openEmbeddedQueue } from "../../../../gateway/queue/embedded/index.ts";
import type { Queue } from "../../../../gateway/queue/queue.ts";
import { createLogger } from "../../../../kit/log.ts";
import { Deliveries, limited, newCall } from "../../../contracts/queue-contract.ts";
import { eventually } from "../../../support/eventually.ts";

/** As the release before wrote it. */
const VERSION_1 = `
  PRAGMA auto_vacuum = INCREMENTAL;
  PRAGMA journal_mode = WAL;
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
  PRAGMA application_id = 1179864145;
  PRAGMA user_version = 1;
`;

const NOW = Date.now();
const LATER = NOW + 3_600_000;

let folder: string;
let path: string;
let queue: Queue | undefined;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "faaslane-migration-"));
  path = join(folder, "queue.db");
});
afterEach(async () => {
  await queue?.close();
  await rm(folder, { recursive: true, force: true });
});

const metaOf = (callId: string) =>
  JSON.stringify({
    callId,
    function: "shout",
    namespace: "openfaas-fn",
    method: "PUT",
    path: "/p",
    query: "q=1",
    headers: [["A", "b"]],
    callbackUrl: "http://127.0.0.1/callback",
  });

interface OldCall {
  readonly due?: number;
  readonly attempts?: number;
  readonly interruptions?: number;
  readonly body?: string;
}

class OldFile {
  readonly #db = new DatabaseSync(path);

  constructor() {
    this.#db.exec(VERSION_1);
  }

  add(callId: string, { due = 0, attempts = 0, interruptions = 0, body = callId }: OldCall = {}): number {
    const sql = `INSERT INTO calls (id, fn, due, attempts, interruptions, accepted, meta, body)
      VALUES (?, 'shout.openfaas-fn', ?, ?, ?, ?, ?, ?)`;
    const values = [`id of ${callId}`, due, attempts, interruptions, NOW - 1000, metaOf(callId), Buffer.from(body)];
    return Number(this.#db.prepare(sql).run(...values).lastInsertRowid);
  }

  exec(sql: string): void {
    this.#db.exec(sql);
  }

  bury(callId: string): void {
    const meta = metaOf(callId);
    this.#db
      .prepare(
        `INSERT INTO dead (seq, id, fn, attempts, accepted, died, reason, bytes, meta, body)
         VALUES (?, ?, 'shout.openfaas-fn', 4, ?, ?, 'no use', ?, ?, ?)`,
      )
      .run(this.add(callId), `id of ${callId}`, NOW - 5000, NOW - 2000, meta.length + 4, meta, Buffer.from("body"));
    this.#db.prepare("DELETE FROM calls WHERE id = ?").run(`id of ${callId}`);
  }

  close(): void {
    this.#db.close();
  }
}

const open = async () => {
  queue = await openEmbeddedQueue({ path, maxBodyBytes: 1024 ** 2, log: createLogger("silent") });
  return queue;
};

test("a file of the release before keeps its calls, and what is known of them", async () => {
  const old = new OldFile();
  old.add("first");
  old.bury("dead");
  old.add("retried", { due: LATER, attempts: 2 });
  const cutOff = old.add("cut off", { attempts: 1, interruptions: 3 });
  old.exec(`INSERT INTO under_way (seq) VALUES (${cutOff})`);
  old.add("last", { body: "x".repeat(100_000) });
  old.close();

  const opened = await open();
  expect(await opened.stats()).toMatchObject({ waiting: 4, inFlight: 0, dead: 1 });
  expect(await opened.find("retried")).toMatchObject({
    state: "waiting",
    queue: "faas-request",
    attempts: 2,
    nextAttemptAt: LATER,
    acceptedAt: NOW - 1000,
  });
  const { items } = await opened.deadLetters.list({}, { limit: 10 });
  expect(items).toEqual([
    expect.objectContaining({ callId: "dead", reason: "no use", attempts: 4, diedAt: NOW - 2000, bodyBytes: 4 }),
  ]);
  const added = await opened.publish(newCall({ callId: "new" }));
  expect(added.duplicate).toBe(false);

  const deliveries = new Deliveries();
  const consumer = await opened.consume(deliveries.deliver, limited(8));
  await eventually("all that can start", () => deliveries.started.length === 4);
  expect(deliveries.callIds).toEqual(["first", "cut off", "last", "new"]);
  expect(deliveries.started.map(({ attempt }) => attempt)).toEqual([1, 2, 1, 1]);
  const { id, ...first } = deliveries.started[0]?.call ?? { id: "" };
  expect(first).toEqual({
    ...JSON.parse(metaOf("first")),
    queue: "faas-request",
    acceptedAt: NOW - 1000,
    body: expect.anything(),
  });
  expect(Buffer.from(deliveries.started[0]?.call.body ?? []).toString()).toBe("first");
  expect(deliveries.started[2]?.call.body).toHaveLength(100_000);
  expect((await opened.find("first"))?.id).toBe(id);

  expect(await opened.deadLetters.replay({})).toBe(1);
  await eventually("the dead one lives", () => deliveries.callIds.includes("dead"));
  deliveries.endAll();
  await eventually("they are done", async () => (await opened.find("dead"))?.state === "done");
  await consumer.close(1000);
});

test("moves many, and goes on where it was interrupted", async () => {
  const old = new OldFile();
  old.exec("BEGIN");
  for (let i = 0; i < 2000; i++) old.add(`call-${i}`);
  old.exec("COMMIT");
  old.close();
  await (await open()).close();
  // As if the process had died while half of them were moved.
  const half = new DatabaseSync(path);
  half.exec(`
    CREATE TABLE calls_of_version_1 (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, fn TEXT NOT NULL,
      due INTEGER NOT NULL, attempts INTEGER NOT NULL, interruptions INTEGER NOT NULL, accepted INTEGER NOT NULL,
      meta TEXT NOT NULL, body BLOB NOT NULL) STRICT;
    INSERT INTO calls_of_version_1 SELECT seq, 'id', fn, due, attempts, interruptions, accepted, meta, body
      FROM calls WHERE seq > 1000;
    DELETE FROM names WHERE seq > 1000;
    DELETE FROM calls WHERE seq > 1000;
  `);
  half.close();
  const opened = await open();
  const seen: string[] = [];
  await opened.consume(async ({ callId }) => {
    seen.push(callId);
    return { kind: "done" };
  }, limited(64));
  await eventually("all arrive", () => seen.length === 2000);
  expect(seen).toEqual(Array.from({ length: 2000 }, (_, i) => `call-${i}`));
});

test.each([
  [3, "DROP TABLE callbacks; ALTER TABLE finished DROP COLUMN callback; ALTER TABLE batches DROP COLUMN failures;"],
  [4, "ALTER TABLE batches DROP COLUMN failures;"],
])("a file of version %d, which kept less of callbacks, takes them", async (version, without) => {
  const before = await open();
  await before.publish(newCall({ callId: "waits", callbackUrl: "http://127.0.0.1/" }));
  const consumer = await before.consume(async ({ callId }) => {
    return callId === "waits" ? { kind: "retry", afterMs: 3_600_000 } : { kind: "done" };
  }, limited(8));
  await before.publish(newCall({ callId: "ended" }));
  await eventually("one has ended", async () => (await before.find("ended"))?.state === "done");
  await consumer.close(1000);
  await before.close();
  const file = new DatabaseSync(path);
  file.exec(`${without} UPDATE calls SET due = 0; PRAGMA user_version = ${version};`);
  file.close();

  const opened = await open();
  expect(await opened.find("ended")).toMatchObject({ state: "done" });
  const seen: boolean[] = [];
  await opened.consume(async ({ callback }) => {
    seen.push(callback !== undefined);
    if (callback) return { kind: "done", outcome: callback.outcome };
    const result = { headers: [], body: Buffer.from("answer") };
    const news = { url: "http://127.0.0.1/", state: "done", retry: 0, retryMax: 3, durationMs: 1 } as const;
    const pending = { ...news, outcome: { status: 200, durationMs: 1, result }, tries: 1, since: Date.now() };
    return { kind: "callback", afterMs: 10, callback: pending };
  }, limited(8));
  await eventually("it is done", async () => (await opened.find("waits"))?.state === "done");
  expect(seen).toEqual([false, true]);
  expect(Buffer.from((await opened.result("waits"))?.result?.body ?? []).toString()).toBe("answer");
});
