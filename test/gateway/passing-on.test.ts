import { createServer, type IncomingMessage, type RequestListener, request } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, test } from "@jest/globals";
import { FunctionProxy } from "../../gateway/proxy/function-proxy.ts";
import { FunctionTable } from "../../gateway/proxy/function-table.ts";
import { MAX_ANSWER_HEAD_BYTES } from "../../http/forwarding.ts";
import { listen } from "../../kit/server.ts";
import { FakeBackend } from "../provider/fake-backend.ts";
import { serveProvider } from "../provider/support.ts";
import { rawRequest } from "../support/raw-http.ts";

const opened: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  opened.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Those who pass calls of function `f` on to the replica at an address; each tells its port. */
const FRONTS: Readonly<Record<string, (address: string) => Promise<number>>> = {
  gateway: async (address) => {
    const table = new FunctionTable({
      defaultNamespace: "openfaas-fn",
      maxHeld: 9,
      timeoutMs: 5_000,
      connectTimeoutMs: 500,
    });
    const provider = { exist: async () => new Set<string>() };
    const proxy = new FunctionProxy({ table, provider, wake: () => {}, holdTimeoutMs: 500, release: "test" });
    const server = await listen((req, res) => proxy.handle(req, res), { port: 0, host: "127.0.0.1" });
    opened.push(() => table.close());
    opened.push(() => server.drain(0));
    const endpoints = [{ address, instance: "a", state: "ready" as const }];
    const snapshot = { namespace: "openfaas-fn", labels: {}, annotations: {}, replicas: 1, generation: 1, endpoints };
    table.apply({ type: "changed", function: { name: "f", ...snapshot } });
    return server.port;
  },
  provider: async (address) => {
    const backend = new FakeBackend();
    const provider = await serveProvider({ backend });
    opened.push(() => provider.close());
    backend.point("f", [address]);
    return provider.port;
  },
};

interface Answer {
  readonly head: IncomingMessage;
  readonly hints: IncomingMessage["headers"][];
  readonly body: string;
}

async function call(port: number, headers: Record<string, string> = {}): Promise<Answer> {
  const hints: Answer["hints"] = [];
  const asking = request({ port, path: "/function/f", headers, maxHeaderSize: 2 * MAX_ANSWER_HEAD_BYTES }).end();
  asking.on("information", ({ headers: given }) => hints.push(given));
  const head = await new Promise<IncomingMessage>((resolve, reject) => {
    asking.once("response", resolve).once("error", reject);
  });
  let body = "";
  for await (const piece of head.setEncoding("utf8")) body += piece as string;
  return { head, hints, body };
}

describe.each(Object.entries(FRONTS))("the %s", (_front, front) => {
  test("passes trailers, those that are none left out", async () => {
    const port = await front(
      await serve((req, res) => {
        res.writeHead(200, { Trailer: "X-Checksum, Grpc-Status", "x-te": req.headers.te ?? "" });
        res.write("body");
        res.addTrailers([
          ["X-Checksum", "abc"],
          ["Grpc-Status", "0"],
          ["Content-Type", "text/html"],
          ["Set-Cookie", "a=b"],
        ]);
        res.end();
      }),
    );
    const { head, body } = await call(port, { TE: "trailers, deflate" });
    expect([body, head.headers.trailer, head.headers["x-te"]]).toEqual(["body", "X-Checksum, Grpc-Status", "trailers"]);
    expect(head.trailers).toEqual({ "x-checksum": "abc", "grpc-status": "0" });
    const plain = await call(port);
    expect([plain.head.headers["x-te"], plain.head.trailers["x-checksum"]]).toEqual(["", "abc"]);
  });

  test.each<[who: string, request: string]>([
    ["HTTP/1.0", "GET /function/f HTTP/1.0\r\n\r\n"],
    ["a HEAD", "HEAD /function/f HTTP/1.1\r\nHost: x\r\n\r\n"],
  ])("sends none to callers of %s, and no hints to those of HTTP/1.0", async (who, asked) => {
    const port = await front(
      await serve((req, res) => {
        res.writeEarlyHints({ link: "</a.css>; rel=preload" });
        if (req.method !== "HEAD") res.setHeader("Trailer", "X-T");
        res.flushHeaders();
        res.addTrailers({ "X-T": "1" });
        res.end("body");
      }),
    );
    const answer = await rawRequest(port, asked);
    expect(answer).toMatchObject({ status: 200, body: who === "a HEAD" ? "" : "body" });
    expect([...(answer?.headers.keys() ?? [])]).not.toEqual(expect.arrayContaining(["trailer", "x-t", "link"]));
  });

  test("passes early hints, as they come, and the answer after them", async () => {
    const port = await front(
      await serve((_req, res) => {
        res.writeInformation(103, { Link: ["</a.css>; rel=preload", "</b.js>; rel=preload, </c>"], "X-Hint": "1" });
        res.writeInformation(103, { Link: "</d>", Connection: "x-hop", "X-Hop": "1", "Content-Length": "9" });
        res.end("body");
      }),
    );
    const { head, hints, body } = await call(port);
    expect([head.statusCode, body, head.headers.link]).toEqual([200, "body", undefined]);
    const links = hints.map(({ link }) => String(link).split(/,\s*/));
    expect(links).toEqual([["</a.css>; rel=preload", "</b.js>; rel=preload", "</c>"], ["</d>"]]);
    expect(hints[0]?.["x-hint"]).toBe("1");
    expect(hints[1]?.["content-length"]).toBeUndefined();
  });

  test("takes answers with headers of 250 KiB, in one and in thousands", async () => {
    let headers: Record<string, string> = {};
    const port = await front(await serve((_req, res) => res.writeHead(200, headers).end("body")));
    headers = { "x-large": "x".repeat(250 * 1024) };
    const one = await call(port);
    expect([one.head.statusCode, one.body, one.head.headers["x-large"]?.length]).toEqual([200, "body", 250 * 1024]);
    headers = Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`x-${i}`, "value"]));
    const many = await rawRequest(port, "GET /function/f HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    expect([many?.status, many?.body, many?.headers.get("x-4999")]).toEqual([200, "body", ["value"]]);
  });

  test("says so of answers whose headers are larger, and goes on", async () => {
    let bytes = 400 * 1024;
    const port = await front(await serve((_req, res) => res.writeHead(200, { "x-large": "x".repeat(bytes) }).end()));
    const refused = await rawRequest(port, "GET /function/f HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(refused?.headers.get("x-openfaas-internal")).toEqual(["proxy"]);
    expect(refused?.status).toBeGreaterThanOrEqual(500);
    bytes = 1;
    expect((await call(port)).head.statusCode).toBe(200);
  });
});

test("the gateway names what is too large", async () => {
  const port = await FRONTS.gateway?.(await serve((_req, res) => res.writeHead(200, { a: "x".repeat(400_000) }).end()));
  expect(await rawRequest(port as number, "GET /function/f HTTP/1.1\r\nHost: x\r\n\r\n")).toMatchObject({
    status: 502,
    body: "function f.openfaas-fn sent an answer that cannot be passed on: its headers have more than 256 KiB\n",
  });
});
