import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { Ajv2020 } from "ajv/dist/2020.js";
import { parse } from "yaml";
import { PATHS } from "../../contract/paths.ts";
import { buildImage } from "../support/build-upload.ts";
import { eventually } from "../support/eventually.ts";
import { Platform, ROOT, temporaryFolder } from "../support/platform.ts";

/** The document is asked for what it promises: each operation, each example, at a real platform. */
interface Media {
  readonly schema?: object;
  readonly example?: unknown;
}

interface Answer {
  readonly content?: Readonly<Record<string, Media>>;
}

interface Operation {
  readonly operationId: string;
  readonly requestBody?: { readonly content: Readonly<Record<string, Media>> };
  readonly responses: Readonly<Record<string, Answer | { readonly $ref: string }>>;
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly responses: Readonly<Record<string, Answer>> };
}

const METHODS = ["get", "post", "put", "patch", "delete"] as const;

const document = parse(await readFile(join(ROOT, "docs/openapi.yaml"), "utf8")) as Document;
const operations = Object.entries(document.paths).flatMap(([path, item]) =>
  METHODS.flatMap((method) => {
    const operation = item[method];
    return operation ? [{ path, method, operation, id: operation.operationId }] : [];
  }),
);

function answerOf({ operation }: (typeof operations)[number], status: number): Answer | undefined {
  const answer = operation.responses[status];
  if (!answer || !("$ref" in answer)) return answer;
  return document.components.responses[answer.$ref.split("/").at(-1) as string];
}

/** No field goes unmentioned: what a schema does not name is not to be there. */
function strict(schema: unknown, isPart = false): unknown {
  if (Array.isArray(schema)) return schema.map((item) => strict(item));
  if (typeof schema !== "object" || schema === null) return schema;
  const all = Object.entries(schema).map(([key, value]) => {
    if (key === "allOf") return [key, (value as unknown[]).map((part) => strict(part, true))];
    if (key === "properties") return [key, Object.fromEntries(Object.entries(value).map(([k, v]) => [k, strict(v)]))];
    return [key, strict(value)];
  });
  const isClosed = ("properties" in schema || "allOf" in schema) && !isPart;
  return { ...Object.fromEntries(all), ...(isClosed && { unevaluatedProperties: false }) };
}

const ajv = new Ajv2020({ strict: false, validateFormats: false });
const { schemas } = (document as unknown as { components: { schemas: Record<string, object> } }).components;
/** Parts of an `allOf` are open by themselves, so every schema is there in both forms. */
for (const [name, schema] of Object.entries(schemas)) {
  ajv.addSchema(strict(schema, name === "Call" || name === "Route") as object, `#/components/schemas/${name}`);
}

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let platform: Platform;

beforeAll(async () => {
  folder = await temporaryFolder();
  platform = await Platform.start({
    dataDir: join(folder.path, "data"),
    cwd: folder.path,
    env: { sandbox: "off", ui_store: "own" },
  });
  await buildImage(platform, "hello:1", {
    "faaslane.json": JSON.stringify({ env: { mode: "inproc", inproc_handler: "./index.mjs" } }),
    "index.mjs": `export default (req, res) => res.setHeader("content-type", "text/plain").end("Hello, world!");`,
  });
}, 60_000);

afterAll(async () => {
  await platform?.stop();
  await folder.remove();
});

interface Asked {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

/** @param line only the first one, of a stream that has no end */
async function ask(method: string, path: string, init: RequestInit = {}, line = false): Promise<Asked> {
  const leave = new AbortController();
  const signal = AbortSignal.any([leave.signal, AbortSignal.timeout(30_000)]);
  const response = await platform.control(path, { ...init, method: method.toUpperCase(), signal, redirect: "manual" });
  const { status } = response;
  const type = response.headers.get("content-type")?.split(";")[0] ?? "";
  if (!line) return { status, type, body: await response.text() };
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  let body = "";
  while (!body.includes("\n")) body += Buffer.from((await reader.read()).value ?? []).toString();
  leave.abort();
  return { status, type, body: body.split("\n")[0] as string };
}

/** Where an example and an answer may differ: in times, ids, counts and ports. */
function normal(value: unknown): unknown {
  if (typeof value === "number") return 0;
  if (typeof value === "string") {
    return value
      .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, "<id>")
      .replace(/\b[0-9a-f]{8,40}\b/g, "<hex>")
      .replace(/\d+/g, "0");
  }
  if (Array.isArray(value)) return value.map(normal);
  if (typeof value !== "object" || value === null) return value;
  const fields = Object.entries(value).map(([key, field]): [string, unknown] =>
    // Those of the machine and the checkout.
    ["arch", "sha"].includes(key) ? [key, "<any>"] : [key, normal(field)],
  );
  return Object.fromEntries(fields);
}

const json = (value: unknown): RequestInit => ({ body: JSON.stringify(value) });

const EVENT: RequestInit = {
  body: JSON.stringify({ specversion: "1.0", id: "1", source: "/test", type: "order.created", data: {} }),
  headers: { "content-type": "application/cloudevents+json" },
};

type Try = readonly [operationId: string, status: number, path: string, init?: RequestInit, line?: boolean];

/** A call that waits for an hour, one that has ended, and one whose callback nobody takes. */
const ids = { waiting: "", ended: "", told: "", run: "" };

async function publish(headers: Record<string, string> = {}): Promise<string> {
  const response = await fetch(`${platform.url}/async-function/hello`, { method: "POST", body: "hi", headers });
  expect(response.status).toBe(202);
  return response.headers.get("x-call-id") as string;
}

/** In this order; a request without a body of its own has that of the document's example. */
const TRIES: readonly (Try | (() => Promise<void>))[] = [
  ["root", 200, "/", { headers: { accept: "application/json" } }],
  ["root", 307, "/"],
  ["health", 200, "/healthz"],
  ["info", 200, "/system/info"],
  ["openapi", 200, "/system/openapi.json"],
  ["functionStore", 200, "/ui/api/store"],
  ["functionStoreSources", 200, "/ui/api/store/hello"],
  ["functionStoreSources", 404, "/ui/api/store/nope"],
  ["listTemplates", 200, "/ui/api/templates"],
  ["getTemplate", 200, "/ui/api/templates/node"],
  ["getTemplate", 404, "/ui/api/templates/nope"],
  ["createNamespace", 400, "/system/namespace/staging", json({ name: "staging", labels: 1 })],
  ["createNamespace", 201, "/system/namespace/staging"],
  ["updateNamespace", 202, "/system/namespace/staging"],
  ["removeNamespace", 202, "/system/namespace/staging"],
  ["listNamespaces", 200, "/system/namespaces"],
  ["getNamespace", 200, "/system/namespace/openfaas-fn"],
  ["createSecret", 202, "/system/secrets"],
  ["listSecrets", 200, "/system/secrets"],
  ["updateSecret", 202, "/system/secrets"],
  ["removeSecret", 202, "/system/secrets"],
  ["removeSecret", 404, "/system/secrets"],
  ["updateFunction", 404, "/system/functions"],
  ["createFunction", 202, "/system/functions"],
  ["updateFunction", 202, "/system/functions"],
  async () => {
    const ready = async () =>
      (JSON.parse((await ask("get", "/system/function/hello")).body) as { availableReplicas?: number })
        .availableReplicas === 1;
    await eventually("it is ready", ready, 30_000);
  },
  ["call", 200, "/function/hello"],
  ["call", 404, "/function/nope"],
  ["callWithBody", 200, "/function/hello", { body: "hi" }],
  ["callPut", 200, "/function/hello", { body: "hi" }],
  ["callPatch", 200, "/function/hello", { body: "hi" }],
  ["callDelete", 200, "/function/hello"],
  ["listFunctions", 200, "/system/functions"],
  ["getFunction", 200, "/system/function/hello"],
  ["getFunction", 404, "/system/function/nope"],
  ["listVersions", 200, "/system/function/hello/versions?diff=v1..v1"],
  ["listVersions", 400, "/system/function/hello/versions?diff=v1..v9"],
  ["removeVersion", 409, "/system/function/hello/versions/v1"],
  ["removeVersion", 404, "/system/function/hello/versions/v9"],
  ["holdVersion", 202, "/system/function/hello/versions/v1/hold"],
  ["holdVersion", 404, "/system/function/hello/versions/v9/hold"],
  ["getTraffic", 200, "/system/function/hello/traffic"],
  ["getTraffic", 404, "/system/function/nope/traffic"],
  ["setTraffic", 200, "/system/function/hello/traffic"],
  ["setTraffic", 400, "/system/function/hello/traffic", json({ targets: [{ version: "v1", share: 1 }] })],
  ["setTraffic", 409, "/system/function/hello/traffic", json({ generation: 1, targets: [] })],
  ["rollback", 409, "/system/function/hello/rollback"],
  ["rollback", 400, "/system/function/hello/rollback", json({ to: "v9" })],
  ["getRollout", 200, "/system/function/hello/rollout"],
  ["orderRollout", 409, "/system/function/hello/rollout"],
  ["driveRollout", 400, "/system/function/hello/rollout", json({ generation: 1 })],
  ["expediteFunction", 202, "/system/hurry-function/hello"],
  ["functionLogs", 200, "/system/logs?name=hello&tail=1", {}, true],
  ["functionLogs", 422, "/system/logs"],
  ["endpoints", 200, "/system/endpoints", {}, true],
  // There are no objects on one machine.
  ["eventObjects", 501, "/system/event-objects"],
  ["reportEventObjects", 501, "/system/event-objects/status"],
  ["findGoneEventObjects", 501, "/system/event-objects/gone"],
  ["pruneImages", 200, "/system/prune"],
  ["buildImage", 400, "/system/build", { body: new FormData() }],
  ["scaleByAlert", 200, "/system/alert"],
  ["queueStatus", 200, "/system/queue"],
  ["purgeQueue", 200, "/system/queue?function=hello"],
  ["purgeQueue", 400, "/system/queue"],
  async () => {
    ids.ended = await publish();
    ids.waiting = await publish({ "x-delay": "1h" });
  },
  ["callLater", 202, "/async-function/hello", { body: "hi", headers: { "x-delay": "1h", "x-call-id": "cancelled" } }],
  ["cancelCall", 202, "/async-function/cancelled"],
  ["callStatus", 200, "/async-function/<ended>?wait=30s"],
  ["callStatus", 202, "/async-function/<waiting>?result=true"],
  ["callStatus", 404, "/async-function/nope"],
  ["callResult", 200, "/async-function/<ended>/result"],
  ["callResult", 404, "/async-function/nope/result"],
  ["dashboardSeries", 200, "/ui/api/series?function=hello"],
  ["dashboardSeries", 400, "/ui/api/series?since=soon"],
  ["dashboardSeries", 404, "/ui/api/series?function=nope"],
  ["dashboardCalls", 400, "/ui/api/calls"],
  ["dashboardCalls", 404, "/ui/api/calls?function=nope"],
  async () => {
    await ask("get", "/ui/api/calls?function=hello");
    await ask("post", "/function/hello", { headers: { "x-call-id": "seen" } });
    const kept = async () => (await ask("get", "/ui/api/calls/seen")).status === 200;
    await eventually("it is kept", kept, 30_000);
  },
  ["dashboardCalls", 200, "/ui/api/calls?function=hello"],
  ["dashboardCall", 200, "/ui/api/calls/seen"],
  ["dashboardCall", 404, "/ui/api/calls/nope"],
  ["listCalls", 200, "/system/queue/calls"],
  ["listCalls", 400, "/system/queue/calls?state=odd"],
  ["showCall", 200, "/system/queue/call?id=<waiting>"],
  ["showCallBody", 200, "/system/queue/call/body?id=<waiting>"],
  ["cancelQueuedCall", 202, "/system/queue/call?id=cancelled"],
  ["cancelQueuedCall", 404, "/system/queue/call?id=nope"],
  ["listDeadLetters", 200, "/system/queue/dead-letters"],
  ["replayDeadLetters", 200, "/system/queue/dead-letters?all=true"],
  ["dropDeadLetters", 200, "/system/queue/dead-letters?all=true"],
  async () => {
    // The platform's own page takes no posts, which is an answer that is not tried again.
    ids.told = await publish({ "x-callback-url": `${platform.url}/healthz` });
    const dead = async () => (await ask("get", `/async-function/${ids.told}`)).body.includes('"dead"');
    await eventually("its callback has failed", dead, 30_000);
  },
  ["sendCallback", 202, "/system/queue/call/callback?id=<told>"],
  ["sendCallback", 404, "/system/queue/call/callback?id=nope"],
  ["sendCallback", 409, "/system/queue/call/callback?id=<waiting>"],
  ["sendCallback", 422, "/system/queue/call/callback?id=<ended>"],
  ["setRoutes", 202, "/system/routes"],
  ["setRoutes", 404, "/system/routes", json({ function: "nope", routes: [] })],
  ["setRoutes", 400, "/system/routes", json({ function: "hello", routes: [{ path: "x" }] })],
  ["listRoutes", 200, "/system/routes"],
  ["removeRoutes", 202, "/system/routes"],
  ["listBrokers", 200, "/system/brokers"],
  ["declareBroker", 201, "/system/brokers/orders"],
  ["declareBroker", 200, "/system/brokers/orders"],
  ["declareBroker", 400, "/system/brokers/orders", json({ maxAge: "soon" })],
  ["getBroker", 200, "/system/brokers/orders"],
  ["getBroker", 404, "/system/brokers/nope"],
  ["sendEvent", 202, "/broker/openfaas-fn/orders", EVENT],
  ["sendEvent", 400, "/broker/openfaas-fn/orders", { body: "hi" }],
  ["sendEvent", 404, "/broker/openfaas-fn/nope", EVENT],
  ["sendToSink", 404, "/broker/openfaas-fn/sink/nope", EVENT],
  ["declareTrigger", 201, "/system/triggers/greet"],
  ["declareTrigger", 200, "/system/triggers/greet"],
  ["declareTrigger", 400, "/system/triggers/greet", json({ subscriber: {} })],
  ["listTriggers", 200, "/system/triggers"],
  ["getTrigger", 200, "/system/triggers/greet"],
  ["getTrigger", 404, "/system/triggers/nope"],
  ["resumeTrigger", 200, "/system/triggers/greet/resume"],
  ["resumeTrigger", 404, "/system/triggers/nope/resume"],
  ["removeTrigger", 204, "/system/triggers/greet"],
  ["removeTrigger", 404, "/system/triggers/greet"],
  ["declareFlow", 201, "/system/flows/greetings"],
  ["declareFlow", 200, "/system/flows/greetings"],
  ["declareFlow", 400, "/system/flows/greetings", json({ steps: [{ wait: "soon" }] })],
  ["listFlows", 200, "/system/flows"],
  ["getFlow", 200, "/system/flows/greetings"],
  ["getFlow", 404, "/system/flows/nope"],
  ["startRun", 202, "/system/flows/greetings/runs"],
  ["startRun", 404, "/system/flows/nope/runs"],
  async () => {
    const { items } = JSON.parse((await ask("get", "/system/flow-runs")).body) as { items: { id: string }[] };
    ids.run = items[0]?.id as string;
  },
  ["listRuns", 200, "/system/flow-runs?flow=greetings&state=running"],
  ["listRuns", 400, "/system/flow-runs?state=odd"],
  ["getRun", 200, "/system/flow-runs/<run>"],
  ["getRun", 404, "/system/flow-runs/nope"],
  ["removeFlow", 409, "/system/flows/greetings"],
  async () => {
    const begun = async () => (await ask("get", `/system/flow-runs/${ids.run}`)).body.includes('"step"');
    await eventually("its first step has begun", begun, 30_000);
  },
  ["cancelRun", 200, "/system/flow-runs/<run>/cancel"],
  ["cancelRun", 409, "/system/flow-runs/<run>/cancel"],
  ["cancelRun", 404, "/system/flow-runs/nope/cancel"],
  ["resumeRun", 202, "/system/flow-runs/<run>/resume"],
  ["resumeRun", 409, "/system/flow-runs/<run>/resume"],
  ["removeFlow", 204, "/system/flows/greetings?force=true"],
  ["removeFlow", 404, "/system/flows/greetings"],
  ["declareSink", 201, "/system/sinks/partner"],
  ["declareSink", 200, "/system/sinks/partner"],
  ["declareSink", 400, "/system/sinks/partner", json({ type: "webhook", url: "ftp://partner" })],
  ["listSinks", 200, "/system/sinks"],
  ["getSink", 200, "/system/sinks/partner"],
  ["getSink", 404, "/system/sinks/nope"],
  ["removeSink", 204, "/system/sinks/partner"],
  ["removeSink", 404, "/system/sinks/partner"],
  ["declareSource", 201, "/system/sources/nightly"],
  ["declareSource", 200, "/system/sources/nightly"],
  ["declareSource", 400, "/system/sources/nightly", json({ type: "cron", schedule: "never" })],
  ["listSources", 200, "/system/sources"],
  ["getSource", 200, "/system/sources/nightly"],
  ["getSource", 404, "/system/sources/nope"],
  ["suspendSource", 200, "/system/sources/nightly/suspend"],
  ["resumeSource", 200, "/system/sources/nightly/resume"],
  ["resumeSource", 404, "/system/sources/nope/resume"],
  ["sendWebhook", 404, "/webhook/openfaas-fn/nope", { body: "hi" }],
  ["removeSource", 204, "/system/sources/nightly"],
  ["removeSource", 404, "/system/sources/nightly"],
  ["listEvents", 200, "/system/events"],
  ["listEvents", 400, "/system/events?limit=0"],
  ["listEvents", 200, "/system/events?follow=true", {}, true],
  ["getEvent", 200, "/system/events/1"],
  ["getEvent", 404, "/system/events/nope"],
  ["explainEvent", 200, "/system/events/1/why"],
  ["explainEvent", 200, "/system/events/1/why?format=json"],
  ["explainEvent", 404, "/system/events/nope/why"],
  ["replayEvents", 200, "/system/replays", json({ all: true, to: "hello", dryRun: true })],
  ["replayEvents", 202, "/system/replays"],
  ["replayEvents", 409, "/system/replays"],
  ["replayEvents", 400, "/system/replays", json({})],
  ["replayEvents", 404, "/system/replays", json({ events: ["nope"] })],
  ["listReplays", 200, "/system/replays"],
  ["getReplay", 200, "/system/replays/incident-7"],
  ["getReplay", 404, "/system/replays/nope"],
  async () => {
    const over = async () => (await ask("get", "/system/replays/incident-7")).body.includes("COMPLETED");
    await eventually("the replay is over", over, 30_000);
  },
  ["removeReplay", 204, "/system/replays/incident-7"],
  ["removeReplay", 404, "/system/replays/incident-7"],
  ["removeBroker", 204, "/system/brokers/orders?force=true"],
  ["removeBroker", 404, "/system/brokers/orders"],
  ["scaleFunction", 202, "/system/scale-function/hello"],
  async () => {
    const path = "/system/scaling/hello/history";
    await eventually("a second is over", async () => (await ask("get", path)).body.includes('"ready":1'), 30_000);
  },
  ["explainScaling", 200, "/system/scaling/hello"],
  ["scalingHistory", 200, "/system/scaling/hello/history", {}, true],
  ["simulateScaling", 200, "/system/scaling/hello/what-if?set=target=20&set=max=5"],
  ["simulateScaling", 400, "/system/scaling/hello/what-if?set=target=many"],
  ["simulateScaling", 404, "/system/scaling/nope/what-if"],
  ["removeFunction", 202, "/system/functions"],
];

test("every operation answers as the document says, examples and all", async () => {
  for (const entry of TRIES) {
    if (typeof entry === "function") {
      await entry();
      continue;
    }
    const [id, status, path, init = {}, line] = entry;
    const found = operations.find((operation) => operation.id === id);
    if (!found) throw new Error(`the document has no operation ${id}`);
    const example = found.operation.requestBody?.content["application/json"]?.example;
    const request = init.body === undefined && example !== undefined ? { ...init, ...json(example) } : init;
    const named = path.replace(/<(\w+)>/g, (_, name: keyof typeof ids) => ids[name]);
    const answer = await ask(found.method, named, request, line);
    const where = `${id} ${status}`;
    expect(`${id} ${answer.status} ${answer.status === status ? "" : answer.body}`.trim()).toBe(where);
    const documented = answerOf(found, status);
    if (!documented) throw new Error(`${where} is not in the document`);
    const media = documented.content?.[answer.type];
    if (answer.body !== "" && documented.content && !media) throw new Error(`${where}: it is ${answer.type}`);
    if (!media) continue;
    const value = answer.type.endsWith("json") ? JSON.parse(answer.body) : answer.body;
    if (media.schema) {
      const validate = ajv.compile(strict(media.schema) as object);
      validate(value);
      expect({ where, problems: validate.errors ?? [] }).toEqual({ where, problems: [] });
    }
    if (media.example !== undefined)
      expect({ where, value: normal(value) }).toEqual({ where, value: normal(media.example) });
  }
}, 120_000);

describe("the document", () => {
  test("is what the gateway serves", async () => {
    expect(JSON.parse((await ask("get", "/system/openapi.json")).body)).toEqual(document);
  });

  test("has each route", () => {
    const documented = Object.keys(document.paths);
    for (const path of Object.values(PATHS)) {
      if (path === PATHS.announce) continue; // of the provider, for its own replicas
      expect(documented.some((known) => known === path || known.startsWith(`${path}{`))).toBe(true);
    }
  });

  test.each(operations.map(({ id }) => id))("has an operation that is tried: %s", (id) => {
    const tried = TRIES.flatMap((entry) => (typeof entry === "function" || entry[0] !== id ? [] : [entry[1]]));
    expect(tried.length).toBeGreaterThan(0);
    const operation = operations.find((each) => each.id === id) as (typeof operations)[number];
    const withExample = Object.keys(operation.operation.responses).filter((status) => {
      const answer = operation.operation.responses[status] as Answer | { readonly $ref: string };
      return !("$ref" in answer) && Object.values(answer.content ?? {}).some(({ example }) => example !== undefined);
    });
    // One try stands for the methods that share their answers.
    const shared = operation.path === "/function/{name}" && id !== "call";
    if (!shared) expect(withExample.filter((status) => !tried.includes(Number(status)))).toEqual([]);
  });

  test("names all methods of its paths", async () => {
    for (const [path, item] of Object.entries(document.paths)) {
      if (path.startsWith("/function/")) continue;
      for (const method of METHODS) {
        if (item[method]) continue;
        const { status } = await ask(method, path.replace("{name}", "nope"));
        expect(`${method} ${path} ${status}`).toMatch(/ 40[45]$/);
      }
    }
  });

  test("demands credentials where the gateway does", async () => {
    for (const { path, method, operation } of operations) {
      const { status } = await fetch(platform.url + path.replace("{name}", "nope"), {
        method: method.toUpperCase(),
        redirect: "manual",
      });
      const isOpen = (operation as { security?: unknown }).security !== undefined;
      expect(`${method} ${path} ${status === 401 ? "closed" : "open"}`).toBe(
        `${method} ${path} ${isOpen ? "open" : "closed"}`,
      );
    }
  });
});
