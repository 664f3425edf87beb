import { connect } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { eventually } from "../support/eventually.ts";
import { Platform, temporaryFolder } from "../support/platform.ts";

/** What strangers may send to `/broker/`, whom nobody has asked for a password. */
const MIB = 1024 ** 2;
const TYPE = "application/cloudevents+json";
const BATCH = "application/cloudevents-batch+json";
const GOOD = { specversion: "1.0", id: "1", source: "/hostile", type: "t" };
const json = (value: unknown) => JSON.stringify(value);

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let platform: Platform;

beforeAll(async () => {
  folder = await temporaryFolder();
  platform = await Platform.start({ dataDir: join(folder.path, "data"), cwd: folder.path, env: { sandbox: "off" } });
}, 60_000);

afterAll(async () => {
  await platform?.stop();
  await folder?.remove();
});

interface Sent {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string | Buffer;
}

async function send({ method = "POST", path = "/broker/default", headers = {}, body = "" }: Sent): Promise<Response> {
  const sent = typeof body === "string" ? body : new Uint8Array(body);
  return await fetch(platform.url + path, {
    method,
    headers,
    ...(method !== "GET" && method !== "HEAD" && { body: sent }),
  });
}

/** A sound event is taken afterwards, so nothing has been broken. */
async function stillTakes(): Promise<void> {
  const answer = await send({ headers: { "content-type": TYPE }, body: json(GOOD) });
  expect(answer.status).toBe(202);
}

async function stored(): Promise<number> {
  const answer = await platform.control("/system/brokers/default");
  return ((await answer.json()) as { events: number }).events;
}

const binary = (attributes: Record<string, string> = {}) => ({
  "content-type": "text/plain",
  "ce-specversion": "1.0",
  "ce-id": "1",
  "ce-source": "/hostile",
  "ce-type": "t",
  ...attributes,
});

test.each<[attack: string, sent: Sent, status: number]>([
  ["nothing at all", {}, 400],
  ["data without any attributes", { body: "x".repeat(100_000) }, 400],
  ["another version of the specification", { headers: binary({ "ce-specversion": "2.0" }) }, 400],
  ["an overlong encoding in an attribute", { headers: binary({ "ce-subject": "%C0%A0" }) }, 400],
  ["half an escape in an attribute", { headers: binary({ "ce-subject": "%4" }) }, 400],
  ["an escaped line break in an attribute", { headers: binary({ "ce-subject": "a%0D%0Ab" }) }, 400],
  ["an attribute of the data's type as a header", { headers: binary({ "ce-datacontenttype": "text/plain" }) }, 400],
  ["an attribute with a name that none may have", { headers: binary({ "ce-a-b": "1" }) }, 400],
  ["an attribute named as a prototype", { headers: binary({ "ce-__proto__": "1" }) }, 400],
  ["hops that are used up", { headers: binary({ "ce-knativebrokerttl": "1" }) }, 400],
  ["hops below nothing", { headers: binary({ "ce-knativebrokerttl": "-5" }) }, 400],
  ["hops that are no number", { headers: binary({ "ce-knativebrokerttl": "lots" }) }, 400],
  ["an endless key", { headers: binary({ "idempotency-key": "k".repeat(5_000) }) }, 400],
  ["a format that nobody reads", { headers: { "content-type": "application/cloudevents+avro" }, body: "x" }, 415],
  ["JSON that stops", { headers: { "content-type": TYPE }, body: '{"specversion":"1.0","id":' }, 400],
  ["JSON that is no object", { headers: { "content-type": TYPE }, body: "[[]]" }, 400],
  ["a member twice", { headers: { "content-type": TYPE }, body: json(GOOD).replace("{", '{"id":"0",') }, 400],
  [
    "a member named __proto__",
    { headers: { "content-type": TYPE }, body: json(GOOD).replace("{", '{"__proto__":{},') },
    400,
  ],
  ["data in two forms", { headers: { "content-type": TYPE }, body: json({ ...GOOD, data: 1, data_base64: "" }) }, 400],
  ["base64 that is none", { headers: { "content-type": TYPE }, body: json({ ...GOOD, data_base64: "?" }) }, 400],
  ["text that is no UTF-8", { headers: { "content-type": TYPE }, body: Buffer.from([0x7b, 0xff, 0xfe, 0x7d]) }, 400],
  [
    "an unpaired surrogate",
    { headers: { "content-type": TYPE }, body: json({ ...GOOD, subject: "x" }).replace('"x"', '"\\ud800"') },
    400,
  ],
  ["a megabyte of brackets", { headers: { "content-type": TYPE }, body: `{"data":${"[".repeat(MIB)}` }, 400],
  ["a batch of a megabyte of brackets", { headers: { "content-type": BATCH }, body: "[".repeat(MIB) }, 400],
  [
    "a megabyte of attributes",
    { headers: { "content-type": TYPE }, body: `{${Array.from({ length: 80_000 }, (_, i) => `"a${i}":1`).join()}}` },
    400,
  ],
  ["a batch of too many", { headers: { "content-type": BATCH }, body: json(new Array(1_001).fill(GOOD)) }, 413],
  ["data above the limit", { headers: binary(), body: "x".repeat(MIB + 1) }, 413],
  [
    "JSON data above the limit",
    { headers: { "content-type": TYPE }, body: json({ ...GOOD, data: "x".repeat(MIB) }) },
    413,
  ],
  ["a broker that is not there", { path: "/broker/nowhere", headers: binary() }, 404],
  ["a broker of a namespace that is not there", { path: "/broker/nowhere/default", headers: binary() }, 404],
  ["a name with a way up", { path: "/broker/%2e%2e%2fdefault", headers: binary() }, 404],
  ["a name with NUL", { path: "/broker/default%00", headers: binary() }, 404],
  ["no name", { path: "/broker/", headers: binary() }, 404],
  ["a sink that nobody sends to", { path: "/broker/openfaas-fn/sink/kafka", headers: binary() }, 404],
  ["a sink with a way up", { path: "/broker/openfaas-fn/sink/%2e%2e", headers: binary() }, 404],
  ["the broker of sinks", { path: "/broker/openfaas-fn/sinks", headers: binary() }, 404],
  ["names without end", { path: `/broker/${"a/".repeat(1_000)}`, headers: binary() }, 400],
  ["a method that reads", { method: "GET", headers: binary() }, 405],
  ["a method that replaces", { method: "PUT", headers: binary() }, 405],
])("%s", async (_attack, sent, status) => {
  const before = await stored();
  const answer = await send(sent);
  expect(`${answer.status} ${(await answer.text()).slice(0, 200)}`).toMatch(new RegExp(`^${status} `));
  expect(answer.headers.get("x-faaslane-error")).toMatch(/^[a-z_]+$/);
  if (status === 405) expect(answer.headers.get("allow")).toBe("POST, OPTIONS");
  expect(await stored()).toBe(before);
  await stillTakes();
});

test("a batch with one event that is none: no event of it is taken", async () => {
  const before = await stored();
  const answer = await send({ headers: { "content-type": BATCH }, body: json([GOOD, { ...GOOD, type: "" }, GOOD]) });
  expect([answer.status, await answer.text()]).toEqual([400, expect.stringContaining("1. ")]);
  expect(await stored()).toBe(before);
});

test("pages of other sites get no leave to send events", async () => {
  const headers = {
    origin: "https://evil.test",
    "access-control-request-method": "POST",
    "access-control-request-headers": "content-type, ce-id",
  };
  const answer = await send({ method: "OPTIONS", headers });
  expect(answer.status).toBe(200);
  expect([...answer.headers.keys()].filter((name) => name.startsWith("access-control"))).toEqual([]);
  expect(answer.headers.get("webhook-allowed-origin")).toBe("*");
});

test("credentials that come with an event go no further", async () => {
  const secret = { authorization: "Bearer hunter2", cookie: "session=hunter2", "x-api-key": "hunter2" };
  expect((await send({ headers: { ...binary({ "ce-id": "with-secrets" }), ...secret } })).status).toBe(202);
  const listed = await (await platform.control("/system/events?id=with-secrets")).text();
  expect(listed).toContain("with-secrets");
  expect(listed).not.toContain("hunter2");
});

test("a sender that leaves in the middle of an event: nothing is stored, and the next one is taken", async () => {
  const before = await stored();
  const head = ["POST /broker/default HTTP/1.1", "Host: x", `Content-Type: ${TYPE}`, "Content-Length: 100000"];
  for (let times = 0; times < 20; times++) {
    const socket = connect(platform.port, "127.0.0.1");
    socket.on("error", () => {}); // we end it ourselves
    await new Promise<void>((resolve) => socket.once("connect", () => resolve()));
    await new Promise<void>((resolve) => socket.write(`${head.join("\r\n")}\r\n\r\n{"id":"1",`, () => resolve()));
    socket.resetAndDestroy();
  }
  await stillTakes();
  expect(await stored()).toBe(before + 1);
});

test("senders that stand still hold up nobody else", async () => {
  const head = ["POST /broker/default HTTP/1.1", "Host: x", `Content-Type: ${TYPE}`, "Content-Length: 1000000"];
  const sockets = Array.from({ length: 100 }, () => {
    const socket = connect(platform.port, "127.0.0.1", () => socket.write(`${head.join("\r\n")}\r\n\r\n{"id":`));
    socket.on("error", () => {});
    return socket;
  });
  await eventually("all are connected", () => sockets.every(({ readyState }) => readyState === "open"));
  await stillTakes();
  for (const socket of sockets) socket.destroy();
});

test("one key for two events: the second is not taken", async () => {
  const headers = { "content-type": TYPE, "idempotency-key": "the-same" };
  const first = await send({ headers, body: json(GOOD) });
  const before = await stored();
  const second = await send({ headers, body: json({ ...GOOD, id: "2" }) });
  expect([first.status, second.status]).toEqual([202, 202]);
  expect([first.headers.get("idempotency-replayed"), second.headers.get("idempotency-replayed")]).toEqual([
    null,
    "true",
  ]);
  expect(second.headers.get("x-event-ref")).toBe(first.headers.get("x-event-ref"));
  expect(await stored()).toBe(before);
});
