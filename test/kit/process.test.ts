import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "@jest/globals";
import { describeStartError } from "../../kit/process.ts";
import { eventually } from "../support/eventually.ts";
import { ROOT } from "../support/platform.ts";

/** A process that runs what `open` makes, and says when it has begun. */
async function run(open: string) {
  const script = `import { runProcess } from ${JSON.stringify(join(ROOT, "kit/process.ts"))};
    await runProcess(() => {
      setInterval(() => {}, 1_000); // keeps the process alive, as a server would
      process.stdout.write("begun");
      return (${open})();
    });`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise((resolve) => child.once("exit", (code, signal) => resolve(code ?? signal)));
  await new Promise((resolve) => child.stdout.once("data", resolve));
  return { kill: (signal: NodeJS.Signals) => child.kill(signal), ended, stdout: child.stdout };
}

const NEVER = "() => new Promise(() => {})";
const SERVER = "async () => ({ drainTimeoutMs: 0, close: async () => {} })";

/** A server that says when it begins to stop, and stops once all that may come after the first signal has come. */
const SLOW = `async () => ({
  drainTimeoutMs: 60_000,
  close: () => new Promise((resolve) => {
    process.stdout.write("stopping");
    setTimeout(resolve, 1_000);
  }),
})`;

/** A server that says when it begins to stop, and never does. */
const STUCK = SLOW.replace("setTimeout(resolve, 1_000)", "");

// At the same time, as what never ends is waited for.
test.concurrent.each<[what: string, open: string, signal: NodeJS.Signals, code: number]>([
  ["a start that never ends", NEVER, "SIGTERM", 0],
  ["a server", SERVER, "SIGTERM", 0],
  ["a server", SERVER, "SIGINT", 0],
  ["a server", SERVER, "SIGHUP", 0],
  ["a start that never ends", NEVER, "SIGHUP", 0],
  ["a server whose close never ends", `async () => ({ drainTimeoutMs: 0, close: ${NEVER} })`, "SIGTERM", 1],
  ["a server whose close never ends", `async () => ({ drainTimeoutMs: 0, close: ${NEVER} })`, "SIGHUP", 1],
])("%s (%s) is ended by %s", async (_what, open, signal, code) => {
  const child = await run(open);
  child.kill(signal);
  expect(await child.ended).toBe(code);
});

test.each<[first: NodeJS.Signals, again: NodeJS.Signals]>([
  ["SIGHUP", "SIGHUP"],
  ["SIGTERM", "SIGHUP"],
  ["SIGINT", "SIGINT"],
])("%s and %s at once are one wish: a terminal, npm and systemd say it twice", async (first, again) => {
  const child = await run(SLOW);
  child.kill(first);
  await once(child.stdout, "data");
  child.kill(again);
  expect(await child.ended).toBe(0);
});

test.each<[first: NodeJS.Signals, again: NodeJS.Signals]>([
  ["SIGHUP", "SIGHUP"],
  ["SIGHUP", "SIGTERM"],
  ["SIGTERM", "SIGTERM"],
])("%s drains, and %s later ends it at once", async (first, again) => {
  const child = await run(STUCK);
  child.kill(first);
  await once(child.stdout, "data");
  const sendAgain = () => !child.kill(again); // there is nobody to send it to once it has ended
  await eventually("the second one counts", sendAgain, 10_000, 350);
  expect(await child.ended).toBe(1);
});

test("a start on a disk that is full, or that holds no database of ours, is told in one line that names the setting", () => {
  const full = Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC", syscall: "write" });
  expect(describeStartError(full)).toBe(`data_dir: there is no space left on its disk: ${full.message}`);
  const db = new DatabaseSync(":memory:");
  // No more than a page: it is full.
  db.exec("PRAGMA max_page_count = 1");
  let thrown: unknown;
  try {
    db.exec("CREATE TABLE a (b); CREATE TABLE c (d)");
  } catch (error) {
    thrown = error;
  } finally {
    db.close();
  }
  expect(describeStartError(thrown)).toBe("data_dir: a database in it cannot be used: database or disk is full");
});
