import { Agent, createServer, type RequestListener, request, type Server } from "node:http";
import { type AddressInfo, connect, createServer as createTcpServer } from "node:net";
import { afterEach, expect, test } from "@jest/globals";
import type { FunctionEndpoints } from "../../contract/endpoints.ts";
import { FunctionProxy } from "../../gateway/proxy/function-proxy.ts";
import { FunctionTable } from "../../gateway/proxy/function-table.ts";
import { listen } from "../../kit/server.ts";
import { eventually } from "../support/eventually.ts";
import { rawRequest } from "../support/raw-http.ts";
import reflect from "../support/reflect.mjs";
import { silentStream, UNTYPED_ANSWERS } from "../support/untyped-answers.ts";

const opened: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

async function serve(listener: RequestListener): Promise<{ server: Server; port: number; address: string }> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  opened.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { server, port, address: `127.0.0.1:${port}` };
}

interface GatewayUnderTest {
  readonly port: number;
  readonly table: FunctionTable;
  readonly woken: string[];
  /** Functions that the provider has, whether or not the table knows them. */
  readonly deployed: Set<string>;
  put(snapshot: Partial<FunctionEndpoints>): void;
}

async function openProxy({
  timeoutMs = 5_000,
  holdTimeoutMs = 2_000,
  maxHeld = 100,
  readTimeoutMs = 60_000,
} = {}): Promise<GatewayUnderTest> {
  const table = new FunctionTable({ defaultNamespace: "openfaas-fn", maxHeld, timeoutMs, connectTimeoutMs: 500 });
  const woken: string[] = [];
  const deployed = new Set<string>();
  const wake = (entry: { qualifiedName: string; snapshot: FunctionEndpoints }) => {
    if (entry.snapshot.replicas === 0) woken.push(entry.qualifiedName);
  };
  const proxy = new FunctionProxy({
    table,
    provider: { exist: async () => deployed },
    wake,
    holdTimeoutMs,
    release: "test",
  });
  const server = await listen((req, res) => proxy.handle(req, res), {
    port: 0,
    host: "127.0.0.1",
    server: { requestTimeout: readTimeoutMs },
  });
  opened.push(() => server.drain(0));
  const { port } = server;
  opened.push(() => table.close());
  table.apply({ type: "heartbeat" });
  return {
    port,
    table,
    woken,
    deployed,
    put: (snapshot) =>
      table.apply({
        type: "changed",
        function: {
          name: "f",
          namespace: "openfaas-fn",
          labels: {},
          annotations: {},
          replicas: 1,
          generation: 1,
          endpoints: [],
          ...snapshot,
        },
      }),
  };
}

const at = (...addresses: string[]): FunctionEndpoints["endpoints"] =>
  addresses.map((address) => ({ address, instance: address, state: "ready" }));

const get = (port: number, path = "/function/f", init: RequestInit = {}) =>
  fetch(`http://127.0.0.1:${port}${path}`, init);

/** An address that refuses connections: it was a server's own a moment ago. */
async function refusingAddress(): Promise<string> {
  const server = createTcpServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `127.0.0.1:${port}`;
}

test("forwards method, raw path, headers and body, and marks the answer", async () => {
  const gateway = await openProxy();
  gateway.put({ endpoints: at((await serve(reflect)).address) });
  const response = await get(gateway.port, "/function/f.openfaas-fn/a%2Fb?x=%20y", {
    method: "PUT",
    body: "hello",
    headers: { "x-custom": "v", "content-type": "text/css", "x-forwarded-for": "203.0.113.9" },
  });
  const seen = (await response.json()) as Record<string, unknown> & { headers: Record<string, string[]> };
  expect(seen).toMatchObject({ method: "PUT", requestURI: "/a%2Fb?x=%20y", body: "hello", contentLength: 5 });
  expect(seen.headers).toMatchObject({ "X-Custom": ["v"], "Content-Type": ["text/css"] });
  expect(seen.headers["X-Forwarded-For"]).toEqual(["203.0.113.9, 127.0.0.1"]);
  expect(response.headers.get("x-call-id")).toBe(seen.headers["X-Call-Id"]?.[0]);
  expect(response.headers.get("x-start-time")).toMatch(/^\d{19}$/);
  expect(response.headers.get("x-served-by")).toBe("faaslane/test");
  expect(response.headers.getSetCookie()).toEqual(["a=b"]);
});

test("a caller's own call id is used and echoed", async () => {
  const gateway = await openProxy();
  gateway.put({ endpoints: at((await serve(reflect)).address) });
  const response = await get(gateway.port, "/function/f", { headers: { "x-call-id": "mine" } });
  expect(response.headers.get("x-call-id")).toBe("mine");
  expect(await response.json()).toMatchObject({ headers: { "X-Call-Id": ["mine"] } });
});

test.each([0, 5, 70_000, 3_000_000])(
  "a body of %i bytes goes both ways whole, with and without a length",
  async (size) => {
    const gateway = await openProxy();
    const echo = await serve((req, res) => req.pipe(res));
    gateway.put({ endpoints: at(echo.address) });
    const body = Buffer.alloc(size, "abcdefg");
    const withLength = await get(gateway.port, "/function/f", { method: "POST", body });
    expect(Buffer.from(await withLength.arrayBuffer()).equals(body)).toBe(true);
    const chunked = new ReadableStream({
      start(controller) {
        for (let i = 0; i < size; i += 10_000) controller.enqueue(body.subarray(i, i + 10_000));
        controller.close();
      },
    });
    const init: RequestInit & { duplex: "half" } = { method: "POST", body: chunked, duplex: "half" };
    const streamed = await get(gateway.port, "/function/f", init);
    expect(Buffer.from(await streamed.arrayBuffer()).equals(body)).toBe(true);
  },
);

test("an unknown function is 404, or 503 while the snapshot is not whole", async () => {
  const gateway = await openProxy();
  expect((await get(gateway.port, "/function/nope")).status).toBe(404);
  const table = new FunctionTable({ defaultNamespace: "openfaas-fn", maxHeld: 1, timeoutMs: 1, connectTimeoutMs: 1 });
  const proxy = new FunctionProxy({
    table,
    provider: { exist: async () => new Set<string>() },
    wake: () => {},
    holdTimeoutMs: 1,
    release: "test",
  });
  const server = await listen((req, res) => proxy.handle(req, res), { port: 0, host: "127.0.0.1" });
  opened.push(() => server.drain(0));
  const { port } = server;
  expect((await get(port, "/function/nope")).status).toBe(503);
});

test("calls that come before the first snapshot wait for it", async () => {
  const table = new FunctionTable({
    defaultNamespace: "openfaas-fn",
    maxHeld: 1,
    timeoutMs: 1_000,
    connectTimeoutMs: 500,
  });
  opened.push(() => table.close());
  const proxy = new FunctionProxy({
    table,
    provider: { exist: async () => new Set<string>() },
    wake: () => {},
    holdTimeoutMs: 10_000,
    release: "test",
  });
  const server = await listen((req, res) => proxy.handle(req, res), { port: 0, host: "127.0.0.1" });
  opened.push(() => server.drain(0));
  const replica = await serve((_req, res) => res.end("there"));
  const [known, unknown] = [get(server.port), get(server.port, "/function/nope")];
  const early = await Promise.race([known, unknown, new Promise((resolve) => setTimeout(resolve, 200))]);
  expect(early).toBeUndefined();
  const snapshot = { name: "f", namespace: "openfaas-fn", labels: {}, annotations: {}, replicas: 1, generation: 1 };
  table.apply({ type: "snapshot", function: { ...snapshot, endpoints: at(replica.address) } });
  table.apply({ type: "heartbeat" });
  expect(await (await known).text()).toBe("there");
  expect((await unknown).status).toBe(404);
});

test("a function that is called before the stream has brought it is waited for", async () => {
  const gateway = await openProxy();
  gateway.deployed.add("f.openfaas-fn");
  const call = get(gateway.port, "/function/f.openfaas-fn");
  gateway.put({ endpoints: at((await serve((_req, res) => res.end("there"))).address) });
  expect(await (await call).text()).toBe("there");
});

test("calls are held while a function wakes, and all of them answered", async () => {
  const gateway = await openProxy();
  const replica = await serve((_req, res) => res.end("awake"));
  gateway.put({ replicas: 0 });
  const calls = Array.from({ length: 50 }, async () => (await get(gateway.port)).text());
  await eventually("all calls are held", () => gateway.table.find("f")?.held.count === 50);
  expect(new Set(gateway.woken)).toEqual(new Set(["f.openfaas-fn"]));
  gateway.put({ replicas: 1, endpoints: at(replica.address) });
  expect(new Set(await Promise.all(calls))).toEqual(new Set(["awake"]));
  expect(gateway.table.find("f")?.held.count).toBe(0);
});

test("a held call ends with 503 at its deadline, with the reason when the function cannot start", async () => {
  const gateway = await openProxy({ holdTimeoutMs: 50 });
  gateway.put({ replicas: 1 });
  const late = await get(gateway.port);
  expect([late.status, await late.text()]).toEqual([
    503,
    "no replica of function f.openfaas-fn became ready in time\n",
  ]);
  expect(late.headers.get("x-openfaas-internal")).toBe("proxy");
  gateway.put({ replicas: 1, problem: "exited with code 1" });
  const broken = await get(gateway.port);
  expect([broken.status, await broken.text()]).toEqual([
    503,
    "function f.openfaas-fn cannot start: exited with code 1\n",
  ]);
});

test("more calls than may be held are refused with 429", async () => {
  const gateway = await openProxy({ maxHeld: 2 });
  gateway.put({ replicas: 0 });
  const held = [get(gateway.port), get(gateway.port)];
  await eventually("two calls are held", () => gateway.table.find("f")?.held.count === 2);
  const refused = await get(gateway.port);
  expect([refused.status, refused.headers.get("retry-after")]).toEqual([429, "5"]);
  gateway.put({ replicas: 1, endpoints: at((await serve((_req, res) => res.end())).address) });
  expect((await Promise.all(held)).map(({ status }) => status)).toEqual([200, 200]);
});

test("a held caller that leaves gives up its place", async () => {
  const gateway = await openProxy();
  gateway.put({ replicas: 0 });
  const leaving = new AbortController();
  const call = get(gateway.port, "/function/f", { signal: leaving.signal }).catch((error: Error) => error.name);
  await eventually("the call is held", () => gateway.table.find("f")?.held.count === 1);
  leaving.abort();
  expect(await call).toBe("AbortError");
  await eventually("nobody is held", () => gateway.table.find("f")?.held.count === 0);
});

test.each(["small", "chunked"])("a %s call that a replica refused goes to another", async (kind) => {
  const gateway = await openProxy();
  const refusing = await refusingAddress();
  const echo = await serve((req, res) => req.pipe(res));
  for (let i = 0; i < 4; i++) {
    gateway.put({ replicas: 2, endpoints: at(refusing, echo.address) });
    const body = kind === "small" ? "payload" : new Blob(["payload"]).stream();
    const init: RequestInit & { duplex: "half" } = { method: "POST", body, duplex: "half" };
    const response = await get(gateway.port, "/function/f", init);
    expect([response.status, await response.text()]).toEqual([200, "payload"]);
  }
});

test("a call that may have reached the function is never sent again", async () => {
  const gateway = await openProxy();
  let received = 0;
  const dying = await serve((req) => {
    received++;
    req.socket.destroy();
  });
  const other = await serve((_req, res) => {
    received++;
    res.end();
  });
  gateway.put({ replicas: 1, endpoints: at(dying.address) });
  const response = await get(gateway.port, "/function/f", { method: "POST", body: "x" });
  expect([response.status, await response.text()]).toEqual([500, "Can't reach service for: f.\n"]);
  gateway.put({ replicas: 1, endpoints: at(other.address) });
  expect(received).toBe(1);
});

test("a draining replica finishes its calls and gets no new ones", async () => {
  const gateway = await openProxy();
  const release = Promise.withResolvers<void>();
  let oldCalls = 0;
  const old = await serve((_req, res) => {
    oldCalls++;
    void release.promise.then(() => res.end("old"));
  });
  const young = await serve((_req, res) => res.end("young"));
  gateway.put({ endpoints: at(old.address) });
  const slow = get(gateway.port);
  await eventually("the call is under way", () => oldCalls === 1);
  gateway.put({
    endpoints: [{ address: old.address, instance: "old", state: "draining" }, ...at(young.address)],
  });
  for (let i = 0; i < 5; i++) expect(await (await get(gateway.port)).text()).toBe("young");
  gateway.put({ endpoints: at(young.address) });
  release.resolve();
  expect(await (await slow).text()).toBe("old");
});

test("max_inflight is respected: the call over it is refused as the watchdog would", async () => {
  const gateway = await openProxy();
  const release = Promise.withResolvers<void>();
  const replica = await serve((_req, res) => void release.promise.then(() => res.end()));
  gateway.put({ maxInflight: 1, endpoints: at(replica.address) });
  const first = get(gateway.port);
  await eventually("the call is under way", () => gateway.table.find("f")?.meter.inFlight === 1);
  const second = await get(gateway.port);
  expect([second.status, await second.text()]).toEqual([
    429,
    "Concurrent request limit exceeded. Max concurrent requests: 1\n",
  ]);
  release.resolve();
  expect((await first).status).toBe(200);
  expect((await get(gateway.port)).status).toBe(200);
});

test("held calls enter a limited function one after another", async () => {
  const gateway = await openProxy();
  let most = 0;
  let now = 0;
  const replica = await serve((_req, res) => {
    most = Math.max(most, ++now);
    setImmediate(() => {
      now--;
      res.end();
    });
  });
  gateway.put({ replicas: 0, maxInflight: 1 });
  const calls = Array.from({ length: 20 }, async () => (await get(gateway.port)).status);
  await eventually("all calls are held", () => gateway.table.find("f")?.held.count === 20);
  gateway.put({ replicas: 1, maxInflight: 1, endpoints: at(replica.address) });
  expect(new Set(await Promise.all(calls))).toEqual(new Set([200]));
  expect(most).toBe(1);
});

test("a function that does not answer in time is 504", async () => {
  const gateway = await openProxy({ timeoutMs: 200 });
  gateway.put({ endpoints: at((await serve(() => {})).address) });
  const response = await get(gateway.port);
  expect([response.status, await response.text()]).toEqual([504, "function f.openfaas-fn did not answer in time\n"]);
});

const LATE_MS = 2_500;

test.each<[what: string, snapshot: Partial<FunctionEndpoints>, answers: boolean]>([
  ["its environment", { timeouts: { execMs: 20_000 } }, true],
  ["its annotation", { annotations: { "com.faaslane.timeout": "20s" } }, true],
  ["nothing", {}, false],
])(
  "a function whose time is told by %s is waited for as long, and its quiet stream too",
  async (_what, snapshot, answers) => {
    const gateway = await openProxy({ timeoutMs: 300 });
    const replica = await serve((req, res) => {
      if (req.url === "/stream") res.writeHead(200, { "content-type": "text/event-stream" }).flushHeaders();
      setTimeout(() => res.end("late"), LATE_MS).unref();
    });
    gateway.put({ ...snapshot, endpoints: at(replica.address) });
    const [answer, stream] = await Promise.all([get(gateway.port), get(gateway.port, "/function/f/stream")]);
    const streamed = await stream.text().catch(() => "cut");
    expect([answer.status, stream.status, streamed]).toEqual(answers ? [200, 200, "late"] : [504, 200, "cut"]);
  },
);

test.each<[what: string, snapshot: Partial<FunctionEndpoints>, expected: number]>([
  ["longer than the gateway's", { timeouts: { readMs: 20_000 } }, 200],
  ["shorter than the gateway's", { timeouts: { readMs: 10 } }, 408],
  ["not told", {}, 408],
])("a caller may take as long to send as the function says, which is %s", async (_what, snapshot, expected) => {
  const gateway = await openProxy({ readTimeoutMs: 500 });
  const replica = await serve((req, res) => req.resume().on("end", () => res.end("all of it")));
  gateway.put({ ...snapshot, endpoints: at(replica.address) });
  const upload = request({ port: gateway.port, path: "/function/f", method: "POST" });
  const answer = new Promise<number>((resolve, reject) => {
    upload.once("response", (head) => resolve(head.resume().statusCode as number)).once("error", reject);
  });
  const begun = performance.now();
  await eventually("it took a while", () => {
    if (!upload.destroyed) upload.write("a piece");
    return performance.now() - begun > 1_500;
  });
  upload.end();
  expect(await answer).toBe(expected);
});

test("a limit that changes counts for the next call", async () => {
  const gateway = await openProxy({ timeoutMs: 300 });
  const { address } = await serve((_req, res) => void setTimeout(() => res.end("late"), LATE_MS).unref());
  gateway.put({ endpoints: at(address) });
  expect((await get(gateway.port)).status).toBe(504);
  gateway.put({ endpoints: at(address), timeouts: { writeMs: 20_000 } });
  expect((await get(gateway.port)).status).toBe(200);
  gateway.put({ endpoints: at(address) });
  expect((await get(gateway.port)).status).toBe(504);
});

test("an answer that is cut short is cut for the caller too", async () => {
  const gateway = await openProxy();
  gateway.put({ endpoints: at((await serve(reflect)).address) });
  const raw = await rawRequest(gateway.port, "GET /function/f?abort=1 HTTP/1.1\r\nHost: x\r\n\r\n");
  expect([raw?.status, raw?.body]).toEqual([200, "half"]);
});

test("a caller that leaves cancels the call at the function", async () => {
  const gateway = await openProxy();
  const cancelled = Promise.withResolvers<void>();
  let started = false;
  const replica = await serve((req, res) => {
    started = true;
    res.on("close", () => !res.writableFinished && cancelled.resolve());
    req.resume();
  });
  gateway.put({ endpoints: at(replica.address) });
  const leaving = new AbortController();
  const call = get(gateway.port, "/function/f", { signal: leaving.signal }).catch((error: Error) => error.name);
  await eventually("the function has the call", () => started);
  leaving.abort();
  expect(await call).toBe("AbortError");
  await cancelled.promise;
  await eventually("the call is counted as ended", () => gateway.table.find("f")?.meter.codes.get(499)?.count === 1);
});

test("a slow reader holds the function back instead of filling memory", async () => {
  const gateway = await openProxy();
  const total = 64 * 1024 * 1024;
  let written = 0;
  let waits = false;
  const replica = await serve((_req, res) => {
    const chunk = Buffer.alloc(64 * 1024);
    const pump = () => {
      while (written < total) {
        written += chunk.length;
        waits = !res.write(chunk);
        if (waits) return;
      }
      res.end();
    };
    res.on("drain", pump);
    pump();
  });
  gateway.put({ endpoints: at(replica.address) });
  const socket = connect(gateway.port, "127.0.0.1");
  opened.push(() => socket.destroy());
  socket.write("GET /function/f HTTP/1.1\r\nHost: x\r\n\r\n");
  socket.pause();
  let before = -1;
  const stalled = () => {
    const same = waits && written === before;
    before = written;
    return same;
  };
  await eventually("the function waits, as it did a moment ago, for the same bytes to go", stalled, 30_000, 200);
  expect(written).toBeLessThan(total / 2);
});

test("an event stream reaches the reader piece by piece", async () => {
  const gateway = await openProxy();
  const next = Promise.withResolvers<void>();
  const replica = await serve((_req, res) => {
    res.writeHead(200, { "content-type": "text/event-stream" });
    res.write("data: 0\n\n");
    void next.promise.then(() => res.end("data: 1\n\n"));
  });
  gateway.put({ endpoints: at(replica.address) });
  const response = await get(gateway.port);
  const reader = (response.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream()).getReader();
  expect((await reader.read()).value).toBe("data: 0\n\n");
  next.resolve();
  expect((await reader.read()).value).toBe("data: 1\n\n");
  expect((await reader.read()).done).toBe(true);
});

test("held calls of a function that is removed are 404, also one that comes back from a replica that refused it", async () => {
  const gateway = await openProxy();
  gateway.put({ replicas: 0 });
  const held = get(gateway.port);
  await eventually("the call is held", () => gateway.table.find("f")?.held.count === 1);
  const entry = gateway.table.find("f");
  gateway.table.beginSnapshot();
  gateway.table.apply({ type: "heartbeat" });
  expect([(await held).status, await (await held).text()]).toEqual([404, "function f.openfaas-fn has been removed\n"]);
  const again = { number: 1, again: true, deadline: performance.now() + 60_000, signal: new AbortController().signal };
  await expect(entry?.held.wait(again)).rejects.toMatchObject({ kind: "notFound" });
});

test("a function that a new snapshot leaves out is gone; the old snapshot serves until then", async () => {
  const gateway = await openProxy();
  gateway.put({ endpoints: at((await serve((_req, res) => res.end())).address) });
  gateway.table.beginSnapshot();
  expect((await get(gateway.port)).status).toBe(200);
  gateway.table.apply({ type: "heartbeat" });
  expect((await get(gateway.port)).status).toBe(404);
});

test("a replica that refused one connection is tried again soon, without a word from the provider", async () => {
  const gateway = await openProxy();
  const { server, port, address } = await serve((_req, res) => res.end("back"));
  gateway.put({ endpoints: at(address) });
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  const call = get(gateway.port);
  await eventually("the call is held", () => gateway.table.find("f")?.held.count === 1);
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  expect(await (await call).text()).toBe("back");
});

test("a reason phrase that HTTP does not know does not reach the caller, the answer does", async () => {
  const gateway = await openProxy();
  const odd = createTcpServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () =>
      socket.end("HTTP/1.1 200 \u65e5\u672c\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"),
    );
  });
  await new Promise<void>((resolve) => odd.listen(0, "127.0.0.1", resolve));
  opened.push(() => odd.close());
  gateway.put({ endpoints: at(`127.0.0.1:${(odd.address() as AddressInfo).port}`) });
  const response = await get(gateway.port);
  expect([response.status, response.statusText, await response.text()]).toEqual([200, "OK", "ok"]);
});

test("an answer before the whole upload leaves the caller's connection usable", async () => {
  const gateway = await openProxy();
  const picky = await serve((req, res) => {
    if (req.method === "GET") return res.end("next");
    return res.writeHead(413, { "content-length": "0" }).end();
  });
  gateway.put({ endpoints: at(picky.address) });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  opened.push(() => agent.destroy());
  const send = async (method: string, body?: Buffer): Promise<{ status: number; reused: boolean }> => {
    const { promise, resolve, reject } = Promise.withResolvers<{ status: number; reused: boolean }>();
    const req = request({ port: gateway.port, path: "/function/f", method, agent }, (res) => {
      res.resume().on("end", () => resolve({ status: res.statusCode as number, reused: req.reusedSocket }));
    });
    req.on("error", reject).end(body);
    return await promise;
  };
  for (let round = 0; round < 3; round++) {
    expect((await send("POST", Buffer.alloc(3_000_000))).status).toBe(413);
    expect((await send("GET")).status).toBe(200);
  }
});

test.each(UNTYPED_ANSWERS)("an answer without a type: %s", async (_rule, listener, type) => {
  const gateway = await openProxy();
  gateway.put({ endpoints: at((await serve(listener)).address) });
  const init = { method: "POST", body: "x", headers: { "content-type": "multipart/form-data; boundary=x" } };
  const answer = await get(gateway.port, "/function/f", init);
  expect(answer.headers.get("content-type")).toBe(type);
  await answer.arrayBuffer();
});

test("a stream without a type begins before its first piece", async () => {
  const gateway = await openProxy();
  const stream = silentStream();
  gateway.put({ endpoints: at((await serve(stream.listener)).address) });
  const answer = await get(gateway.port);
  expect([answer.status, answer.headers.get("content-type")]).toEqual([200, null]);
  stream.more();
  expect(await answer.text()).toBe("late");
});

test("a function that breaks off before the first piece of an answer without a type has failed", async () => {
  const gateway = await openProxy();
  const { address } = await serve((_req, res) => {
    res.flushHeaders();
    setImmediate(() => res.destroy());
  });
  gateway.put({ endpoints: at(address) });
  const answer = await get(gateway.port);
  expect([answer.status, answer.headers.get("x-openfaas-internal")]).toEqual([500, "proxy"]);
});
