import { afterEach, beforeEach, expect, test } from "@jest/globals";
import type { PruneReport, PruneRequest } from "../../contract/prune.ts";
import { decodeWarnings, encodeWarnings, WARNING_HEADER } from "../../contract/warnings.ts";
import type { ImageStore } from "../../provider/backends/backend.ts";
import { rawRequest } from "../support/raw-http.ts";
import { FakeBackend } from "./fake-backend.ts";
import { serveProvider, type TestProvider } from "./support.ts";

let backend: FakeBackend;
let provider: TestProvider;
beforeEach(async () => {
  backend = new FakeBackend();
  backend.known.set("staging", { name: "staging" });
  provider = await serveProvider({ backend });
});
afterEach(() => provider.close());

const NOTHING: PruneReport = { removed: [], bytes: 0, pending: 0, kept: { images: 0, bytes: 0 }, problems: [] };
const deployment = { service: "shout", image: "shout:1" };

/** Images of which nothing goes. */
const prunes = (asked: PruneRequest[]): ImageStore => ({
  prune: async (request) => {
    asked.push(request);
    return NOTHING;
  },
});

/** Status and body of an answer, as one text for tables. */
async function answer(method: string, path: string, body?: unknown): Promise<string> {
  const response = await provider.call(method, path, body);
  return `${response.status} ${await response.text()}`;
}

test.each<[rule: string, method: string, path: string, body: unknown, expected: string]>([
  ["a new function", "POST", "/system/functions", { service: "new", image: "x" }, "202 "],
  ["unknown fields", "POST", "/system/functions", { service: "new", image: "x", nonsense: 1 }, "202 "],
  ["null maps", "POST", "/system/functions", { service: "new", image: "x", labels: null, envVars: null }, "202 "],
  ["an existing function", "POST", "/system/functions", deployment, "409 function shout already exists\n"],
  ["an update", "PUT", "/system/functions", { ...deployment, labels: { a: "b" } }, "202 "],
  [
    "an update of an unknown one",
    "PUT",
    "/system/functions",
    { service: "nope", image: "x" },
    "404 function nope.openfaas-fn not found\n",
  ],
  ["no body", "POST", "/system/functions", "", "400 failed to unmarshal request: unexpected end of JSON input\n"],
  ["no service", "POST", "/system/functions", { image: "x" }, "400 validation failed: service: is required\n"],
  ["no image", "POST", "/system/functions", { service: "x" }, "400 validation failed: image: is required\n"],
  [
    "a bad name",
    "PUT",
    "/system/functions",
    { service: "Bad_Name", image: "x" },
    "400 validation failed: service: (Bad_Name) is invalid, must be a valid DNS entry\n",
  ],
  [
    "an unknown secret",
    "POST",
    "/system/functions",
    { service: "x", image: "x", secrets: ["key"] },
    '400 unable to fetch secrets: secrets "key" not found\n',
  ],
  ["a removal", "DELETE", "/system/functions", { functionName: "shout" }, "202 "],
  [
    "a removal of an unknown one",
    "DELETE",
    "/system/functions",
    { functionName: "nope" },
    "404 function nope.openfaas-fn not found\n",
  ],
  [
    "a removal of nothing",
    "DELETE",
    "/system/functions",
    "",
    "400 failed to unmarshal request: unexpected end of JSON input\n",
  ],
  ["scaling", "POST", "/system/scale-function/shout", { serviceName: "shout", replicas: 3 }, "202 "],
  ["scaling to zero", "POST", "/system/scale-function/shout", { replicas: 0 }, "202 "],
  [
    "scaling an unknown one",
    "POST",
    "/system/scale-function/nope",
    { replicas: 1 },
    "404 function nope.openfaas-fn not found\n",
  ],
  ["an unknown one", "GET", "/system/function/nope", undefined, "404 "],
  ["a name with its namespace", "GET", "/system/function/shout.openfaas-fn", undefined, "404 "],
  ["a name with a bad character", "GET", "/system/function/no$pe", undefined, "404 404 page not found\n"],
  ["a name that cannot be decoded", "GET", "/system/function/%zz", undefined, "400 Failed to decode param '%zz'\n"],
  ["a trailing slash", "GET", "/system/functions/", undefined, "404 404 page not found\n"],
  ["another case", "GET", "/System/functions", undefined, "404 404 page not found\n"],
  ["an unknown route", "GET", "/nothing", undefined, "404 404 page not found\n"],
  ["a wrong method", "PATCH", "/system/functions", {}, "405 "],
  ["a wrong method of info", "POST", "/system/info", {}, "405 "],
  ["health", "GET", "/healthz", undefined, "200 "],
  ["health with a wrong method", "POST", "/healthz", undefined, "405 "],
  [
    "builds where there is no builder",
    "POST",
    "/system/build",
    "",
    "501 build: this provider runs finished images only\n",
  ],
])("%s: %s %s", async (_rule, method, path, body, expected) => {
  await provider.call("POST", "/system/functions", deployment);
  expect(await answer(method, path, body)).toBe(expected);
});

test.each<[body: string, field: string]>([
  ['{"service":"x","image":"x","envVars":["a"]}', "envVars"],
  ['{"service":"x","image":"x","labels":{"a":1}}', "labels.a"],
  ['{"service":1,"image":"x"}', "service"],
])("a wrong type is a 400 that names the field: %s", async (body, field) => {
  expect(await answer("POST", "/system/functions", body)).toMatch(
    new RegExp(`^400 failed to unmarshal request: ${field}: .+\n$`),
  );
});

test.each(["POST", "PUT"])("what does not hold of a deployment is said in the answer to its %s", async (method) => {
  const sentences = ['constraints: have "no" meaning, here', "envVars.A\\B: é"];
  Object.assign(backend.functions, { warningsFor: async () => sentences });
  if (method === "PUT") await provider.call("POST", "/system/functions", deployment);
  const response = await provider.call(method, "/system/functions", deployment);
  expect([response.status, await response.text()]).toEqual([202, ""]);
  expect(decodeWarnings(response.headers.get(WARNING_HEADER) ?? "")).toEqual([sentences[0], "envVars.A\\B: ?"]);
});

test("other warnings than ours, and none, are no sentences", () => {
  const header = '110 cache "stale", 299 - "kept\u009b[31m", 199 x "dropped", 299 - "unfinished';
  expect(decodeWarnings(header)).toEqual(["kept?[31m"]);
  expect(decodeWarnings(undefined)).toEqual([]);
  expect(decodeWarnings(encodeWarnings(new Array(50).fill("x".repeat(5_000))).join(", "))).toHaveLength(20);
});

test("HEAD is served for health only", async () => {
  expect((await rawRequest(provider.port, "HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n"))?.status).toBe(200);
  expect((await rawRequest(provider.port, "HEAD /system/functions HTTP/1.1\r\nHost: x\r\n\r\n"))?.status).toBe(405);
});

test("JSON and text have the types that OpenFaaS gives them", async () => {
  const list = await provider.call("GET", "/system/functions");
  expect(list.headers.get("content-type")).toBe("application/json");
  const error = await provider.call("GET", "/nothing");
  expect(error.headers.get("content-type")).toBe("text/plain; charset=utf-8");
  expect(error.headers.get("x-content-type-options")).toBe("nosniff");
  expect(error.headers.has("x-powered-by")).toBe(false);
});

test("an order to scale may say which replicas have calls", async () => {
  await provider.call("POST", "/system/functions", deployment);
  const scale = (inFlight: unknown) =>
    provider.call("POST", "/system/scale-function/shout", { serviceName: "shout", replicas: 1, inFlight });
  expect((await scale({ "10.0.0.1:8080": 3 })).status).toBe(202);
  expect(backend.inFlight).toEqual({ "10.0.0.1:8080": 3 });
  const refused = await scale({ "10.0.0.1:8080": -1 });
  expect([refused.status, await refused.text()]).toEqual([400, expect.stringContaining("inFlight.10.0.0.1:8080")]);
});

test("usage is measured when it is asked for", async () => {
  await provider.call("POST", "/system/functions", deployment);
  const plain = await (await provider.call("GET", "/system/function/shout")).json();
  expect(plain).not.toHaveProperty("usage");
  for (const flag of ["1", "true"]) {
    const measured = await (await provider.call("GET", `/system/function/shout?usage=${flag}`)).json();
    expect(measured).toMatchObject({ name: "shout", usage: { cpu: 5, totalMemoryBytes: 1024 } });
  }
});

test.each<[rule: string, query: string, body: string | undefined, expected: string]>([
  ["neither", "", undefined, "openfaas-fn"],
  ["the query", "?namespace=staging", undefined, "staging"],
  ["the body", "", "staging", "staging"],
  ["both, of which the query counts", "?namespace=staging", "openfaas-fn", "staging"],
  ["an empty query", "?namespace=", "staging", "staging"],
  ["an empty body", "", "", "openfaas-fn"],
  ["two in the query, of which the last counts", "?namespace=openfaas-fn&namespace=staging", undefined, "staging"],
])("namespace in %s", async (_rule, query, namespace, expected) => {
  const body = (more: object) => ({ ...more, ...(namespace !== undefined && { namespace }) });
  expect((await provider.call("POST", `/system/functions${query}`, body(deployment))).status).toBe(202);
  expect([...backend.deployed.keys()]).toEqual([`shout.${expected}`]);

  const scaled = await provider.call("POST", `/system/scale-function/shout${query}`, body({ replicas: 4 }));
  expect(scaled.status).toBe(202);
  expect(backend.deployed.get(`shout.${expected}`)?.replicas).toBe(4);

  expect((await provider.call("POST", `/system/secrets${query}`, body({ name: "key", value: "v" }))).status).toBe(202);
  expect([...backend.secretValues.keys()]).toEqual([`${expected}/key`]);
  expect((await provider.call("DELETE", `/system/secrets${query}`, body({ name: "key" }))).status).toBe(202);

  const removed = await provider.call("DELETE", `/system/functions${query}`, body({ functionName: "shout" }));
  expect(removed.status).toBe(202);
  expect(backend.deployed.size).toBe(0);
});

test("a secret in use is removed by force only", async () => {
  await provider.call("POST", "/system/secrets", { name: "key", value: "v" });
  await provider.call("POST", "/system/functions", { service: "f", image: "f:1", secrets: ["key"] });
  const remove = (query: string) => answer("DELETE", `/system/secrets${query}`, { name: "key" });
  const refused = "409 secret key is in use by the function f; force removes it all the same\n";
  expect(await remove("")).toBe(refused);
  expect(await remove("?force=false")).toBe(refused);
  expect(await remove("?force=yes")).toBe("400 force: must be true or false\n");
  expect(await remove("?force=true")).toBe("202 ");
});

test.each<[path: string]>([["/system/functions"], ["/system/secrets"]])("%s of an unknown namespace", async (path) => {
  expect(await answer("GET", `${path}?namespace=elsewhere`)).toBe("400 namespace not found: elsewhere\n");
});

test.each<[rule: string, body: object, expected: string]>([
  ["text", { name: "key", value: "hunter2" }, "hunter2"],
  ["bytes", { name: "key", rawValue: Buffer.from([0, 255, 10]).toString("base64") }, "\u0000\u00ff\n"],
  ["both, of which bytes count", { name: "key", value: "a", rawValue: Buffer.from("a\n").toString("base64") }, "a\n"],
  ["text next to empty bytes", { name: "key", value: "a", rawValue: "" }, "a"],
])("a secret's value as %s", async (_rule, body, expected) => {
  expect(await answer("POST", "/system/secrets", body)).toBe("202 ");
  expect(backend.secretValues.get("openfaas-fn/key")?.toString("latin1")).toBe(expected);
  expect(await answer("GET", "/system/secrets")).toBe('200 [{"name":"key","namespace":"openfaas-fn"}]');
});

test.each<[rule: string, method: string, body: unknown, expected: RegExp]>([
  ["exists", "POST", { name: "there", value: "v" }, /^409 secret there already exists\n$/],
  ["no name", "POST", { value: "v" }, /^400 secret: name: .+\n$/],
  ["an empty name", "POST", { name: "", value: "v" }, /^400 secret: name: is required\n$/],
  ["a bad name", "POST", { name: "Bad_Name!", value: "v" }, /^422 secret: name: \(Bad_Name!\) is invalid/],
  ["a name that leaves its folder", "POST", { name: "../x", value: "v" }, /^422 /],
  [
    "bytes that are not base64",
    "POST",
    { name: "x", rawValue: "hunter2!" },
    /^400 secret: rawValue: (?!.*hunter2).+\n$/,
  ],
  ["not JSON", "POST", '{"name":"x","value":hunter2}', /^400 secret: the body is not JSON\n$/],
  ["an update", "PUT", { name: "there", value: "w" }, /^202 $/],
  ["an update of an unknown one", "PUT", { name: "nosuch", value: "w" }, /^404 secret nosuch not found\n$/],
  ["a removal", "DELETE", { name: "there" }, /^202 $/],
  ["a removal of an unknown one", "DELETE", { name: "nosuch" }, /^404 secret nosuch not found\n$/],
])("secrets: %s", async (_rule, method, body, expected) => {
  await provider.call("POST", "/system/secrets", { name: "there", value: "v" });
  expect(await answer(method, "/system/secrets", body)).toMatch(expected);
  expect(provider.logged()).not.toContain("hunter2");
});

const mark = { openfaas: "1" };

test.each<[rule: string, method: string, path: string, body: unknown, expected: string]>([
  ["list", "GET", "/system/namespaces", undefined, '200 ["openfaas-fn","staging"]'],
  ["one", "GET", "/system/namespace/staging", undefined, '200 {"name":"staging"}'],
  ["one, plural", "GET", "/system/namespaces/staging", undefined, '200 {"name":"staging"}'],
  ["an unknown one", "GET", "/system/namespace/nope", undefined, "404 namespace nope not found\n"],
  ["none", "GET", "/system/namespace/", undefined, "400 namespace: its name is missing in the path\n"],
  ["create", "POST", "/system/namespace/", { name: "dev", labels: mark, annotations: mark }, "201 "],
  ["create, name in the path", "POST", "/system/namespace/dev", { name: "dev" }, "201 "],
  [
    "create an existing one",
    "POST",
    "/system/namespace/",
    { name: "staging" },
    "409 namespace staging already exists\n",
  ],
  ["create without a name", "POST", "/system/namespace/", { name: "" }, "400 namespace: name: is required\n"],
  [
    "create with a bad name",
    "POST",
    "/system/namespace/",
    { name: "a/b" },
    "400 namespace: name: (a/b) is invalid, must be a valid DNS label\n",
  ],
  [
    "create one that is not for functions",
    "POST",
    "/system/namespace/",
    { name: "dev", labels: { openfaas: "0" } },
    "400 request does not have openfaas=1 label\n",
  ],
  ["update", "PUT", "/system/namespace/staging", { name: "staging", labels: { ...mark, a: "b" } }, "202 "],
  ["update, plural", "PUT", "/system/namespaces/staging", { name: "staging" }, "202 "],
  ["update an unknown one", "PUT", "/system/namespace/nope", { name: "nope" }, "404 namespace nope not found\n"],
  [
    "update another",
    "PUT",
    "/system/namespace/staging",
    { name: "dev" },
    "400 namespace in request body does not match namespace in URL\n",
  ],
  ["remove", "DELETE", "/system/namespace/staging", { name: "staging", labels: mark }, "202 "],
  ["remove without a body", "DELETE", "/system/namespace/staging", undefined, "202 "],
  ["remove an unknown one", "DELETE", "/system/namespace/nope", undefined, "404 namespace nope not found\n"],
  ["a wrong method", "PATCH", "/system/namespace/staging", {}, "405 "],
])("namespaces: %s", async (_rule, method, path, body, expected) => {
  expect(await answer(method, path, body)).toBe(expected);
});

test("namespaces that are made carry OpenFaaS's mark, and an update replaces the other labels", async () => {
  await provider.call("POST", "/system/namespace/", { name: "dev", labels: { a: "1" } });
  expect(backend.known.get("dev")).toEqual({ name: "dev", labels: { a: "1", ...mark }, annotations: mark });
  await provider.call("PUT", "/system/namespace/dev", { name: "dev", labels: { b: "2" } });
  expect(backend.known.get("dev")?.labels).toEqual({ b: "2", ...mark });
});

test("info has what faas-cli needs, and features", async () => {
  expect(await (await provider.call("GET", "/system/info")).json()).toEqual(backend.info);
});

test("a body over the limit is a 413", async () => {
  const small = await serveProvider({ backend, maxBodyBytes: 100 });
  try {
    const response = await small.call("POST", "/system/functions", { ...deployment, envProcess: "x".repeat(100) });
    expect(`${response.status} ${await response.text()}`).toBe("413 request body is too large\n");
  } finally {
    await small.close();
  }
});

test("what nobody foresaw is a 500 that tells clients nothing and the log everything", async () => {
  backend.failure = new Error("the password is hunter2");
  expect(await answer("GET", "/system/functions")).toBe("500 internal error\n");
  expect(provider.logged()).toContain("hunter2");
});

test("CR and LF in names reach bodies only", async () => {
  const evil = "x\r\nSet-Cookie: a=b";
  for (const [method, path, body] of [
    ["POST", "/system/functions", { service: evil, image: "x" }],
    ["POST", "/system/secrets", { name: evil, value: "v" }],
    ["POST", "/system/namespace/", { name: evil }],
    ["DELETE", "/system/functions", { functionName: evil }],
    ["GET", `/system/namespace/${encodeURIComponent(evil)}`, undefined],
    ["GET", `/system/functions?namespace=${encodeURIComponent(evil)}`, undefined],
    ["GET", `/system/logs?name=${encodeURIComponent(evil)}`, undefined],
    ["GET", `/function/${encodeURIComponent(evil)}`, undefined],
  ] as const) {
    const response = await provider.call(method, path, body);
    expect(response.status).toBeGreaterThanOrEqual(400);
    expect(response.status).toBeLessThan(500);
    expect(response.headers.has("set-cookie")).toBe(false);
  }
});

test("with credentials everything under /system asks for them, and nothing else does", async () => {
  const credentials = { user: "admin", password: "hunter2" };
  const guarded = await serveProvider({ backend, credentials });
  const authorization = `Basic ${Buffer.from("admin:hunter2").toString("base64")}`;
  try {
    for (const path of ["functions", "function/x", "secrets", "namespaces", "namespace/x", "info", "logs", "nothing"]) {
      const response = await guarded.call("GET", `/system/${path}`);
      expect(response.status).toBe(401);
      expect(response.headers.get("www-authenticate")).toBe('Basic realm="Restricted"');
      expect(await response.text()).toBe("invalid credentials");
    }
    const streams = [
      "POST /system/build",
      "GET /system/endpoints",
      "GET //system/functions",
      "GET /%73ystem/functions",
    ];
    const statuses = await Promise.all(
      streams.map(async (line) => (await rawRequest(guarded.port, `${line} HTTP/1.1\r\nHost: x\r\n\r\n`))?.status),
    );
    expect(statuses).toEqual([401, 401, 404, 404]);
    const wrong = `Basic ${Buffer.from("admin:hunter3").toString("base64")}`;
    expect((await guarded.call("GET", "/system/info", undefined, { authorization: wrong })).status).toBe(401);
    expect((await guarded.call("GET", "/system/info", undefined, { authorization })).status).toBe(200);
    expect((await guarded.call("GET", "/healthz")).status).toBe(200);
    expect((await guarded.call("GET", "/metrics")).status).toBe(200);
    expect((await guarded.call("GET", "/function/nope")).status).toBe(503);
  } finally {
    await guarded.close();
  }
});

test.each<[rule: string, body: unknown, expected: string]>([
  ["no body", "", "400 prune: unexpected end of JSON input\n"],
  ["a list", [], "400 prune: must be an object\n"],
  ["text for a switch", { all: "true" }, "400 prune: all: must be true or false\n"],
  // It would remove what was only to be looked at.
  ["a wish that is misspelt", { all: true, dryrun: true }, '400 prune: Unrecognized key: "dryrun"\n'],
])("prune refuses %s", async (_rule, body, expected) => {
  const asked: PruneRequest[] = [];
  backend.images = prunes(asked);
  const own = await serveProvider({ backend });
  const response = await own.call("POST", "/system/prune", body);
  expect([`${response.status} ${await response.text()}`, asked]).toEqual([expected, []]);
  await own.close();
});

test("prune passes on what is wished, and answers with what went", async () => {
  const asked: PruneRequest[] = [];
  backend.images = prunes(asked);
  const own = await serveProvider({ backend });
  for (const body of [{}, { all: null }, { all: true, dryRun: true }]) {
    const response = await own.call("POST", "/system/prune", body);
    expect([response.status, await response.json()]).toEqual([200, NOTHING]);
  }
  expect(asked).toEqual([{}, {}, { all: true, dryRun: true }]);
  expect((await own.call("GET", "/system/prune")).status).toBe(405);
  await own.close();
});

test("a backend whose images are somebody else's has nothing to prune", async () => {
  expect(await answer("POST", "/system/prune", {})).toBe("501 prune: this provider has no images of its own\n");
});

test("metrics count control requests under a bounded number of paths", async () => {
  await provider.call("GET", "/system/functions");
  for (const name of ["a", "b", "c"]) await provider.call("GET", `/system/function/${name}`);
  await provider.call("GET", "/system/namespace/x");
  await provider.call("GET", "/system/nothing/at/all");
  await provider.call("GET", "/nothing");
  const text = await (await provider.call("GET", "/metrics")).text();
  const counted = text.split("\n").filter((line) => line.startsWith("provider_http_requests_total{"));
  expect(counted.sort()).toEqual([
    'provider_http_requests_total{code="200",method="GET",path="/system/functions"} 1',
    'provider_http_requests_total{code="404",method="GET",path="/system/function"} 3',
    'provider_http_requests_total{code="404",method="GET",path="/system/namespace"} 1',
    'provider_http_requests_total{code="404",method="GET",path="other"} 1',
  ]);
  expect(text).toContain(
    'provider_http_request_duration_seconds_count{code="200",method="GET",path="/system/functions"} 1',
  );
  expect(text).toContain("process_cpu_seconds_total");
});
