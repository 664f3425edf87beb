import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "@jest/globals";

const PROCESS = join(import.meta.dirname, "../support/events/replay-process.ts");

interface Told {
  readonly what: string;
  readonly held: number;
  readonly process: number;
}

async function replay(count: number): Promise<readonly Told[]> {
  const args = ["--expose-gc", "--disable-warning=ExperimentalWarning", PROCESS, String(count)];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 500_000 });
  return stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
}

test("replaying 100,000 events holds no more than replaying 10,000, and the process grows no further with them", async () => {
  const few = await replay(10_000);
  const [stored, once, twice] = await replay(100_000);
  const held = [few[1], stored, once, twice].map((told) => told?.held ?? Number.NaN);
  // What is alive: caches, which have their limits.
  for (const each of held) expect(each).toBeLessThan(60);
  // The rest is garbage that V8 has not given back; it is as much after each replay.
  expect((once?.process ?? Number.NaN) - (stored?.process ?? 0)).toBeLessThan(80);
  expect((twice?.process ?? Number.NaN) - (once?.process ?? 0)).toBeLessThan(40);
  expect(twice?.process).toBeLessThan(450);
}, 600_000);
