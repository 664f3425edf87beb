import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "@jest/globals";

const run = promisify(execFile);
const PROGRAM = fileURLToPath(new URL("../support/series-memory.ts", import.meta.url));

test("a week of a thousand functions, a fifth of them called all the time, takes less than 30 MB", async () => {
  const { stdout } = await run(process.execPath, ["--expose-gc", "--disable-warning=ExperimentalWarning", PROGRAM]);
  const { functions, mib } = JSON.parse(stdout) as { functions: number; mib: number };
  expect(functions).toBe(1_000);
  expect(mib).toBeGreaterThan(1);
  expect(mib * 1024 ** 2).toBeLessThan(30e6);
}, 300_000);
