import { readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { readPatterns, writePatterns } from "../../../gateway/scaling/pattern-file.ts";
import { temporaryFolder } from "../../support/platform.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeEach(async () => {
  folder = await temporaryFolder();
});
afterEach(async () => await folder.remove());

const learned = {
  "f.openfaas-fn": { watchedSince: 1_700_000_000_000, days: { "19675": [0, 57, 143] }, hits: 3, misses: 1 },
};

test("what was written is read again, and nobody else may read it", async () => {
  const path = join(folder.path, "scaling.json");
  await writePatterns(path, { old: { watchedSince: 1, days: {}, hits: 0, misses: 0 } });
  await writePatterns(path, learned);
  expect(await readPatterns(path)).toEqual(learned);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect(await readdir(folder.path)).toEqual(["scaling.json"]);
});

test("without a file nothing was learned", async () => {
  expect(await readPatterns(join(folder.path, "none.json"))).toEqual({});
});

test.each([
  "",
  "{",
  "[]",
  '{"f":{"watchedSince":"x"}}',
  '{"f":{"watchedSince":1,"days":{"1":[0.5]},"hits":0,"misses":0}}',
])("a file of %j is refused by its name", async (text) => {
  const path = join(folder.path, "scaling.json");
  await writeFile(path, text);
  await expect(readPatterns(path)).rejects.toThrow(`${path} does not hold learned patterns`);
});

test("a folder that is not there is a failure", async () => {
  await expect(writePatterns(join(folder.path, "no/scaling.json"), learned)).rejects.toThrow(/ENOENT/);
});
