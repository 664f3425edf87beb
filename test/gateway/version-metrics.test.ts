import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import type { FunctionEndpoints } from "../../contract/endpoints.ts";
import { CallCounts } from "../../gateway/metrics/call-counts.ts";
import { createMetrics } from "../../gateway/metrics/gateway-metrics.ts";
import { FunctionProxy } from "../../gateway/proxy/function-proxy.ts";
import { FunctionTable } from "../../gateway/proxy/function-table.ts";
import { createLogger } from "../../kit/log.ts";
import { type DrainingServer, listen } from "../../kit/server.ts";
import { readSamples } from "../compat/series.ts";

let table: FunctionTable;
let gateway: DrainingServer;
let replica: Server;

beforeEach(async () => {
  replica = createServer((req, res) => res.writeHead(Number(req.url?.slice(1)) || 200).end("x"));
  await new Promise<void>((resolve) => replica.listen(0, "127.0.0.1", resolve));
  table = new FunctionTable({ defaultNamespace: "fns", maxHeld: 10, timeoutMs: 5_000, connectTimeoutMs: 2_000 });
  const provider = { exist: async () => new Set<string>() };
  const proxy = new FunctionProxy({ table, provider, wake: () => {}, holdTimeoutMs: 10_000, release: "test" });
  gateway = await listen((req, res) => proxy.handle(req, res), { port: 0, host: "127.0.0.1" });
  table.apply({ type: "heartbeat" });
});

afterEach(async () => {
  await gateway.drain(0);
  await table.close();
  replica.closeAllConnections();
  replica.close();
});

function row(fn: Partial<FunctionEndpoints>): FunctionEndpoints {
  const address = `127.0.0.1:${(replica.address() as AddressInfo).port}`;
  return {
    name: "f",
    namespace: "fns",
    labels: {},
    annotations: {},
    replicas: 1,
    generation: 1,
    endpoints: [{ address, instance: "a", state: "ready" }],
    ...fn,
  };
}

const put = (fn: Partial<FunctionEndpoints>) => table.apply({ type: "changed", function: row(fn) });

async function call(path: string, times = 1): Promise<void> {
  for (let n = 0; n < times; n++) {
    await (await fetch(`http://127.0.0.1:${gateway.port}/function/${path}`)).text();
  }
}

async function samples(name: string): Promise<string[]> {
  const text = await createMetrics({ table }).metrics();
  return readSamples(text)
    .filter((sample) => sample.name === name)
    .map(({ labels: { function_name, function_version = "", code = "" }, value }) =>
      [function_name, function_version, code, value].filter((part) => part !== "").join(" "),
    )
    .sort();
}

test("OpenFaaS's series count a function's versions together, and ours each by itself", async () => {
  put({ version: "v1" });
  put({ name: "f@v2", version: "v2", replicas: 2 });
  await call("f@v1", 3);
  await call("f@v2/500", 2);
  const whole = ["f.fns 200 3", "f.fns 500 2"];
  const apart = ["f.fns v1 200 3", "f.fns v2 500 2"];
  expect(await samples("gateway_function_invocation_total")).toEqual(whole);
  expect(await samples("gateway_functions_seconds_count")).toEqual(whole);
  expect(await samples("gateway_function_invocation_started")).toEqual(["f.fns 5"]);
  expect(await samples("gateway_function_invocation_inflight")).toEqual(["f.fns 0"]);
  expect(await samples("gateway_service_count")).toEqual(["f.fns 3"]);
  expect(await samples("gateway_function_version_invocation_total")).toEqual(apart);
  expect(await samples("gateway_function_version_seconds_count")).toEqual(apart);
  expect(await samples("gateway_function_version_replicas")).toEqual(["f.fns v1 1", "f.fns v2 2"]);
});

test("no series knows a name with a version in it", async () => {
  put({ version: "v1" });
  put({ name: "f@v2", version: "v2" });
  await call("f@v2");
  expect(await createMetrics({ table }).metrics()).not.toContain("@");
});

test("a function that has had one version has no series of versions", async () => {
  put({ version: "v1" });
  await call("f");
  expect(await createMetrics({ table }).metrics()).not.toContain("function_version=");
});

test("calls of a version count for it when it becomes the main one, and for the function when it is gone", async () => {
  put({ version: "v1" });
  put({ name: "f@v2", version: "v2" });
  await call("f@v1", 2);
  await call("f@v2", 3);
  put({ version: "v2" });
  put({ name: "f@v1", version: "v1" });
  table.apply({ type: "removed", function: row({ name: "f@v2", version: "v2" }) });
  await call("f@v2", 1);
  await call("f@v1", 1);
  expect(await samples("gateway_function_version_invocation_total")).toEqual(["f.fns v1 200 3", "f.fns v2 200 4"]);
  expect(await samples("gateway_function_invocation_total")).toEqual(["f.fns 200 7"]);
  table.apply({ type: "removed", function: row({ name: "f@v1", version: "v1" }) });
  expect(await samples("gateway_function_invocation_total")).toEqual(["f.fns 200 7"]);
});

test("however many versions come and go, the function's count stays and the series are few", async () => {
  put({ version: "v1" });
  for (let n = 2; n < 60; n++) {
    put({ name: `f@v${n}`, version: `v${n}` });
    await call(`f@v${n}`);
    table.apply({ type: "removed", function: row({ name: `f@v${n}`, version: `v${n}` }) });
  }
  expect(await samples("gateway_function_invocation_total")).toEqual(["f.fns 200 58"]);
  const series = await samples("gateway_function_version_invocation_total");
  expect(series.length).toBeLessThan(30);
  expect(series.reduce((sum, text) => sum + Number(text.split(" ").at(-1)), 0)).toBe(58);
});

test("invocationCount is that of all versions", async () => {
  const counts = await CallCounts.open({ table, log: createLogger("silent") });
  put({ version: "v1" });
  put({ name: "f@v2", version: "v2" });
  await call("f@v1", 2);
  await call("f@v2", 3);
  expect(counts.of("f.fns")).toBe(5);
  await counts.close();
});

test("the part of the calls that each version gets is told", async () => {
  const traffic = [
    { version: "v1", share: 7_500 },
    { version: "v2", share: 2_500 },
  ];
  put({ version: "v1", traffic });
  put({ name: "f@v2", version: "v2" });
  expect(await samples("gateway_function_version_share")).toEqual(["f.fns v1 0.75", "f.fns v2 0.25"]);
});
