import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { executableLayers } from "../../oci/executable-layer.ts";
import type { Layer } from "../../oci/layer.ts";
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

describe("its layer for images", () => {
  const { signal } = new AbortController();
  const here = { os: "linux", architecture: process.arch === "arm64" ? "arm64" : "amd64" };
  const bundle = join(ROOT, "dist/watchdog.mjs");
  const open = (given: string[] = []) => executableLayers({ bundle, given, here, cacheDir: join(folder, "cache") });

  test("is whole whoever made it at the same time, and is made once after that", async () => {
    const isWhole = async ({ digest, open: read }: Layer) => {
      const hash = createHash("sha256");
      for await (const chunk of await read()) hash.update(chunk as Buffer);
      return `sha256:${hash.digest("hex")}` === digest;
    };
    const first = open();
    const made = await Promise.all([
      first(here, folder, signal),
      open()(here, folder, signal),
      first(here, folder, signal),
    ]);
    expect(await Promise.all(made.map(isWhole))).toEqual([true, true, true]);
    expect(made[2]).toBe(made[0]);
    const kept = await open()(here, folder, signal);
    expect([made[0]?.digest, made[1]?.digest]).toContain(kept.digest);
    expect(await isWhole(kept)).toBe(true);
    // Somebody has tidied up: it is made again.
    rmSync(join(folder, "cache"), { recursive: true });
    expect(await isWhole(await first(here, folder, signal))).toBe(true);
  }, 240_000);

  test("is that of a given program where it fits, and nothing else is taken for one", async () => {
    const other = { ...here, architecture: here.architecture === "amd64" ? "arm64" : "amd64" };
    const given = join(folder, "given");
    writeFileSync(given, Buffer.concat([elfOf(other.architecture), Buffer.from("a program")]));
    const layer = await open([given])(other, mkdtempSync(join(folder, "tmp-")), signal);
    const tar = gunzipSync(await buffer(await layer.open()));
    expect(tar.toString("latin1")).toContain("usr/bin/fwatchdog");
    expect(tar.toString("latin1")).toContain("a program");
    await expect(open()(other, folder, signal)).rejects.toThrow("name one with --watchdog");
    await expect(open([bundle])(other, folder, signal)).rejects.toThrow(`${bundle} is no program for Linux`);
    await expect(open([join(folder, "none")])(other, folder, signal)).rejects.toThrow("cannot be read");
  });
});

/** How a program for that machine begins. */
function elfOf(architecture: string): Buffer {
  const head = Buffer.alloc(64);
  head.write("\x7fELF\x02\x01", "latin1");
  head.writeUInt16LE(architecture === "amd64" ? 62 : 183, 18);
  return head;
}

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
