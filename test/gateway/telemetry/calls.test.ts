import { readFile } from "node:fs/promises";
import { createServer, type IncomingHttpHeaders, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterEach, expect, test } from "@jest/globals";
import { readSamples } from "../../compat/series.ts";
import { eventually } from "../../support/eventually.ts";
import { type FrontGateway, openFrontGateway } from "../../support/front-gateway.ts";
import { exportTo, OtlpCollector } from "../../support/otlp-collector.ts";
import { temporaryFolder } from "../../support/platform.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";
const TRACEPARENT = `00-${TRACE}-${SPAN}-01`;

const opened: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

/** A server for `answer`; its address, and the headers that it got last. */
async function serve(answer: RequestListener): Promise<{ address: string; seen: { headers: IncomingHttpHeaders } }> {
  const seen: { headers: IncomingHttpHeaders } = { headers: {} };
  const server = createServer((req, res) => {
    seen.headers = req.headers;
    answer(req, res);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  opened.push(async () => {
    server.closeAllConnections();
    server.close();
  });
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

async function openTraced(env: Record<string, string> = {}) {
  const collector = await OtlpCollector.open();
  opened.push(() => collector.close());
  const front = await openFrontGateway({ ...exportTo(collector), ...env });
  opened.push(() => front.close());
  const add = (name: string, address: string) =>
    front.provider.put({ name, endpoints: [{ address, instance: name, state: "ready" }] });
  const span = (name: string) => eventually(`the span ${name}`, () => collector.named(name));
  return { collector, front, add, span };
}

async function openLogged(env: Record<string, string> = {}) {
  const folder = await temporaryFolder();
  opened.push(() => folder.remove());
  const path = join(folder.path, "calls.log");
  const front = await openFrontGateway({ ...env, access_log: path });
  opened.push(() => front.close());
  const lines = async () =>
    (await readFile(path, "utf8"))
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  const line = (part: Record<string, unknown>) =>
    eventually(`a line of ${JSON.stringify(part)}`, async () =>
      (await lines()).find((one) => Object.entries(part).every(([key, value]) => one[key] === value)),
    );
  return { front, lines, line };
}

const call = (front: FrontGateway, path: string, init: RequestInit = {}) => fetch(front.gateway.url + path, init);

async function metric(front: FrontGateway, name: string, labels: Record<string, string> = {}): Promise<number> {
  const samples = readSamples(await (await fetch(`${front.gateway.metricsUrl}/metrics`)).text());
  return samples
    .filter(
      (sample) => sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
    )
    .reduce((sum, { value }) => sum + value, 0);
}

test("without a collector the context is passed on as it came, whatever it is", async () => {
  const front = await openFrontGateway();
  opened.push(() => front.close());
  for (const headers of [
    { traceparent: TRACEPARENT, tracestate: "a=1" },
    { traceparent: "!", tracestate: "?" },
  ]) {
    await call(front, "/function/f", { headers });
    expect(front.seen.headers).toMatchObject(headers);
  }
  await call(front, "/function/f");
  expect(front.seen.headers.traceparent).toBeUndefined();
});

test("a call has a span in its caller's trace, and the function gets one of ours as its parent", async () => {
  const { front, span } = await openTraced({ OTEL_RESOURCE_ATTRIBUTES: "k8s.pod.name=gateway%2D1" });
  const headers = { traceparent: TRACEPARENT, tracestate: "congo=t61", "x-call-id": "call-1" };
  await call(front, "/function/f/a/b?token=secret", { method: "POST", body: "12345", headers });
  const server = await span("POST /function/f.openfaas-fn");
  const client = await span("POST f.openfaas-fn");
  expect(server).toMatchObject({ traceId: TRACE, parentSpanId: SPAN, kind: 2, traceState: "congo=t61" });
  expect(client).toMatchObject({ traceId: TRACE, parentSpanId: server.spanId, kind: 3 });
  expect(front.seen.headers).toMatchObject({
    traceparent: `00-${TRACE}-${client.spanId}-01`,
    tracestate: "congo=t61",
  });
  expect(server.attributes).toMatchObject({
    "http.request.method": "POST",
    "http.response.status_code": 200,
    "http.route": "/function/{name}",
    "url.scheme": "http",
    "url.path": "/function/f/a/b",
    "faas.trigger": "http",
    "faas.name": "f.openfaas-fn",
    "faas.coldstart": false,
    "faas.invocation_id": "call-1",
    "http.request.body.size": 5,
    "http.response.body.size": "f got /a/b?token=secret".length,
    "client.address": "127.0.0.1",
  });
  expect(server.resource).toMatchObject({ "service.name": "faaslane-gateway", "k8s.pod.name": "gateway-1" });
  expect(JSON.stringify([server, client])).not.toContain("secret");
  expect(BigInt(server.endTimeUnixNano)).toBeGreaterThanOrEqual(BigInt(client.endTimeUnixNano));
  expect(Math.abs(Number(BigInt(server.startTimeUnixNano) / 1_000_000n) - Date.now())).toBeLessThan(60_000);
});

test("without a context, or with a malformed one, a trace begins here, and a tracestate goes", async () => {
  const { front, span, collector } = await openTraced();
  for (const headers of [{}, { traceparent: "00-xyz-01", tracestate: "a=1" }]) {
    collector.spans.splice(0);
    await call(front, "/function/f", { headers });
    const server = await span("GET /function/f.openfaas-fn");
    const client = await span("GET f.openfaas-fn");
    expect(server.parentSpanId).toBeUndefined();
    expect(front.seen.headers.traceparent).toBe(`00-${server.traceId}-${client.spanId}-01`);
    expect(front.seen.headers.tracestate).toBeUndefined();
  }
});

test("what fails is exported however few are, and what the platform refuses has no time at a replica", async () => {
  const sampler = { OTEL_TRACES_SAMPLER: "parentbased_traceidratio", OTEL_TRACES_SAMPLER_ARG: "0" };
  const { front, add, span, collector } = await openTraced(sampler);
  const { address, seen } = await serve((_req, res) => res.writeHead(500).end("no"));
  add("bad", address);
  await call(front, "/function/f");
  await eventually("it is known", async () => (await call(front, "/function/bad")).status === 500);
  expect(seen.headers.traceparent).toMatch(/-00$/);
  const bad = await span("GET /function/bad.openfaas-fn");
  expect(bad).toMatchObject({ status: { code: 2 }, attributes: { "error.type": "500" } });
  expect(collector.named("GET /function/f.openfaas-fn")).toBeUndefined();

  front.provider.put({ name: "none", endpoints: [], problem: "no image" });
  const refused = await eventually("it is known", async () => (await call(front, "/function/none")).status === 503);
  expect(refused).toBe(true);
  const none = await span("GET /function/none.openfaas-fn");
  expect(none.attributes).toMatchObject({ "error.type": "cannot_start", "http.response.status_code": 503 });
  expect(collector.named("GET none.openfaas-fn")).toBeUndefined();
});

test("a call that waited for a replica is exported with its wait and the phases of that", async () => {
  const { front, span } = await openTraced({ OTEL_TRACES_SAMPLER: "traceidratio", OTEL_TRACES_SAMPLER_ARG: "0" });
  const { address } = await serve((_req, res) => res.end("awake"));
  front.provider.put({ name: "cold", replicas: 0, endpoints: [] });
  const held = call(front, "/function/cold");
  const gauge = () => metric(front, "gateway_held_calls");
  await eventually("the call is held", async () => (await gauge()) === 1);
  const startup = { scheduled: 2, started: 40, listening: 70 };
  front.provider.put({ name: "cold", endpoints: [{ address, instance: "c", state: "ready", startup }] });
  expect(await (await held).text()).toBe("awake");
  const server = await span("GET /function/cold.openfaas-fn");
  const wait = await span("wait for a replica");
  expect(server.attributes).toMatchObject({ "faas.coldstart": true });
  expect(wait).toMatchObject({ parentSpanId: server.spanId, traceId: server.traceId });
  expect(wait.events?.map(({ name }) => name)).toEqual(["scheduled", "started", "listening"]);
});

test("tries of an accepted call are linked to its acceptance, and so is its callback", async () => {
  const { front, add, span } = await openTraced();
  const receiver = await serve((_req, res) => res.end());
  const { address, seen } = await serve((_req, res) => res.end("done"));
  add("later", address);
  const headers = { traceparent: TRACEPARENT, "x-callback-url": `http://${receiver.address}/secret-path` };
  await eventually("it is accepted", async () => {
    const answer = await call(front, "/async-function/later", { method: "POST", body: "x", headers });
    return answer.status === 202;
  });
  const accepted = await span("POST /async-function/later.openfaas-fn");
  const attempt = await span("process later.openfaas-fn");
  const proxied = await span("POST /function/later.openfaas-fn");
  const upstream = await span("POST later.openfaas-fn");
  const callback = await span("callback");
  const link = [{ traceId: TRACE, spanId: accepted.spanId }];
  expect(accepted).toMatchObject({ traceId: TRACE, parentSpanId: SPAN, kind: 2 });
  expect(attempt).toMatchObject({
    kind: 5,
    links: link,
    attributes: { "faas.trigger": "pubsub", "faaslane.attempt": 1 },
  });
  expect(proxied).toMatchObject({ traceId: attempt.traceId, parentSpanId: attempt.spanId, kind: 1 });
  expect(seen.headers.traceparent).toBe(`00-${attempt.traceId}-${upstream.spanId}-01`);
  expect(callback).toMatchObject({ kind: 3, links: link, attributes: { "http.response.status_code": 200 } });
  expect(receiver.seen.headers.traceparent).toBe(`00-${callback.traceId}-${callback.spanId}-01`);
  expect(JSON.stringify(callback)).not.toContain("secret-path");
});

test("a gateway that stops hands on what it has", async () => {
  const { front, collector } = await openTraced({ OTEL_BSP_SCHEDULE_DELAY: "3600000" });
  await call(front, "/function/f");
  expect(collector.spans).toEqual([]);
  await front.gateway.close();
  expect(collector.spans.map(({ name }) => name)).toContain("GET f.openfaas-fn");
});

test("headers for the collector and gzip are as the settings say, and neither is logged", async () => {
  const { front, collector, span } = await openTraced({
    OTEL_EXPORTER_OTLP_HEADERS: "x-api-key=top%20secret,x-tenant=a",
    OTEL_EXPORTER_OTLP_COMPRESSION: "gzip",
  });
  await call(front, "/function/f");
  await span("GET f.openfaas-fn");
  expect(collector.requests[0]).toMatchObject({
    "x-api-key": "top secret",
    "x-tenant": "a",
    "content-encoding": "gzip",
    "content-type": "application/json",
  });
  expect(await metric(front, "gateway_trace_spans_exported_total")).toBe(2);
  expect(front.log).not.toContain("top secret");
});

test("the access log has a line for each call, refused ones too, and nothing of a query", async () => {
  const { front, line, lines } = await openLogged();
  await call(front, "/function/f/x?key=secret", {
    method: "POST",
    body: "123",
    headers: { "x-call-id": "one", traceparent: TRACEPARENT },
  });
  expect(await line({ callId: "one" })).toMatchObject({
    kind: "call",
    function: "f.openfaas-fn",
    method: "POST",
    path: "/function/f/x",
    status: 200,
    bytesIn: 3,
    bytesOut: "f got /x?key=secret".length,
    durationMs: expect.any(Number),
    firstByteMs: expect.any(Number),
    client: "127.0.0.1",
    replica: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
    traceId: TRACE,
  });
  await call(front, "/function/f", { method: "PROPFIND", headers: { "x-call-id": "two" } });
  expect(await line({ callId: "two" })).toMatchObject({ status: 405, error: "method_not_allowed" });
  await call(front, "/function/");
  expect(await line({ path: "/function/" })).toMatchObject({ status: 404, error: "unknown_route" });
  await call(front, "/async-function/f", { method: "POST", headers: { "x-call-id": "bad", "x-delay": "soon" } });
  expect(await line({ callId: "bad" })).toMatchObject({ kind: "intake", status: 400, error: expect.any(String) });
  const accepted = await call(front, "/async-function/f", { method: "POST", body: "1234" });
  expect(await line({ kind: "intake", status: 202 })).toMatchObject({
    callId: accepted.headers.get("x-call-id"),
    status: 202,
    bytesIn: 4,
  });
  expect(await line({ kind: "stored" })).toMatchObject({ callId: accepted.headers.get("x-call-id"), status: 200 });
  expect(JSON.stringify(await lines())).not.toContain("secret");
});

test("a caller that leaves is a line with 499, before and after the answer began", async () => {
  const { front, line } = await openLogged();
  const { address, seen } = await serve((req, res) => {
    if (req.url === "/begun") res.write("some");
  });
  front.provider.put({ name: "slow", endpoints: [{ address, instance: "s", state: "ready" }] });
  for (const path of ["/silent", "/begun"]) {
    const leaving = new AbortController();
    const init = { signal: leaving.signal, headers: { "x-call-id": path } };
    const asked = call(front, `/function/slow${path}`, init).then((answer) => answer.text());
    asked.catch(() => {});
    await eventually("the function has it", () => seen.headers["x-call-id"] === path);
    leaving.abort();
    await expect(asked).rejects.toThrow();
    expect(await line({ callId: path })).toMatchObject({ status: 499, function: "slow.openfaas-fn" });
  }
});

test("a function's own policy is a line too", async () => {
  const { front, line } = await openLogged();
  const { address } = await serve((_req, res) => res.end());
  const annotations = { "com.faaslane.auth": "basic", "com.faaslane.auth.secret": "none" };
  front.provider.put({ name: "guarded", annotations, endpoints: [{ address, instance: "g", state: "ready" }] });
  await eventually("it refuses", async () => (await call(front, "/function/guarded")).status >= 400);
  expect(await line({ function: "guarded.openfaas-fn" })).toMatchObject({ error: expect.any(String) });
});

test("requests for control routes are counted by route, never by name", async () => {
  const front = await openFrontGateway({ basic_auth: "false" });
  opened.push(() => front.close());
  for (const path of [
    "/system/function/a",
    "/system/function/b?x=1",
    "/system/nowhere/x",
    "/ui/none",
    "/system/info",
  ]) {
    await (await call(front, path)).text();
  }
  const count = (path: string) => metric(front, "http_requests_total", { path, method: "GET" });
  await eventually("they are counted", async () => (await count("/system/function")) === 2);
  await eventually("the others too", async () => (await count("other")) === 2 && (await count("/system/info")) === 1);
  const text = await (await fetch(`${front.gateway.metricsUrl}/metrics`)).text();
  expect(text).toContain("# TYPE http_request_duration_seconds histogram");
  expect(text).not.toMatch(/path="[^"]*(none|nowhere)/);
});
