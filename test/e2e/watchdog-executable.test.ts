import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { eventually } from "../support/eventually.ts";
import { ROOT } from "../support/platform.ts";

const folder = mkdtempSync(join(tmpdir(), "faaslane-executable-test-"));
const PROGRAM = join(folder, "bin/fwatchdog");
const empty = join(folder, "empty");

beforeAll(() => {
  mkdirSync(empty);
  execFileSync(process.execPath, [join(ROOT, "watchdog/executable.mjs"), PROGRAM]);
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Neither Node nor anything of this project is where it could be found. */
const BARE = { PATH: "/usr/bin:/bin", TMPDIR: empty, port: "0", metrics_port: "0", healthcheck_interval: "0s" };

/** Runs it in an empty folder. @returns what it answered, and its log */
async function callOnce(env: Readonly<Record<string, string>>, path = "/"): Promise<[answer: string, log: string]> {
  const child: ChildProcess = spawn(PROGRAM, {
    cwd: empty,
    env: { ...BARE, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  let log = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (chunk) => {
      log += chunk;
    });
  }
  try {
    const port = await eventually("it listens", () => /listening on port (\d+)/.exec(log)?.[1], 30_000);
    const url = `http://127.0.0.1:${port}`;
    await eventually("it is ready", async () => (await fetch(`${url}/_/ready`)).status === 200, 30_000);
    return [await (await fetch(url + path, { method: "POST", body: "hello" })).text(), log];
  } finally {
    child.kill("SIGTERM");
    expect(await ended).toBe(0);
  }
}

test.each(["classic", "streaming", "serializing"])("it serves %s mode", async (mode) => {
  expect((await callOnce({ mode, fprocess: "cat" }))[0]).toBe("hello");
});

test("it serves static mode", async () => {
  mkdirSync(join(folder, "site"), { recursive: true });
  writeFileSync(join(folder, "site/a.txt"), "a file");
  expect((await callOnce({ mode: "static", static_path: join(folder, "site") }, "/a.txt"))[0]).toBe("a file");
});

test("it serves http mode", async () => {
  mkdirSync(join(folder, "behind/tmp"), { recursive: true });
  writeFileSync(join(folder, "behind/b.txt"), "a server");
  const server = `env mode=static static_path=${folder}/behind TMPDIR=${folder}/behind/tmp ${PROGRAM}`;
  const env = { mode: "http", fprocess: server, upstream_url: "http://127.0.0.1:0" };
  expect((await callOnce(env, "/b.txt"))[0]).toBe("a server");
});

test("it serves inproc mode, and says nothing of how it loads the handler", async () => {
  const handler = join(folder, "handler.mjs");
  writeFileSync(handler, "await null;\nexport default (req, res) => res.end(req.method);\n");
  const [answer, log] = await callOnce({ mode: "inproc", inproc_handler: handler });
  expect(answer).toBe("POST");
  expect(log).not.toContain("Warning");
});

test("it tells its version, and whether there is a lock file", () => {
  const run = (args: string[], env = {}) => {
    try {
      return [0, String(execFileSync(PROGRAM, args, { cwd: empty, env: { ...BARE, ...env }, stdio: "pipe" }))];
    } catch (error) {
      const { status, stderr } = error as { status: number; stderr: Buffer };
      return [status, String(stderr)];
    }
  };
  expect(run(["-version"])).toEqual([0, expect.stringMatching(/^faaslane watchdog \d/)]);
  const settings = { fprocess: "cat", TMPDIR: folder };
  expect(run(["-run-healthcheck"], settings)).toEqual([1, expect.stringContaining(`${folder}/.lock`)]);
  writeFileSync(join(folder, ".lock"), "");
  expect(run(["--run-healthcheck"], settings)).toEqual([0, ""]);
  expect(run(["-run-healthcheck"])).toEqual([1, expect.stringContaining("fprocess: is required")]);
  expect(run(["-help"])[0]).toBe(2);
});
