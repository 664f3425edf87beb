import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect } from "@jest/globals";
import { testNeeding } from "../../../support/needing.ts";

const run = promisify(execFile);
const FILL_DISK = fileURLToPath(new URL("../fixtures/fill-disk.ts", import.meta.url));
const MIB = 1024 ** 2;

/** Runs a shell script in a mount namespace of its own, where anybody may mount a small file system. */
const inNamespace = (script: string, ...args: string[]) =>
  run("unshare", ["--user", "--map-root-user", "--mount", "sh", "-ec", script, "sh", ...args]);

const MOUNT = 'mount -t tmpfs -o size=24m tmpfs "$1"';

let folder: string;

const testDisk = testNeeding(
  await inNamespace(MOUNT, tmpdir()).then(
    () => undefined,
    (error: Error) => `this machine lets us mount no small disk to fill: ${error.message.trim()}`,
  ),
);

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "faaslane-disk-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

interface Outcome {
  readonly accepted: number;
  readonly refusal: string;
  readonly freeBytes: number;
  readonly delivered: number;
  readonly messages: readonly string[];
}

/** Fills a small disk, and looks at what the queue makes of it. */
async function fill(options: object): Promise<Outcome> {
  const node = [process.execPath, "--disable-warning=ExperimentalWarning", FILL_DISK];
  const script = `${MOUNT}; shift; exec "$@"`;
  const { stdout } = await inNamespace(script, folder, ...node, folder, JSON.stringify(options));
  const outcome = JSON.parse(stdout) as Outcome;
  expect(outcome.accepted).toBeGreaterThan(100);
  expect(outcome.delivered).toBeGreaterThanOrEqual(outcome.accepted);
  return outcome;
}

/** As if calls were not bounded. */
const limits = { bytes: 1024 * MIB, functionBytes: 1024 * MIB };

testDisk("a queue that has filled its disk can be emptied, and then takes calls again", async () => {
  const outcome = await fill({ limits, minFreeBytes: 0 });
  expect(outcome.refusal).toMatch(/^unavailable: /);
  expect(outcome.messages).toContain("the queue cannot store");
  expect(outcome.messages).toContain("the queue can store calls again");
});

testDisk("a queue leaves some of its disk to others, and takes calls again when there is room", async () => {
  const outcome = await fill({ limits, minFreeBytes: 6 * MIB, resultTtlMs: 0 });
  expect(outcome.refusal).toMatch(/^unavailable: .*less than 6Mi of its disk would be free \(async_min_free\)/);
  // What was taken within a second may lie in the log and in the file.
  expect(outcome.freeBytes).toBeGreaterThan(2 * MIB);
  expect(outcome.messages).toContain("the queue takes no new calls");
  expect(outcome.messages).not.toContain("the queue cannot store");
});

testDisk("calls take no more than half of what the disk has free, one function's half of that", async () => {
  const outcome = await fill({});
  expect(outcome.refusal).toMatch(/^overloaded: .*async_function_max_bytes/);
  expect(outcome.accepted * 5000).toBeLessThan(6.5 * MIB);
});
