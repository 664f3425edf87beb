import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import type { PruneReport, PruneRequest } from "../../../contract/prune.ts";
import {
  call,
  deployment,
  inProcess,
  type LocalFixture,
  openFixture,
  readLogs,
  readyAddresses,
  ref,
  statusOf,
  until,
  untilReady,
} from "./support.ts";

const HOUR = 3600e3;
let now = Date.now();
let fixture: LocalFixture;
const open = async (keepMs = 24 * HOUR) => {
  fixture = await openFixture({ now: () => now, imageKeepMs: keepMs });
};
beforeEach(async () => {
  now = Date.now();
  await open();
});
afterEach(() => fixture.close());

const says = (text: string, more = "") =>
  inProcess(`${more}export default (req, res) => res.end(${JSON.stringify(text)});`);
const create = (name: string, image: string) => fixture.backend.functions.create(deployment(name, image));
const prune = async (request: PruneRequest = {}) => (await fixture.backend.images?.prune(request)) as PruneReport;
const artefact = (digest: string) => join(fixture.dataDir, "artefacts", digest);
const isThere = (digest: string) => existsSync(artefact(digest));
const isGone = (digest: string) => until("an artefact is gone", () => !isThere(digest));
const namesOf = ({ removed }: PruneReport) => removed.flatMap(({ images }) => images).sort();
const ask = async (name: string) => {
  const [address = ""] = await readyAddresses(fixture.backend, name);
  return (await call(address)).body;
};

test("what a tag meant before goes by itself when the tag is built anew, without a start", async () => {
  const first = await fixture.addImage("a:1", says("first"));
  const second = await fixture.addImage("a:1", says("second"));
  await isGone(first);
  expect(isThere(second)).toBe(true);
  await until("nothing is left of it", async () => (await readdir(join(fixture.dataDir, "artefacts"))).length === 1);
});

test("a function goes on with what it was deployed from when its tag is built anew, over a start too", async () => {
  const first = await fixture.addImage("a:1", says("first"));
  await create("fn", "a:1");
  await untilReady(fixture.backend, "fn");
  const second = await fixture.addImage("a:1", says("second"));
  expect(namesOf(await prune({ all: true }))).toEqual([]);
  expect([isThere(first), isThere(second)]).toEqual([true, true]);
  await fixture.reopen();
  await untilReady(fixture.backend, "fn");
  expect(await ask("fn")).toBe("first");
  expect(namesOf(await prune({ all: true }))).toEqual([]);

  await fixture.backend.functions.update(deployment("fn", "a:1"));
  await isGone(first);
  await until("the new one answers", async () => (await ask("fn")) === "second");
});

test("what an old version runs from stays until its last replica has drained", async () => {
  const env = { write_timeout: "20s", read_timeout: "20s", healthcheck_interval: "0s" };
  const slow = inProcess("export default (req, res) => void setTimeout(() => res.end('old'), 3000);", env);
  const old = await fixture.addImage("a:old", slow);
  await fixture.addImage("a:new", says("new"));
  await create("fn", "a:old");
  await untilReady(fixture.backend, "fn");
  const [address = ""] = await readyAddresses(fixture.backend, "fn");
  const running = call(address);
  await fixture.backend.functions.update(deployment("fn", "a:new"));
  await until("the new one serves", async () => (await readyAddresses(fixture.backend, "fn"))[0] !== address);
  expect(namesOf(await prune({ all: true }))).toEqual([]);
  expect(isThere(old)).toBe(true);
  expect((await running).body).toBe("old");
  await until("the old one is free", async () => namesOf(await prune({ all: true })).includes("a:old"));
  expect(isThere(old)).toBe(false);
});

test("what a removed function ran from stays while it drains", async () => {
  const env = { write_timeout: "20s", read_timeout: "20s", healthcheck_interval: "0s" };
  const digest = await fixture.addImage(
    "a:1",
    inProcess("export default (req, res) => { console.log('here'); setTimeout(() => res.end('old'), 2000); }", env),
  );
  await create("fn", "a:1");
  await untilReady(fixture.backend, "fn");
  const [address = ""] = await readyAddresses(fixture.backend, "fn");
  const running = call(address);
  await until("the call has arrived", async () => (await readLogs(fixture.backend, { name: "fn" })).length > 0);
  await fixture.backend.functions.remove(ref("fn"));
  expect(namesOf(await prune({ all: true }))).toEqual([]);
  expect(isThere(digest)).toBe(true);
  expect((await running).body).toBe("old");
  await until("it is free", async () => namesOf(await prune({ all: true })).includes("a:1"));
});

test("an image that is built and not deployed is there for its while, and goes when that is over", async () => {
  const digest = await fixture.addImage("ci:1", says("built"));
  now += 23 * HOUR;
  await fixture.reopen();
  expect(await prune()).toMatchObject({ removed: [], kept: { images: 1, bytes: expect.any(Number) } });
  await create("late", "ci:1");
  await untilReady(fixture.backend, "late");
  await fixture.backend.functions.remove(ref("late"));
  await until("nothing of it drains", async () => (await prune({ all: true, dryRun: true })).removed.length === 1);
  expect(namesOf(await prune())).toEqual([]);
  // From when it was used last.
  now += 23 * HOUR;
  expect(namesOf(await prune())).toEqual([]);
  now += 2 * HOUR;
  await fixture.reopen();
  await isGone(digest);
  await expect(create("late", "ci:1")).rejects.toThrow(/has not been built here/);
});

test("an image that is used is kept however old it is, and its name with it", async () => {
  await fixture.addImage("a:1", says("old"));
  await create("fn", "a:1");
  now += 9_999 * HOUR;
  await fixture.reopen();
  expect(await prune({ all: true })).toMatchObject({ removed: [], problems: [] });
  await fixture.backend.functions.update(deployment("fn", "a:1", { envVars: { a: "1" } }));
  await untilReady(fixture.backend, "fn");
  expect(await ask("fn")).toBe("old");
});

test("prune names what goes and what it freed; a dry run names the same and removes nothing", async () => {
  const big = await fixture.addImage("big:1", says("big", `/*${"x".repeat(50_000)}*/`));
  const used = await fixture.addImage("used:1", says("used"));
  await create("fn", "used:1");
  const dry = await prune({ all: true, dryRun: true });
  expect(dry).toMatchObject({ removed: [{ images: ["big:1"], digest: `sha256:${big}` }], pending: 0, problems: [] });
  expect(dry.bytes).toBeGreaterThan(50_000);
  expect([isThere(big), isThere(used)]).toEqual([true, true]);
  expect(await prune()).toMatchObject({ removed: [], bytes: 0, kept: { images: 1, bytes: dry.bytes } });
  expect(await prune({ all: true })).toEqual(dry);
  expect([isThere(big), isThere(used)]).toEqual([false, true]);
  expect(await prune({ all: true })).toMatchObject({ removed: [], bytes: 0, kept: { images: 0, bytes: 0 } });
});

test("two names of one artefact go one by one, and the artefact with the last", async () => {
  const digest = await fixture.addImage("a:1", says("same"));
  await fixture.addImage("a:2", says("same"));
  await create("fn", "a:2");
  expect(namesOf(await prune({ all: true }))).toEqual([]);
  await fixture.addImage("a:2", says("other"));
  await fixture.backend.functions.update(deployment("fn", "a:2"));
  await until("the old version is gone", async () => namesOf(await prune({ all: true })).includes("a:1"));
  expect(isThere(digest)).toBe(false);
});

test("a deploy that arrives while its image is swept is refused, or runs", async () => {
  const outcomes = { refused: 0, ran: 0 };
  // Counting their size takes a while, in which a deploy may arrive.
  const files = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`file${i}`, "x"]));
  for (let round = 0; round < 8; round++) {
    const image = `race:${round}`;
    await fixture.addImage(image, { ...files, ...says(image) }, false);
    let swept: Promise<unknown> | undefined;
    const deploys = [0, 1, 2].map(async (n) => {
      const name = `fn-${round}-${n}`;
      // At any moment of the sweep; in every fourth round the first is before it, and in every fourth all are behind it.
      if (round % 4 > 0 || n > 0) await delay(round * n);
      if (round % 4 === 3) await swept;
      try {
        await create(name, image);
      } catch (error) {
        expect(String(error)).toMatch(/has not been built here/);
        outcomes.refused += 1;
        return;
      }
      await untilReady(fixture.backend, name);
      expect(await ask(name)).toBe(image);
      outcomes.ran += 1;
      await fixture.backend.functions.remove(ref(name));
    });
    swept = prune({ all: true });
    await Promise.all([swept, ...deploys, prune({ all: true })]);
  }
  expect(outcomes.ran + outcomes.refused).toBe(24);
  // Both have been seen, so the race is one.
  expect(outcomes.ran).toBeGreaterThan(0);
  expect(outcomes.refused).toBeGreaterThan(0);
}, 60_000);

test("the size of an image is told, also of one from before sizes were kept", async () => {
  await fixture.addImage("a:1", says("sized"));
  await create("fn", "a:1");
  const { imageBytes } = await statusOf(fixture.backend, "fn");
  expect(imageBytes).toBe(Object.values(says("sized")).join("").length);
  await fixture.backend.close(5_000);
  const sql = new DatabaseSync(join(fixture.dataDir, "provider.db"));
  sql.exec("DELETE FROM artefacts");
  sql.close();
  await fixture.reopen();
  await until("it is counted", async () => (await statusOf(fixture.backend, "fn")).imageBytes === imageBytes);
  const [listed] = await fixture.backend.functions.list("openfaas-fn");
  expect(listed?.imageBytes).toBe(imageBytes);
});

test("images of a release that kept no times are kept from the upgrade on", async () => {
  const digest = await fixture.addImage("a:1", says("before"));
  await fixture.backend.close(5_000);
  const sql = new DatabaseSync(join(fixture.dataDir, "provider.db"));
  sql.exec(`DROP TABLE versions; DROP TABLE artefacts; DROP INDEX images_by_digest; ALTER TABLE images DROP COLUMN kept_since;
            PRAGMA user_version = 2`);
  sql.close();
  await fixture.reopen();
  expect(namesOf(await prune())).toEqual([]);
  expect(isThere(digest)).toBe(true);
  now += 25 * HOUR;
  expect(namesOf(await prune())).toEqual(["a:1"]);
});
