import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "@jest/globals";
import type { FunctionEndpoints } from "../../contract/endpoints.ts";
import { FaasError } from "../../contract/errors.ts";
import { createMetrics } from "../../gateway/metrics/gateway-metrics.ts";
import { FunctionProxy } from "../../gateway/proxy/function-proxy.ts";
import { FunctionTable } from "../../gateway/proxy/function-table.ts";
import { readSamples } from "../compat/series.ts";
import { eventually } from "../support/eventually.ts";

const opened: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await once(server.listen(0, "127.0.0.1"), "listening");
  opened.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function openGateway() {
  const table = new FunctionTable({
    defaultNamespace: "openfaas-fn",
    maxHeld: 10,
    timeoutMs: 5_000,
    connectTimeoutMs: 500,
  });
  const proxy = new FunctionProxy({
    table,
    provider: { exist: async () => new Set<string>() },
    wake: () => {},
    holdTimeoutMs: 10_000,
    release: "test",
  });
  const address = await serve((req, res) => proxy.handle(req, res));
  opened.push(() => table.close());
  table.apply({ type: "heartbeat" });
  const put = (...endpoints: FunctionEndpoints["endpoints"]) =>
    table.apply({
      type: "changed",
      function: {
        name: "f",
        namespace: "openfaas-fn",
        labels: {},
        annotations: {},
        replicas: 1,
        generation: 1,
        endpoints,
      },
    });
  const call = () => fetch(`http://${address}/function/f`);
  const isHeld = () => eventually("the call is held", () => table.find("f")?.held.count === 1);
  return { table, put, call, isHeld };
}

const startup = { scheduled: 2, started: 440, listening: 470, announced: 473, offered: 475 };
const timingOf = async (answer: Promise<Response>) => (await answer).headers.get("server-timing");

test("a call that paid for a cold start learns for what, once, next to what the function tells", async () => {
  const { table, put, call, isHeld } = await openGateway();
  const address = await serve((_req, res) => res.setHeader("Server-Timing", ["db;dur=3", "cpu;dur=1"]).end());
  put();
  const held = call();
  await isHeld();
  put({ address, instance: "i", state: "ready", startup });
  expect(await timingOf(held)).toMatch(
    /^db;dur=3, cpu;dur=1, faaslane-hold;dur=[\d.]+, faaslane-scheduled;dur=2, faaslane-started;dur=440, faaslane-listening;dur=470, faaslane-announced;dur=473, faaslane-offered;dur=475, faaslane-first-byte;dur=[\d.]+$/,
  );
  expect(await timingOf(call())).toBe("db;dur=3, cpu;dur=1");

  const metrics = await createMetrics({ table }).metrics();
  expect(metrics).toContain('gateway_cold_start_seconds_count{function_name="f.openfaas-fn"} 1');
  expect(metrics).toMatch(
    /gateway_cold_start_seconds_bucket\{le="\+Inf",function_name="f.openfaas-fn"\} 1|gateway_cold_start_seconds_bucket\{function_name="f.openfaas-fn",le="\+Inf"\} 1/,
  );
});

test("metrics tell first bytes, waits, and the phases of each replica that came up, once", async () => {
  const { table, put, call, isHeld } = await openGateway();
  const address = await serve((_req, res) => res.end());
  put();
  const held = [call(), call()];
  await eventually("both are held", () => table.find("f")?.held.count === 2);
  put({ address, instance: "i", state: "ready", startup });
  await Promise.all(held);
  await call();
  // One whose wait comes to nothing has waited all the same.
  put();
  const failed = call();
  await isHeld();
  table.find("f")?.held.fail(new FaasError("unavailable", "no"));
  expect((await failed).status).toBe(503);

  const samples = readSamples(await createMetrics({ table }).metrics());
  const counts = (name: string) => samples.filter((s) => s.name === `${name}_count`).map((s) => [s.labels, s.value]);
  const function_name = "f.openfaas-fn";
  expect(counts("gateway_function_first_byte_seconds")).toEqual([[{ function_name }, 3]]);
  expect(counts("gateway_replica_wait_seconds")).toEqual([[{ function_name }, 3]]);
  expect(counts("gateway_cold_start_phase_seconds")).toEqual(Object.keys(startup).map((phase) => [{ phase }, 1]));
  const sums = samples.filter((s) => s.name === "gateway_cold_start_phase_seconds_sum");
  expect(sums.map((s) => s.value)).toEqual(Object.values(startup).map((ms) => ms / 1000));
});

test("a replica that was there before explains nothing of a wait", async () => {
  const { put, call, isHeld } = await openGateway();
  const gone = await serve(() => {});
  opened.pop()?.();
  put({ address: gone, instance: "i", state: "ready", startup });
  const held = call();
  await isHeld();
  const server = createServer((_req, res) => res.end());
  server.listen(Number(gone.split(":")[1]), "127.0.0.1");
  opened.push(() => {
    server.closeAllConnections();
    server.close();
  });
  expect(await timingOf(held)).toMatch(/^faaslane-hold;dur=[\d.]+, faaslane-first-byte;dur=[\d.]+$/);
});
