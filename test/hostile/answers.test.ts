import { createServer as createHttpServer, type Server as HttpServer } from "node:http";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { FunctionProxy } from "../../gateway/proxy/function-proxy.ts";
import { FunctionTable } from "../../gateway/proxy/function-table.ts";
import { listen } from "../../kit/server.ts";
import { FakeBackend } from "../provider/fake-backend.ts";
import { serveProvider } from "../provider/support.ts";
import { rawRequest } from "../support/raw-http.ts";

/** What functions answer to gateway and provider: nothing of it may hurt them, or reach callers as something else. */

/** A function that answers every request with the same bytes. */
interface RawFunction {
  readonly address: string;
  answer: (socket: Socket) => void;
  /** Answers in place of `answer`, while it is there. */
  parser: HttpServer | undefined;
}

const opened: (() => unknown)[] = [];
let fn: RawFunction;

beforeEach(async () => {
  const server: Server = createServer((socket) => {
    socket.on("error", () => {});
    opened.push(() => socket.destroy());
    if (fn.parser) fn.parser.emit("connection", socket);
    else socket.on("data", () => fn.answer(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  opened.push(() => server.close());
  fn = { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, answer: () => {}, parser: undefined };
});

afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

/** @returns the port where `/function/f` is served */
const FRONTS: Readonly<Record<string, () => Promise<number>>> = {
  gateway: async () => {
    const options = { defaultNamespace: "openfaas-fn", maxHeld: 100, timeoutMs: 2_000, connectTimeoutMs: 500 };
    const table = new FunctionTable(options);
    const proxy = new FunctionProxy({
      table,
      provider: { exist: async () => new Set<string>() },
      wake: () => {},
      holdTimeoutMs: 500,
      release: "test",
    });
    table.apply({
      type: "changed",
      function: {
        name: "f",
        namespace: "openfaas-fn",
        labels: {},
        annotations: {},
        replicas: 1,
        generation: 1,
        endpoints: [{ address: fn.address, instance: "one", state: "ready" }],
      },
    });
    const server = await listen((req, res) => proxy.handle(req, res), { port: 0, host: "127.0.0.1" });
    opened.push(
      () => table.close(),
      () => server.drain(0),
    );
    return server.port;
  },
  provider: async () => {
    const backend = new FakeBackend();
    backend.point("f", [fn.address]);
    const provider = await serveProvider({ backend, functionTimeoutMs: 2_000 });
    opened.push(() => provider.close());
    return provider.port;
  },
};

const call = (port: number, headers = "") => rawRequest(port, `GET /function/f HTTP/1.1\r\nHost: x\r\n${headers}\r\n`);

const HELLO = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

describe.each(Object.keys(FRONTS))("%s", (front) => {
  let port: number;
  beforeEach(async () => {
    port = await (FRONTS[front] as () => Promise<number>)();
  });
  afterEach(async () => {
    fn.parser?.closeAllConnections();
    fn.parser = undefined;
    fn.answer = (socket) => socket.write(HELLO);
    const answer = await call(port);
    expect([answer?.status, answer?.body]).toEqual([200, "hello"]);
  });

  test.each([
    ["a control character in the reason", "200 O\x01K"],
    ["a DEL in the reason", "200 O\x7fK"],
    ["a very long reason", `200 ${"O".repeat(5_000)}`],
    ["an empty reason", "200 "],
  ])("%s is left out", async (_what, line) => {
    fn.answer = (socket) => socket.write(Buffer.from(`HTTP/1.1 ${line}\r\nContent-Length: 2\r\n\r\nok`, "latin1"));
    const answer = await call(port);
    // Not every parser lets it through; then it is the function's failure.
    if (answer?.status === 200) expect([answer.statusLine, answer.body]).toEqual(["HTTP/1.1 200 OK", "ok"]);
    else expect(answer?.status).toBe(500);
  });

  test.each(["099", "000", "1000", "99", "abc", "-1", "2 00"])(
    "a status of %s is the function's failure",
    async (status) => {
      fn.answer = (socket) => socket.end(`HTTP/1.1 ${status} X\r\nContent-Length: 0\r\n\r\n`);
      expect([500, 502]).toContain((await call(port))?.status);
    },
  );

  test.each([
    ["a control character", "X: a\x01b"],
    ["a NUL", "X: a\0b"],
    ["no colon", "nonsense"],
    ["a space in its name", "X Y: 1"],
    ["a bare carriage return", "X: a\rSet-Cookie: b"],
  ])("a header with %s does not get through", async (_what, header) => {
    fn.answer = (socket) => socket.end(`HTTP/1.1 200 OK\r\n${header}\r\nContent-Length: 2\r\n\r\nok`);
    const answer = await call(port);
    expect([500, 502]).toContain(answer?.status);
    expect(answer?.headers.has("set-cookie")).toBe(false);
  });

  test("a flood of interim answers ends the call", async () => {
    fn.answer = (socket) => socket.write("HTTP/1.1 102 Processing\r\n\r\n".repeat(50_000));
    expect([500, 502]).toContain((await call(port))?.status);
  });

  test("a few interim answers are passed over", async () => {
    fn.answer = (socket) => socket.write(`${"HTTP/1.1 102 Processing\r\n\r\n".repeat(3)}${HELLO}`);
    expect((await call(port))?.body).toBe("hello");
  });

  test.each([204, 304])("a %d with a body and a length has neither", async (status) => {
    fn.answer = (socket) => socket.end(`HTTP/1.1 ${status} X\r\nContent-Length: 5\r\n\r\nhello`);
    const client = connect(port, "127.0.0.1");
    let received = "";
    client.on("data", (chunk) => {
      received += chunk;
    });
    client.write("GET /function/f HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    await new Promise((resolve) => client.once("close", resolve));
    expect(received).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(received).not.toMatch(/content-length|hello|transfer-encoding/i);
  });

  test.each([
    ["two lengths", "Content-Length: 2\r\nContent-Length: 3"],
    ["a length and chunks", "Content-Length: 2\r\nTransfer-Encoding: chunked"],
    ["a length that is none", "Content-Length: 0x2"],
  ])("%s in an answer do not desynchronise its connection", async (_what, framing) => {
    fn.answer = (socket) => socket.end(`HTTP/1.1 200 OK\r\n${framing}\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n`);
    const answer = await call(port).catch(() => undefined);
    expect(answer === undefined || [200, 500, 502].includes(answer.status)).toBe(true);
    expect(answer?.body ?? "").not.toContain("HTTP/1.1");
  });

  test("headers that an answer names as its connection's own stay behind, its framing does not", async () => {
    fn.answer = (socket) =>
      socket.write(
        "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop, content-length\r\nX-Hop: 1\r\nX-End: 2\r\nContent-Length: 5\r\n\r\nhello",
      );
    const answer = await call(port);
    expect(answer?.headers.has("x-hop")).toBe(false);
    expect([answer?.headers.get("x-end"), answer?.body]).toEqual([["2"], "hello"]);
  });

  test.each(["content-length", "Content-Length, close", "transfer-encoding", "host", "x-a, content-length"])(
    "a caller cannot make its body another request with Connection: %s",
    async (connection) => {
      const requests: string[] = [];
      fn.parser = createHttpServer((req, res) => {
        requests.push(`${req.method} ${req.url}`);
        req.resume().on("end", () => res.end("hello"));
      });
      const smuggled = "GET /stolen HTTP/1.1\r\nHost: victim\r\n\r\n";
      const head = `POST /function/f HTTP/1.1\r\nHost: x\r\nConnection: ${connection}\r\n`;
      await rawRequest(port, `${head}Content-Length: ${smuggled.length}\r\n\r\n${smuggled}`);
      const victim = await call(port);
      expect(victim?.body).toBe("hello");
      expect(requests).toEqual(["POST /", "GET /"]);
    },
  );

  test("a function may reset its connection after any byte of its answer", async () => {
    for (let bytes = 0; bytes < HELLO.length; bytes++) {
      fn.answer = (socket) => {
        if (bytes === 0) socket.resetAndDestroy();
        else socket.write(HELLO.slice(0, bytes), () => socket.resetAndDestroy());
      };
      const answer = await call(port);
      expect(answer === undefined || [200, 500, 502].includes(answer.status)).toBe(true);
    }
  });

  test("a caller may reset its connection at any moment of an answer", async () => {
    for (let i = 0; i < 60; i++) {
      fn.answer = (socket) => socket.write(i % 2 === 0 ? HELLO : HELLO.slice(0, 20));
      const client = connect(port, "127.0.0.1");
      client.on("error", () => {});
      await new Promise((resolve) => client.once("connect", resolve));
      client.write("POST /function/f HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf");
      await new Promise((resolve) => setImmediate(resolve));
      client.resetAndDestroy();
    }
  });
});
