import { once } from "node:events";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, expect, test } from "@jest/globals";
import type { CloudEvent } from "../../events/codec/cloud-event.ts";
import { addSinkRoutes } from "../../events/routes/sinks.ts";
import { sinkTypes } from "../../events/sinks/sink-types.ts";
import { Sinks } from "../../events/sinks/sinks.ts";
import { createLogger } from "../../kit/log.ts";
import { CallbackTargets } from "../../kit/outbound/targets.ts";
import { createApp, errorResponder } from "../../kit/respond.ts";
import { FakeResources } from "../support/events/fake-stores.ts";

const resources = new FakeResources();
let control: Server;
let receiver: Server;
let sinks: Sinks;
let received: { readonly headers: NodeJS.Dict<string | string[]>; readonly body: string }[] = [];
let answer: (res: ServerResponse) => void;

beforeAll(async () => {
  sinks = new Sinks({
    resources,
    types: sinkTypes(),
    readSecret: async () => "c2VjcmV0LW9mLTE2LWJ5dGVzLW9yLXNv",
    targets: new CallbackTargets({ private: true, allow: [], deny: [] }),
    now: Date.now,
    random: Math.random,
  });
  const app = createApp();
  addSinkRoutes(app, {
    resources,
    sinks,
    sinkTypes: sinkTypes(),
    defaultNamespace: "openfaas-fn",
    authorized: (_req, _res, next) => next(),
  });
  app.use(errorResponder(createLogger("silent")));
  control = createServer(app).listen(0, "127.0.0.1");
  receiver = createServer(async (req, res) => {
    received.push({ headers: req.headers, body: String(Buffer.concat(await req.toArray())) });
    answer(res);
  }).listen(0, "127.0.0.1");
  await Promise.all([once(control, "listening"), once(receiver, "listening")]);
});

beforeEach(() => {
  received = [];
  answer = (res) => res.writeHead(204).end();
});

afterAll(async () => {
  await sinks.close();
  receiver.closeAllConnections();
  receiver.close();
  control.close();
});

const portOf = (server: Server) => (server.address() as AddressInfo).port;
const put = async (name: string, spec: unknown) => {
  const body = typeof spec === "string" ? spec : JSON.stringify(spec);
  const answered = await fetch(`http://127.0.0.1:${portOf(control)}/system/sinks/${name}`, { method: "PUT", body });
  return { status: answered.status, text: await answered.text() };
};
const kafka = (more: object) => ({ type: "kafka", brokers: ["k:9092"], topic: "t", ...more });
const webhook = (more: object) => ({ type: "webhook", url: `http://127.0.0.1:${portOf(receiver)}/`, ...more });
const nested = (depth: number) => `${"[".repeat(depth)}${"]".repeat(depth)}`;

/** What is refused, and leaves nothing behind. */
test.each<[attack: string, spec: () => unknown, status: number]>([
  ["no object", () => "[1]", 400],
  ["JSON that is cut off", () => '{"type":"kafka"', 400],
  ["JSON nested 100,000 deep", () => `{"type":"kafka","topic":${nested(100_000)}}`, 400],
  ["a specification of megabytes", () => kafka({ topic: "x".repeat(2 ** 21) }), 413],
  ["a type of the object's prototype", () => ({ type: "constructor" }), 400],
  ["ten thousand brokers", () => kafka({ brokers: Array(10_000).fill("k:9092") }), 400],
  ["a broker with a path", () => kafka({ brokers: ["k:9092/../../x"] }), 400],
  ["a password by value", () => kafka({ sasl: { user: "u", password: "hunter2" } }), 400],
  ["a password in a URL", () => ({ type: "mqtt", url: "mqtt://me:hunter2@host", topic: "a" }), 400],
  ["a URL that is a file", () => webhook({ url: "file:///etc/passwd" }), 400],
  ["a URL that is code", () => webhook({ url: "javascript:alert(1)" }), 400],
  ["a key by path instead of a secret", () => kafka({ tls: { key: "/etc/shadow" } }), 400],
  ["a secret whose name leads out of its folder", () => webhook({ token: { secret: "../../etc/shadow" } }), 400],
  ["a header that breaks out of its line", () => webhook({ headers: { a: "b\r\nx-evil: 1" } }), 400],
  ["a header's name with a line break", () => webhook({ headers: { "a\r\nb": "c" } }), 400],
  ["a header that frames the request", () => webhook({ headers: { "Transfer-Encoding": "chunked" } }), 400],
  ["a header that forges the event", () => webhook({ headers: { "ce-id": "forged" } }), 400],
  ["a header that forges the signature", () => webhook({ headers: { "webhook-signature": "v1,x" } }), 400],
  [
    "a thousand headers",
    () => webhook({ headers: Object.fromEntries([...Array(1_000).keys()].map((n) => [`h${n}`, "x"])) }),
    400,
  ],
  ["a template that names a property of the prototype", () => kafka({ topic: "{__proto__}" }), 400],
  ["a topic that is a wildcard", () => ({ type: "mqtt", url: "mqtt://m", topic: "#" }), 400],
  ["a subject that is the system's own wildcard", () => ({ type: "nats", servers: "nats://n", subject: ">" }), 400],
  ["a routing key with a null character", () => ({ type: "rabbitmq", url: "amqp://r", routingKey: "a\u0000b" }), 400],
])("declaring: %s", async (_attack, spec, status) => {
  const answered = await put("attack", spec());
  expect(answered).toMatchObject({ status });
  expect(answered.text).not.toContain("hunter2");
  expect(answered.text.length).toBeLessThan(5_000);
  expect(resources.documents.size).toBe(0);
});

const event = (attributes: Record<string, string> = {}): CloudEvent => ({
  attributes: { specversion: "1.0", id: "1", source: "/s", type: "t", ...attributes },
  data: Buffer.from("x"),
});

async function send(name: string, spec: object, given: CloudEvent, timeoutMs = 5_000) {
  await resources.put({ kind: "sink", namespace: "openfaas-fn", name, spec });
  return await sinks.send({ namespace: "openfaas-fn", name }, given, AbortSignal.timeout(timeoutMs));
}

test.each<[attack: string, event: CloudEvent]>([
  ["an event whose attribute would be a header of its own", event({ subject: "a\r\nx-evil: 1" })],
  ["an event whose attribute has the name of a header", event({ xforwardedfor: "6.6.6.6" })],
  ["an event whose type of data no header can hold", event({ datacontenttype: "text/plain;x=\u0100" })],
])("sending: %s", async (_attack, given) => {
  const attempt = await send("out", webhook({}), given).catch((error: unknown) => error);
  expect(attempt).toBeDefined();
  for (const { headers } of received) {
    expect(headers["x-evil"]).toBeUndefined();
    expect(headers["x-forwarded-for"]).toBeUndefined();
  }
});

test("sending: an event whose attribute would lead to another topic", async () => {
  const wild = { type: "mqtt", url: "mqtt://127.0.0.1:1", topic: "out/{type}" };
  // It does not even come so far as to be refused by the server.
  expect(await send("wild", wild, event({ type: "#" }))).toHaveProperty("error");
});

test.each<[attack: string, answer: (res: ServerResponse) => void, expected: object]>([
  ["an answer without end", (res) => void endless(res), { status: 200 }],
  [
    "a redirect to another host",
    (res) => res.writeHead(307, { location: "http://127.0.0.1:1/" }).end(),
    { status: 307 },
  ],
  [
    "a Retry-After of a million years",
    (res) => res.writeHead(429, { "retry-after": "31536000000000" }).end(),
    { status: 429 },
  ],
  ["a Retry-After that is no time", (res) => res.writeHead(429, { "retry-after": "-1e999" }).end(), { status: 429 }],
  ["a connection that is cut off", (res) => res.destroy(), { error: expect.any(String) }],
])("receiving: %s", async (_attack, given, expected) => {
  answer = given;
  const attempt = await send(`r-${received.length}-${Math.random().toString(36).slice(2)}`, webhook({}), event());
  expect(attempt).toMatchObject(expected);
  expect(received).toHaveLength(1);
  receiver.closeAllConnections();
});

function endless(res: ServerResponse): void {
  res.writeHead(200);
  const piece = Buffer.alloc(64 * 1024);
  const more = () => {
    while (!res.destroyed && res.write(piece)) {}
  };
  res.on("drain", more);
  res.on("error", () => {}); // the reader has gone
  more();
}

test("receiving: an answer that never begins ends with the deadline of the try", async () => {
  answer = () => {};
  await expect(send("silent", webhook({}), event(), 200)).rejects.toThrow("timeout");
  receiver.closeAllConnections();
});
