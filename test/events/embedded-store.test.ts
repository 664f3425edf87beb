import { existsSync, mkdtempSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Worker } from "node:worker_threads";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import {
  type EmbeddedEvents,
  type EmbeddedEventsOptions,
  openEmbeddedEvents,
} from "../../events/store/embedded/index.ts";
import { createLogger } from "../../kit/log.ts";
import { StartError } from "../../kit/process.ts";
import { eventually } from "../support/eventually.ts";
import { describeEventStore, done, newEvent, routeTo } from "./store-contract.ts";

const log = createLogger("silent");
const NS = "openfaas-fn";

describeEventStore("embedded store", async () => {
  const folder = mkdtempSync(join(tmpdir(), "faaslane-events-"));
  return {
    open: () => openEmbeddedEvents({ path: join(folder, "events.db"), log, minFreeBytes: 0 }),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
});

let folder: string;
let path: string;
let opened: EmbeddedEvents[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "faaslane-events-"));
  path = join(folder, "data", "events.db");
});
afterEach(async () => {
  await Promise.all(opened.map((one) => one.close()));
  opened = [];
  await rm(folder, { recursive: true, force: true });
});

async function open(options: Partial<EmbeddedEventsOptions> = {}): Promise<EmbeddedEvents> {
  const one = await openEmbeddedEvents({ path, log, minFreeBytes: 0, ...options });
  opened.push(one);
  return one;
}

const refused = () =>
  open().then(
    () => undefined,
    (error: Error) => error,
  );

const startThread = (settings: object) =>
  new Worker(new URL("../../events/store/embedded/engine/thread-main.ts", import.meta.url), {
    workerData: settings,
    execArgv: ["--disable-warning=ExperimentalWarning"],
  });

test("nothing is made until something is stored, and what was set before that holds then", async () => {
  let started = 0;
  const { events, resources } = await open({
    startThread: (settings) => {
      started++;
      return startThread(settings);
    },
  });
  await events.consume(routeTo(["t"]), async () => done, { concurrency: 1, perTrigger: () => 0 });
  expect(await events.list({ namespace: NS }, { order: "newest", limit: 5 })).toEqual({ events: [] });
  expect(await events.find(NS, "1")).toBeUndefined();
  expect(await events.stats(NS)).toEqual([]);
  expect(await events.drop("t", "x")).toBe(0);
  await expect(events.deliverAgain(NS, "1", [])).rejects.toMatchObject({ kind: "notFound" });
  expect(await resources.list("trigger")).toEqual([]);
  expect(await resources.get({ kind: "trigger", namespace: NS, name: "a" })).toBeUndefined();
  expect(await resources.remove({ kind: "trigger", namespace: NS, name: "a" })).toBe(false);
  await events.limit({ namespace: NS, name: "default" }, { maxAgeMs: 3600_000, maxBytes: 1e9, maxEvents: 1 });
  expect(started).toBe(0);
  expect(readdirSync(folder)).toEqual([]);
  await events.append([newEvent()]);
  expect(started).toBe(1);
  await expect(events.append([newEvent()])).rejects.toMatchObject({ code: "broker_full" });
});

test("a file that cannot be opened is not tried to be for each event", async () => {
  const { events } = await open();
  let started = 0;
  const counting = await open({
    startThread: (settings) => {
      started++;
      return startThread(settings);
    },
  });
  // Somebody else has it by now.
  await events.append([newEvent()]);
  const refused = await Promise.allSettled(Array.from({ length: 20 }, () => counting.events.append([newEvent()])));
  expect(refused.every(({ status }) => status === "rejected")).toBe(true);
  for (let i = 0; i < 20; i++)
    await expect(counting.events.append([newEvent()])).rejects.toMatchObject({ kind: "unavailable" });
  expect(started).toBeLessThan(5);
});

test("its files are for nobody else", async () => {
  const { events } = await open();
  await events.append([newEvent()]);
  const files = readdirSync(join(folder, "data"));
  expect(files.length).toBeGreaterThan(1);
  for (const file of files) expect(statSync(join(folder, "data", file)).mode & 0o077).toBe(0);
  expect(statSync(join(folder, "data")).mode & 0o077).toBe(0);
});

test("a file that another process has open is refused with its name", async () => {
  const { events } = await open();
  await events.append([newEvent()]);
  const error = await refused();
  expect(error).toBeInstanceOf(StartError);
  expect(error?.message).toBe(`cannot open the events ${path}: another process has it open`);
});

test("a file that is no database, or damaged, is refused with what to do", async () => {
  path = join(folder, "events.db");
  writeFileSync(path, "not a database ".repeat(1000));
  const error = await refused();
  expect(error).toBeInstanceOf(StartError);
  expect(error?.message).toContain(`cannot open the events ${path} (restore it from a backup, or move it away`);
});

test("a file of the schema before is brought up to date, with what it has", async () => {
  const first = await open();
  const document = { kind: "trigger", namespace: NS, name: "kept", spec: { a: 1 } } as const;
  const version = await first.resources.put(document);
  await first.close();
  const db = new DatabaseSync(path);
  db.exec(
    "ALTER TABLE resources DROP COLUMN uid; ALTER TABLE resources DROP COLUMN generation; PRAGMA user_version = 1",
  );
  db.close();
  const { resources } = await open();
  expect(await resources.get(document)).toEqual({ ...document, version });
  const origin = { uid: "u", generation: 1 };
  await resources.put({ ...document, origin });
  expect(await resources.get(document)).toMatchObject({ origin });
});

test.each([
  ["something else's", "CREATE TABLE x (y)", "the file is a database of something else"],
  [
    "a later release's",
    "PRAGMA application_id = 1179864133; PRAGMA user_version = 99",
    "it has schema version 99, this release reads version",
  ],
])("%s database is refused, and left as it is", async (_whose, sql, why) => {
  path = join(folder, "events.db");
  const db = new DatabaseSync(path);
  db.exec(sql);
  db.close();
  const before = statSync(path).size;
  const error = await refused();
  expect(error).toBeInstanceOf(StartError);
  expect(error?.message).toContain(why);
  expect(statSync(path).size).toBe(before);
});

test("a place that cannot be made is told when something is to be stored, and tried again", async () => {
  const blocker = join(folder, "data");
  writeFileSync(blocker, "");
  const { events } = await open();
  await expect(events.append([newEvent()])).rejects.toMatchObject({ kind: "unavailable" });
  await rm(blocker);
  await eventually("it is tried again", async () => await events.append([newEvent()]));
  expect(existsSync(path)).toBe(true);
});

test("when its thread dies another one goes on: nothing that was stored is lost, and nobody waits in vain", async () => {
  const threads: Worker[] = [];
  const { events } = await open({
    restartWaitsMs: [1, 1, 1],
    startThread: (settings) => {
      const thread = startThread(settings);
      threads.push(thread);
      return thread;
    },
  });
  const seen: string[] = [];
  let aborted = 0;
  await events.consume(
    routeTo(["t"]),
    async ({ event }, signal) => {
      const id = String(event.event.attributes.id);
      seen.push(id);
      if (id !== "held" || seen.filter((one) => one === id).length > 1) return done;
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
      aborted++;
      return done;
    },
    { concurrency: 8, perTrigger: () => 8 },
  );
  await events.append([newEvent({ id: "held" }), newEvent({ id: "quick" })]);
  const settled = async () => (await events.stats(NS))[0]?.open;
  await eventually("one is settled, one is under way", async () => seen.length === 2 && (await settled())?.t === 1);
  await threads[0]?.terminate();
  await expect(events.append([newEvent()])).rejects.toMatchObject({ kind: "unavailable" });
  await eventually("it works again", async () => await events.append([newEvent({ id: "after" })]));
  await eventually("all is settled", async () => {
    const [stats] = await events.stats(NS);
    return stats?.pending === 0 && Object.keys(stats.open).length === 0;
  });
  expect(seen.toSorted()).toEqual(["after", "held", "held", "quick"]);
  expect(aborted).toBe(1);
  expect(threads).toHaveLength(2);
});
