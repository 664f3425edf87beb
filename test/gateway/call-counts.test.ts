import { readdirSync, readFileSync, statSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { CallCounts } from "../../gateway/metrics/call-counts.ts";
import type { FunctionEntry } from "../../gateway/proxy/function-entry.ts";
import { FunctionTable } from "../../gateway/proxy/function-table.ts";
import { eventually } from "../support/eventually.ts";
import { testNeeding } from "../support/needing.ts";
import { temporaryFolder } from "../support/platform.ts";
import { missingSmallDisk, mountSmallDisk } from "../support/small-disk.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let warnings: unknown[];
const log = { warn: (...said: unknown[]) => void warnings.push(said) } as never;

beforeEach(async () => {
  folder = await temporaryFolder();
  warnings = [];
});
afterEach(async () => await folder.remove());

const file = () => join(folder.path, "calls.json");
const options = { defaultNamespace: "fn", maxHeld: 1, timeoutMs: 1_000, connectTimeoutMs: 1_000 };

/** A gateway's life: the functions that there are, and calls of each. */
function tableOf(...names: string[]): FunctionTable {
  const table = new FunctionTable(options);
  for (const name of names) put(table, name);
  table.apply({ type: "heartbeat" });
  return table;
}

const snapshotOf = (name: string) => {
  const base = { namespace: "fn", labels: {}, annotations: {}, replicas: 1, generation: 1, endpoints: [] };
  return { ...base, name };
};

function put(table: FunctionTable, name: string): void {
  table.apply({ type: table.synced ? "changed" : "snapshot", function: snapshotOf(name) });
}

const entry = (table: FunctionTable, name: string) => table.find(name) as FunctionEntry;

function call(table: FunctionTable, name: string, times: number): void {
  for (let i = 0; i < times; i++) {
    entry(table, name).meter.start();
    entry(table, name).meter.end(200, 0.001);
  }
}

test("calls are counted on over restarts", async () => {
  for (const before of [0, 3, 6]) {
    const table = tableOf("f");
    const counts = await CallCounts.open({ table, path: file(), log });
    expect(counts.of("f.fn")).toBe(before);
    call(table, "f", 3);
    expect(counts.of("f.fn")).toBe(before + 3);
    await counts.close();
  }
  expect([statSync(file()).mode & 0o777, readdirSync(folder.path), warnings]).toEqual([0o600, ["calls.json"], []]);
});

test("they are kept now and then, for those who are killed", async () => {
  const table = tableOf("f");
  const counts = await CallCounts.open({ table, path: file(), storeEveryMs: 5, log });
  call(table, "f", 2);
  await eventually("they are kept", () => readFileSync(file(), "utf8") === '{"f.fn":2}');
  await counts.close();
});

test("a function that is removed takes its count along, now and while nobody looked", async () => {
  await writeFile(file(), JSON.stringify({ "f.fn": 5, "gone.fn": 7 }));
  const table = tableOf("f");
  const counts = await CallCounts.open({ table, path: file(), log });
  await table.whenSynced;
  table.apply({ type: "removed", function: snapshotOf("f") });
  put(table, "f");
  put(table, "gone");
  expect([counts.of("f.fn"), counts.of("gone.fn")]).toEqual([0, 0]);
  await counts.close();
  expect(readFileSync(file(), "utf8")).toBe("{}");
});

test("a stop before all functions are known loses nothing", async () => {
  await writeFile(file(), JSON.stringify({ "f.fn": 5 }));
  const counts = await CallCounts.open({ table: new FunctionTable(options), path: file(), log });
  await counts.close();
  expect(readFileSync(file(), "utf8")).toBe('{"f.fn":5}');
});

test.each([
  ["cut off", '{"f.fn": 1'],
  ["empty", ""],
  ["a list", "[1]"],
  ["below zero", '{"f.fn": -1}'],
  ["text", '{"f.fn": "1"}'],
  ["beyond whole numbers", '{"f.fn": 1e300}'],
])("a file that is %s is told of, and replaced", async (_what, text) => {
  await writeFile(file(), text);
  const table = tableOf("f");
  const counts = await CallCounts.open({ table, path: file(), log });
  expect([counts.of("f.fn"), warnings.length]).toEqual([0, 1]);
  call(table, "f", 1);
  await counts.close();
  expect(readFileSync(file(), "utf8")).toBe('{"f.fn":1}');
});

test("a file that can neither be read nor replaced stops nobody, and is told of once for each", async () => {
  await mkdir(join(file(), "in-the-way"), { recursive: true });
  const table = tableOf("f");
  const counts = await CallCounts.open({ table, path: file(), storeEveryMs: 1, log });
  call(table, "f", 1);
  await eventually("both are told of", () => warnings.length === 2);
  call(table, "f", 1);
  await counts.close();
  expect([counts.of("f.fn"), warnings.length, readdirSync(folder.path)]).toEqual([2, 2, ["calls.json"]]);
});

testNeeding(missingSmallDisk())(
  "on a full disk the old file stays, and the counts follow when there is room",
  async () => {
    const disk = mountSmallDisk(1);
    try {
      const path = join(disk.path, "calls.json");
      await writeFile(path, '{"f.fn":5}');
      disk.fill();
      const table = tableOf("f");
      const counts = await CallCounts.open({ table, path, storeEveryMs: 5, log });
      call(table, "f", 1);
      await eventually("it is told of", () => warnings.length === 1);
      expect(readFileSync(path, "utf8")).toBe('{"f.fn":5}');
      disk.clear();
      await eventually("they are kept", () => readFileSync(path, "utf8") === '{"f.fn":6}');
      await counts.close();
    } finally {
      disk.remove();
    }
  },
);
