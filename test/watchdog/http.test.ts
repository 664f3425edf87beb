import { existsSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { eventually } from "../support/eventually.ts";
import { rawRequest } from "../support/raw-http.ts";
import { spawnWatchdog, startWatchdog, type TestWatchdog } from "./support/start-watchdog.ts";

const server = (name: string) => ({
  mode: "http",
  fprocess: `${process.execPath} ${name}.mjs`,
  upstream_url: "http://127.0.0.1:0",
});

let watchdog: TestWatchdog;

beforeAll(async () => {
  watchdog = await startWatchdog({ ...server("probe-server"), exec_timeout: "400ms", write_timeout: "800ms" });
});
afterAll(() => watchdog[Symbol.asyncDispose]());

test("the child is told its port, and its output is prefixed", async () => {
  await watchdog.logged(/^\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d stdout: http_port=\d+$/m);
});

test("a body keeps its length on the way in", async () => {
  const response = await fetch(`${watchdog.url}/echo`, { method: "POST", body: "x".repeat(200_000) });
  expect(response.headers.get("x-length")).toBe("200000");
  expect(response.headers.get("x-duration-seconds")).toMatch(/^\d+\.\d{6}$/);
  expect(await response.text()).toHaveLength(200_000);
});

test("both directions are live: each part is passed on before the next is sent", async () => {
  const outgoing = request(`${watchdog.url}/echo`, { method: "POST", agent: false });
  outgoing.write("one");
  const incoming = await new Promise<AsyncIterable<Buffer>>((resolve) => outgoing.once("response", resolve));
  const parts = incoming[Symbol.asyncIterator]();
  expect(String((await parts.next()).value)).toBe("one");
  outgoing.write("two");
  expect(String((await parts.next()).value)).toBe("two");
  outgoing.end();
  expect((await parts.next()).done).toBe(true);
});

test("headers arrive before the first part of a body", async () => {
  const response = await fetch(`${watchdog.url}/headers`, { headers: { accept: "text/event-stream" } });
  expect(response.headers.get("x-early")).toBe("yes");
  expect(response.headers.get("x-duration-seconds")).toBeNull();
  await response.body?.cancel();
});

test("odd but legal bytes in headers reach the function as they are", async () => {
  const answer = await rawRequest(
    watchdog.port,
    Buffer.from("GET /raw HTTP/1.1\r\nHost: h\r\nX-Odd: \xff\xe9\t!\r\n\r\n", "latin1"),
  );
  const raw = JSON.parse(Buffer.from(answer?.body ?? "", "latin1").toString("utf8"));
  expect(raw[raw.indexOf("X-Odd") + 1]).toBe("\xff\xe9\t!");
});

test.each([
  ["a bare line feed in a value", "X-A: b\nX-C: d"],
  ["a zero byte", "X-A: \0"],
  ["a space before the colon", "X-A : b"],
  ["two framings", "Content-Length: 5\r\nTransfer-Encoding: chunked"],
])("%s is refused", async (_rule, header) => {
  const answer = await rawRequest(watchdog.port, `POST / HTTP/1.1\r\nHost: h\r\n${header}\r\n\r\n`);
  expect(answer?.status).toBe(400);
});

test("headers above a mebibyte are a 431, 100 kB are fine", async () => {
  const withHeader = (bytes: number) => `GET /raw HTTP/1.1\r\nHost: h\r\nX-Big: ${"b".repeat(bytes)}\r\n\r\n`;
  expect((await rawRequest(watchdog.port, withHeader(1_100_000)))?.status).toBe(431);
  // The child's own server takes Node's 16 kB.
  expect((await rawRequest(watchdog.port, withHeader(15_000)))?.status).toBe(200);
});

test("a function that does not answer in time is a 504 of ours", async () => {
  const response = await fetch(`${watchdog.url}/wait`);
  expect(response.status).toBe(504);
  expect(response.headers.get("x-openfaas-internal")).toBe("of-watchdog");
  expect(await response.text()).toBe("");
});

test("a caller may ask for less time", async () => {
  const startedAt = performance.now();
  const response = await fetch(`${watchdog.url}/wait`, { headers: { "x-timeout": "50ms" } });
  expect(response.status).toBe(504);
  expect(performance.now() - startedAt).toBeLessThan(350);
});

test("a stream outlives exec_timeout, and write_timeout cuts it visibly", async () => {
  const startedAt = performance.now();
  const response = await fetch(`${watchdog.url}/headers`, { headers: { accept: "application/x-ndjson" } });
  await expect(response.text()).rejects.toThrow();
  expect(performance.now() - startedAt).toBeGreaterThan(750);
});

test("a caller that leaves cancels the call in the function", async () => {
  const lost = async () => Number(await (await fetch(`${watchdog.url}/lost`)).text());
  const before = await lost();
  const caller = new AbortController();
  const call = fetch(`${watchdog.url}/headers`, { signal: caller.signal });
  await (await call).body?.getReader().cancel();
  caller.abort();
  await eventually("the function notices", async () => (await lost()) > before);
});

test("the announcement and readiness wait for the child, health does not", async () => {
  await using late = spawnWatchdog({ ...server("late-server"), port: "0", go: join(watchdog.tmp, "go") });
  await late.logged("listening on port");
  const port = Number(late.log.match(/listening on port (\d+)/)?.[1]);
  const probe = async (name: string) => (await rawRequest(port, `GET /_/${name} HTTP/1.1\r\nHost: h\r\n\r\n`))?.status;
  expect(await probe("health")).toBe(200);
  expect(await probe("ready")).toBe(503);
  const early = await rawRequest(port, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  expect(early?.status).toBe(500);
  expect(early?.headers.get("x-openfaas-internal")).toEqual(["of-watchdog"]);
  expect(late.port).toBe(0);

  writeFileSync(join(watchdog.tmp, "go"), "");
  await eventually("it announces itself", () => late.port === port);
  expect(await probe("ready")).toBe(200);
  expect(await (await fetch(late.url)).text()).toBe("late");
});

test("a child that never listens can still be stopped", async () => {
  await using never = spawnWatchdog({ ...server("late-server"), go: "/nonexistent" });
  await never.logged("listening on port");
  never.process.kill("SIGTERM");
  expect(await never.ended).toEqual({ code: 0, signal: null });
});

test.each([
  ["exits with an error", "sh missing-script", "missing-script", "exit status"],
  ["exits without one", "echo last words", "stdout: last words", "exit status 0"],
  ["is not there", "no-such-program", "executable file not found", "no-such-program"],
])("a child that %s ends the watchdog, with its last words", async (_rule, fprocess, words, reason) => {
  await using ended = spawnWatchdog({ ...server("x"), fprocess });
  expect(await ended.ended).toEqual({ code: 1, signal: null });
  await ended.logged(words);
  await ended.logged(reason);
  expect(ended.port).toBe(0);
});

test("a child that dies later ends the watchdog too", async () => {
  await using dying = await startWatchdog(server("probe-server"));
  await fetch(`${dying.url}/die`).catch(() => {});
  expect(await dying.ended).toEqual({ code: 1, signal: null });
  await dying.logged("Forked function has terminated: exit status 3");
});

test("servers can log to /dev/stdout by name", async () => {
  await using logging = spawnWatchdog({ ...server("x"), fprocess: "dev-files" });
  await logging.logged("stdout: to stdout");
  await logging.logged("stderr: to stderr");
  await logging.ended;
});

test("buffered requests reach the function with their length; too large ones do not", async () => {
  await using buffering = await startWatchdog({
    ...server("probe-server"),
    http_buffer_req_body: "true",
    max_body_bytes: "10",
  });
  const send = (body: string) => {
    const stream = new Blob([body]).stream();
    return fetch(`${buffering.url}/echo`, { method: "POST", body: stream, duplex: "half" } as RequestInit);
  };
  const response = await send("0123456789");
  expect(response.headers.get("x-length")).toBe("10");
  expect(await response.text()).toBe("0123456789");
  expect((await send("01234567890")).status).toBe(413);
});

test("the lock file follows health, and taking it away takes the replica out", async () => {
  const lock = join(watchdog.tmp, ".lock");
  expect(existsSync(lock)).toBe(true);
  await using other = await startWatchdog(server("probe-server"));
  rmSync(join(other.tmp, ".lock"));
  expect((await fetch(`${other.url}/_/health`)).status).toBe(503);
  expect((await fetch(`${other.url}/_/ready`)).status).toBe(503);
});
