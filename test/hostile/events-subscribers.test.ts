import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { gzipSync } from "node:zlib";
import { afterEach, expect, test } from "@jest/globals";
import { decodeTriggerSpec } from "../../contract/events/trigger-spec.ts";
import { readEventAnnotations } from "../../events/triggers/annotation-trigger.ts";
import { readTrigger } from "../../events/triggers/read-trigger.ts";
import type { Lookup } from "../../kit/outbound/connector.ts";
import { deliverOnce, MAX_EVENT_BYTES } from "../support/events/deliver-once.ts";
import { eventually } from "../support/eventually.ts";

const servers: Server[] = [];
const sockets = new Set<Socket>();
/** What subscribers were sent. */
let received = "";

afterEach(() => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  for (const server of servers.splice(0)) server.close();
  received = "";
});

/** A subscriber that speaks raw bytes, once the head of a request is there. @returns its URL */
async function speaking(answer: (socket: Socket) => void): Promise<string> {
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    let spoken = false;
    socket.on("data", (piece) => {
      received += piece.toString("latin1");
      if (spoken || !received.includes("\r\n\r\n")) return;
      spoken = true;
      answer(socket);
    });
  });
  servers.push(server.listen(0, "127.0.0.1"));
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

const says = (text: string | Buffer) => speaking((socket) => void socket.end(text));
const ok = (headers: string, body = "") =>
  says(`HTTP/1.1 200 OK\r\n${headers}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
const EVENT = "ce-specversion: 1.0\r\nce-id: r\r\nce-source: /r\r\nce-type: t\r\n";
const JSON_EVENT = "Content-Type: application/cloudevents+json\r\n";

/** Sends for as long as it may. */
function pour(socket: Socket, piece: string): void {
  const more = () => {
    while (!socket.destroyed && socket.write(piece)) {
      // until its buffer is full
    }
  };
  socket.on("drain", more);
  more();
}

test("an answer's body without end is cut where it is too long", async () => {
  let closed = false;
  const uri = await speaking((socket) => {
    socket.on("close", () => {
      closed = true;
    });
    socket.write("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n");
    pour(socket, "x".repeat(16_384));
  });
  const settlement = await deliverOnce({ uri, delivery: { timeout: "PT20S" } });
  expect(settlement).toMatchObject({ kind: "retry", attempt: { error: expect.stringContaining("is larger than") } });
  await eventually("the connection is closed", () => closed);
});

test("an error's body without end is cut, too", async () => {
  const uri = await speaking((socket) => {
    socket.write("HTTP/1.1 500 No\r\n\r\n");
    pour(socket, "x".repeat(16_384));
  });
  expect(await deliverOnce({ uri, delivery: { timeout: "PT20S" } })).toMatchObject({
    kind: "retry",
    attempt: { status: 500 },
  });
});

test("an answer that comes drop by drop ends at the timeout", async () => {
  const uri = await speaking((socket) => {
    socket.write("HTTP/1.1 200 OK\r\n");
    const timer = setInterval(() => socket.write("X-A: b\r\n"), 20);
    socket.on("close", () => clearInterval(timer));
  });
  expect(await deliverOnce({ uri, delivery: { timeout: "PT0.3S" } })).toMatchObject({
    kind: "retry",
    attempt: { error: "no answer within 300 ms" },
  });
});

test("a head of an answer that is too long is an error", async () => {
  const uri = await says(`HTTP/1.1 200 OK\r\nX-A: ${"b".repeat(200_000)}\r\n\r\n`);
  expect(await deliverOnce({ uri })).toMatchObject({ kind: "retry" });
});

test("an answer that is no HTTP is an error", async () => {
  expect(await deliverOnce({ uri: await says("SSH-2.0-OpenSSH_9.2\r\n") })).toMatchObject({ kind: "retry" });
});

test("interim answers without end end at the timeout", async () => {
  const uri = await speaking((socket) => pour(socket, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"));
  expect(await deliverOnce({ uri, delivery: { timeout: "PT0.3S" } })).toMatchObject({ kind: "retry" });
});

test("an answer that breaks off in its middle is an error", async () => {
  const uri = await says(`HTTP/1.1 200 OK\r\n${EVENT}Content-Length: 100\r\n\r\nhalf`);
  expect(await deliverOnce({ uri })).toMatchObject({ kind: "retry", attempt: { error: expect.any(String) } });
});

test("a redirect, to wherever it leads, is not followed", async () => {
  const elsewhere = await ok("");
  const settlement = await deliverOnce({
    uri: await says(`HTTP/1.1 307 Moved\r\nLocation: ${elsewhere}\r\nContent-Length: 0\r\n\r\n`),
  });
  expect(settlement).toMatchObject({ kind: "dead", reason: "answered 307" });
  expect(received.match(/^POST/gm)).toHaveLength(1);
});

test("a name that leads inside is refused, however it was written", async () => {
  const uri = (await ok("")).replace("127.0.0.1", "hooks.example.com");
  const lookup: Lookup = (_name, _options, callback) => callback(null, [{ address: "127.0.0.1", family: 4 }]);
  const targets = { private: false, allow: [], deny: [] };
  expect(await deliverOnce({ uri, lookup, targets })).toMatchObject({
    kind: "dead",
    reason: expect.stringContaining("refused"),
  });
  for (const host of ["[::ffff:127.0.0.1]", "0x7f.1", "localhost", "169.254.169.254"]) {
    const at = uri.replace("hooks.example.com", host);
    expect(await deliverOnce({ uri: at, targets })).toMatchObject({ kind: "dead" });
  }
  expect(received).toBe("");
});

test.each([
  ["a reply nested without end", "[".repeat(50_000)],
  [
    "a reply with data nested without end",
    `{"specversion":"1.0","id":"1","source":"/","type":"t","data":${"[".repeat(50_000)}`,
  ],
  ["a reply with a member twice", '{"specversion":"1.0","id":"1","id":"2","source":"/","type":"t"}'],
  ["a reply with attributes that are objects", '{"specversion":"1.0","id":{},"source":"/","type":"t"}'],
  ["a reply of another version", '{"specversion":"9.9","id":"1","source":"/","type":"t"}'],
  ["a reply with a name that is none", '{"specversion":"1.0","id":"1","source":"/","type":"t","__proto__":"x"}'],
  ["a reply with a number beyond 32 bits", '{"specversion":"1.0","id":"1","source":"/","type":"t","n":1e300}'],
  [
    "a reply with thousands of attributes",
    `{"specversion":"1.0","id":"1","source":"/","type":"t",${Array.from({ length: 2000 }, (_, i) => `"a${i}":1`).join(",")}}`,
  ],
])("%s is malformed", async (_what, body) => {
  expect(await deliverOnce({ uri: await ok(JSON_EVENT, body) })).toMatchObject({
    kind: "retry",
    attempt: { error: expect.stringContaining("malformed reply") },
  });
});

test("a reply in overlong UTF-8 is malformed", async () => {
  expect(await deliverOnce({ uri: await ok(`${EVENT}ce-subject: %C0%A0\r\n`) })).toMatchObject({
    attempt: { error: expect.stringContaining("malformed reply: ce-subject: is not UTF-8") },
  });
});

test("a reply with a header of an attribute twice is malformed", async () => {
  expect(await deliverOnce({ uri: await ok(`${EVENT}ce-id: other\r\n`) })).toMatchObject({ kind: "retry" });
});

test("a compressed reply is not unpacked", async () => {
  const bomb = gzipSync(Buffer.alloc(10_000_000));
  const head = `HTTP/1.1 200 OK\r\n${JSON_EVENT}Content-Encoding: gzip\r\nContent-Length: ${bomb.length}\r\n\r\n`;
  const settlement = await deliverOnce({ uri: await says(Buffer.concat([Buffer.from(head), bomb])) });
  expect(settlement).toMatchObject({ kind: "retry", attempt: { error: expect.stringContaining("malformed reply") } });
});

test("a reply that is larger than a broker takes is no reply", async () => {
  expect(await deliverOnce({ uri: await ok(EVENT, "x".repeat(MAX_EVENT_BYTES + 1)) })).toMatchObject({
    kind: "retry",
    attempt: { error: expect.stringContaining("larger than a broker takes") },
  });
});

test("a reply cannot give itself more hops", async () => {
  const settlement = await deliverOnce({ uri: await ok(`${EVENT}ce-knativebrokerttl: 2147483647\r\n`) });
  expect(settlement).toMatchObject({ kind: "done", appended: [{ hops: 254 }] });
  expect(settlement).not.toHaveProperty("appended.0.event.attributes.knativebrokerttl");
});

test.each([["99999999999999999999"], ["-5"], ["soon"], ["Thu, 01 Jan 2099 00:00:00 GMT"], ["1e9"], ["9".repeat(5000)]])(
  "a Retry-After of %j holds nobody up longer than the policy says",
  async (value) => {
    const pauses: number[] = [];
    const uri = await says(`HTTP/1.1 429 Wait\r\nRetry-After: ${value}\r\nContent-Length: 0\r\n\r\n`);
    const settlement = await deliverOnce({ uri, delivery: { retryAfterMax: "PT30S" } }, pauses);
    expect(settlement).toMatchObject({ kind: "retry" });
    expect((settlement as { afterMs: number }).afterMs).toBeLessThanOrEqual(30_000);
    for (const pause of pauses) expect(pause).toBeLessThanOrEqual(30_000);
  },
);

test("attributes cannot begin a header of their own, nor end the head", async () => {
  const attributes = {
    specversion: "1.0",
    id: "1",
    source: "/a",
    type: "t",
    subject: "x\r\nX-Injected: 1\r\n\r\nPOST /admin HTTP/1.1",
  };
  await deliverOnce({ uri: await ok(""), event: { attributes } });
  expect(received).not.toMatch(/^X-Injected/im);
  expect(received.match(/^POST/gm)).toHaveLength(1);
});

test("stored headers that would break the request open, or name somebody, are left out", async () => {
  const headers = [
    ["knative-a", "b\r\nX-Injected: 1"],
    ["knative-x\r\nX-Injected", "1"],
    ["Authorization", "Basic eDp5"],
    ["Transfer-Encoding", "chunked"],
    ["Content-Length", "1"],
    ["Host", "other"],
  ] as const;
  await deliverOnce({ uri: await ok(""), headers });
  expect(received).not.toMatch(/X-Injected|Authorization|Transfer-Encoding|other/i);
  expect(received).toMatch(/^content-length: 2\r$/im);
});

test.each<[string, unknown]>([
  [
    "filters nested without end",
    Array.from({ length: 5000 }).reduce((inner) => ({ not: inner }), { exact: { type: "x" } }),
  ],
  ["thousands of filters", { all: Array.from({ length: 5000 }, () => ({ exact: { type: "x" } })) }],
  ["an expression nested without end", { cesql: "(".repeat(50_000) }],
  ["a prototype for a dialect", JSON.parse('{"__proto__":{"exact":{"type":"x"}},"constructor":{}}')],
])("a trigger with %s is refused", (_what, filter) => {
  const spec = { subscriber: { function: "ship" }, filters: [filter] };
  expect(() => readTrigger(decodeTriggerSpec(spec), { namespace: "shop", name: "one" })).toThrow("filters[0]");
});

test("annotations of megabytes are refused", () => {
  const ship = { name: "ship", namespace: "shop" };
  const read = (annotations: Record<string, string>) => () => readEventAnnotations(ship, annotations);
  expect(read({ topic: "a,".repeat(500_000) + "b,".repeat(200) })).toThrow("topic: names more than");
  expect(read({ topic: "x", "com.faaslane.events.transform": "x".repeat(1_000_000) })).toThrow("must be at most");
  expect(read({ topic: "x", "com.faaslane.events.filters": "[".repeat(1_000_000) })).toThrow(
    "com.faaslane.events.filters",
  );
  expect(read({ topic: "x", "com.faaslane.events.delivery": `{"a":${"[".repeat(100_000)}` })).toThrow("delivery");
});
