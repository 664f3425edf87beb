import { mkdtemp, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Worker } from "node:worker_threads";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { type EmbeddedQueueOptions, openEmbeddedQueue } from "../../../../gateway/queue/embedded/index.ts";
import type { Deliver, Queue } from "../../../../gateway/queue/queue.ts";
import { createLogger } from "../../../../kit/log.ts";
import { Deliveries, limited, newCall, WIDE } from "../../../contracts/queue-contract.ts";
import { eventually } from "../../../support/eventually.ts";

let folder: string;
let path: string;
let logged: Record<string, unknown>[];
let queues: Queue[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "faaslane-embedded-"));
  path = join(folder, "queue.db");
  logged = [];
  queues = [];
});

afterEach(async () => {
  await Promise.all(queues.map((queue) => queue.close()));
  await rm(folder, { recursive: true, force: true });
});

async function open(options: Partial<EmbeddedQueueOptions> = {}): Promise<Queue> {
  const log = createLogger("debug", { write: (line) => logged.push(JSON.parse(line)) });
  const queue = await openEmbeddedQueue({ path, maxBodyBytes: 1024 ** 2, log, ...options });
  queues.push(queue);
  return queue;
}

const messages = () => logged.map(({ msg }) => msg);

async function drain(queue: Queue): Promise<void> {
  const consumer = await queue.consume(async () => ({ kind: "done" }), WIDE);
  await eventually("it is empty", async () => {
    const { waiting, inFlight } = await queue.stats();
    return waiting + inFlight === 0;
  });
  await consumer.close(1000);
}

test("makes the folder of its file", async () => {
  const queue = await open({ path: join(folder, "a", "b", "queue.db") });
  await queue.publish(newCall());
  expect((await queue.stats()).waiting).toBe(1);
});

test("a file that is no database is refused by name", async () => {
  await writeFile(path, "this is not a database, but long enough to be taken for one: ".repeat(100));
  await expect(open()).rejects.toThrow(`cannot open the queue ${path}: file is not a database`);
});

test("a path that cannot be opened is refused by name", async () => {
  await expect(open({ path: folder })).rejects.toThrow(`cannot open the queue ${folder}: unable to open database file`);
});

const PAGE_BYTES = 4096;
const TABLE_LEAF = 0x0d;

/** Overwrites the pages that `choose` picks by number and first byte. */
async function damage(choose: (page: number, kind: number) => boolean): Promise<void> {
  const file = await readFile(path);
  for (let at = PAGE_BYTES; at < file.length; at += PAGE_BYTES) {
    if (choose(at / PAGE_BYTES, file[at] as number)) file.fill(0xee, at, at + PAGE_BYTES);
  }
  await writeFile(path, file);
}

async function fill(): Promise<void> {
  const queue = await open();
  await Promise.all(Array.from({ length: 500 }, () => queue.publish(newCall({ body: new Uint8Array(1000) }))));
  await queue.close();
}

test("a damaged database is refused by name", async () => {
  await fill();
  await damage((page) => page >= 3);
  await expect(open()).rejects.toThrow(`cannot open the queue ${path}: database disk image is malformed`);
});

test("damage that shows later surfaces, and nothing hangs", async () => {
  await fill();
  // Rows of calls: opening reads indexes alone.
  await damage((page, kind) => page > 20 && kind === TABLE_LEAF);
  const failures: Error[] = [];
  const queue = await open({ onFailure: (error) => failures.push(error), restartWaitsMs: [1, 1] });
  const consumer = await queue.consume(async () => ({ kind: "done" }), WIDE);
  await eventually("it surfaces", () => failures.length === 1);
  await expect(queue.publish(newCall())).rejects.toMatchObject({ kind: "unavailable" });
  await consumer.close(100);
});

test("someone else's database is refused and left alone", async () => {
  const other = new DatabaseSync(path);
  other.exec("CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1)");
  other.close();
  await expect(open()).rejects.toThrow("the file is a database of something else");
  const again = new DatabaseSync(path);
  expect(again.prepare("SELECT a FROM theirs").all()).toHaveLength(1);
  expect(again.prepare("SELECT count(*) AS n FROM sqlite_schema").get()?.n).toBe(1);
  again.close();
});

test("another schema version is refused with both versions", async () => {
  await (await open()).close();
  const db = new DatabaseSync(path);
  db.exec("PRAGMA user_version = 99");
  db.close();
  await expect(open()).rejects.toThrow("it has schema version 99, this release reads versions 1 to 5");
});

test("a second opener of the same file is refused", async () => {
  const first = await open();
  await expect(open()).rejects.toThrow("another process has it open");
  await first.publish(newCall());
});

test("says why it takes no calls while its reserve of disk space is not to be had", async () => {
  await symlink(join(folder, "missing", "file"), `${path}-spare`);
  const queue = await open();
  await expect(queue.publish(newCall())).rejects.toMatchObject({ kind: "unavailable" });
  expect(logged.filter(({ reason }) => String(reason).startsWith("ENOENT"))).toHaveLength(1);
  await eventually("it has it", () => queue.publish(newCall()).then(Boolean, () => false));
});

test("takes one consumer at a time", async () => {
  const queue = await open();
  const consumer = await queue.consume(async () => ({ kind: "done" }), WIDE);
  await expect(queue.consume(async () => ({ kind: "done" }), WIDE)).rejects.toMatchObject({ kind: "conflict" });
  await consumer.close(0);
  await (await queue.consume(async () => ({ kind: "done" }), WIDE)).close(0);
});

test("a full disk refuses calls, keeps the old ones and takes new ones once there is room", async () => {
  const queue = await open({ maxBytes: 1024 ** 2 });
  const body = new Uint8Array(20_000);
  let accepted = 0;
  await expect(
    (async () => {
      for (; accepted < 200; accepted++) await queue.publish(newCall({ body }));
    })(),
  ).rejects.toMatchObject({ kind: "unavailable", message: expect.stringContaining("full") });
  expect(accepted).toBeGreaterThan(20);
  await expect(queue.publish(newCall({ body }))).rejects.toMatchObject({ kind: "unavailable" });
  expect((await queue.stats()).waiting).toBe(accepted);
  expect(messages().filter((message) => message === "the queue cannot store")).toHaveLength(1);

  await drain(queue);
  for (let i = 0; i < 20; i++) await queue.publish(newCall({ body }));
  expect((await queue.stats()).waiting).toBe(20);
  expect(messages()).toContain("the queue can store calls again");
});

test("one call too many does not cost the others of its commit their place for good", async () => {
  const queue = await open({ maxBytes: 1024 ** 2 });
  const big = queue.publish(newCall({ idempotencyKey: "big", body: new Uint8Array(1024 ** 2) }));
  await expect(big).rejects.toMatchObject({ kind: "unavailable" });
  await queue.publish(newCall({ idempotencyKey: "big", body: new Uint8Array(10) }));
  expect((await queue.stats()).waiting).toBe(1);
});

test("more than the disk can follow is refused", async () => {
  const queue = await open({ maxUnstoredBytes: 1000 });
  const results = await Promise.allSettled(
    Array.from({ length: 10 }, () => queue.publish(newCall({ body: new Uint8Array(400) }))),
  );
  const refused = results.filter(({ status }) => status === "rejected") as PromiseRejectedResult[];
  expect(refused.length).toBeGreaterThan(0);
  expect(refused.every(({ reason }) => reason.kind === "overloaded")).toBe(true);
  expect((await queue.stats()).waiting).toBe(10 - refused.length);
  // A body alone always gets its chance, whatever the limit.
  await queue.publish(newCall({ body: new Uint8Array(5000) }));
});

test("keeps a limited number of dead calls, the latest", async () => {
  const queue = await open({ maxDead: 3 });
  await Promise.all(Array.from({ length: 5 }, (_, i) => queue.publish(newCall({ callId: `dead-${i}` }))));
  await queue.consume(async () => ({ kind: "dead", reason: "for the test" }), limited(1));
  await eventually("all are dead", async () => {
    const { waiting, inFlight } = await queue.stats();
    return waiting + inFlight === 0;
  });
  expect((await queue.stats()).dead).toBe(3);
  expect(messages()).toContain("dropped the oldest dead calls");
  await queue.close();
  const db = new DatabaseSync(path);
  const rows = db.prepare("SELECT call_id AS id, reason, attempts FROM dead ORDER BY place").all();
  db.close();
  expect(rows.map(({ id }) => id)).toEqual(["dead-2", "dead-3", "dead-4"]);
  expect(rows[0]).toMatchObject({ reason: "for the test", attempts: 1 });
});

test("keeps a limited size of dead calls", async () => {
  const queue = await open({ maxDeadBytes: 10_000 });
  for (let i = 0; i < 5; i++) await queue.publish(newCall({ body: new Uint8Array(4000) }));
  await queue.consume(async () => ({ kind: "dead", reason: "for the test" }), WIDE);
  await eventually("all are dead", async () => {
    const { waiting, inFlight } = await queue.stats();
    return waiting + inFlight === 0;
  });
  expect((await queue.stats()).dead).toBe(2);
});

test("gives the space of finished calls back", async () => {
  const queue = await open();
  await Promise.all(Array.from({ length: 2000 }, () => queue.publish(newCall({ body: new Uint8Array(5000) }))));
  const consumer = await queue.consume(async () => ({ kind: "done" }), WIDE);
  await eventually("the files are small again", async () => {
    const [file, log] = await Promise.all([stat(path), stat(`${path}-wal`)]);
    // The log keeps some room, for when there is no other.
    return (await queue.stats()).waiting === 0 && file.size < 5_000_000 && log.size <= 1024 ** 2;
  });
  await consumer.close(0);
});

const dyingThread = (when: string, code: string) =>
  new Worker(
    `const { parentPort } = require("node:worker_threads");
     parentPort.on("message", ({ kind }) => { if (${when}) { ${code} } });
     parentPort.postMessage({ kind: "opened", key: { secret: new Uint8Array(32), hiddenFrom: 0 } });`,
    { eval: true },
  );

test.each<[what: string, code: string]>([
  ["throws", `throw new Error("broken")`],
  ["ends", "process.exit(3)"],
])("a thread that %s again and again surfaces", async (_what, code) => {
  const failures: Error[] = [];
  let threads = 0;
  const queue = await open({
    startThread: () => {
      threads++;
      return dyingThread("true", code);
    },
    restartWaitsMs: [1, 1],
    onFailure: (error) => failures.push(error),
  });
  await eventually("it gives up", async () => {
    await expect(queue.publish(newCall())).rejects.toMatchObject({ kind: "unavailable" });
    return failures.length > 0;
  });
  expect(threads).toBe(3);
  await expect(queue.publish(newCall())).rejects.toMatchObject({ kind: "unavailable" });
  await expect(queue.stats()).rejects.toMatchObject({ kind: "unavailable" });
  await expect(queue.consume(async () => ({ kind: "done" }), WIDE)).rejects.toMatchObject({ kind: "unavailable" });
  expect(failures).toHaveLength(1);
  expect(logged.filter(({ level }) => level === "error")).toHaveLength(3);
  await queue.close();
});

test("a consumer can be closed after the thread is gone", async () => {
  const queue = await open({
    startThread: () => dyingThread(`kind === "pause"`, "process.exit(1)"),
    restartWaitsMs: [],
  });
  const consumer = await queue.consume(async () => ({ kind: "done" }), WIDE);
  const start = performance.now();
  await consumer.close(10_000);
  expect(performance.now() - start).toBeLessThan(4000);
});

test("a thread that dies is started again, and goes on with what is on disk", async () => {
  const threads: Worker[] = [];
  const queue = await open({
    startThread: (settings) => {
      const thread = new Worker(new URL("../../../../gateway/queue/embedded/engine/thread-main.ts", import.meta.url), {
        workerData: settings,
        execArgv: ["--disable-warning=ExperimentalWarning"],
      });
      threads.push(thread);
      return thread;
    },
    restartWaitsMs: [10, 10, 10],
  });
  const deliveries = new Deliveries();
  const consumer = await queue.consume(deliveries.deliver, WIDE);
  const { id } = await queue.publish(newCall({ callId: "first" }));
  await eventually("it starts", () => deliveries.underWay === 1);
  const dead = queue.stats().then(
    () => false,
    () => true,
  );
  await threads[0]?.terminate();
  await dead;
  expect(deliveries.started[0]?.signal.aborted).toBe(true);
  await eventually("it starts again", () => deliveries.underWay === 1);
  expect(deliveries.started.map(({ call, attempt }) => [call.id, attempt])).toEqual([
    [id, 1],
    [id, 1],
  ]);
  const second = await queue.publish(newCall());
  await eventually("both are under way", () => deliveries.underWay === 2);
  deliveries.endAll();
  await eventually("both are done", async () => (await queue.find(second.id))?.state === "done");
  expect((await queue.find("first"))?.state).toBe("done");
  expect(messages()).toContain("the queue works again");
  await consumer.close(1000);
});

test("a thread that is started again gives nothing to a consumer that is closing", async () => {
  const threads: Worker[] = [];
  const told: string[] = [];
  const queue = await open({
    startThread: (settings) => {
      const thread = new Worker(new URL("../../../../gateway/queue/embedded/engine/thread-main.ts", import.meta.url), {
        workerData: settings,
        execArgv: ["--disable-warning=ExperimentalWarning"],
      });
      const post = thread.postMessage.bind(thread);
      thread.postMessage = (message, transfer) => {
        if (threads.length > 1) told.push(message.kind);
        post(message, transfer as ArrayBuffer[]);
      };
      threads.push(thread);
      return thread;
    },
    restartWaitsMs: [10],
  });
  const attempt = Promise.withResolvers<void>();
  // Heeds no abort.
  const deliver: Deliver = async () => {
    await attempt.promise;
    return { kind: "done" };
  };
  const consumer = await queue.consume(deliver, WIDE);
  const { id } = await queue.publish(newCall());
  await eventually("it runs", async () => (await queue.stats()).inFlight === 1);
  const closed = consumer.close(60_000);
  await threads[0]?.terminate();
  await eventually("it works again", async () => (await queue.find(id))?.state === "waiting");
  expect(told).toContain("ask");
  expect(told).not.toContain("consume");
  attempt.resolve();
  await closed;
  expect(await queue.find(id)).toMatchObject({ state: "waiting", attempts: 0 });
});

test("a queue closed before its consumer closes all the same", async () => {
  const queue = await open();
  const deliveries = new Deliveries();
  // Goes on talking with the thread.
  const consumer = await queue.consume(async (...call) => {
    void deliveries.deliver(...call);
    return { kind: "retry", afterMs: 0 };
  }, WIDE);
  for (let i = 0; i < 20; i++) await queue.publish(newCall());
  await eventually("they are tried", () => deliveries.started.length > 100);
  await queue.close();
  await expect(queue.stats()).rejects.toMatchObject({ kind: "unavailable" });
  await consumer.close(0);
});
