import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, expect, test } from "@jest/globals";
import type { FlowReport, RunReport, RunSummary } from "../../contract/events/flow-run.ts";
import { buildEventRedaction } from "../../events/ledger/redact-event.ts";
import { addFlowRunRoutes } from "../../events/routes/flow-runs.ts";
import { addFlowRoutes } from "../../events/routes/flows.ts";
import { createLogger } from "../../kit/log.ts";
import { createApp, errorResponder, notFoundResponder } from "../../kit/respond.ts";
import { FlowBench, type TestFunction } from "../support/events/flow-bench.ts";
import { eventually } from "../support/eventually.ts";

const functions: Record<string, TestFunction> = {};
let bench: FlowBench;
let server: Server;
let url = "";
let flow = "";
let tests = 0;

beforeAll(async () => {
  bench = await FlowBench.open({ functions });
  const app = createApp();
  const deps = {
    ...bench.stores,
    flows: bench.flows.triggers,
    checkTransform: (expression: string, field: string) => bench.transforms.check(expression, field),
    redaction: buildEventRedaction([]),
    authorized: (_req: unknown, _res: unknown, next: () => void) => next(),
    defaultNamespace: "openfaas-fn",
  };
  addFlowRoutes(app, deps);
  addFlowRunRoutes(app, deps);
  app.use(notFoundResponder());
  app.use(errorResponder(createLogger("silent")));
  server = app.listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await bench.close();
});
beforeEach(() => {
  flow = `hostile-${++tests}`;
  bench.calls.length = 0;
  for (const name of Object.keys(functions)) delete functions[name];
  functions.echo = ({ text }) => text;
});

async function ask(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
  const text = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
  const response = await fetch(url + path, { method, headers, ...(text !== undefined && { body: text }) });
  return { status: response.status, text: await response.text() };
}
const declare = (spec: unknown, name = flow) => ask("PUT", `/system/flows/${name}`, spec);

async function run(spec: unknown, body: string, headers: Record<string, string> = {}): Promise<RunReport> {
  expect((await declare(spec)).status).toBe(201);
  const started = await ask("POST", `/system/flows/${flow}/runs`, body, headers);
  expect(started.status).toBe(202);
  const { id } = JSON.parse(started.text) as RunSummary;
  return await eventually("it has ended", async () => {
    const report = JSON.parse((await ask("GET", `/system/flow-runs/${id}`)).text) as RunReport;
    return report.state !== "running" && report;
  });
}

const deep = (levels: number) => `${'{"steps":['.repeat(levels)}${"]}".repeat(levels)}`;

test.each<[attack: string, spec: unknown]>([
  ["JSON in itself by the thousands", deep(5_000)],
  ["a body that is no JSON", "{"],
  ["a list in the place of a flow", []],
  ["a thousand steps", { steps: Array(1_000).fill({ function: "echo" }) }],
  [
    "fan-outs in fan-outs",
    { steps: [{ branches: [{ subscriber: { function: "echo" }, branches: [{ subscriber: {} }] }] }] },
  ],
  ["a prototype", '{"__proto__":{"steps":[{"function":"echo"}]}}'],
  ["a step named for a prototype", { steps: [{ name: "__proto__", function: "echo" }] }],
  ["a step named as a path", { steps: [{ name: "../end", function: "echo" }] }],
  ["a URL with a password", { steps: [{ uri: "http://user:hunter2@example.com/" }] }],
  ["a URL that is a file", { steps: [{ uri: "file:///etc/passwd" }] }],
  ["an expression that cannot be read", { steps: [{ transform: "((((((" }] }],
  ["an expression of 100,000 characters", { steps: [{ transform: "1+".repeat(50_000) }] }],
  [
    "a concurrency of a million",
    { steps: [{ map: { items: "data", concurrency: 1e6, subscriber: { function: "echo" } } }] },
  ],
  ["a wait of a thousand years", { steps: [{ wait: "8760000h" }] }],
  [
    "filters in one another",
    { broker: "b", filters: [JSON.parse(`${'{"not":'.repeat(60)}{}${"}".repeat(60)}`)], steps: [{ function: "echo" }] },
  ],
])("a declaration with %s is refused", async (_attack, spec) => {
  const { status, text } = await declare(spec);
  expect(status).toBe(400);
  expect(text).not.toContain("hunter2");
  expect((await ask("GET", `/system/flows/${flow}`)).status).toBe(404);
});

test("names of flows and runs that are paths, or too long, are nobody's", async () => {
  expect((await declare({ steps: [{ wait: "1s" }] }, "a".repeat(41))).status).toBe(400);
  for (const name of ["..%2f..%2fx", "A", "%00", "a.b"]) {
    expect((await declare({ steps: [{ wait: "1s" }] }, name)).status).toBe(400);
  }
  for (const id of [
    "..%2fx",
    "x.0123",
    `${"a".repeat(300)}.00000000000000000000`,
    "%2e%2e",
    "x.ZZZZZZZZZZZZZZZZZZZZ",
  ]) {
    expect((await ask("GET", `/system/flow-runs/${id}`)).status).toBe(404);
    expect((await ask("POST", `/system/flow-runs/${id}/cancel`)).status).toBe(404);
    expect((await ask("POST", `/system/flow-runs/${id}/resume`)).status).toBe(404);
  }
});

test.each([
  ["a batch", "[]", { "content-type": "application/cloudevents-batch+json" }],
  ["an event that is none", '{"specversion":"1.0"}', { "content-type": "application/cloudevents+json" }],
  ["a key of a kilobyte", "{}", { "idempotency-key": "k".repeat(1_000) }],
])("a run with %s is refused", async (_attack, body, headers) => {
  await declare({ steps: [{ function: "echo" }] });
  expect((await ask("POST", `/system/flows/${flow}/runs`, body, headers)).status).toBe(400);
  expect(bench.calls).toEqual([]);
});

test("a run with more than an event may have is refused", async () => {
  await declare({ steps: [{ function: "echo" }] });
  const { status } = await ask("POST", `/system/flows/${flow}/runs`, "x".repeat(3 * 1024 ** 2));
  expect(status).toBe(413);
});

test("headers that say they are of a run are not believed", async () => {
  const forged = { "x-flow-run": "other.00000000000000000000", "x-flow-visit": "9.9", "x-flow-outcome": "failed" };
  const report = await run({ steps: [{ function: "echo" }] }, "{}", { ...forged, "x-flow-item": "7" });
  expect(report.state).toBe("succeeded");
  expect(bench.calls[0]?.headers).toMatchObject({ "x-flow-run": report.id });
  expect(bench.calls[0]?.headers).not.toHaveProperty("x-flow-item");
  // Nor those of an event that a broker takes.
  await ask("PUT", `/system/flows/${flow}`, { broker: flow, steps: [{ function: "echo" }] });
  await bench.stores.events.append([
    {
      broker: { namespace: "openfaas-fn", name: flow },
      event: { attributes: { specversion: "1.0", id: "1", source: "/s", type: "t" } },
      headers: [
        ["X-Flow-Run", report.id],
        ["X-Flow-Visit", "0.1"],
      ],
      hops: 255,
      arrivedAt: Date.now(),
      via: "http",
    },
  ]);
  await eventually("it has a run of its own", async () => (await bench.all(flow)).length === 2);
});

test.each<[attack: string, answer: ReturnType<TestFunction>, error: object]>([
  ["three megabytes", JSON.stringify("x".repeat(3_000_000)), { errorType: expect.any(String) }],
  ["just more than an event may have", JSON.stringify("x".repeat(1_048_000)), { errorType: "TooLarge" }],
  [
    "an error of a megabyte",
    { status: 400, body: `{"errorType":"${"E".repeat(1_000_000)}"}` },
    { errorType: "Http400" },
  ],
  [
    "an error with JSON in itself",
    { status: 400, body: `{"errorType":"E","cause":${"[".repeat(20_000)}${"]".repeat(20_000)}}` },
    { errorType: "Http400" },
  ],
  [
    "an error with a prototype",
    { status: 400, body: '{"__proto__":{"errorType":"X"},"errorType":"Own"}' },
    { errorType: "Own" },
  ],
])("a function that answers %s fails its run, and nothing else", async (_attack, answer, error) => {
  functions.attack = () => answer;
  const report = await run({ steps: [{ name: "a", function: "attack", delivery: { retry: 0 } }] }, "{}");
  expect(report).toMatchObject({ state: "failed", error: { step: "a", ...error } });
  expect(JSON.stringify(report).length).toBeLessThan(20_000);
});

test("a reply that starts its own flow ends with its hops", async () => {
  await declare({ broker: flow, steps: [{ function: "echo" }], reply: { broker: flow } });
  await bench.stores.events.append([
    {
      broker: { namespace: "openfaas-fn", name: flow },
      event: { attributes: { specversion: "1.0", id: "1", source: "/s", type: "t" }, data: Buffer.from("1") },
      headers: [],
      hops: 5,
      arrivedAt: Date.now(),
      via: "http",
    },
  ]);
  await eventually("the runs have ended", async () => {
    const runs = await bench.all(flow);
    return runs.length > 0 && runs.every(({ state }) => state !== "running") && runs.length >= 4;
  });
  const count = (await bench.all(flow)).length;
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect((await bench.all(flow)).length).toBe(count);
  expect(count).toBeLessThanOrEqual(5);
});

test("secrets in what steps were given are not shown", async () => {
  const report = await run({ steps: [{ name: "a", function: "echo" }] }, '{"password":"hunter2","n":1}', {
    "content-type": "application/json",
  });
  expect(JSON.stringify(report)).not.toContain("hunter2");
  expect(report.steps[0]?.input?.text).toContain('"n":1');
});

test("a flow with runs under way is not removed by chance, and nothing of it is called when it is", async () => {
  await declare({ steps: [{ wait: "1h" }, { function: "echo" }] });
  const { id } = JSON.parse((await ask("POST", `/system/flows/${flow}/runs`, "{}")).text) as RunSummary;
  expect((await ask("DELETE", `/system/flows/${flow}`)).status).toBe(409);
  expect((await ask("DELETE", `/system/flows/${flow}?force=true`)).status).toBe(204);
  expect(JSON.parse((await ask("GET", `/system/flow-runs/${id}`)).text)).toMatchObject({ state: "cancelled" });
  expect((await ask("POST", `/system/flow-runs/${id}/resume`)).status).toBe(404);
  expect(bench.calls).toEqual([]);
});

test("requests by the hundred with the same keys start one run each", async () => {
  await declare({ steps: [{ function: "echo" }] });
  const all = await Promise.all(
    Array.from({ length: 200 }, (_, i) =>
      ask("POST", `/system/flows/${flow}/runs`, "{}", { "idempotency-key": String(i % 50) }),
    ),
  );
  const ids = new Set(all.map(({ text }) => (JSON.parse(text) as RunSummary).id));
  expect(ids.size).toBe(50);
  const report = async () => JSON.parse((await ask("GET", `/system/flows/${flow}`)).text) as FlowReport;
  await eventually("all have ended", async () => (await report()).runs.succeeded === 50, 30_000);
  expect(bench.calls.length).toBe(50);
});
