import { spawn, spawnSync } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "@jest/globals";
import { testNeeding } from "../support/needing.ts";

const LOG = new URL("../../kit/log.ts", import.meta.url).href;

/** Runs a script that has a logger, `log`, on its standard output. */
const script = (source: string) => [
  "--disable-warning=ExperimentalWarning",
  "--input-type=module",
  "-e",
  `import { createLogger } from ${JSON.stringify(LOG)}; const log = createLogger("info"); ${source}`,
];
const COUNT = "for (let n = 0; n < 2000; n++) log.info({ n }, 'line');";
const numbersIn = (text: string) =>
  text
    .split("\n")
    .filter(Boolean)
    .map((line) => (JSON.parse(line) as { n: number }).n);
const ALL = Array.from({ length: 2000 }, (_, n) => n);

test.each(["", "process.exit(0);", "setTimeout(() => process.exit(0), 50);"])(
  "every line is written, in order, when a process ends by %j",
  (end) => {
    const file = join(tmpdir(), `faaslane-log-${process.pid}`);
    const fd = openSync(file, "w");
    try {
      const { status } = spawnSync(process.execPath, script(COUNT + end), { stdio: ["ignore", fd, "inherit"] });
      expect([status, numbersIn(readFileSync(file, "utf8"))]).toEqual([0, ALL]);
      const piped = spawnSync(process.execPath, script(COUNT + end));
      expect([piped.status, numbersIn(piped.stdout.toString())]).toEqual([0, ALL]);
    } finally {
      closeSync(fd);
      rmSync(file);
    }
  },
);

testNeeding(existsSync("/dev/full") ? undefined : "this machine has no /dev/full")(
  "a log that can never be written ends nothing, and keeps nothing from ending",
  () => {
    const full = openSync("/dev/full", "w");
    const { status, stderr } = spawnSync(process.execPath, script(`${COUNT} setTimeout(() => process.exit(7), 300);`), {
      stdio: ["ignore", full, "pipe"],
      timeout: 20_000,
    });
    closeSync(full);
    expect([status, stderr.toString()]).toEqual([7, ""]);
  },
);

test("a reader that goes ends nothing", async () => {
  const source = "setInterval(() => log.info('x'), 1); process.on('SIGTERM', () => process.exit(3));";
  const child = spawn(process.execPath, script(source), { stdio: ["ignore", "pipe", "inherit"] });
  await new Promise((resolve) => child.stdout.once("readable", resolve));
  child.stdout.destroy();
  const ended = new Promise((resolve) => child.on("exit", resolve));
  setTimeout(() => child.kill("SIGTERM"), 500);
  expect(await ended).toBe(3);
});
