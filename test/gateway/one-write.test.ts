import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { afterEach, expect, test } from "@jest/globals";
import type { AnswerHeaders, Flow } from "../../gateway/proxy/exchange.ts";
import { HttpExchange } from "../../gateway/proxy/http-exchange.ts";
import { rawRequest } from "../support/raw-http.ts";

let server: Server | undefined;

afterEach(() => {
  server?.close();
  server?.closeAllConnections();
});

const FLOW: Flow = { pause() {}, resume() {}, abort() {} };
const body = (bytes: number) => Buffer.alloc(bytes, "x");

/** Counts what is given to the system: each is a call of it. */
function countWrites(socket: Socket): () => number {
  let writes = 0;
  for (const name of ["_write", "_writev"] as const) {
    const write = (socket[name] as (...given: unknown[]) => void).bind(socket);
    Object.assign(socket, {
      [name]: (...given: unknown[]) => {
        writes++;
        write(...given);
      },
    });
  }
  return () => writes;
}

/** Answers one call as `answer` does. @returns what came, and in how many writes */
async function writesOf(answer: (exchange: HttpExchange) => unknown) {
  let writes: (() => number) | undefined;
  server = createServer((req: IncomingMessage, res: ServerResponse) => {
    writes = countWrites(req.socket);
    void answer(new HttpExchange(req, res));
  });
  await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const received = await rawRequest(port, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  return { received, writes: writes?.() };
}

function whole(exchange: HttpExchange, headers: AnswerHeaders, ...pieces: Buffer[]): void {
  exchange.begin(200, "OK", headers);
  for (const piece of pieces) exchange.data(piece, FLOW);
  exchange.end();
}

test.each<[what: string, headers: AnswerHeaders, pieces: Buffer[]]>([
  ["of a length", { "content-length": "5" }, [body(5)]],
  ["of a length in two pieces", { "content-length": "5" }, [body(2), body(3)]],
  ["that is large", { "content-length": "60000" }, [body(60_000)]],
  ["in chunks", {}, [body(2), body(3)]],
  ["of nothing", { "content-length": "0" }, []],
  ["of no chunk", {}, []],
])("an answer %s that is there goes out in one write", async (_what, headers, pieces) => {
  const { received, writes } = await writesOf((exchange) => whole(exchange, headers, ...pieces));
  expect(received?.body).toBe(Buffer.concat(pieces).toString());
  expect(writes).toBe(1);
});

test("bytes that are no text arrive as they are", async () => {
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  server = createServer((req, res) => whole(new HttpExchange(req, res), { "content-length": "256" }, bytes));
  await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
  const answer = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  expect(Buffer.from(await answer.arrayBuffer())).toEqual(bytes);
});

test("the head of a stream does not wait for its first piece", async () => {
  let go = () => {};
  server = createServer((req, res) => {
    const exchange = new HttpExchange(req, res);
    exchange.begin(200, "OK", {});
    go = () => {
      exchange.data(body(2), FLOW);
      exchange.end();
    };
  });
  await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
  // This alone would wait for ever if the head did.
  const answer = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  go();
  expect(await answer.text()).toBe("xx");
});

test.each<[what: string, headers: AnswerHeaders, pieces: Buffer[], body: string]>([
  ["its head", {}, [], ""],
  ["a chunk", {}, [body(2)], "xx"],
  ["a part", { "content-length": "5" }, [body(2)], "xx"],
])("an answer that breaks off at once after %s tells it", async (_what, headers, pieces, expected) => {
  const { received } = await writesOf((exchange) => {
    exchange.begin(200, "OK", headers);
    for (const piece of pieces) exchange.data(piece, FLOW);
    exchange.breakOff();
  });
  expect(received).toMatchObject({ status: 200, body: expected });
});
