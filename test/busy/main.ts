import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";

/**
 * Runs the tests of orders and races beside busy loops: on a quiet machine, what comes in the wrong order by chance comes
 * in the right one. Every round is another throw of the dice.
 */
const LOOPS = 6;
const ROUNDS = 3;
const LIMIT_MS = 90_000;
const FILES = ["test/contracts/jetstream-queue.test.ts", "test/gateway/queue/jetstream/sweep.test.ts"];
const NAMES = ["in the order of acceptance", "dies again at once", "large body of a dead letter"];

const root = join(import.meta.dirname, "../..");

/** Ends by itself, should this process be killed. */
function busyLoop(): ChildProcess {
  const loop = `for (const end = Date.now() + ${LIMIT_MS}; Date.now() < end; );`;
  return spawn(process.execPath, ["-e", loop], { stdio: "ignore" });
}

async function runTests(signal: AbortSignal): Promise<number> {
  const jest = ["--experimental-vm-modules", "--disable-warning=ExperimentalWarning", "node_modules/jest/bin/jest.js"];
  const asked = ["--runInBand", ...FILES, "--testNamePattern", NAMES.join("|")];
  const child = spawn(process.execPath, [...jest, ...asked], { cwd: root, stdio: "inherit", signal });
  // One that is cut off tells so, and ends by a signal.
  child.once("error", () => {});
  const code = await new Promise<number | null>((resolve) => child.once("exit", resolve));
  return code ?? 1;
}

const loops = Array.from({ length: LOOPS }, busyLoop);
const signal = AbortSignal.timeout(LIMIT_MS);
let code = 0;
for (let round = 0; round < ROUNDS && code === 0; round++) code = await runTests(signal);
for (const loop of loops) loop.kill("SIGKILL");
process.exitCode = code;
