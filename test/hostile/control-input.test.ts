import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { loadGatewayConfig } from "../../gateway/process/config.ts";
import { type OpenGateway, openGateway } from "../../gateway/process/serve.ts";
import { createLogger } from "../../kit/log.ts";
import { deploymentProblems } from "../../provider/backends/kubernetes/resources/check.ts";
import { loadProviderConfig } from "../../provider/config.ts";
import { type OpenProvider, openProvider } from "../../provider/serve.ts";
import { around } from "../provider/kubernetes/resources/fixtures.ts";
import { temporaryFolder } from "../support/platform.ts";
import { type RawResponse, rawRequest } from "../support/raw-http.ts";

/** Long, deep and numerous values in everything that control routes read: each has an answer at once, and it is not 500. */
const LONG = 200_000;
const FILLINGS = [
  "1",
  ".",
  "1.",
  " ",
  "\t",
  "[",
  "{",
  ",",
  "%",
  "-",
  "a",
  "a.",
  "a-",
  "=",
  "1=",
  "0 ",
  "* ",
  "\\",
  "é",
];
const MOST_MS = 250;

const filled = (filling: string) => filling.repeat(Math.ceil(LONG / filling.length)).slice(0, LONG);

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let provider: OpenProvider;
let gateway: OpenGateway;

beforeAll(async () => {
  folder = await temporaryFolder();
  const env = { port: "0", metrics_port: "0", data_dir: join(folder.path, "data"), drain_timeout: "1s" };
  const log = createLogger("silent");
  provider = await openProvider(loadProviderConfig({ ...env, provider_port: "0" }), undefined, log);
  gateway = await openGateway(loadGatewayConfig({ ...env, functions_provider_url: provider.url }), undefined, log);
});

afterAll(async () => {
  await gateway.close();
  await provider.close();
  await folder.remove();
});

interface Sent {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

async function send(server: { readonly url: string }, { method = "GET", path = "/", headers = {}, body = "" }: Sent) {
  const { host, port } = new URL(server.url);
  const all: Record<string, string> = { host, "content-type": "application/json", connection: "close", ...headers };
  const lines = Object.entries({ ...all, "content-length": `${Buffer.byteLength(body)}` });
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const answer = await rawRequest(Number(port), Buffer.from(`${method} ${path} HTTP/1.1\r\n${head}\r\n${body}`));
  if (!answer) throw new Error("no answer");
  return answer;
}

/** What `work` gives, and what it costs this process, which is the servers' too, at best. On a busy machine all take long. */
async function timed<T>(work: () => T | Promise<T>): Promise<{ readonly result: T; readonly ms: number }> {
  let ms = Number.POSITIVE_INFINITY;
  for (let attempt = 1; ; attempt++) {
    const before = process.cpuUsage();
    const result = await work();
    const { user, system } = process.cpuUsage(before);
    ms = Math.min(ms, (user + system) / 1000);
    if (ms <= MOST_MS || attempt === 3) return { result, ms };
  }
}

async function expectSoon(server: { readonly url: string }, sent: Sent, what: string): Promise<RawResponse> {
  const { result, ms } = await timed(() => send(server, sent));
  expect([what, result.status, ms > MOST_MS && ms]).toEqual([what, expect.any(Number), false]);
  expect([what, result.status >= 500 && result.body]).toEqual([what, false]);
  return result;
}

type Definition = Readonly<Record<string, unknown>>;
const sound = { service: "f", image: "f:1" };
const label = (name: string) => (text: string) => ({ labels: { [name]: text } });
const scaling = (name: string) => label(`com.openfaas.scale.${name}`);
const ours = (name: string) => label(`com.faaslane.scale.${name}`);
const windows = (field: string) => (text: string) =>
  ours("windows")(JSON.stringify([{ schedule: "0 8 * * *", duration: "1h", min: 1, [field]: text }]));

test.each<[field: string, definition: (text: string) => Definition]>([
  ["service", (service) => ({ service })],
  ["image", (image) => ({ image })],
  ["namespace", (namespace) => ({ namespace })],
  ["envProcess", (envProcess) => ({ envProcess })],
  ["envVars", (text) => ({ envVars: { [text]: text } })],
  ["envVars.max_inflight", (text) => ({ envVars: { max_inflight: text, exec_timeout: text } })],
  ["constraints", (text) => ({ constraints: [text, `a=${text}`, `a = ${text} =`, `${text}=a`] })],
  ["secrets", (text) => ({ secrets: [text] })],
  ["labels", (text) => ({ labels: { [text]: text, a: text, [`a/${text}`]: "a", [`${text}/a`]: "a" } })],
  ["labels that look like settings", (text) => ({ labels: { [`com.openfaas.scale.${text}`]: text } })],
  ["annotations", (text) => ({ annotations: { [text]: text, a: text } })],
  ["limits.memory", (memory) => ({ limits: { memory } })],
  ["limits.memory with a sign", (text) => ({ limits: { memory: `+1${text}.Mi` } })],
  ["limits.cpu", (cpu) => ({ limits: { cpu } })],
  ["requests", (text) => ({ requests: { memory: text, cpu: text } })],
  ["profiles", (text) => ({ annotations: { "com.openfaas.profile": text } })],
  ["the health path", (text) => ({ annotations: { "com.openfaas.health.http.path": text } })],
  ["the health delay", (text) => ({ annotations: { "com.openfaas.health.http.initialDelay": text } })],
  ["the readiness path", (text) => ({ annotations: { "com.openfaas.ready.http.path": text } })],
  ["the service account", (text) => ({ annotations: { "com.openfaas.serviceaccount": text } })],
  ...["type", "target", "target-proportion", "min", "max", "zero", "zero-duration", "factor", "down.window"].map(
    (name) => [`scale.${name}`, scaling(name)] as [string, (text: string) => Definition],
  ),
  ...["query", "window", "panic-window", "panic-threshold", "up-rate", "down-rate", "up-delay", "down-delay"].map(
    (name) => [`scale.${name}`, ours(name)] as [string, (text: string) => Definition],
  ),
  ...["down-proportion", "burst", "initial", "activation", "windows", "prewarm"].map(
    (name) => [`scale.${name}`, ours(name)] as [string, (text: string) => Definition],
  ),
  ["the schedule of a window", windows("schedule")],
  ["the duration of a window", windows("duration")],
  ["the time zone of a window", windows("timeZone")],
  ["queue.size", label("com.faaslane.queue.size")],
])("200 kB of anything in %s of a deployment is looked at in no time", async (field, definition) => {
  for (const filling of FILLINGS) {
    const what = `${field}: ${JSON.stringify(filling)}`;
    const deployment = { ...sound, ...definition(filled(filling)) };
    const sent = { method: "POST", path: "/system/functions", body: JSON.stringify(deployment) };
    const answer = await expectSoon(gateway, sent, what);
    expect([what, answer.status]).toEqual([what, 400]);
    expect(answer.body.length).toBeLessThan(20_000);

    const resolved = { ...deployment, namespace: "openfaas-fn" } as Parameters<typeof deploymentProblems>[0];
    const { ms } = await timed(() => deploymentProblems(resolved, around()));
    expect([what, ms > MOST_MS && ms]).toEqual([what, false]);
  }
});

const QUERIES = ["/system/functions?namespace=", "/system/function/f?usage=", "/system/function/f?namespace="];
const LOGS = ["name", "name=f&tail", "name=f&since", "name=f&instance", "name=f&follow"];
const LETTERS = ["id", "function", "namespace", "since", "until", "limit", "after", "all"];

test.each([
  ...QUERIES,
  ...LOGS.map((parameter) => `/system/logs?${parameter}=`),
  ...LETTERS.map((parameter) => `/system/queue/dead-letters?${parameter}=`),
  "/system/queue?function=",
  "/system/scaling/f/history?since=",
  "/system/scaling/f?namespace=",
  "/system/function/",
  "/system/namespace/",
  "/system/scaling/",
  "/system/",
])("200 kB of anything behind %s is looked at in no time", async (path) => {
  for (const filling of FILLINGS) {
    const text = encodeURIComponent(filled(filling));
    const what = `${path} ${JSON.stringify(filling)}`;
    await expectSoon(gateway, { path: path + text }, what);
    await expectSoon(provider, { path: path + text }, what);
  }
});

test.each(["authorization", "content-type", "origin", "sec-fetch-site", "host", "x-forwarded-for", "accept", "range"])(
  "200 kB of anything in the header %s is looked at in no time",
  async (name) => {
    for (const filling of FILLINGS.filter((text) => text !== "é")) {
      const headers = { [name]: `Basic ${filled(filling)}` };
      const what = `${name} ${JSON.stringify(filling)}`;
      const post = { method: "POST", path: "/system/functions", headers, body: "{}" };
      await expectSoon(gateway, post, what);
      await expectSoon(provider, post, what);
    }
  },
);

const JSON_ROUTES: [method: string, path: string][] = [
  ["POST", "/system/functions"],
  ["PUT", "/system/functions"],
  ["DELETE", "/system/functions"],
  ["POST", "/system/scale-function/f"],
  ["POST", "/system/secrets"],
  ["PUT", "/system/secrets"],
  ["POST", "/system/namespace/"],
  ["PUT", "/system/namespace/a"],
  ["POST", "/system/alert"],
  ["POST", "/system/prune"],
];

test.each(JSON_ROUTES)("%s %s: JSON that is nested without end is a 400", async (method, path) => {
  for (const open of ["[", '{"a":', '[{"a":[']) {
    const answer = await expectSoon(gateway, { method, path, body: open.repeat(300_000) }, `${path} ${open}`);
    expect(answer.status).toBe(400);
  }
});

const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, "v"]));
const list = (count: number) => Array.from({ length: count }, (_, i) => `k${i}`);

test.each<[what: string, path: string, body: (entries: number) => unknown, field: string]>([
  ["labels", "/system/functions", (n) => ({ ...sound, labels: many(n) }), "labels"],
  ["annotations", "/system/functions", (n) => ({ ...sound, annotations: many(n) }), "annotations"],
  ["variables", "/system/functions", (n) => ({ ...sound, envVars: many(n) }), "envVars"],
  ["secrets", "/system/functions", (n) => ({ ...sound, secrets: list(n) }), "secrets"],
  ["constraints", "/system/functions", (n) => ({ ...sound, constraints: list(n) }), "constraints"],
  ["constraints in a map", "/system/functions", (n) => ({ ...sound, constraints: many(n) }), "constraints"],
  ["labels in a list", "/system/functions", (n) => ({ ...sound, labels: list(n) }), "labels"],
  ["a namespace's labels", "/system/namespace/", (n) => ({ name: "a", labels: many(n) }), "labels"],
  ["unknown fields", "/system/functions", (n) => ({ ...sound, ...many(n), labels: many(1_001) }), "labels"],
])("too many %s are a 400 that says how many there may be", async (what, path, body, field) => {
  const post = async (entries: number) =>
    await expectSoon(provider, { method: "POST", path, body: JSON.stringify(body(entries)) }, what);
  const some = await post(1_001);
  expect([some.status, some.body]).toEqual([400, expect.stringContaining(`${field}: must have at most 1000 entries`)]);
  const lots = await post(100_000);
  expect([lots.status, lots.body]).toEqual([400, expect.stringContaining("JSON must have at most 20000 values")]);
});

test("an order to scale that names calls at very many replicas is a 400", async () => {
  const body = JSON.stringify({ replicas: 1, inFlight: Object.fromEntries(list(10_001).map((name) => [name, 1])) });
  const answer = await expectSoon(provider, { method: "POST", path: "/system/scale-function/f", body }, "scale");
  expect([answer.status, answer.body]).toEqual([400, expect.stringContaining("inFlight: must have at most 10000")]);
});

test("an order to prune with very many wishes is a 400, and quotes few of them", async () => {
  for (const count of [19_000, 100_000]) {
    const body = JSON.stringify({ all: true, ...many(count) });
    const answer = await expectSoon(provider, { method: "POST", path: "/system/prune", body }, "prune");
    expect([answer.status, answer.body.length < 1_000]).toEqual([400, true]);
  }
});

test.each(["[],", "1,", '"a",', "{},"])("4 MB of %s are a 400 in no time", async (value) => {
  const body = `[${value.repeat(3_900_000 / value.length)}1]`;
  const answer = await expectSoon(provider, { method: "POST", path: "/system/functions", body }, value);
  expect(answer.status).toBe(400);
});

test("the rules that a thousand settings break are told as a few and their number", async () => {
  const labels = Object.fromEntries(list(900).map((name) => [`com.openfaas.scale.${name}`, "x"]));
  const sent = { method: "POST", path: "/system/functions", body: JSON.stringify({ ...sound, labels }) };
  const answer = await send(provider, sent);
  expect([answer.status, answer.body]).toEqual([400, expect.stringMatching(/; and 8\d\d more\n$/)]);
});

test.each<[what: string, secret: Definition, status: number]>([
  ["of base64", { name: "a", rawValue: "YWFh".repeat(900_000) }, 202],
  ["that only begins like base64", { name: "b", rawValue: `${"YWFh".repeat(900_000)}!` }, 400],
  ["of text", { name: "c", value: "1".repeat(3_900_000) }, 202],
])("a secret of 4 MB %s is taken or refused in no time", async (what, secret, status) => {
  const { result } = await timed(() =>
    send(provider, { method: "PUT", path: "/system/secrets", body: JSON.stringify(secret) }),
  );
  // An unknown one is not made by an update.
  expect([what, result.status]).toEqual([what, status === 202 ? 404 : status]);
});
