import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, statSync } from "node:fs";
import { Agent, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { eventually } from "../support/eventually.ts";
import { testNeeding } from "../support/needing.ts";
import { ROOT } from "../support/platform.ts";
import { missingSmallDisk, mountSmallDisk } from "../support/small-disk.ts";
import { FIXTURES, startWatchdog, type TestWatchdog } from "../watchdog/support/start-watchdog.ts";

const GIB = 1024 ** 3;

/** Words of a command are split at spaces, so the shell puts its script together itself. */
const shell = (SCRIPT: string) => ({ SCRIPT, fprocess: 'sh -c eval\t"$SCRIPT"' });

const figure = async (watchdog: TestWatchdog, name: string) =>
  Number(new RegExp(`^${name} (\\S+)$`, "m").exec(await watchdog.metrics())?.[1]);

describe("a process that is killed", () => {
  test.each<[mode: string, script: string, status: number, text: string]>([
    ["classic", "echo part; kill -9 $$", 500, "signal: killed\npart\n"],
    ["serializing", "echo part; kill -9 $$", 500, "signal: killed"],
    ["streaming", "kill -9 $$", 500, "signal: killed\n"],
    ["streaming", "echo part; sleep 0.2; kill -9 $$", 200, "part\n"],
  ])("in %s mode costs its own call: %s", async (mode, script, status, text) => {
    await using watchdog = await startWatchdog({ mode, ...shell(script) });
    for (let round = 0; round < 3; round++) {
      const answer = await fetch(watchdog.url, { method: "POST" });
      expect(answer.status).toBe(status);
      // Shells remark on it where a function's errors are part of its answer.
      expect((await answer.text()).replace(/Killed\n$/, "")).toBe(text);
    }
    await eventually("nothing is under way", async () => (await figure(watchdog, "http_requests_in_flight")) === 0);
  });

  test("in http mode ends the watchdog with 1, and calls under way do not hang", async () => {
    const server = { fprocess: `${process.execPath} stubborn-server.mjs`, upstream_url: "http://127.0.0.1:0" };
    await using watchdog = await startWatchdog({ mode: "http", ...server });
    process.kill(Number(await (await fetch(watchdog.url)).text()), "SIGKILL");
    expect(await watchdog.ended).toEqual({ code: 1, signal: null });
    expect(watchdog.log).toContain("Forked function has terminated: signal: killed");
  });
});

test("10,000 calls of 200 callers at max_inflight=100: a hundred at once, and each is answered", async () => {
  await using watchdog = await startWatchdog({ mode: "inproc", inproc_handler: "./handler.mjs", max_inflight: "100" });
  const agent = new Agent({ keepAlive: true, maxSockets: 200 });
  const call = () =>
    new Promise<number>((resolve, reject) => {
      request(`${watchdog.url}/sleep?ms=5`, { agent }, (answer) => {
        answer.resume().on("end", () => resolve(answer.statusCode as number));
      })
        .on("error", reject)
        .end();
    });
  const statuses = new Map<number, number>();
  const caller = async () => {
    for (let i = 0; i < 50; i++) {
      const status = await call();
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: 200 }, caller));
  agent.destroy();
  const [served = 0, refused = 0] = [statuses.get(200), statuses.get(429)];
  expect([...statuses.keys()].filter((status) => status !== 200 && status !== 429)).toEqual([]);
  expect(served + refused).toBe(10_000);
  expect(served).toBeGreaterThanOrEqual(100);
  await eventually("all are counted", async () => {
    const text = await watchdog.metrics();
    const counted = [...text.matchAll(/^http_requests_total\{[^}]*\} (\d+)$/gm)].map(([, count]) => Number(count));
    return counted.reduce((sum, count) => sum + count, 0) === 10_000;
  });
  expect(await figure(watchdog, "http_requests_in_flight")).toBe(0);
}, 120_000);

test("a gibibyte goes through streaming mode in memory that does not grow", async () => {
  await using watchdog = await startWatchdog({
    mode: "streaming",
    fprocess: "cat",
    exec_timeout: "10m",
    read_timeout: "10m",
    write_timeout: "10m",
  });
  const chunk = Buffer.alloc(1024 * 1024, "0123456789abcdef");
  const sent = createHash("sha1");
  const received = createHash("sha1");
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const call = request(watchdog.url, { method: "POST" }, (answer) => {
    answer.on("data", (data: Buffer) => received.update(data));
    answer.on("end", resolve).on("error", reject);
  }).on("error", reject);
  let largest = 0;
  for (let bytes = 0; bytes < GIB; bytes += chunk.length) {
    sent.update(chunk);
    if (!call.write(chunk)) await new Promise((drained) => call.once("drain", drained));
    if (bytes % (GIB / 8) === 0) largest = Math.max(largest, await figure(watchdog, "process_resident_memory_bytes"));
  }
  call.end();
  await promise;
  expect(received.digest("hex")).toBe(sent.digest("hex"));
  expect(largest).toBeLessThan(250e6);
}, 300_000);

test.each(["classic", "serializing", "streaming"])(
  "%s: a gibibyte of log in one line holds up no answer",
  async (mode) => {
    await using watchdog = await startWatchdog({
      mode,
      combine_output: "false",
      exec_timeout: "10m",
      read_timeout: "10m",
      write_timeout: "10m",
      ...shell("head -c 1073741824 /dev/zero | tr '\\0' x >&2; echo done"),
    });
    expect(await (await fetch(watchdog.url, { method: "POST" })).text()).toBe("done\n");
    expect(await figure(watchdog, "process_resident_memory_bytes")).toBeLessThan(300e6);
    // Lines are split at the limit of their length.
    const longest = watchdog.log.split("\n").reduce((most, line) => Math.max(most, line.length), 0);
    expect(longest).toBeLessThan(70_000);
    expect(await (await fetch(`${watchdog.url}/_/health`)).text()).toBe("OK");
  },
  300_000,
);

test("http: a gibibyte of log in one line holds up no answer", async () => {
  await using watchdog = await startWatchdog({
    mode: "http",
    upstream_url: "http://127.0.0.1:0",
    exec_timeout: "10m",
    read_timeout: "10m",
    write_timeout: "10m",
    fprocess: `${process.execPath} logs-a-gibibyte.mjs`,
  });
  const calls = async () => {
    for (let i = 0; i < 20; i++) expect(Number(await (await fetch(watchdog.url)).text())).toBeGreaterThan(1);
  };
  await calls();
  await eventually("all has been read", () => existsSync(join(watchdog.tmp, "all-written")), 240_000, 100);
  await calls();
  expect(await figure(watchdog, "process_resident_memory_bytes")).toBeLessThan(300e6);
}, 300_000);

testNeeding(missingSmallDisk())(
  "calls are answered when the disk of the log is full",
  async () => {
    const disk = mountSmallDisk(2);
    const tmp = mkdtempSync(join(tmpdir(), "faaslane-full-"));
    const logFile = join(disk.path, "log");
    const log = openSync(logFile, "a");
    const env = { mode: "classic", combine_output: "false", port: "0", metrics_port: "0", healthcheck_interval: "0s" };
    const child = spawn(process.execPath, [join(ROOT, "dist/watchdog.mjs")], {
      cwd: FIXTURES,
      stdio: ["ignore", log, log],
      env: {
        PATH: process.env.PATH,
        TMPDIR: tmp,
        ...env,
        ...shell("head -c 300000 /dev/zero | tr '\\0' x >&2; echo done"),
      },
    });
    const ended = new Promise((resolve) => child.once("exit", resolve));
    try {
      const text = () => readFileSync(logFile, "latin1");
      const port = await eventually("it listens", () => /listening on port (\d+)/.exec(text())?.[1], 30_000);
      const call = async () => await (await fetch(`http://127.0.0.1:${port}`, { method: "POST" })).text();
      for (let i = 0; i < 20; i++) expect(await call()).toBe("done\n");
      expect(disk.freeBytes).toBeLessThan(100_000);
      expect(await call()).toBe("done\n");
      execFileSync("truncate", ["-s", "0", logFile]);
      const bytes = () => statSync(logFile).size;
      expect(await call()).toBe("done\n");
      await eventually("it logs again once there is space", async () => (await call()) === "done\n" && bytes() > 1000);
    } finally {
      child.kill("SIGTERM");
      expect(await ended).toBe(0);
      closeSync(log);
      disk.remove();
      rmSync(tmp, { recursive: true });
    }
  },
  120_000,
);
