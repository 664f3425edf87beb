import { connect } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { FaasError } from "../../contract/errors.ts";
import { buildGateway } from "../../gateway/app.ts";
import { followProvider } from "../../gateway/process/follow-provider.ts";
import { ProviderClient } from "../../gateway/provider-client.ts";
import { FunctionProxy } from "../../gateway/proxy/function-proxy.ts";
import { FunctionTable } from "../../gateway/proxy/function-table.ts";
import { ProviderConnection } from "../../gateway/proxy/provider-connection.ts";
import { AsyncIntake } from "../../gateway/routes/async-intake.ts";
import { CallRoutes } from "../../gateway/routes/call-routes.ts";
import { basicAuthHeader, isAuthorized } from "../../kit/basic-auth.ts";
import { createLogger } from "../../kit/log.ts";
import { CallbackTargets } from "../../kit/outbound/targets.ts";
import { type DrainingServer, listen } from "../../kit/server.ts";
import { readVersion } from "../../kit/version.ts";
import { eventually } from "../support/eventually.ts";
import { FakeProvider } from "../support/fake-provider.ts";
import { FakeQueue } from "./fake-queue.ts";

const credentials = { user: "admin", password: "secret" };
const authorization = basicAuthHeader(credentials);
const log = createLogger("silent");
const NDJSON = { "content-type": "application/x-ndjson", "x-batch": "true" };

let provider: FakeProvider;
let queue: FakeQueue;
let calls: CallRoutes;
let api: DrainingServer;
let opened: { close(): Promise<void> }[];

beforeEach(async () => {
  provider = await FakeProvider.open();
  provider.put({ name: "f" });
  provider.respond = (_request, res) => res.writeHead(404).end();
  queue = new FakeQueue();
  const connection = new ProviderConnection({ url: provider.url, connections: 16, timeoutMs: 5_000 });
  const client = new ProviderClient({ connection, timeoutMs: 5_000, log });
  const table = new FunctionTable({
    defaultNamespace: "openfaas-fn",
    maxHeld: 1,
    timeoutMs: 5_000,
    connectTimeoutMs: 1_000,
  });
  const proxy = new FunctionProxy({
    table,
    provider: client,
    wake: () => {},
    holdTimeoutMs: 1_000,
    release: "1.2.3",
  });
  const targets = new CallbackTargets({ private: true, allow: [], deny: ["10.0.0.0/8"] });
  const intake = new AsyncIntake({ queue, table, proxy, targets, maxBufferedBytes: 1500, queueTimeoutMs: 100, log });
  calls = new CallRoutes({
    queue,
    isAuthorized: ({ headers }) => isAuthorized(headers.authorization, credentials),
    maxWaits: 2,
    queueTimeoutMs: 100,
    log,
  });
  const handler = buildGateway({
    proxy,
    table,
    connection,
    provider: client,
    async: { intake, calls, queue },
    defaultNamespace: "openfaas-fn",
    credentials,
    version: readVersion(),
    log,
  });
  opened = [connection, table, followProvider(client, table)];
  api = await listen(handler, { port: 0, host: "127.0.0.1" });
  await table.whenSynced;
});

afterEach(async () => {
  await api.drain(100);
  for (const part of opened.reverse()) await part.close();
  await provider.close();
});

const ask = (path: string, init?: RequestInit) => fetch(api.url + path, init);
const post = (headers: Record<string, string> = {}, path = "/async-function/f", body = "x") =>
  ask(path, { method: "POST", headers, body });

describe("POST /system/queue/call/callback", () => {
  const callBack = (query: string, headers: Record<string, string> = { authorization }) =>
    ask(`/system/queue/call/callback${query}`, { method: "POST", headers });

  test("is 202 once it is queued", async () => {
    queue.callBacks.set("a/b", "queued");
    const answer = await callBack("?id=a%2Fb");
    expect([answer.status, await answer.text()]).toEqual([202, ""]);
    expect(queue.asked).toContainEqual(["callBack", "a/b"]);
  });

  test.each([
    ["unknown", 404, "unknown_call", 'no call "x" is known'],
    ["open", 409, "not_ended", "has not ended"],
    ["noCallback", 422, "no_callback", "X-Callback-Url"],
    ["noResult", 409, "result_gone", "async_result_ttl and async_max_result"],
  ] as const)("that comes to %s is %d %s", async (outcome, status, code, text) => {
    queue.callBacks.set("x", outcome);
    const answer = await callBack("?id=x");
    expect([answer.status, answer.headers.get("x-faaslane-error")]).toEqual([status, code]);
    expect(await answer.text()).toContain(text);
  });

  test.each([
    ["", 400],
    ["?id=x&all=true", 400],
  ])("of %j is %d", async (query, status) => {
    expect((await callBack(query)).status).toBe(status);
    expect(queue.asked).toEqual([]);
  });

  test("takes credentials, and no other method", async () => {
    expect((await callBack("?id=x", {})).status).toBe(401);
    expect((await ask("/system/queue/call/callback?id=x", { headers: { authorization } })).status).toBe(405);
  });
});

describe("POST /async-function/NAME", () => {
  test("is 202 with an empty body, the call's id, the time and where its status is", async () => {
    const before = Date.now();
    const answer = await post({ "x-one": "1", "user-agent": "me" }, "/async-function/f/a%20b?c=%41&delay=1m");
    expect([answer.status, await answer.text()]).toEqual([202, ""]);
    const id = answer.headers.get("x-call-id");
    expect(id).toMatch(/^[0-9a-f-]{36}$/);
    expect(answer.headers.get("location")).toBe(`/async-function/${id}`);
    expect(answer.headers.get("x-served-by")).toBe("faaslane/1.2.3");
    expect(answer.headers.has("x-faaslane-duplicate")).toBe(false);
    const startMs = Number(answer.headers.get("x-start-time")) / 1e6;
    expect(startMs).toBeGreaterThanOrEqual(before);
    const [call] = queue.published;
    expect(call).toMatchObject({
      queue: "faas-request",
      function: "f",
      namespace: "openfaas-fn",
      method: "POST",
      path: "/a%20b",
      query: "c=%41",
      body: Buffer.from("x"),
    });
    expect(call?.notBefore).toBe((call?.acceptedAt ?? 0) + 60_000);
    expect(call).not.toHaveProperty("callId");
    const headers = Object.fromEntries((call?.headers ?? []).map(([name, value]) => [name.toLowerCase(), value]));
    expect(headers).toMatchObject({ "x-one": "1", "user-agent": "me", "x-start-time": expect.any(String) });
    expect(headers).not.toHaveProperty("x-call-id");
  });

  test("says where its status is below the prefix that a proxy takes away", async () => {
    const answer = await post({ "x-forwarded-prefix": "/faas" });
    expect(answer.headers.get("location")).toMatch(/^\/faas\/async-function\/[0-9a-f-]{36}$/);
  });

  test("sends those with an unclean path, and those who come to the root, below the prefix", async () => {
    const asked = { headers: { "x-forwarded-prefix": "/faas" }, redirect: "manual" } as const;
    for (const [path, location] of [
      ["/function//f?a=1", "/faas/function/f?a=1"],
      ["/async-function//f", "/faas/async-function/f"],
      ["/", "/faas/ui/"],
    ] as const) {
      const method = path.startsWith("/async") ? "POST" : "GET";
      const answer = await ask(path, { ...asked, method });
      // The answer of the root goes by what is asked for, too.
      const vary = path === "/" ? "Accept, X-Forwarded-Prefix" : "X-Forwarded-Prefix";
      expect([answer.headers.get("location"), answer.headers.get("vary")]).toEqual([location, vary]);
    }
  });

  test("keeps the caller's call id and what is for the function, and leaves out what was for the queue", async () => {
    const sent = {
      "x-call-id": "mine",
      "x-delay": "1s",
      "x-not-after": "1h",
      "x-idempotency-key": "k1",
      "x-callback-url": "http://127.0.0.1:1/",
    };
    const answer = await post(sent);
    expect([answer.status, answer.headers.get("x-call-id")]).toEqual([202, "mine"]);
    expect(answer.headers.get("location")).not.toContain("mine");
    const [call] = queue.published;
    expect(call).toMatchObject({ callId: "mine", idempotencyKey: "k1", callbackUrl: "http://127.0.0.1:1/" });
    const names = (call?.headers ?? []).map(([name]) => name.toLowerCase());
    expect(names).toEqual(expect.arrayContaining(["x-not-after", "x-idempotency-key", "x-callback-url"]));
    expect(names).not.toEqual(expect.arrayContaining(["x-delay"]));
  });

  test("of a repeated key the first call is told, with a mark", async () => {
    queue.receipt = () => ({ id: "first", callId: "first", duplicate: true });
    const answer = await post({ "x-idempotency-key": "k", "x-call-id": "second" });
    expect([answer.status, answer.headers.get("x-call-id"), answer.headers.get("x-faaslane-duplicate")]).toEqual([
      202,
      "first",
      "true",
    ]);
  });

  test("the queue is the function's choice; a bad name is the default", async () => {
    provider.put({ name: "slow", annotations: { "com.openfaas.queue": "slow-fns" } });
    provider.put({ name: "bad", annotations: { "com.openfaas.queue": "NO WAY" } });
    await eventually("both are known", async () => (await post({}, "/async-function/bad")).status === 202);
    await post({}, "/async-function/slow");
    expect(queue.published.map((call) => [call.function, call.queue])).toEqual([
      ["bad", "faas-request"],
      ["slow", "slow-fns"],
    ]);
  });

  test("a batch is one call with the number of its lines", async () => {
    expect((await post(NDJSON, "/async-function/f", '{"a":1}\n\n{"a":2}\r\n3')).status).toBe(202);
    expect(queue.published[0]?.batch).toEqual({ kind: "whole", size: 3 });
    const refused = await post(NDJSON, "/async-function/f", '{"a":1}\n{"a":');
    expect([refused.status, await refused.text()]).toEqual([400, "line 2 of the batch is not JSON in UTF-8\n"]);
    expect((await post(NDJSON, "/async-function/f", "\n")).status).toBe(400);
  });

  test.each<[headers: Record<string, string>, path: string, status: number, text: RegExp]>([
    [{ "x-delay": "soon" }, "/async-function/f", 400, /^X-Delay: must be/],
    [{}, "/async-function/f?delay=x", 400, /^delay: must be/],
    [{ "x-callback-url": "nowhere" }, "/async-function/f", 400, /^X-Callback-Url: must be/],
    [{ "x-callback-url": "http://10.1.2.3/" }, "/async-function/f", 400, /^X-Callback-Url: must not lead there/],
    [{}, "/async-function/unknown", 404, /^error finding function unknown: not found/],
    [{}, "/async-function/", 404, /^404 page not found/],
  ])("%j %s is %d", async (headers, path, status, text) => {
    const answer = await post(headers, path);
    expect(answer.status).toBe(status);
    expect(await answer.text()).toMatch(text);
    expect(queue.published).toEqual([]);
  });

  test("a queue that is away is 503, one that is full 429, both with the time to come back; nothing hangs", async () => {
    queue.failure = new FaasError("unavailable", "the queue is away");
    const away = await post({ "x-call-id": "mine" });
    expect([away.status, away.headers.get("retry-after"), await away.text()]).toEqual([
      503,
      "1",
      "the queue is away\n",
    ]);
    expect([away.headers.get("x-call-id"), away.headers.get("x-openfaas-internal")]).toEqual(["mine", "gateway"]);
    queue.failure = new FaasError("overloaded", "the queue is full");
    expect([(await post()).status, (await post()).headers.get("retry-after")]).toEqual([429, "1"]);
    queue.failure = undefined;
    queue.silent = true;
    const silent = await post();
    expect([silent.status, await silent.text()]).toEqual([503, "the queue does not answer\n"]);
  });

  test("bodies of all callers together are limited, and room is given back", async () => {
    queue.silent = true;
    const first = post({}, "/async-function/f", "x".repeat(900));
    await eventually("it is being published", () => queue.asked.length === 1);
    const second = await post({}, "/async-function/f", "x".repeat(900));
    expect([second.status, await second.text()]).toEqual([
      429,
      "too many asynchronous calls are being sent at a time\n",
    ]);
    expect((await first).status).toBe(503);
    queue.silent = false;
    expect((await post({}, "/async-function/f", "x".repeat(900))).status).toBe(202);
  });

  test("a caller that leaves while sending leaves nothing behind", async () => {
    const socket = connect(api.port, "127.0.0.1");
    socket.write("POST /async-function/f HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\nxxx");
    await eventually("it has been received", () => socket.bytesWritten > 0);
    socket.destroy();
    await eventually("there is room again", async () => (await post({}, undefined, "x".repeat(1000))).status === 202);
    expect(queue.published).toHaveLength(1);
  });
});

describe("GET /async-function/ID", () => {
  test("tells the state with times as text and durations in milliseconds", async () => {
    const at = Date.parse("2030-01-01T00:00:00Z");
    queue.put({
      id: "a-1",
      state: "waiting",
      attempts: 2,
      startedAt: at + 10,
      nextAttemptAt: at + 5_000,
      notAfter: at + 60_000,
      status: 500,
      durationMs: 12.5,
      batch: { size: 3, done: 1, dead: 0, cancelled: 0, expired: 0 },
    });
    const answer = await ask("/async-function/a-1");
    expect([answer.status, answer.headers.get("content-type")]).toEqual([200, "application/json"]);
    expect([answer.headers.get("x-call-state"), answer.headers.get("cache-control")]).toEqual(["waiting", "no-store"]);
    expect(await answer.json()).toEqual({
      id: "a-1",
      callId: "a-1",
      function: "f",
      namespace: "openfaas-fn",
      queue: "faas-request",
      state: "waiting",
      attempts: 2,
      acceptedAt: "2030-01-01T00:00:00.000Z",
      startedAt: "2030-01-01T00:00:00.010Z",
      nextAttemptAt: "2030-01-01T00:00:05.000Z",
      notAfter: "2030-01-01T00:01:00.000Z",
      status: 500,
      durationMs: 12.5,
      batch: { size: 3, done: 1, dead: 0, cancelled: 0, expired: 0 },
    });
  });

  test("needs credentials when it is asked by a call id that the caller has chosen", async () => {
    queue.put({ id: "a-1", callId: "mine", state: "done" });
    queue.outcomes.set("a-1", { status: 200, durationMs: 1, result: { headers: [], body: Buffer.from("r") } });
    for (const path of ["/async-function/mine", "/async-function/mine/result"]) {
      const refused = await ask(path);
      expect([refused.status, refused.headers.get("www-authenticate")]).toEqual([401, 'Basic realm="Restricted"']);
      expect((await ask(path, { headers: { authorization: "Basic eDp5" } })).status).toBe(401);
      expect((await ask(path, { headers: { authorization } })).status).toBe(200);
    }
    expect((await ask("/async-function/mine", { method: "DELETE" })).status).toBe(401);
    expect(queue.cancelled).toEqual([]);
    expect((await ask("/async-function/a-1")).status).toBe(200);
    expect((await ask("/async-function/a-1", { method: "DELETE" })).status).toBe(202);
    expect((await ask("/async-function/mine", { method: "DELETE", headers: { authorization } })).status).toBe(202);
    expect(queue.cancelled).toEqual(["a-1", "a-1"]);
  });

  test("unknown calls are 404 whatever is asked, other methods 405", async () => {
    for (const [method, path] of [
      ["GET", "/async-function/x"],
      ["GET", "/async-function/x/result"],
      ["GET", "/async-function/x/y"],
      ["DELETE", "/async-function/x"],
    ] as const) {
      const answer = await ask(path, { method });
      expect([answer.status, answer.headers.get("x-openfaas-internal")]).toEqual([404, "gateway"]);
    }
    const put = await ask("/async-function/x", { method: "PUT" });
    expect([put.status, put.headers.get("allow")]).toEqual([405, "GET, HEAD, POST, DELETE"]);
    const drop = await ask("/async-function/x/result", { method: "DELETE" });
    expect([drop.status, drop.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
  });

  test("waits for the end, for as long as asked", async () => {
    queue.put({ id: "a", state: "running" });
    const waiting = ask("/async-function/a?wait=20s");
    await eventually("it has been looked up again", () => queue.asked.length > 2);
    queue.put({ id: "a", state: "done" });
    expect(await (await waiting).json()).toMatchObject({ state: "done" });

    queue.put({ id: "b", state: "running" });
    expect(await (await ask("/async-function/b?wait=60ms")).json()).toMatchObject({ state: "running" });
    expect((await ask("/async-function/b?wait=long")).status).toBe(400);
  });

  test("waits are limited in number, and end when the gateway stops", async () => {
    queue.put({ id: "a", state: "running" });
    const two = [ask("/async-function/a?wait=20s"), ask("/async-function/a?wait=20s")];
    await eventually("both wait", async () => (await ask("/async-function/a?wait=1ms")).status === 429);
    calls.close();
    for (const answer of await Promise.all(two)) expect(await answer.json()).toMatchObject({ state: "running" });
  });

  test("a caller that leaves is not looked up for any longer", async () => {
    queue.put({ id: "a", state: "running" });
    const leaving = new AbortController();
    const gone = ask("/async-function/a?wait=20s", { signal: leaving.signal }).catch(() => "gone");
    await eventually("it waits", () => queue.asked.length > 1);
    leaving.abort();
    expect(await gone).toBe("gone");
    await eventually("its place is free", async () => {
      const answers = await Promise.all([ask("/async-function/a?wait=1ms"), ask("/async-function/a?wait=1ms")]);
      return answers.every(({ status }) => status === 200);
    });
  });

  test("a queue that is away or silent is 503", async () => {
    queue.failure = new FaasError("unavailable", "the queue is away");
    const away = await ask("/async-function/a");
    expect([away.status, away.headers.get("retry-after")]).toEqual([503, "1"]);
    queue.failure = undefined;
    queue.silent = true;
    expect((await ask("/async-function/a")).status).toBe(503);
    expect((await ask("/async-function/a", { method: "DELETE" })).status).toBe(503);
  });
});

describe("the result of a call", () => {
  const result = {
    headers: [
      ["Content-Type", "text/x"],
      ["Set-Cookie", "a=1"],
      ["Set-Cookie", "b=2"],
      ["Connection", "close"],
      ["Transfer-Encoding", "chunked"],
      ["X-Call-Id", "forged"],
    ] as const,
    body: Buffer.from([0, 1, 255]),
  };

  test.each(["constructor", "toString", "hasOwnProperty", "valueOf", "__proto__"])(
    "may have a header %s, more than once",
    async (name) => {
      queue.put({ id: "a", state: "done" });
      const headers = [
        [name, "one"],
        [name.toUpperCase(), "two"],
      ] as const;
      queue.outcomes.set("a", { status: 200, durationMs: 5, result: { headers, body: Buffer.from("r") } });
      const answer = await ask("/async-function/a/result");
      expect([answer.status, answer.headers.get(name), await answer.text()]).toEqual([200, "one, two", "r"]);
    },
  );

  test.each(["TE", "Trailer", "Proxy-Authenticate", "Proxy-Authorization", "Upgrade"])(
    "its %s, which was between other neighbours, is not told again",
    async (name) => {
      queue.put({ id: "a", state: "done" });
      const headers = [
        [name, "trailers"],
        ["X-Own", "1"],
      ] as const;
      queue.outcomes.set("a", { status: 200, durationMs: 5, result: { headers, body: Buffer.from("r") } });
      const answer = await ask("/async-function/a/result");
      expect([answer.status, answer.headers.get("x-own"), await answer.text()]).toEqual([200, "1", "r"]);
      expect(answer.headers.get(name)).toBeNull();
    },
  );

  test.each(["/async-function/a/result", "/async-function/a?result=true", "/async-function/a/result?wait=1s"])(
    "%s is the function's own answer",
    async (path) => {
      queue.put({ id: "a", callId: "mine", state: "done" });
      queue.outcomes.set("a", { status: 418, durationMs: 5, result });
      const answer = await ask(path);
      expect(answer.status).toBe(418);
      expect(Buffer.from(await answer.arrayBuffer())).toEqual(result.body);
      expect(answer.headers.get("content-type")).toBe("text/x");
      expect(answer.headers.getSetCookie()).toEqual(["a=1", "b=2"]);
      expect([answer.headers.get("x-call-id"), answer.headers.get("x-call-state")]).toEqual(["mine", "done"]);
      const head = await ask(path, { method: "HEAD" });
      expect([head.status, head.headers.get("content-length")]).toEqual([418, "3"]);
    },
  );

  test("without a body stays without one", async () => {
    queue.put({ id: "a", state: "done" });
    queue.outcomes.set("a", { status: 204, durationMs: 5, result: { headers: [], body: Buffer.alloc(0) } });
    const answer = await ask("/async-function/a/result");
    expect([answer.status, answer.headers.get("content-length")]).toEqual([204, null]);
  });

  test("is 202 with the state until there is one", async () => {
    queue.put({ id: "a", state: "running" });
    const answer = await ask("/async-function/a/result?wait=10ms");
    expect([answer.status, answer.headers.get("x-call-state")]).toEqual([202, "running"]);
    expect(answer.headers.get("retry-after")).toBe("1");
    expect(await answer.json()).toMatchObject({ state: "running" });
  });

  test("is 404 with the reason when none is kept", async () => {
    queue.put({ id: "a", state: "cancelled" });
    const answer = await ask("/async-function/a/result");
    expect([answer.status, await answer.text()]).toEqual([404, "the call is cancelled; no result of it is kept\n"]);
  });
});

describe("/system/queue", () => {
  const asked = (path: string, method = "GET") => ask(path, { method, headers: { authorization } });
  const functions = ["f", "g"].map((name) => ({
    name,
    namespace: "openfaas-fn",
    queue: "faas-request",
    waiting: 2,
    inFlight: 1,
    dead: 0,
    oldestMs: 7,
    acceptedPerSecond: 1.5,
    finishedPerSecond: 0.5,
  }));

  test("wants the password", async () => {
    for (const [method, path] of [
      ["GET", "/system/queue"],
      ["DELETE", "/system/queue?function=f"],
      ["GET", "/system/queue/dead-letters"],
      ["POST", "/system/queue/dead-letters?all=true"],
      ["DELETE", "/system/queue/dead-letters?all=true"],
    ] as const) {
      expect((await ask(path, { method })).status).toBe(401);
    }
    expect(queue.asked).toEqual([]);
  });

  test("tells the totals and each function, or one", async () => {
    queue.stats_ = { ...queue.stats_, waiting: 4, inFlight: 2, dead: 0, oldestMs: 7, bytes: 12, functions };
    expect(await (await asked("/system/queue")).json()).toEqual(queue.stats_);
    const one = await asked("/system/queue?function=g");
    expect(await one.json()).toMatchObject({ waiting: 4, functions: [functions[1]] });
    expect(await (await asked("/system/queue?function=g&namespace=dev")).json()).toMatchObject({ functions: [] });
  });

  test("purges the calls of one function, which must be named", async () => {
    const purge = (query: string) => asked(`/system/queue${query}`, "DELETE");
    expect(await (await purge("?function=f")).json()).toEqual({ count: 5 });
    expect(await (await purge("?function=g&namespace=dev")).json()).toEqual({ count: 5 });
    expect(queue.asked).toEqual([
      ["purge", { name: "f", namespace: "openfaas-fn" }],
      ["purge", { name: "g", namespace: "dev" }],
    ]);
    for (const query of ["", "?all=true", "?namespace=dev", "?functoin=f"])
      expect((await purge(query)).status).toBe(400);
    expect(queue.asked).toHaveLength(2);
  });

  test("lists dead letters", async () => {
    const at = Date.parse("2030-01-01T00:00:00Z");
    const letter = {
      id: "a",
      callId: "a",
      queue: "faas-request",
      function: "f",
      namespace: "openfaas-fn",
      reason: "why",
      attempts: 3,
      status: 500,
      acceptedAt: at,
      diedAt: at + 1,
      bodyBytes: 5,
    };
    queue.page = { items: [letter], next: "n1" };
    const answer = await asked("/system/queue/dead-letters?function=f&since=2030-01-01T00:00:00Z&limit=1&after=n0");
    expect(await answer.json()).toEqual({
      items: [{ ...letter, acceptedAt: "2030-01-01T00:00:00.000Z", diedAt: "2030-01-01T00:00:00.001Z" }],
      next: "n1",
    });
    expect(queue.asked).toEqual([
      ["list", { function: { name: "f", namespace: "openfaas-fn" }, since: at }, { limit: 1, after: "n0" }],
    ]);
  });

  test("replays and drops by filter, and all only when told so", async () => {
    expect(await (await asked("/system/queue/dead-letters?id=a", "POST")).json()).toEqual({ count: 3 });
    expect(await (await asked("/system/queue/dead-letters?all=true", "DELETE")).json()).toEqual({ count: 4 });
    expect(queue.asked).toEqual([
      ["replay", { id: "a" }],
      ["drop", {}],
    ]);
    const refused = await asked("/system/queue/dead-letters", "DELETE");
    expect([refused.status, await refused.text()]).toEqual([400, expect.stringMatching(/^all: must be true unless/)]);
    expect((await asked("/system/queue/dead-letters?functoin=f", "POST")).status).toBe(400);
    expect((await asked("/system/queue/dead-letters", "PUT")).status).toBe(405);
    expect(queue.asked).toHaveLength(2);
  });

  test("a queue that is away is 503 with the time to come back", async () => {
    queue.failure = new FaasError("unavailable", "the queue is away");
    for (const path of ["/system/queue", "/system/queue/dead-letters"]) {
      const answer = await asked(path);
      expect([answer.status, answer.headers.get("retry-after"), await answer.text()]).toEqual([
        503,
        "1",
        "the queue is away\n",
      ]);
    }
  });
});
