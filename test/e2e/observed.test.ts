import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "@jest/globals";
import { AsyncStack } from "../support/async-stack.ts";
import { eventually } from "../support/eventually.ts";
import { GatewayWithWorkers } from "../support/gateway-workers.ts";
import { describeWithNats } from "../support/nats.ts";
import { exportTo, OtlpCollector } from "../support/otlp-collector.ts";

const opened: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

async function openCollector(): Promise<OtlpCollector> {
  const collector = await OtlpCollector.open();
  opened.push(() => collector.close());
  return collector;
}

describeWithNats("a queue worker of its own", () => {
  test("exports its tries, linked to the acceptance by the gateway, whose span of the call is below", async () => {
    const collector = await openCollector();
    const stack = await AsyncStack.start({
      queue: "jetstream",
      functions: { echo: { handler: "module.exports = async (event, context) => context.succeed(event.headers);" } },
      env: exportTo(collector),
    });
    opened.push(() => stack.remove());
    const receiver = createServer((_req, res) => res.end());
    await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve));
    opened.push(() => receiver.close());
    const { port } = receiver.address() as AddressInfo;
    const headers = { "x-callback-url": `http://127.0.0.1:${port}/` };
    const answer = await fetch(`${stack.url}/async-function/echo`, { method: "POST", body: "x", headers });
    expect(answer.status).toBe(202);
    const span = (name: string) => eventually(name, () => collector.named(name), 30_000);
    const accepted = await span("POST /async-function/echo.openfaas-fn");
    const attempt = await span("process echo.openfaas-fn");
    const call = await span("POST /function/echo.openfaas-fn");
    const callback = await span("callback");
    const link = [{ traceId: accepted.traceId, spanId: accepted.spanId }];
    expect(attempt).toMatchObject({ kind: 5, links: link, attributes: { "faaslane.attempt": 1 } });
    expect(call).toMatchObject({ kind: 2, traceId: attempt.traceId, parentSpanId: attempt.spanId });
    expect(callback).toMatchObject({ links: link, resource: { "service.name": "faaslane-queue-worker" } });
    expect(attempt.resource["service.name"]).toBe("faaslane-queue-worker");
    expect([accepted, call].map(({ resource }) => resource["service.name"])).toEqual([
      "faaslane-gateway",
      "faaslane-gateway",
    ]);
    const [worker] = stack.workers;
    const metrics = await (await fetch(`${worker?.url}/metrics`)).text();
    expect(metrics).toMatch(/^queue_worker_trace_spans_exported_total \d+$/m);
  });
});

test("calls of all threads are lines on standard output, and those that fail are traced", async () => {
  const collector = await openCollector();
  const sampler = { OTEL_TRACES_SAMPLER: "traceidratio", OTEL_TRACES_SAMPLER_ARG: "0" };
  const stack = await GatewayWithWorkers.open({ access_log: "true", ...exportTo(collector), ...sampler });
  opened.push(() => stack.close());
  const address = await stack.replica((req, res) => res.writeHead(req.url === "/bad" ? 500 : 200).end("1234"));
  await stack.deploy("f", [address]);
  for (let i = 0; i < 40; i++) await stack.call(`/function/f/${i}`, { headers: { "x-call-id": `call-${i}` } });
  await stack.call("/function/f/bad", { headers: { "x-call-id": "bad" } });
  const lines = () =>
    stack.gateway.output
      .split("\n")
      .filter((line) => line.includes('"msg":"call"'))
      .map((line) => JSON.parse(line) as { callId: string; status: number; bytesOut: number; durationMs: number });
  await eventually("all lines are written", () => lines().length === 41, 30_000);
  expect(new Set(lines().map(({ callId }) => callId)).size).toBe(41);
  expect(lines().every(({ bytesOut, durationMs }) => bytesOut === 4 && durationMs > 0)).toBe(true);
  await eventually("the failed one is traced", () => collector.named("GET /function/f.openfaas-fn"), 30_000);
  const failed = collector.spans.filter(({ name }) => name === "GET /function/f.openfaas-fn");
  expect(failed.map(({ attributes }) => attributes["faas.invocation_id"])).toEqual(["bad"]);
  expect(Math.abs(Number(failed[0]?.startTimeUnixNano) / 1e6 - Date.now())).toBeLessThan(60_000);
});
