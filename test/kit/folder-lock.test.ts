import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { lockFolder } from "../../kit/folder-lock.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "faaslane-lock-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

test("one at a time has a folder, and writes nothing to have it", () => {
  const release = lockFolder(folder);
  expect(readdirSync(folder)).toEqual(["instance.lock"]);
  expect(() => lockFolder(folder)).toThrow(`data_dir: another faaslane is using ${folder}`);
  release();
  release();
  lockFolder(folder)();
});

test.each<[what: string, make: (file: string) => void]>([
  ["is a folder", (file) => mkdirSync(file)],
  ["belongs to something else", (file) => writeFileSync(file, "no database ".repeat(100))],
])("a lock file that %s is not told as another instance", (_what, make) => {
  make(join(folder, "instance.lock"));
  expect(() => lockFolder(folder)).toThrow(/^data_dir: cannot lock .*: (?!another)/);
});
