import { spawn } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "@jest/globals";
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
  return { stop: () => child.kill("SIGTERM"), ended };
}

const NEVER = "() => new Promise(() => {})";

test.each([
  ["a start that never ends", NEVER, 0],
  ["a server", "async () => ({ drainTimeoutMs: 0, close: async () => {} })", 0],
  ["a server whose close never ends", `async () => ({ drainTimeoutMs: 0, close: ${NEVER} })`, 1],
])("%s is ended by SIGTERM", async (_what, open, code) => {
  const child = await run(open);
  child.stop();
  expect(await child.ended).toBe(code);
});
