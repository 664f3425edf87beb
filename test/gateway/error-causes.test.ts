import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { ERROR_CODES, ERROR_HEADER, type ErrorCode } from "../../contract/error-codes.ts";
import { STATUS } from "../../contract/errors.ts";
import { FunctionPolicy } from "../../gateway/policies/function-policy.ts";
import { PolicyGate } from "../../gateway/policies/policy-gate.ts";
import { loadGatewayConfig } from "../../gateway/process/config.ts";
import { type OpenGateway, openGateway } from "../../gateway/process/serve.ts";
import { createLogger } from "../../kit/log.ts";
import { eventually } from "../support/eventually.ts";
import { FakeProvider } from "../support/fake-provider.ts";
import { freePort } from "../support/free-port.ts";
import { temporaryFolder } from "../support/platform.ts";
import { rawRequest } from "../support/raw-http.ts";

const credentials = { user: "admin", password: "a long password" };
const basic = (password: string) => `Basic ${Buffer.from(`admin:${password}`).toString("base64")}`;
const withLogin = { authorization: basic(credentials.password) };
const log = createLogger("silent");

let provider: FakeProvider;
let replica: Server;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
/** With a provider, and little room for anything. */
let tight: OpenGateway;
/** Without a provider and without its queue. */
let alone: OpenGateway;
const gateways: OpenGateway[] = [];

async function open(settings: Record<string, string>): Promise<OpenGateway> {
  const env = { port: "0", metrics_port: "0", drain_timeout: "500ms", ...settings };
  const gateway = await openGateway(loadGatewayConfig(env), credentials, log);
  gateways.push(gateway);
  return gateway;
}

beforeAll(async () => {
  folder = await temporaryFolder();
  provider = await FakeProvider.open();
  // As a provider that has no codes.
  provider.respond = ({ url }, res) => {
    const takes = url.startsWith("/system/scale-function/stopped");
    const refuses = url.startsWith("/system/scale-function/f");
    res.writeHead(takes ? 202 : refuses ? 500 : url.startsWith("/system/secrets") ? 504 : 404).end();
  };
  replica = createServer((req, res) => answer(req, res));
  replica.on("upgrade", (_req, socket) => {
    socket.on("error", () => {}).on("end", () => socket.end()); // as the gateway ends it
    socket.resume();
    socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  });
  await new Promise<void>((resolve) => replica.listen(0, "127.0.0.1", resolve));
  tight = await open({
    functions_provider_url: provider.url.href,
    data_dir: join(folder.path, "tight"),
    scale_up_timeout: "1s",
    max_held_calls: "1",
    max_upgrades: "1",
    upstream_timeout: "500ms",
    async_function_max_calls: "2",
  });
  const nobody = `127.0.0.1:${await freePort()}`;
  alone = await open({
    functions_provider_url: `http://${nobody}`,
    nats_url: `nats://${nobody}`,
    scale_up_timeout: "300ms",
  });
  await eventually("the gateway follows the provider", () => provider.streamCount === 1);
  const address = `127.0.0.1:${(replica.address() as AddressInfo).port}`;
  const endpoints = [{ address, instance: "a", state: "ready" as const }];
  provider.put({ name: "f", endpoints });
  provider.put({ name: "one", endpoints, maxInflight: 1 });
  provider.put({ name: "asleep", endpoints: [] });
  provider.put({ name: "stopped", endpoints: [], replicas: 0 });
  provider.put({ name: "broken", endpoints: [], problem: "no such image" });
  await eventually("all are known", async () => (await ask(tight, "/function/broken")).code === "cannot_start");
}, 60_000);

afterAll(async () => {
  replica.closeAllConnections();
  for (const gateway of gateways) await gateway.close();
  await provider.close();
  replica.close();
  await folder.remove();
});

function answer(req: IncomingMessage, res: ServerResponse): void {
  const marked = /^\/watchdog\/(\d+)$/.exec(req.url as string)?.[1];
  if (marked !== undefined) {
    res
      .writeHead(Number(marked), { "x-openfaas-internal": "of-watchdog", [ERROR_HEADER]: "disk_full" })
      .end("as before");
  } else if (req.url === "/never-final") for (let i = 0; i < 1_000; i++) res.writeProcessing();
  else if (req.url !== "/silent") res.end("done");
}

interface Told {
  readonly status: number;
  readonly code: string | null;
}

async function ask(gateway: OpenGateway, path: string, init: RequestInit = {}): Promise<Told & { location: string }> {
  const response = await fetch(gateway.url + path, init);
  await response.text();
  const location = response.headers.get("location") ?? "";
  return { status: response.status, code: response.headers.get(ERROR_HEADER), location };
}

function expectCode({ status, code }: Told, expected: ErrorCode): void {
  expect([code, status]).toEqual([expected, STATUS[ERROR_CODES[expected]]]);
}

test.each<[cause: string, path: string, code: ErrorCode]>([
  ["a function that cannot start", "/function/broken", "cannot_start"],
  ["a function that does not answer in time", "/function/f/silent", "function_timeout"],
  ["a function that sends no final answer", "/function/f/never-final", "bad_answer"],
  ["a provider of others that was too slow", "/system/secrets", "timeout"],
])("%s has a code", async (_cause, path, code) => {
  expectCode(await ask(tight, path, { headers: withLogin }), code);
});

test.each<[cause: string, path: string, code: ErrorCode]>([
  ["functions that nobody can tell of", "/function/f", "function_unknown_yet"],
  ["a provider that is away", "/system/secrets", "provider_unreachable"],
  ["a queue that is away", "/async-function/0f8fad5b-d9cb-469f-a165-70867728950e", "queue_unavailable"],
])("%s have a code of their own", async (_cause, path, code) => {
  expectCode(await ask(alone, path, { headers: withLogin }), code);
});

test.each<[status: number, code: ErrorCode]>([
  [413, "too_large"],
  [429, "concurrency_limit"],
  [500, "function_failed"],
  [502, "bad_answer"],
  [503, "no_replica_ready"],
  [504, "function_timeout"],
])("an answer %d of a function's watchdog gets a code, and stays as it is otherwise", async (status, code) => {
  expectCode(await ask(tight, `/function/f/watchdog/${status}`), code);
  expect(await (await fetch(`${tight.url}/function/f/watchdog/${status}`)).text()).toBe("as before");
});

test.each([200, 404, 431])("one of %d gets none", async (status) => {
  expect(await ask(tight, `/function/f/watchdog/${status}`)).toMatchObject({ status, code: null });
});

test("a replica that has all the calls it takes has a code", async () => {
  const first = ask(tight, "/function/one/silent");
  await eventually("the next one is refused", async () => {
    const told = await ask(tight, "/function/one/silent");
    if (told.code !== "concurrency_limit") return false;
    expectCode(told, "concurrency_limit");
    return true;
  });
  await first;
});

test("a call too many of those that wait for a replica has a code", async () => {
  const told = await Promise.all(["1", "2", "3"].map((path) => ask(tight, `/function/asleep/${path}`)));
  const refused = told.filter(({ code }) => code !== "no_replica_ready");
  expect(refused.length).toBeGreaterThan(0);
  for (const one of refused) expectCode(one, "too_many_waiting");
});

test("asynchronous calls: another request with the same key, no result and a full queue have codes", async () => {
  const post = (body: string, key: string) =>
    ask(tight, "/async-function/f?delay=1h", { method: "POST", body, headers: { "x-idempotency-key": key } });
  const first = await post("one", "a");
  expect(first.status).toBe(202);
  expectCode(await post("two", "a"), "unprocessable");
  expect((await post("two", "b")).status).toBe(202);
  expectCode(await post("three", "c"), "queue_full");
  expect((await ask(tight, first.location, { method: "DELETE" })).status).toBe(202);
  expectCode(await ask(tight, `${first.location}/result`), "no_result");
});

test("an alert of a function that the provider does not scale has a code", async () => {
  const alerts = [{ status: "firing", labels: { alertname: "APIHighInvocationRate", function_name: "f.openfaas-fn" } }];
  const told = await ask(tight, "/system/alert", {
    method: "POST",
    headers: { ...withLogin, "content-type": "application/json" },
    body: JSON.stringify({ status: "firing", alerts }),
  });
  expectCode(told, "scaling_failed");
});

test("too many wrong passwords have a code", async () => {
  await eventually("a pause is asked for", async () => {
    const told = await ask(tight, "/system/functions", { headers: { authorization: basic("wrong") } });
    if (told.code === "unauthorized") return false;
    expectCode(told, "too_many_logins");
    return true;
  });
});

test("a request that breaks a rule of HTTP has a code", async () => {
  const { port } = new URL(tight.url);
  const answer = await rawRequest(Number(port), "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
  expectCode({ status: answer?.status ?? 0, code: answer?.headers.get(ERROR_HEADER)?.[0] ?? null }, "invalid_request");
});

test("a connection too many of those that change their protocol has a code", async () => {
  const upgrade = "GET /function/f HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
  const port = Number(new URL(tight.url).port);
  const first = connect(port, "127.0.0.1", () => first.write(upgrade));
  try {
    const [head] = (await once(first, "data")) as [Buffer];
    expect(head.toString("latin1")).toMatch(/^HTTP\/1\.1 101 /);
    const answer = await rawRequest(port, upgrade);
    const code = answer?.headers.get(ERROR_HEADER)?.[0] ?? null;
    expectCode({ status: answer?.status ?? 0, code }, "too_many_upgrades");
  } finally {
    first.destroy();
  }
});

test("callers that a gateway has no means to check have a code", async () => {
  const policy = FunctionPolicy.read({ "com.faaslane.auth": "basic", "com.faaslane.auth.secret": "login" });
  const asked = new PolicyGate().admit(
    policy as FunctionPolicy,
    { name: "f", namespace: "n", qualifiedName: "f.n" } as never,
    {} as never,
    { headers: {} },
  );
  await expect(asked).rejects.toMatchObject({ kind: "unavailable", code: "auth_unavailable" });
});

test("a call that waits while the gateway stops has a code", async () => {
  const gateway = await open({
    functions_provider_url: provider.url.href,
    data_dir: join(folder.path, "stopping"),
  });
  const asked = () => provider.requests.filter(({ url }) => url.startsWith("/system/scale-function/stopped")).length;
  await eventually("it knows the function", async () => (await ask(gateway, "/function/f")).status === 200);
  const before = asked();
  const waiting = ask(gateway, "/function/stopped");
  await eventually("the call waits", () => asked() > before);
  await gateway.close();
  expectCode(await waiting, "stopping");
});
