import { open } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "@jest/globals";

const ROOT = join(import.meta.dirname, "../..");

test("the bundle is put in place as a whole: no watchdog that starts meanwhile reads an empty file", async () => {
  const file = join(ROOT, "dist/watchdog.mjs");
  // Held open, so that the system gives its number to no other file.
  await using before = await open(file);
  const { writeBundle } = (await import(pathToFileURL(join(ROOT, "watchdog/bundle.mjs")).href)) as {
    writeBundle: () => Promise<void>;
  };
  await writeBundle();
  await using after = await open(file);
  expect((await after.stat()).ino).not.toBe((await before.stat()).ino);
  expect((await after.stat()).size).toBeGreaterThan(10_000);
});
