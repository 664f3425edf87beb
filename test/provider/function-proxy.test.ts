import { once } from "node:events";
import { createServer, type RequestListener, request, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { createLogger } from "../../kit/log.ts";
import { proxyFunctions } from "../../provider/routes/function-proxy.ts";
import { eventually } from "../support/eventually.ts";
import { rawRequest } from "../support/raw-http.ts";
import { silentStream, UNTYPED_ANSWERS } from "../support/untyped-answers.ts";
import { FakeBackend } from "./fake-backend.ts";
import { serveProvider, type TestProvider } from "./support.ts";

let backend: FakeBackend;
let provider: TestProvider;
const servers: Server[] = [];
beforeEach(async () => {
  backend = new FakeBackend();
  provider = await serveProvider({ backend, functionTimeoutMs: 300 });
});
afterEach(async () => {
  await provider.close();
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

/** A function's replica; the fake backend points `name` at it. */
async function replica(handler: RequestListener, name = "f"): Promise<string> {
  const server = createServer(handler).listen(0, "127.0.0.1");
  servers.push(server);
  await once(server, "listening");
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  backend.point(name, [address]);
  return address;
}

/** Answers with what it received. */
const reflect: RequestListener = async (req, res) => {
  const chunks: Buffer[] = [];
  for await (const chunk of req) chunks.push(chunk as Buffer);
  const { method, url, rawHeaders } = req;
  res.setHeader("content-type", "application/json");
  res.end(JSON.stringify({ method, url, rawHeaders, body: Buffer.concat(chunks).toString() }));
};

test.each<[path: string, received: string]>([
  ["/function/f", "/"],
  ["/function/f/", "/"],
  ["/function/f.openfaas-fn", "/"],
  ["/function/%66/x", "/x"],
  ["/function/f/a/b?x=1", "/a/b?x=1"],
  ["/function/f?x=1&&y", "/?x=1&&y"],
  ["/function/f/a/", "/a/"],
  ["/function/f//a/../b/./c", "//a/../b/./c"],
  ["/function/f/a%2Fb%3F%23%25%zz?q=%2F+", "/a%2Fb%3F%23%25%zz?q=%2F+"],
])("%s arrives as %s", async (path, received) => {
  await replica(reflect);
  const answer = await rawRequest(provider.port, `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
  expect(answer?.status).toBe(200);
  expect(JSON.parse(answer?.body ?? "")).toMatchObject({ method: "GET", url: received });
});

test.each(["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])("%s reaches the function", async (method) => {
  await replica(reflect);
  const answer = await provider.call(method, "/function/f", method === "GET" ? undefined : "hello");
  expect(await answer.json()).toMatchObject({ method, body: method === "GET" ? "" : "hello" });
});

test.each(["TRACE", "PURGE"])("%s is a 405 without a body", async (method) => {
  await replica(reflect);
  const answer = await rawRequest(provider.port, `${method} /function/f HTTP/1.1\r\nHost: x\r\n\r\n`);
  expect([answer?.status, answer?.body]).toEqual([405, ""]);
});

test.each([["/function/"], ["/function"], ["/function/no$pe"], ["/function/%zz"]])("%s is a 404", async (path) => {
  const answer = await rawRequest(provider.port, `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
  expect([answer?.status, answer?.body]).toEqual([404, "404 page not found\n"]);
});

test("end-to-end headers are passed on as they are, hop-by-hop ones are not", async () => {
  const address = await replica((req, res) => {
    res.writeHead(200, "Fine", ["X-Multi", "one", "x-multi", "two", "Connection", "X-Hop", "X-Hop", "1"]);
    res.end(JSON.stringify(req.rawHeaders));
  });
  const answer = await rawRequest(
    provider.port,
    "GET /function/f HTTP/1.1\r\nHost: gw.test\r\nConnection: close, X-Mine\r\nX-Mine: 1\r\nTE: trailers, gzip\r\n" +
      "Proxy-Authorization: x\r\nAuthorization: Basic abc\r\nX-TWICE: a\r\nX-Twice: b\r\nUpgrade: h2c\r\n\r\n",
  );
  expect(answer?.statusLine).toBe("HTTP/1.1 200 Fine");
  expect(answer?.headers.get("x-multi")).toEqual(["one", "two"]);
  expect(answer?.headers.has("x-hop")).toBe(false);
  expect(answer?.headers.get("content-type")).toEqual(["text/plain; charset=utf-8"]);
  expect(JSON.parse(answer?.body ?? "")).toEqual([
    "Host",
    address,
    "Authorization",
    "Basic abc",
    "X-TWICE",
    "a",
    "X-Twice",
    "b",
    "TE",
    "trailers",
    "X-Forwarded-Host",
    "gw.test",
    "X-Forwarded-For",
    "127.0.0.1",
    "Connection",
    "keep-alive",
  ]);
});

test("an error that the function's watchdog tells of gets a code, and none that the function sets", async () => {
  await replica((_req, res) =>
    res.writeHead(504, { "X-OpenFaaS-Internal": "of-watchdog", "X-Faaslane-Error": "disk_full" }).end(),
  );
  const answer = await provider.call("GET", "/function/f");
  expect([answer.status, answer.headers.get("x-faaslane-error")]).toEqual([504, "function_timeout"]);
});

test("forwarding headers of a gateway in front are kept", async () => {
  await replica(reflect);
  const headers = { "x-forwarded-host": "public", "x-forwarded-for": "1.2.3.4:5", "x-call-id": "id" };
  const answer = await provider.call("GET", "/function/f", undefined, headers);
  const { rawHeaders } = (await answer.json()) as { rawHeaders: string[] };
  const joined = rawHeaders.join("|").toLowerCase();
  expect(joined).toContain("x-forwarded-host|public");
  expect(joined).toContain("x-forwarded-for|1.2.3.4:5");
  expect(joined).toContain("x-call-id|id");
  expect(joined.match(/x-forwarded/g)).toHaveLength(2);
});

test.each(UNTYPED_ANSWERS)("an answer without a type: %s", async (_rule, listener, type) => {
  await replica(listener);
  const answer = await provider.call("POST", "/function/f", "x", { "content-type": "multipart/form-data; boundary=x" });
  expect(answer.headers.get("content-type")).toBe(type);
  await answer.arrayBuffer();
});

test("a stream without a type begins before its first piece", async () => {
  const stream = silentStream();
  await replica(stream.listener);
  const answer = await provider.call("GET", "/function/f");
  expect([answer.status, answer.headers.get("content-type")]).toEqual([200, null]);
  stream.more();
  expect(await answer.text()).toBe("late");
});

test.each([201, 204, 301, 304, 404, 429, 500, 503])("the function's %d is passed on", async (status) => {
  await replica((_req, res) => res.writeHead(status, { location: "/elsewhere" }).end());
  const answer = await rawRequest(provider.port, "GET /function/f HTTP/1.1\r\nHost: x\r\n\r\n");
  expect(answer?.status).toBe(status);
  expect(answer?.headers.get("location")).toEqual(["/elsewhere"]);
  expect(answer?.headers.has("x-openfaas-internal")).toBe(false);
});

test.each<[rule: string, arrange: () => void]>([
  ["unknown", () => {}],
  ["asleep", () => backend.point("f", [])],
  ["starting", () => backend.point("f", ["127.0.0.1:1"], "starting")],
  ["draining", () => backend.point("f", ["127.0.0.1:1"], "draining")],
])("a function that is %s is a 503 that says who made it", async (_rule, arrange) => {
  arrange();
  const answer = await provider.call("POST", "/function/f.openfaas-fn", "x");
  expect(`${answer.status} ${await answer.text()}`).toBe("503 No endpoints available for: f.\n");
  expect(answer.headers.get("x-openfaas-internal")).toBe("proxy");
});

test.each<[rule: string, handler: RequestListener | undefined]>([
  ["refuses the connection", undefined],
  ["closes without an answer", (req) => req.socket.destroy()],
  ["never answers", () => {}],
  ["answers something that is not HTTP", (req) => req.socket.end("hello\r\n\r\n")],
])("a replica that %s is a 500 that says who made it", async (_rule, handler) => {
  const address = await replica(handler ?? reflect);
  if (!handler) {
    const server = servers.pop() as Server;
    server.close();
    await once(server, "close");
    backend.point("f", [address]);
  }
  const answer = await provider.call("POST", "/function/f", "x".repeat(100_000));
  expect(`${answer.status} ${await answer.text()}`).toBe("500 Can't reach service for: f.\n");
  expect(answer.headers.get("x-openfaas-internal")).toBe("proxy");
});

test("calls follow the snapshot the backend gives, over all ready replicas", async () => {
  let sequence = 0;
  const a = await replica((_req, res) => res.end("a"), "a");
  const b = await replica((_req, res) => res.end("b"), "b");
  const seen = new Set<string>();
  backend.point("f", [a, b]);
  while (seen.size < 2) {
    seen.add(await (await provider.call("GET", "/function/f")).text());
    expect(++sequence).toBeLessThan(100);
  }
  backend.point("f", [b]);
  await eventually("the first replica is left alone", async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => provider.call("GET", "/function/f")));
    const texts = await Promise.all(answers.map((answer) => answer.text()));
    return texts.every((text) => text === "b");
  });
  backend.forget("f");
  await eventually("the function is gone", async () => (await provider.call("GET", "/function/f")).status === 503);
  expect(backend.watchers).toHaveLength(1);
});

test("calls go to versions by their shares, and to the one that a caller names", async () => {
  const one = await replica((_req, res) => res.end("one"), "one");
  const two = await replica((_req, res) => res.end("two"), "two");
  const traffic = [
    { version: "v1", share: 5_000 },
    { version: "v2", share: 5_000 },
    { version: "v2", share: 0, tag: "new" },
  ];
  backend.point("f", [one], "ready", { version: "v1", traffic });
  backend.point("f@v2", [two], "ready", { version: "v2" });
  const call = async (name: string) => await (await provider.call("GET", `/function/${name}`)).text();
  const seen: string[] = [];
  while (new Set(seen).size < 2) {
    seen.push(await call("f"));
    expect(seen.length).toBeLessThan(100);
  }
  for (const name of ["f@v2", "f@new", "f@v2.openfaas-fn"]) expect([name, await call(name)]).toEqual([name, "two"]);
  expect(await call("f@v1.openfaas-fn")).toBe("one");
  expect((await provider.call("GET", "/function/f@v3")).status).toBe(503);
  // What sleeps leaves its calls to the others: nobody who comes this way could wake it.
  backend.point("f@v2", [], "ready", { version: "v2" });
  await eventually("the other one takes all", async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => call("f")));
    return answers.every((text) => text === "one");
  });
});

test("both bodies are streamed, not collected", async () => {
  await replica((req, res) => {
    res.writeHead(200, { "content-type": "text/plain" });
    res.flushHeaders();
    req.pipe(res);
  });
  const asking = request(`${provider.url}/function/f`, { method: "POST" });
  asking.flushHeaders();
  const [answer] = await once(asking, "response");
  for (const text of ["one", "two"]) {
    asking.write(text);
    expect(String((await once(answer, "data"))[0])).toBe(text);
  }
  asking.end();
  answer.resume();
  await once(answer, "end");
});

test("a caller that does not read holds the function up", async () => {
  let written = 0;
  let stalled = false;
  await replica((_req, res) => {
    const chunk = Buffer.alloc(64 * 1024);
    const pump = () => {
      while (written < 256 * 1024 ** 2) {
        written += chunk.length;
        stalled = !res.write(chunk);
        if (stalled) {
          res.once("drain", pump);
          return;
        }
      }
    };
    pump();
  });
  const socket = connect(provider.port, "127.0.0.1");
  socket.pause();
  socket.write("GET /function/f HTTP/1.1\r\nHost: x\r\n\r\n");
  let before = -1;
  await eventually("the function stops writing", async () => {
    const still = stalled && written > 0 && written === before;
    before = written;
    if (!still) await new Promise((resolve) => setTimeout(resolve, 50));
    return still;
  });
  expect(written).toBeLessThan(64 * 1024 ** 2);
  socket.destroy();
});

test("a caller that leaves takes the call along, before and after the head", async () => {
  const open: string[] = [];
  await replica((req, res) => {
    open.push(req.url as string);
    res.once("close", () => open.splice(open.indexOf(req.url as string), 1));
    if (req.url === "/late") res.write("x");
  });
  for (const path of ["/early", "/late"]) {
    const asking = request(`${provider.url}/function/f${path}`);
    asking.on("error", () => {});
    const { promise: answered, resolve } = Promise.withResolvers<void>();
    asking.once("response", (answer) => {
      answer.on("error", () => {});
      resolve();
    });
    asking.end();
    await eventually("the function is called", () => open.includes(path));
    if (path === "/late") await answered;
    asking.destroy();
    await eventually("the call is cancelled", () => open.length === 0);
  }
});

test.each([
  ["no call is made", ["f"]],
  ["nothing is asked of the backend", []],
])("for a caller that leaves while its function is looked for, %s", async (_rule, replicas) => {
  const called: string[] = [];
  const address = await replica((req, res) => {
    called.push(req.url as string);
    res.end();
  });
  const looking = Promise.withResolvers<void>();
  const asked: string[] = [];
  const expedited: string[] = [];
  const found = { addresses: replicas.map(() => address), timeoutMs: 1_000 };
  const serve = proxyFunctions({
    snapshot: {
      find: async () => {
        asked.push("once");
        await looking.promise;
        return found;
      },
    },
    fallbackNamespace: "openfaas-fn",
    log: createLogger("silent"),
    expedite: ({ name }) => expedited.push(name),
  });
  let left = 0;
  const server = createServer((req, res) => {
    res.once("close", () => left++);
    serve(req, res);
  }).listen(0, "127.0.0.1");
  servers.push(server);
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/function/f`;
  const leaving = request(`${url}/leaves`, { method: "POST", headers: { "content-length": "5" } });
  leaving.on("error", () => {});
  leaving.flushHeaders();
  await eventually("its function is looked for", () => asked.length === 1);
  leaving.destroy();
  await eventually("it has left", () => left === 1);
  const staying = fetch(`${url}/stays`);
  await eventually("the other's function is looked for", () => asked.length === 2);
  looking.resolve();
  const isThere = replicas.length > 0;
  expect((await staying).status).toBe(isThere ? 200 : 503);
  expect([called, expedited]).toEqual(isThere ? [["/stays"], []] : [[], ["f"]]);
});

test("an answer that is cut is cut for the caller too", async () => {
  await replica((_req, res) => {
    res.writeHead(200, { "content-length": "10" });
    res.write("12345", () => res.destroy());
  });
  const answer = await provider.call("GET", "/function/f");
  await expect(answer.text()).rejects.toThrow();
});

test("an answer before the end of the request arrives, and the rest of the request is not waited for", async () => {
  await replica((_req, res) => res.writeHead(413, { connection: "close" }).end("too much"));
  const asking = request(`${provider.url}/function/f`, { method: "POST" });
  asking.on("error", () => {});
  asking.write("x");
  const [answer] = await once(asking, "response");
  expect(answer.statusCode).toBe(413);
  expect(String((await once(answer, "data"))[0])).toBe("too much");
  asking.destroy();
});

test("a kept connection that was closed meanwhile does not fail a call", async () => {
  const sockets = new Set<{ destroy(): void }>();
  await replica((req, res) => {
    sockets.add(req.socket);
    res.end("ok");
  });
  for (let i = 0; i < 20; i++) {
    expect((await provider.call("GET", "/function/f")).status).toBe(200);
    // Reset in the same turn in which the next call may go out.
    for (const socket of sockets) socket.destroy();
    sockets.clear();
  }
});

test("a watch that fails is started again by the next call", async () => {
  const watch = backend.watch.bind(backend);
  backend.watch = async function* () {
    yield { type: "heartbeat" };
    throw new Error("lost");
  };
  expect((await provider.call("GET", "/function/f")).status).toBe(503);
  await replica(reflect);
  backend.watch = watch;
  await eventually("it is found", async () => (await provider.call("GET", "/function/f")).status === 200);
});

test("a call under way is finished when the provider closes", async () => {
  const release = Promise.withResolvers<void>();
  const called = Promise.withResolvers<void>();
  await replica(async (_req, res) => {
    res.write("first ");
    called.resolve();
    await release.promise;
    res.end("last");
  });
  const closing = new AbortController();
  const draining = await serveProvider({ backend, closing: closing.signal });
  const answer = draining.call("GET", "/function/f").then((response) => response.text());
  await called.promise;
  closing.abort();
  release.resolve();
  expect(await answer).toBe("first last");
  await draining.close();
});

test("a function is waited for as long as it says it may take", async () => {
  const address = await replica((_req, res) => void setTimeout(() => res.end("late"), 900).unref());
  const get = () => fetch(`http://127.0.0.1:${provider.port}/function/f`);
  expect((await get()).status).toBe(500);
  backend.point("f", [address], "ready", { timeouts: { execMs: 20_000 } });
  const answer = await get();
  expect([answer.status, await answer.text()]).toEqual([200, "late"]);
  backend.point("f", [address], "ready", { annotations: { "com.faaslane.timeout": "100ms" } });
  expect((await get()).status).toBe(500);
});
