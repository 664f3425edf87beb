import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { spawnWatchdog, startWatchdog, type TestWatchdog } from "./support/start-watchdog.ts";

let watchdog: TestWatchdog;

beforeAll(async () => {
  watchdog = await startWatchdog({ mode: "inproc", inproc_handler: "./handler.mjs", exec_timeout: "300ms" });
});
afterAll(() => watchdog[Symbol.asyncDispose]());

test("the handler answers, and idle connections are kept longer than gateways keep them", async () => {
  const response = await fetch(watchdog.url);
  expect(response.status).toBe(200);
  expect(await response.text()).toBe("hello");
  expect(response.headers.get("x-openfaas-internal")).toBeNull();
  expect(Number(response.headers.get("keep-alive")?.match(/timeout=(\d+)/)?.[1])).toBeGreaterThanOrEqual(75);
});

test("a handler that throws is a plain 500 of the function's own, with the reason in the log alone", async () => {
  const response = await fetch(`${watchdog.url}/throw`);
  expect(response.status).toBe(500);
  expect(response.headers.get("x-openfaas-internal")).toBeNull();
  expect(await response.text()).not.toContain("told to throw");
  await watchdog.logged("told to throw");
});

test("an answer that fails half-way looks cut", async () => {
  const response = await fetch(`${watchdog.url}/throw-late`);
  await expect(response.text()).rejects.toThrow();
  await watchdog.logged("told to throw late");
});

test("a handler that never answers is a 504 of ours, and what it does later harms nobody", async () => {
  const response = await fetch(`${watchdog.url}/hang`);
  expect(response.status).toBe(504);
  expect(response.headers.get("x-openfaas-internal")).toBe("of-watchdog");
  expect(await (await fetch(`${watchdog.url}/use-late`)).text()).toBe("used");
  expect(await (await fetch(watchdog.url)).text()).toBe("hello");
});

test("calls are counted with their codes, probes are not", async () => {
  await (await fetch(`${watchdog.url}/_/health`)).text();
  const metrics = await watchdog.metrics();
  expect(metrics).toMatch(/^http_requests_total\{code="504",method="get"\} 1$/m);
  expect(metrics).toMatch(/^http_requests_in_flight 0$/m);
  expect(metrics).toMatch(/^process_resident_memory_bytes \d+$/m);
  const before = Number(metrics.match(/^http_requests_total\{code="200",method="get"\} (\d+)$/m)?.[1]);
  await (await fetch(`${watchdog.url}/_/ready`)).text();
  await (await fetch(watchdog.url)).text();
  expect(await watchdog.metrics()).toContain(`http_requests_total{code="200",method="get"} ${before + 1}`);
});

test.each([
  ["./missing.mjs", "missing.mjs"],
  ["./no-default.mjs", "the default export must be a function"],
])("the handler %s stops the start with the reason", async (inproc_handler, reason) => {
  await using broken = spawnWatchdog({ mode: "inproc", inproc_handler });
  expect(await broken.ended).toEqual({ code: 1, signal: null });
  await broken.logged(reason);
});

test("a flood of logs with no reader costs lines, not memory, and answers go on", async () => {
  await using silent = spawnWatchdog(
    { mode: "inproc", inproc_handler: "./handler.mjs", port: "0", exec_timeout: "20s" },
    false,
  );
  await new Promise((resolve) => silent.process.once("message", resolve));
  expect(await (await fetch(`${silent.url}/log-flood`)).text()).toBe("flooded");
  const rss = Number((await silent.metrics()).match(/^process_resident_memory_bytes (\d+)$/m)?.[1]);
  expect(rss).toBeLessThan(170e6);
});
