import { readdirSync, readFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { PATHS } from "../../contract/paths.ts";
import { readCredentials } from "../../kit/basic-auth.ts";
import { buildImage } from "../support/build-upload.ts";
import { Platform, ROOT, temporaryFolder } from "../support/platform.ts";
import { rawRequest } from "../support/raw-http.ts";

/** Control routes for those who do not know the password: whatever they send, nothing is told and nothing changes. */
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let platform: Platform;
let password: string;
let before: string;
let doors: (readonly [name: string, port: number])[];
const agent = new Agent({ keepAlive: true, maxSockets: 8 });

beforeAll(async () => {
  folder = await temporaryFolder();
  platform = await Platform.start({ dataDir: folder.path, env: { log_level: "info" } });
  ({ password } = await readCredentials(folder.path));
  const env = { mode: "inproc", inproc_handler: "./f.mjs" };
  const files = {
    "faaslane.json": JSON.stringify({ env }),
    "f.mjs": "export default (req, res) => res.end('the function');\n",
  };
  await buildImage(platform, "f:1", files);
  const json = (value: object) => ({ method: "POST", body: JSON.stringify(value) });
  expect((await platform.control(PATHS.functions, json({ service: "f", image: "f:1" }))).status).toBe(202);
  expect((await platform.control(PATHS.secrets, json({ name: "s", value: "hunter2" }))).status).toBe(202);
  expect((await fetch(`${platform.url}/function/f`)).status).toBe(200);
  doors = [
    ["gateway", platform.port],
    ["provider", platform.providerPort],
  ];
  before = await state();
});

afterAll(async () => {
  agent.destroy();
  await platform.stop();
  await folder.remove();
});

/** Everything that a control route could change. */
async function state(): Promise<string> {
  const read = async (path: string) => (await (await platform.control(path)).json()) as Record<string, unknown>[];
  const functions = await read(PATHS.functions);
  return JSON.stringify([
    functions.map(({ name, namespace, image, replicas, labels, annotations }) => ({
      name,
      namespace,
      image,
      replicas,
      labels,
      annotations,
    })),
    await read(PATHS.secrets),
    await read(PATHS.namespaces),
    ((await read(PATHS.queue)) as unknown as { dead: number }).dead,
  ]);
}

/** Every route of gateway and provider as the code writes it, and paths of it; `public` ones are for everybody. */
const ROUTES: Readonly<Record<string, readonly string[] | "public">> = {
  '"/"': "public",
  '"/metrics"': "public",
  '"/system/{*rest}"': ["/system/", "/system/nowhere", "/system/telemetry"],
  '"/ui/{*rest}"': ["/ui/", "/ui/index.html"],
  // Programs are asked for the password; browsers get the page, which knows nothing until somebody signs in.
  '"/ui/{*screen}"': ["/ui/functions/a", "/ui/api/nothing"],
  // Where one signs in, and files that are the same everywhere.
  '"/ui/api/session"': "public",
  '"/ui/api/stream"': ["/ui/api/stream"],
  '"/ui/api/gateways"': ["/ui/api/gateways"],
  '"/ui/api/configuration"': ["/ui/api/configuration"],
  '"/ui/api/store"': ["/ui/api/store"],
  '"/ui/api/store/:name"': ["/ui/api/store/hello"],
  '"/ui/api/templates"': ["/ui/api/templates"],
  '"/ui/api/templates/:name"': ["/ui/api/templates/node"],
  '"/ui/api/calls"': ["/ui/api/calls?function=f"],
  '"/ui/api/calls/:id"': ["/ui/api/calls/a"],
  '"/ui/api/series"': ["/ui/api/series", "/ui/api/series?function=f"],
  '"/ui/assets/:name"': "public",
  "PATHS.health": "public",
  // Takes tokens that the provider gave to its replicas.
  "PATHS.announce": "public",
  "PATHS.functions": [PATHS.functions, `${PATHS.functions}?namespace=openfaas-fn`],
  "`${PATHS.function}:name`": [`${PATHS.function}f`],
  "`${PATHS.function}:name/rollout`": [`${PATHS.function}f/rollout`],
  "`${base}/versions`": [`${PATHS.function}f/versions`],
  "`${base}/versions/:version`": [`${PATHS.function}f/versions/v1`],
  "`${base}/versions/:version/hold`": [`${PATHS.function}f/versions/v1/hold`],
  "`${base}/traffic`": [`${PATHS.function}f/traffic`],
  "`${base}/rollback`": [`${PATHS.function}f/rollback`],
  "`${base}/rollout`": [`${PATHS.function}f/rollout`],
  "PATHS.routes": [PATHS.routes],
  "`${PATHS.scale}:name`": [`${PATHS.scale}f`],
  "`${PATHS.expedite}:name`": [`${PATHS.expedite}f`],
  "PATHS.secrets": [PATHS.secrets],
  "PATHS.namespaces": [PATHS.namespaces],
  // Both `PATHS.namespace` and the plural.
  "`${path}{:name}`": [`${PATHS.namespace}evil`, `${PATHS.namespace}`, `${PATHS.namespaces}/evil`],
  "PATHS.info": [PATHS.info],
  "PATHS.openapi": [PATHS.openapi],
  "PATHS.logs": [`${PATHS.logs}?name=f`],
  "PATHS.endpoints": [PATHS.endpoints],
  "PATHS.eventObjects": [PATHS.eventObjects],
  "PATHS.eventObjectStatus": [PATHS.eventObjectStatus],
  "PATHS.eventObjectsGone": [PATHS.eventObjectsGone],
  "PATHS.build": [PATHS.build],
  "PATHS.prune": [PATHS.prune],
  "PATHS.alert": [PATHS.alert],
  "`${PATHS.scaling}:name`": [`${PATHS.scaling}f`],
  "`${PATHS.scaling}:name/history`": [`${PATHS.scaling}f/history`],
  "`${PATHS.scaling}:name/what-if`": [`${PATHS.scaling}f/what-if`, `${PATHS.scaling}f/what-if?set=target=1`],
  "PATHS.queue": [PATHS.queue],
  "PATHS.deadLetters": [PATHS.deadLetters, `${PATHS.deadLetters}?all=true`],
  "PATHS.calls": [PATHS.calls, `${PATHS.calls}?function=f`],
  "PATHS.call": [`${PATHS.call}?id=a`],
  "PATHS.callBody": [`${PATHS.callBody}?id=a`],
  "PATHS.callCallback": [`${PATHS.callCallback}?id=a`],
  "PATHS.brokers": [PATHS.brokers],
  "`${PATHS.brokers}/:name`": [`${PATHS.brokers}/default`, `${PATHS.brokers}/evil?force=true`],
  "PATHS.triggers": [PATHS.triggers],
  "PATHS.sources": [PATHS.sources],
  "PATHS.sinks": [PATHS.sinks],
  "`${PATHS.sinks}/:name`": [`${PATHS.sinks}/s`],
  "PATHS.flows": [PATHS.flows],
  "PATHS.flowRuns": [PATHS.flowRuns],
  // What is declared by name.
  one: [
    `${PATHS.triggers}/t`,
    `${PATHS.triggers}/function%2Fopenfaas-fn%2Ff`,
    `${PATHS.sources}/s`,
    `${PATHS.flows}/f`,
    `${PATHS.flowRuns}/r`,
  ],
  "`${one}/suspend`": [`${PATHS.sources}/s/suspend`],
  "`${one}/resume`": [`${PATHS.triggers}/t/resume`, `${PATHS.sources}/s/resume`, `${PATHS.flowRuns}/r/resume`],
  "`${one}/cancel`": [`${PATHS.flowRuns}/r/cancel`],
  "`${one}/runs`": [`${PATHS.flows}/f/runs`],
  "PATHS.events": [PATHS.events],
  "`${PATHS.events}/:id`": [`${PATHS.events}/e`],
  "`${PATHS.events}/:id/why`": [`${PATHS.events}/e/why`],
  "PATHS.replays": [PATHS.replays],
  "`${PATHS.replays}/:name`": [`${PATHS.replays}/r`],
};

test("no route is missing from the table of this suite", () => {
  const sources = ["gateway", "provider", "events/routes"].flatMap((part) =>
    readdirSync(join(ROOT, part), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .map((name) => readFileSync(join(ROOT, part, name), "utf8")),
  );
  const declared =
    /\b(?:route\(\s*app,\s*|app\.(?:get|head|post|put|patch|delete|all)\(\s*)(`[^`]+`|"[^"]+"|[\w.]+)[,)]/g;
  const found = sources.flatMap((text) => [...text.matchAll(declared)].map(([, path]) => path as string));
  expect([...new Set(found)].sort()).toEqual(Object.keys(ROUTES).sort());
  const known = Object.keys(ROUTES).join(" ");
  expect(Object.keys(PATHS).filter((name) => name !== "namespace" && !known.includes(`PATHS.${name}`))).toEqual([]);
});

/** A body that would do something, were it looked at. */
const BODIES: readonly (readonly [path: string, body: object])[] = [
  [PATHS.functions, { service: "evil", image: "f:1", functionName: "f" }],
  [PATHS.scale, { serviceName: "f", replicas: 3 }],
  [PATHS.secrets, { name: "s", value: "evil" }],
  [`${PATHS.function}f/versions/v1/hold`, { until: 4_000_000_000_000 }],
  [`${PATHS.function}f/traffic`, { targets: [{ version: "v1", share: 10_000, tag: "evil" }] }],
  [`${PATHS.function}f/rollback`, { to: "v1" }],
  [`${PATHS.function}f/rollout`, { action: "promote" }],
  [PATHS.routes, { function: "f", routes: [{ host: "evil.example.com" }] }],
  [PATHS.prune, { all: true }],
  [PATHS.namespace.slice(0, -1), { name: "evil", labels: { openfaas: "1" } }],
  [PATHS.alert, { alerts: [{ status: "firing", labels: { alertname: "a", function_name: "f.openfaas-fn" } }] }],
];

const METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "PURGE", "M-SEARCH"];

const basic = (text: string) => `Basic ${Buffer.from(text, "latin1").toString("base64")}`;

const WRONG: readonly (readonly [what: string, headers: () => Record<string, string | string[]>])[] = [
  ["no credentials", () => ({})],
  ["an empty header", () => ({ authorization: "" })],
  ["a scheme alone", () => ({ authorization: "Basic" })],
  ["nothing encoded", () => ({ authorization: "Basic =" })],
  ["no password", () => ({ authorization: basic("admin:") })],
  ["no user", () => ({ authorization: basic(`:${password}`) })],
  ["neither", () => ({ authorization: basic(":") })],
  ["a wrong password", () => ({ authorization: basic("admin:admin") })],
  ["another user", () => ({ authorization: basic(`root:${password}`) })],
  ["a user in capitals", () => ({ authorization: basic(`ADMIN:${password}`) })],
  ["a password that goes on", () => ({ authorization: basic(`admin:${password} `) })],
  ["a password behind NUL", () => ({ authorization: basic(`admin:${password}\0`) })],
  ["a password that stops early", () => ({ authorization: basic(`admin:${password.slice(0, -1)}`) })],
  ["the password without encoding", () => ({ authorization: `Basic admin:${password}` })],
  ["another scheme", () => ({ authorization: basic(`admin:${password}`).replace("Basic", "Bearer") })],
  ["a scheme that only ends so", () => ({ authorization: `x${basic(`admin:${password}`)}` })],
  ["something behind", () => ({ authorization: `${basic(`admin:${password}`)}, Basic x` })],
  ["a wrong one before the right one", () => ({ authorization: [basic("admin:x"), basic(`admin:${password}`)] })],
  ["credentials for a proxy", () => ({ "proxy-authorization": basic(`admin:${password}`) })],
  [
    "a header that others trust",
    () => ({ "x-forwarded-user": "admin", "x-remote-user": "admin", "x-forwarded-for": "127.0.0.1" }),
  ],
  ["another method in a header", () => ({ "x-http-method-override": "DELETE", "x-original-url": "/healthz" })],
];

interface Sent {
  readonly port: number;
  readonly method: string;
  readonly path: string;
  readonly headers: Record<string, string | string[]>;
}

async function send({ port, method, path, headers }: Sent): Promise<{ status: number; text: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>();
  const found = BODIES.find(([prefix]) => path.startsWith(prefix))?.[1] ?? {};
  const body = ["GET", "HEAD", "TRACE"].includes(method) ? "" : JSON.stringify(found);
  const framing = { "content-length": String(body.length), ...(body !== "" && { "content-type": "application/json" }) };
  const sent = request(
    { port, host: "127.0.0.1", method, path, agent, headers: { ...framing, ...headers } },
    (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (piece: string) => {
        text += piece;
      });
      answer.on("end", () => resolve({ status: answer.statusCode as number, text }));
    },
  );
  sent.on("error", reject).end(body);
  return await promise;
}

/** A method that no route has may be refused before anybody asks who it is from. */
const REFUSALS = [400, 401, 404, 405, 429, 501];
const CONTROL = [
  ...new Set(
    Object.values(ROUTES)
      .filter((paths) => paths !== "public")
      .flat(),
  ),
];

test.each(CONTROL)("%s tells and does nothing without the password", async (path) => {
  const answers: string[] = [];
  for (const [door, port] of doors) {
    if (door === "provider" && path.startsWith("/ui")) continue; // it has no pages
    const all = METHODS.flatMap((method) => WRONG.map(([what, headers]) => ({ what, method, headers: headers() })));
    await Promise.all(
      all.map(async ({ what, method, headers }) => {
        const { status, text } = await send({ port, method, path, headers });
        const isSilent = /^(|invalid credentials|404 page not found\n|too many wrong passwords.*\n?)$/.test(text);
        if (!REFUSALS.includes(status) || !isSilent) answers.push(`${door}: ${method} with ${what}: ${status} ${text}`);
      }),
    );
    // Those that the route has ask for the password; a table of paths that lead nowhere would prove nothing.
    const open = await send({ port, method: "GET", path, headers: {} });
    expect([401, 405]).toContain(open.status);
  }
  expect(answers).toEqual([]);
  expect(await state()).toBe(before);
});

/** Other ways to write the path of a control route. */
const SPELLINGS: readonly string[] = [
  "//system/functions",
  "/SYSTEM/functions",
  "/System/Functions",
  "/system/functions/",
  "/system//functions",
  "/system/./functions",
  "/system/../system/functions",
  "/./system/functions",
  "/../system/functions",
  "/healthz/../system/functions",
  "/metrics/../system/functions",
  "/ui/../system/functions",
  "/function/../system/functions",
  "/function/f/../../system/functions",
  "/function/%2e%2e/system/functions",
  "/function/..%2fsystem/functions",
  "/function/f/..%2f..%2fsystem%2ffunctions",
  "/async-function/../system/functions",
  "/async-function/f/../../system/functions",
  "/%73ystem/functions",
  "/system%2ffunctions",
  "/%2fsystem/functions",
  "/system%5cfunctions",
  "/system\\functions",
  "\\system\\functions",
  "/system/functions%00",
  "/system/functions;x=y",
  "/system/functions%3fx",
  "/system/functions#x",
  "/system;x/functions",
  "/healthz?/../system/functions",
  "/;/system/functions",
  "system/functions",
  "*",
  "http://127.0.0.1/system/functions",
  "http://evil.test/system/functions",
  "http://127.0.0.1:1/function/f/../../system/functions",
  "http://admin:PASSWORD@127.0.0.1/system/functions",
  "https://127.0.0.1/system/functions",
  "file:///system/functions",
];

test.each(SPELLINGS)("the path %j leads past no password", async (spelling) => {
  const target = spelling.replace("PASSWORD", password);
  const body = JSON.stringify(BODIES[0]?.[1]);
  const answers: string[] = [];
  for (const [door, port] of doors) {
    for (const method of ["GET", "POST", "PUT", "DELETE", "OPTIONS"]) {
      const head = [`${method} ${target} HTTP/1.1`, `Host: 127.0.0.1:${port}`, "Content-Type: application/json"];
      const text = `${head.join("\r\n")}\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`;
      const answer = await rawRequest(port, text);
      const refused = [undefined, 301, 307, 400, 401, 403, 404, 405, 501].includes(answer?.status);
      // Paths that lead to a function, or to what everybody may see.
      if (/^(the function|No endpoints available for: \.\.\n)$/.test(answer?.body ?? "")) continue;
      if (answer?.status === 200 && answer.body === "" && target.startsWith("/healthz")) continue;
      const location = answer?.headers.get("location")?.[0] ?? "/";
      if (!refused || !/^\/($|[^/\\])/.test(location) || /"name"|f:1/.test(answer?.body ?? "")) {
        answers.push(`${door}: ${method}: ${answer?.statusLine} ${answer?.body}`);
      }
    }
  }
  expect(answers).toEqual([]);
  expect(await state()).toBe(before);
});

test("the same requests with the password are heard", async () => {
  for (const [, port] of doors) {
    const headers = { authorization: basic(`admin:${password}`) };
    for (const path of [PATHS.functions, PATHS.secrets, PATHS.namespaces, PATHS.info]) {
      expect((await send({ port, method: "GET", path, headers })).status).toBe(200);
    }
    // The second time there is one of the name.
    expect([202, 409]).toContain((await send({ port, method: "POST", path: PATHS.functions, headers })).status);
    expect(await state()).not.toBe(before);
  }
});
