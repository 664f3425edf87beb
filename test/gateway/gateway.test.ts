import { createServer, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { loadGatewayConfig } from "../../gateway/process/config.ts";
import { type OpenGateway, openGateway } from "../../gateway/process/serve.ts";
import { createLogger } from "../../kit/log.ts";
import { eventually } from "../support/eventually.ts";
import { FakeProvider } from "../support/fake-provider.ts";
import { temporaryFolder } from "../support/platform.ts";

const credentials = { user: "admin", password: "a:long password" };
const basic = `Basic ${Buffer.from(`${credentials.user}:${credentials.password}`).toString("base64")}`;

const wrongPassword = `Basic ${Buffer.from("admin:a:long passwor").toString("base64")}`;

let provider: FakeProvider;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let gateway: OpenGateway;
let replica: Server;

beforeEach(async () => {
  folder = await temporaryFolder();
  provider = await FakeProvider.open();
  replica = createServer((req, res) => res.end(`${req.method} ${req.url}`));
  await new Promise<void>((resolve) => replica.listen(0, "127.0.0.1", resolve));
  const config = loadGatewayConfig({
    port: "0",
    metrics_port: "0",
    functions_provider_url: provider.url.href,
    data_dir: join(folder.path, "data"),
    scale_up_timeout: "2s",
    drain_timeout: "2s",
    async_max_body: "1000",
  });
  gateway = await openGateway(config, credentials, createLogger("silent"));
  await eventually("the gateway follows the provider", () => provider.streamCount === 1);
});

afterEach(async () => {
  await gateway.close();
  await provider.close();
  replica.closeAllConnections();
  replica.close();
  await folder.remove();
});

const address = () => `127.0.0.1:${(replica.address() as AddressInfo).port}`;
const ready = () => [{ address: address(), instance: "a", state: "ready" as const }];
const call = (path: string, init?: RequestInit) => fetch(gateway.url + path, init);

test("a function that the stream announces can be called, until it is removed", async () => {
  provider.put({ name: "f", endpoints: ready() });
  expect(await (await call("/function/f/a?b=c")).text()).toBe("GET /a?b=c");
  provider.respond = (_request, res) => res.writeHead(404).end();
  provider.remove("f");
  await eventually("it is 404", async () => (await call("/function/f")).status === 404);
});

test("calls go on while the provider's stream is cut, and what a new one leaves out is gone", async () => {
  provider.put({ name: "f", endpoints: ready() });
  provider.put({ name: "gone", endpoints: ready() });
  await eventually("both answer", async () => (await call("/function/gone")).status === 200);
  provider.respond = (_request, res) => res.writeHead(404).end();
  provider.forget("gone");
  provider.cutStreams();
  expect((await call("/function/f")).status).toBe(200);
  await eventually("the gateway is back", () => provider.streamCount === 1);
  await eventually("it is 404", async () => (await call("/function/gone")).status === 404);
  expect((await call("/function/f")).status).toBe(200);
});

test("a function that is deployed while the stream is broken can be called, which mends the stream", async () => {
  provider.put({ name: "f", endpoints: ready() });
  await eventually("it is known", async () => (await call("/function/f")).status === 200);
  provider.streams = false;
  provider.cutStreams();
  // By then the gateway waits for seconds between its tries.
  const cutAt = performance.now();
  await eventually("the stream has been away for a while", () => performance.now() - cutAt > 2_000);
  expect((await call("/function/f")).status).toBe(200);
  provider.streams = true;
  provider.respond = (_request, res) => res.writeHead(200).end("{}");
  provider.put({ name: "new", endpoints: ready() });
  const since = performance.now();
  expect(await (await call("/function/new/x")).text()).toBe("GET /x");
  expect(performance.now() - since).toBeLessThan(1_000);
});

test("unknown names by the thousand are 404, and few questions to the provider", async () => {
  provider.put({ name: "f", endpoints: ready() });
  await eventually("it is known", async () => (await call("/function/f")).status === 200);
  const before = provider.requests.length;
  provider.respond = ({ url }, res) => {
    const text = url === "/system/namespaces" ? '["openfaas-fn","other"]' : '[{"name":"f"}]';
    if (url.startsWith("/system/function/")) res.writeHead(404).end();
    else res.writeHead(200, { "content-type": "application/json" }).end(text);
  };
  const path = (i: number) => `/function/nobody-${i}${i % 3 === 0 ? `.nowhere-${i}` : ""}`;
  const statuses = await Promise.all(Array.from({ length: 3_000 }, async (_, i) => (await call(path(i))).status));
  expect(new Set(statuses)).toEqual(new Set([404]));
  // A question answers all that wait for it; on a busy machine the names trickle in.
  expect(provider.requests.length - before).toBeLessThan(300);
  const asynchronous = await Promise.all(
    Array.from({ length: 500 }, async (_, i) => (await call(`/async-function/other-${i}`, { method: "POST" })).status),
  );
  expect(new Set(asynchronous)).toEqual(new Set([404]));
}, 60_000);

test("a call to a function at zero asks for replicas once, by its minimum, and is answered", async () => {
  provider.put({ name: "f", replicas: 0, labels: { "com.openfaas.scale.min": "3" } });
  provider.respond = (request, res) => {
    res.writeHead(202).end();
    if (request.url.startsWith("/system/scale-function/")) provider.put({ name: "f", replicas: 3, endpoints: ready() });
  };
  await eventually("it is known", async () => (await call("/function/f")).status === 200);
  const scales = provider.requests.filter(({ url }) => url.startsWith("/system/scale-function/"));
  expect(scales).toEqual([
    expect.objectContaining({
      method: "POST",
      url: "/system/scale-function/f?namespace=openfaas-fn",
      authorization: basic,
    }),
  ]);
  expect(JSON.parse(scales[0]?.body as string)).toEqual({ serviceName: "f", namespace: "openfaas-fn", replicas: 3 });
});

test("a provider that cannot scale yet is asked again while calls wait", async () => {
  provider.put({ name: "f", replicas: 0 });
  let refusals = 2;
  provider.respond = (request, res) => {
    if (!request.url.startsWith("/system/scale-function/")) return res.writeHead(200).end("{}");
    if (refusals-- > 0) return res.writeHead(503).end("later");
    res.writeHead(202).end();
    return provider.put({ name: "f", replicas: 1, endpoints: ready() });
  };
  expect((await call("/function/f")).status).toBe(200);
});

test("control routes want the password and are passed on with the gateway's own credentials", async () => {
  for (const authorization of [undefined, "Basic eDp5", "Bearer x", wrongPassword]) {
    const refused = await call("/system/secrets", authorization ? { headers: { authorization } } : {});
    expect([refused.status, refused.headers.get("www-authenticate"), await refused.text()]).toEqual([
      401,
      'Basic realm="Restricted"',
      "invalid credentials",
    ]);
  }
  expect(provider.requests).toEqual([]);
  provider.respond = (_request, res) => res.writeHead(409, { "content-type": "text/plain" }).end("exists\n");
  const body = '{"name":"s","value":"v"}';
  const headers = { authorization: basic, "content-type": "application/json" };
  const passed = await call("/system/secrets?namespace=a", { method: "POST", headers, body });
  expect([passed.status, await passed.text()]).toEqual([409, "exists\n"]);
  expect(provider.requests).toEqual([
    { method: "POST", url: "/system/secrets?namespace=a", authorization: basic, body },
  ]);
});

test.each(["/system/functions", "/system/info", "/system/anything", "/ui/", "/ui/app.js"])(
  "%s is protected",
  async (path) => {
    expect((await call(path)).status).toBe(401);
  },
);

test("the list carries the calls that were counted", async () => {
  provider.put({ name: "f", endpoints: ready() });
  provider.respond = (_request, res) =>
    res
      .writeHead(200, { "content-type": "application/json" })
      .end('[{"name":"f","image":"i","namespace":"openfaas-fn"}]');
  await eventually("it answers", async () => (await call("/function/f")).status === 200);
  await (await call("/function/f")).text();
  const list = await call("/system/functions", { headers: { authorization: basic } });
  expect(list.headers.get("content-type")).toBe("application/json");
  expect(await list.json()).toEqual([
    { name: "f", image: "i", namespace: "openfaas-fn", invocationCount: expect.any(Number) },
  ]);
});

test("a provider that is away is 502 for control routes and null in the info", async () => {
  await provider.close();
  const list = await call("/system/functions", { headers: { authorization: basic } });
  expect([list.status, await list.text()]).toEqual([502, "the provider does not answer\n"]);
  const info = await call("/system/info", { headers: { authorization: basic } });
  expect([info.status, await info.json()]).toEqual([200, expect.objectContaining({ provider: null })]);
  provider = await FakeProvider.open();
});

test("metrics are open, and name functions as OpenFaaS does", async () => {
  provider.put({ name: "f", replicas: 2, endpoints: ready() });
  await eventually("it answers", async () => (await call("/function/f")).status === 200);
  const text = await (await fetch(`${gateway.metricsUrl}/metrics`)).text();
  for (const line of [
    /^gateway_function_invocation_total\{function_name="f\.openfaas-fn",code="200"\} \d+$/m,
    /^gateway_function_invocation_started\{function_name="f\.openfaas-fn"\} \d+$/m,
    /^gateway_functions_seconds_bucket\{function_name="f\.openfaas-fn",code="200",le="0\.005"\} \d+$/m,
    /^gateway_functions_seconds_count\{function_name="f\.openfaas-fn",code="200"\} \d+$/m,
    /^gateway_service_count\{function_name="f\.openfaas-fn"\} 2$/m,
    /^gateway_service_ready_count\{function_name="f\.openfaas-fn"\} 1$/m,
    /^gateway_queue_waiting_calls 0$/m,
  ]) {
    expect(text).toMatch(line);
  }
  expect(await (await fetch(`${gateway.metricsUrl}/healthz`)).text()).toBe("OK");
});

test("an asynchronous body over the limit is 413, whether its length is given or not", async () => {
  provider.put({ name: "f", endpoints: ready() });
  await eventually("it answers", async () => (await call("/function/f")).status === 200);
  const sized = await call("/async-function/f", { method: "POST", body: "x".repeat(1001) });
  expect([sized.status, await sized.text()]).toEqual([413, "request body is too large, maximum: 1000 bytes\n"]);
  const init: RequestInit & { duplex: "half" } = {
    method: "POST",
    body: new Blob(["x".repeat(2000)]).stream(),
    duplex: "half",
  };
  expect((await call("/async-function/f", init)).status).toBe(413);
  expect((await call("/async-function/f", { method: "POST", body: "x".repeat(1000) })).status).toBe(202);
});

test("a connection that never sent anything does not delay a stop", async () => {
  const socket = connect(Number(new URL(gateway.url).port), "127.0.0.1");
  await new Promise((resolve) => socket.once("connect", resolve));
  const closed = new Promise((resolve) => socket.once("close", resolve));
  const startedAt = performance.now();
  await gateway.close();
  await closed;
  expect(performance.now() - startedAt).toBeLessThan(1_500);
});

test("a call id that its caller has chosen is no way to try passwords without end", async () => {
  provider.put({ name: "f", replicas: 0 });
  const headers = { "x-call-id": "chosen" };
  await eventually(
    "the call is taken",
    async () => (await call("/async-function/f", { method: "POST", headers })).status === 202,
  );
  const seen: number[] = [];
  for (let i = 0; i < 12; i++) {
    seen.push((await call("/async-function/chosen", { headers: { authorization: wrongPassword } })).status);
  }
  expect([seen.slice(0, 10), seen.slice(10)]).toEqual([new Array(10).fill(401), [429, 429]]);
  expect((await call("/async-function/chosen", { headers: { authorization: basic } })).status).toBe(200);
});

test("a provider that neither streams endpoints nor lists functions is told from one that is away", async () => {
  const stock = await FakeProvider.open();
  stock.streams = 404;
  const config = loadGatewayConfig({
    port: "0",
    metrics_port: "0",
    functions_provider_url: stock.url.href,
    queue: "none",
  });
  const other = await openGateway(config, credentials, createLogger("silent"));
  try {
    const text = await eventually("it is known", async () => {
      const answer = await fetch(`${other.url}/function/f`);
      const said = await answer.text();
      return answer.status === 503 && said.includes("/system/endpoints") && said;
    });
    expect(text).toBe(
      "cannot tell whether function f exists: the provider has no /system/endpoints, and its list of functions cannot be read\n",
    );
    // It may be replaced by one that has.
    stock.streams = true;
    stock.put({ name: "f", endpoints: ready() });
    await eventually("it is called", async () => (await fetch(`${other.url}/function/f`)).status === 200);
  } finally {
    await other.close();
    await stock.close();
  }
});
