import { type Stats, statSync } from "node:fs";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "@jest/globals";
import { SMALL_BYTES, SmallFiles } from "../../watchdog/modes/static/small-files.ts";
import { eventually } from "../support/eventually.ts";
import { startWatchdog } from "./support/start-watchdog.ts";

const NOW = 1_800_000_000_000;
const stats = (given: Partial<Stats> = {}) =>
  ({ dev: 1, ino: 2, size: 5, mtimeMs: NOW - 10_000, ctimeMs: NOW - 10_000, ...given }) as Stats;
const hello = Buffer.from("hello");

test("a small file is good for as long as the system tells the same of it", () => {
  const files = new SmallFiles();
  files.keep("/a", stats(), hello, NOW);
  expect(files.get("/a", stats())).toBe(hello);
  expect(files.get("/a", stats())).toBe(hello);
});

test.each<[what: string, now: Partial<Stats>]>([
  ["device", { dev: 3 }],
  ["file of the same name", { ino: 3 }],
  ["size", { size: 6 }],
  ["time of its change", { mtimeMs: NOW - 9999.5 }],
  ["time of another change, of its mode say", { ctimeMs: NOW - 9999.5 }],
])("with another %s it is gone", (_what, now) => {
  const files = new SmallFiles();
  files.keep("/a", stats(), hello, NOW);
  expect(files.get("/a", stats(now))).toBeUndefined();
  expect(files.has("/a")).toBe(false);
});

test.each<[what: string, given: Partial<Stats>, bytes: Buffer]>([
  ["has changed a moment ago, and may again in the same tick", { mtimeMs: NOW - 1000 }, hello],
  ["has changed in what is no time at all", { ctimeMs: NOW + 5000 }, hello],
  ["was shorter than it told", {}, Buffer.from("hell")],
  ["is large", { size: SMALL_BYTES + 1 }, Buffer.alloc(SMALL_BYTES + 1)],
])("one that %s is not kept", (_what, given, bytes) => {
  const files = new SmallFiles();
  files.keep("/a", stats(given), bytes, NOW);
  expect(files.has("/a")).toBe(false);
});

test("those that nobody asks for go first", () => {
  const files = new SmallFiles();
  const bytes = Buffer.alloc(SMALL_BYTES);
  for (let i = 0; i < 1000; i++) {
    files.keep(`/${i}`, stats({ size: SMALL_BYTES }), bytes, NOW);
    files.get("/0", stats({ size: SMALL_BYTES }));
  }
  const kept = Array.from({ length: 1000 }, (_, i) => i).filter((i) => files.has(`/${i}`));
  expect(kept.length).toBeGreaterThan(30);
  expect(kept.length).toBeLessThan(65);
  expect([kept[0], kept.at(-1)]).toEqual([0, 999]);
});

test("a file that was served before is served as it is now", async () => {
  const folder = await mkdtemp(join(tmpdir(), "faaslane-static-"));
  const file = join(folder, "a.txt");
  await writeFile(file, "first");
  await using watchdog = await startWatchdog({ mode: "static", static_path: folder });
  const get = async (headers: Record<string, string> = {}, method = "GET") => {
    const answer = await fetch(`${watchdog.url}/a.txt`, { method, headers });
    return [answer.status, answer.headers.get("content-length"), await answer.text()];
  };
  expect(await get()).toEqual([200, "5", "first"]);
  await eventually("it has not changed lately", () => Date.now() - statSync(file).ctimeMs > 2100);
  // Read, and from then on kept.
  for (let i = 0; i < 3; i++) expect(await get()).toEqual([200, "5", "first"]);
  expect(await get({ range: "bytes=1-3" })).toEqual([206, "3", "irs"]);
  expect(await get({}, "HEAD")).toEqual([200, "5", ""]);
  expect((await get({ "if-modified-since": new Date().toUTCString() }))[0]).toBe(304);
  await writeFile(file, "other");
  expect(await get()).toEqual([200, "5", "other"]);
  await writeFile(join(folder, "b.txt"), "third");
  await rename(join(folder, "b.txt"), file);
  expect(await get()).toEqual([200, "5", "third"]);
  await rm(file);
  expect((await get())[0]).toBe(404);
  await rm(folder, { recursive: true });
});
