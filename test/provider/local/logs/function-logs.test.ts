import { mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import type { LogQuery } from "../../../../contract/logs.ts";
import { FunctionLogs } from "../../../../provider/backends/local/logs/function-logs.ts";
import { eventually } from "../../../support/eventually.ts";
import { until } from "../support.ts";

let folder: string;
let clock: number;
let errors: unknown[];
let reader: AbortController;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "faaslane-logs-"));
  clock = Date.parse("2026-01-01T00:00:00Z");
  errors = [];
  reader = new AbortController();
});
afterEach(async () => {
  reader.abort();
  await rm(folder, { recursive: true, force: true });
  expect(errors).toEqual([]);
});

async function openLogs(limitBytes = 1024 * 1024): Promise<FunctionLogs> {
  const logs = new FunctionLogs({ folder, limitBytes, now: () => clock, onError: (error) => errors.push(error) });
  await logs.prepare();
  return logs;
}

async function read(logs: FunctionLogs, query: Partial<LogQuery> = {}): Promise<string[]> {
  const lines: string[] = [];
  for await (const { text } of logs.read({ name: "fn", namespace: "ns", follow: false, ...query }, reader.signal)) {
    lines.push(text.trimEnd());
  }
  return lines;
}

async function filesBytes(): Promise<number> {
  const sizes = await Promise.all((await readdir(folder)).map(async (name) => (await stat(join(folder, name))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}

const numbered = (count: number) => Array.from({ length: count }, (_, n) => `line ${n}`);

test("lines of several replicas are merged by time", async () => {
  const logs = await openLogs();
  const [a, b] = [logs.open("a"), logs.open("b")];
  const [inputA, inputB] = [a.input(), b.input()];
  for (const [n, input] of [inputA, inputB, inputB, inputA].entries()) {
    clock += 1000;
    input.write(Buffer.from(`${n}\n`));
  }
  await Promise.all([a.close(), b.close()]);
  expect(await read(logs)).toEqual(["0", "1", "2", "3"]);
  expect(await read(logs, { instance: "b" })).toEqual(["1", "2"]);
  expect(await read(logs, { tail: 1 })).toEqual(["2", "3"]);
  expect(await read(logs, { since: new Date(clock - 1000) })).toEqual(["2", "3"]);
  expect(await read(logs, { since: new Date(clock - 1000), tail: 1 })).toEqual(["2", "3"]);
  expect(await read(logs, { since: new Date(clock + 1) })).toEqual([]);
});

test("standard output and error do not cut each other's lines", async () => {
  const logs = await openLogs();
  const log = logs.open("a");
  const [out, err] = [log.input(), log.input()];
  out.write(Buffer.from("half "));
  err.write(Buffer.from("whole\n"));
  out.write(Buffer.from("line\nrest"));
  out.end();
  await log.close();
  expect(await read(logs)).toEqual(["whole", "half line", "rest"]);
});

test("a log keeps its latest lines within its limit", async () => {
  const logs = await openLogs(64 * 1024);
  const log = logs.open("a");
  const input = log.input();
  const lines = numbered(10_000);
  for (const line of lines) input.write(Buffer.from(`${line}\n`));
  await log.close();
  expect(await filesBytes()).toBeLessThanOrEqual(64 * 1024);
  const kept = await read(logs);
  expect(kept.length).toBeGreaterThan(500);
  expect(kept).toEqual(lines.slice(-kept.length));
  for (const tail of [0, 1, 7, 1000, kept.length, kept.length + 1]) {
    expect(await read(logs, { tail })).toEqual(tail === 0 ? [] : kept.slice(-tail));
  }
});

/** Files that are written within one tick of the file system's clock have the same time. */
async function untilNewTime(): Promise<void> {
  const path = `${folder}-clock`;
  const touch = async () => {
    await writeFile(path, "");
    return (await stat(path)).mtimeMs;
  };
  const since = await touch();
  await eventually("the file system's clock has moved on", async () => (await touch()) > since);
  await rm(path);
}

test("logs of replicas that are gone stay, up to the limit of the function", async () => {
  const logs = await openLogs(20_000);
  for (let n = 0; n < 8; n += 1) {
    const log = logs.open(`r${n}`);
    log.input().write(Buffer.from(`${"x".repeat(4_000)}${n}\n`));
    await logs.close(`r${n}`);
    await untilNewTime();
  }
  expect(await filesBytes()).toBeLessThanOrEqual(20_000);
  const kept = await read(logs);
  expect(kept.map((line) => line.at(-1))).toEqual(["4", "5", "6", "7"]);
});

test("a reader who follows sees every line once, whatever is rotated meanwhile", async () => {
  const logs = await openLogs(64 * 1024);
  const log = logs.open("a");
  const input = log.input();
  input.write(Buffer.from("before\n"));
  const seen: string[] = [];
  const done = (async () => {
    for await (const { text } of logs.read({ name: "fn", namespace: "ns", follow: true }, reader.signal)) {
      seen.push(text.trimEnd());
    }
  })();
  await until("the reader is there", () => seen.length === 1);
  const lines = numbered(5_000);
  // Slow enough for the reader: what is rotated away before it is read is lost, and nothing else.
  for (let start = 0; start < lines.length; start += 250) {
    for (const line of lines.slice(start, start + 250)) input.write(Buffer.from(`${line}\n`));
    await until("the reader has caught up", () => seen.length === start + 251);
  }
  const late = logs.open("b");
  late.input().write(Buffer.from("late\n"));
  await until("a new replica is followed too", () => seen.at(-1) === "late");
  await Promise.all([log.close(), late.close()]);
  logs.end();
  await done;
  expect(seen).toEqual(["before", ...lines, "late"]);
});

test("a flood is cut to what a second may hold, and says so", async () => {
  const logs = await openLogs();
  const log = logs.open("a");
  const input = log.input();
  const chunk = Buffer.from(`${"x".repeat(1023)}\n`.repeat(64));
  for (let n = 0; n < 1000; n += 1) input.write(chunk);
  clock += 5_000;
  input.write(Buffer.from("torn\nafter the flood\n"));
  await log.close();
  const kept = await read(logs);
  expect(kept.slice(-2)).toEqual([
    expect.stringMatching(/^\[faaslane\] 61\d{6} bytes of output were dropped/),
    "after the flood",
  ]);
  expect(await filesBytes()).toBeLessThanOrEqual(1024 * 1024);
});

test("a flood of empty lines costs no more than one of long lines", async () => {
  const logs = await openLogs();
  const log = logs.open("a");
  const input = log.input();
  const chunk = Buffer.alloc(64 * 1024, "\n");
  const before = process.cpuUsage();
  for (let n = 0; n < 1000; n += 1) input.write(chunk);
  // Of the processor, as others may use it meanwhile.
  const { user, system } = process.cpuUsage(before);
  await log.close();
  expect((user + system) / 1000).toBeLessThan(500);
  expect((await read(logs)).at(-1)).toMatch(/bytes of output were dropped/);
});

test("a reader who does not follow comes to an end while the function goes on writing", async () => {
  const logs = await openLogs();
  const log = logs.open("a");
  const input = log.input();
  input.write(Buffer.from("start\n"));
  await until("it is written", async () => (await read(logs)).length === 1);
  let lines = 0;
  for await (const _line of logs.read({ name: "fn", namespace: "ns", follow: false }, reader.signal)) {
    lines += 1;
    input.write(Buffer.from(`${"more\n".repeat(100)}`));
    await until("there is more", async () => (await filesBytes()) > 100);
  }
  expect(lines).toBe(1);
  await log.close();
});
