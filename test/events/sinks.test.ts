import { createHmac, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { z } from "zod";
import { FaasError } from "../../contract/errors.ts";
import type { CloudEvent } from "../../events/codec/cloud-event.ts";
import type { OpenSink, SinkType } from "../../events/sinks/sink.ts";
import { checkSinkSettings, sinkTypes } from "../../events/sinks/sink-types.ts";
import { Sinks } from "../../events/sinks/sinks.ts";
import { webhookSink } from "../../events/sinks/types/webhook-sink.ts";
import type { EventResource } from "../../events/store/resource-store.ts";
import { signatureCheck } from "../../events/webhooks/profiles.ts";
import { CallbackTargets } from "../../kit/outbound/targets.ts";

const NS = "openfaas-fn";
const anywhere = new CallbackTargets({ private: true, allow: [], deny: [] });
const never = new AbortController().signal;

function eventOf(attributes: Record<string, string> = {}, data: string | undefined = '{"n":1}'): CloudEvent {
  return {
    attributes: {
      specversion: "1.0",
      id: "e-1",
      source: "/shop",
      type: "order.created",
      datacontenttype: "application/json",
      ...attributes,
    },
    ...(data !== undefined && { data: Buffer.from(data) }),
  };
}

describe("webhooks", () => {
  interface Received {
    readonly method: string | undefined;
    readonly headers: IncomingHttpHeaders;
    readonly body: Buffer;
  }
  let server: Server;
  let url: string;
  let received: Received[];
  let answer: (res: ServerResponse, request: Received) => void;
  const secrets = new Map<string, string>();
  let opened: OpenSink[];

  beforeEach(async () => {
    received = [];
    opened = [];
    secrets.clear();
    answer = (res) => res.writeHead(204).end();
    server = createServer(async (req, res) => {
      const body = Buffer.concat(await req.toArray());
      const request = { method: req.method, headers: req.headers, body };
      received.push(request);
      answer(res, request);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
  });

  afterEach(async () => {
    for (const sink of opened) await sink.close();
    server.close();
  });

  async function open(settings: object, now: () => number = Date.now, targets = anywhere): Promise<OpenSink> {
    const sink = await webhookSink.open(webhookSink.settings.parse({ url, ...settings }), {
      namespace: NS,
      name: "partner",
      secret: async (name) => {
        const text = secrets.get(name);
        if (text === undefined) throw new FaasError("notFound", `secret ${name} does not exist`);
        return text;
      },
      targets,
      now,
    });
    opened.push(sink);
    return sink;
  }

  test("are signed by every secret, and each receiver finds the signature of its own", async () => {
    const [old, next] = [randomBytes(24).toString("base64"), `whsec_${randomBytes(24).toString("base64")}`];
    secrets.set("old", `${old}\n`).set("next", next);
    const sink = await open({ secrets: [{ secret: "old" }, { secret: "next" }] });
    expect(await sink.send(eventOf(), never)).toMatchObject({ status: 204 });
    const { headers, body } = received[0] as Received;
    expect(headers).toMatchObject({ "ce-id": "e-1", "ce-type": "order.created", "content-type": "application/json" });
    expect(String(body)).toBe('{"n":1}');
    const check = signatureCheck({ profile: "standard" });
    const request = { headers: headers as Record<string, string>, body };
    for (const secret of [old, next]) check(request, [secret], Date.now());
    expect(() => check({ ...request, body: Buffer.from('{"n":2}') }, [old], Date.now())).toThrow("signature is wrong");
    expect(() => check(request, [randomBytes(24).toString("base64")], Date.now())).toThrow("signature is wrong");
  });

  test("have one id for all tries of an event, also of another process, and another id when it is replayed", async () => {
    const sink = await open({});
    answer = (res) => res.writeHead(503).end();
    await sink.send(eventOf(), never);
    await sink.send(eventOf(), never);
    await (await open({})).send(eventOf(), never);
    await sink.send(eventOf({ id: "e-2" }), never);
    await sink.send(eventOf({ faaslanereplay: "again" }), never);
    const ids = received.map(({ headers }) => headers["webhook-id"]);
    expect(new Set(ids.slice(0, 3)).size).toBe(1);
    expect(new Set(ids).size).toBe(3);
  });

  test.each([
    [200, {}, { status: 200 }],
    [202, {}, { status: 202 }],
    [302, { location: "http://127.0.0.1:1/elsewhere" }, { status: 302 }],
    [410, {}, { status: 410 }],
    [415, {}, { status: 415 }],
    [429, { "retry-after": "7" }, { status: 429, retryAfterMs: 7_000 }],
    [500, { "webhook-delivery": "abort-message" }, { status: 400 }],
  ])("an answer of %i with %j is told as %j", async (status, headers, expected) => {
    answer = (res) => res.writeHead(status, headers).end();
    expect(await (await open({})).send(eventOf(), never)).toMatchObject(expected);
    expect(received).toHaveLength(1);
  });

  test("have a body: an event without data is sent as a whole", async () => {
    const sink = await open({});
    const { data: _, ...bare } = eventOf();
    await sink.send(bare, never);
    expect(received[0]?.headers["content-type"]).toMatch("application/cloudevents+json");
    expect(JSON.parse(String(received[0]?.body))).toMatchObject({ id: "e-1" });
  });

  test("carry a token and headers from secrets, which are read again", async () => {
    let now = 0;
    secrets.set("token", "first").set("tenant", "acme");
    const sink = await open({ token: { secret: "token" }, headers: { "X-Tenant": { secret: "tenant" } } }, () => now);
    await sink.send(eventOf(), never);
    secrets.set("token", "second");
    now = 60_000;
    await sink.send(eventOf(), never);
    expect(received.map(({ headers }) => [headers.authorization, headers["x-tenant"]])).toEqual([
      ["Bearer first", "acme"],
      ["Bearer second", "acme"],
    ]);
  });

  test("are not sent to a receiver that does not want them, and no faster than it allows", async () => {
    answer = (res, { method }) => res.writeHead(method === "OPTIONS" ? 200 : 204).end();
    await expect(open({ handshake: true, origin: "shop.example" })).rejects.toThrow("does not allow");
    answer = (res, { method }) =>
      res
        .writeHead(204, method === "OPTIONS" ? { "webhook-allowed-origin": "*", "webhook-allowed-rate": "2" } : {})
        .end();
    let now = 120_000;
    const sink = await open({ handshake: true, origin: "shop.example", rate: 100 }, () => now);
    expect(received.at(-1)?.headers).toMatchObject({
      "webhook-request-origin": "shop.example",
      "webhook-request-rate": "100",
    });
    expect(await sink.send(eventOf(), never)).toMatchObject({ status: 204 });
    expect(await sink.send(eventOf(), never)).toMatchObject({ status: 204 });
    expect(await sink.send(eventOf(), never)).toMatchObject({ status: 429, retryAfterMs: 60_000 });
    now = 180_000;
    expect(await sink.send(eventOf(), never)).toMatchObject({ status: 204 });
  });

  test("go only where requests may go, and their failures tell no secrets", async () => {
    const closed = new CallbackTargets({ private: false, allow: [], deny: [] });
    const refused = await (await open({}, Date.now, closed)).send(eventOf(), never);
    expect(refused).toMatchObject({ status: 400, error: expect.stringContaining("refused") });
    expect(received).toHaveLength(0);
    server.close();
    const sink = await open({ url: "http://127.0.0.1:1/hooks/T0P-S3CRET" });
    await expect(sink.send(eventOf(), never)).rejects.toThrow("http://127.0.0.1:1");
    await expect(sink.send(eventOf(), never)).rejects.not.toThrow("T0P-S3CRET");
  });

  test("end with the deadline of the try", async () => {
    answer = () => {};
    const sink = await open({});
    const reason = new Error("too late");
    const late = new AbortController();
    const sending = sink.send(eventOf(), late.signal);
    while (received.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    late.abort(reason);
    await expect(sending).rejects.toBe(reason);
    server.closeAllConnections();
  });
});

describe("declared sinks", () => {
  interface Fake {
    readonly topic: string;
    readonly sent: CloudEvent[];
    closed: boolean;
  }
  let documents: Map<string, EventResource>;
  let changed: () => void;
  let opened: Fake[];
  let onOpen: () => Promise<void>;
  let onSend: (event: CloudEvent) => Promise<{ status?: number; error?: string }>;
  let now: number;
  let sinks: Sinks;

  const fake: SinkType<{ topic: string }> = {
    type: "fake",
    settings: z.strictObject({ topic: z.string() }),
    open: async ({ topic }) => {
      await onOpen();
      const each: Fake = { topic, sent: [], closed: false };
      opened.push(each);
      return {
        send: async (event) => {
          each.sent.push(event);
          return await onSend(event);
        },
        close: async () => {
          each.closed = true;
        },
      };
    },
  };

  function declare(topic: string, version: number): void {
    documents.set("out", { kind: "sink", namespace: NS, name: "out", spec: { type: "fake", topic }, version });
    changed();
  }

  const send = (event = eventOf()) => sinks.send({ namespace: NS, name: "out" }, event, never);

  beforeEach(() => {
    documents = new Map();
    opened = [];
    now = 1_000_000;
    onOpen = async () => {};
    onSend = async () => ({ status: 200 });
    sinks = new Sinks({
      resources: {
        get: async ({ name }) => documents.get(name),
        watch: (_kind, listener) => {
          changed = listener;
          return () => {};
        },
      },
      types: sinkTypes({ fake: async () => fake }),
      readSecret: async () => "secret",
      targets: anywhere,
      now: () => now,
      random: () => 1,
    });
  });

  afterEach(async () => await sinks.close());

  test("are opened once, and kept", async () => {
    declare("a", 1);
    await Promise.all([send(), send(), send()]);
    await send();
    expect(opened.map(({ sent }) => sent.length)).toEqual([4]);
    expect(sinks.status({ namespace: NS, name: "out" })).toMatchObject({ state: "open", sent: 4, errors: 0 });
  });

  test("one that is declared later, changed or made anew is used as it is declared then", async () => {
    expect(await send()).toEqual({ error: `there is no sink out in ${NS}` });
    declare("a", 1);
    await send();
    declare("b", 2);
    await send();
    // Removed and declared again, its version begins anew.
    declare("c", 2);
    await send();
    expect(opened.map(({ topic, sent }) => [topic, sent.length])).toEqual([
      ["a", 1],
      ["b", 1],
      ["c", 1],
    ]);
    expect(opened.map(({ closed }) => closed)).toEqual([true, true, false]);
    documents.clear();
    changed();
    expect(await send()).toHaveProperty("error");
  });

  test("what is under way when one is changed ends with the old one", async () => {
    declare("a", 1);
    const { promise, resolve } = Promise.withResolvers<{ status: number }>();
    onSend = () => promise;
    const sending = send();
    while (opened.length === 0) await new Promise(setImmediate);
    declare("b", 2);
    onSend = async () => ({ status: 200 });
    expect(await send()).toEqual({ status: 200 });
    expect(opened[0]?.closed).toBe(false);
    resolve({ status: 201 });
    expect(await sending).toEqual({ status: 201 });
    await new Promise(setImmediate);
    expect(opened[0]?.closed).toBe(true);
  });

  test("one that cannot be opened is tried again after ever longer waits, and the events meanwhile are told why", async () => {
    declare("a", 1);
    let tries = 0;
    onOpen = async () => {
      tries++;
      throw new FaasError("unavailable", "the server refuses the login");
    };
    const waits: number[] = [];
    for (let i = 0; i < 10; i++) {
      expect(await send()).toEqual({ error: "the server refuses the login" });
      const { retryAfterMs } = (await send()) as { retryAfterMs: number };
      waits.push(retryAfterMs);
      now += retryAfterMs;
    }
    expect(tries).toBe(10);
    expect(waits).toEqual([200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000]);
    expect(sinks.status({ namespace: NS, name: "out" })).toMatchObject({ state: "failing", errors: 10 });
    onOpen = async () => {};
    expect(await send()).toEqual({ status: 200 });
  });

  test("one whose connection fails is opened again; one that refuses an event is not", async () => {
    declare("a", 1);
    onSend = async () => ({ status: 400 });
    await send();
    await send();
    expect(opened).toHaveLength(1);
    onSend = async () => {
      throw new FaasError("invalid", "the event has no subject");
    };
    expect(await send()).toEqual({ status: 400, error: "the event has no subject" });
    expect(opened).toHaveLength(1);
    onSend = async () => {
      throw new FaasError("unavailable", "the connection was closed");
    };
    expect(await send()).toEqual({ error: "the connection was closed" });
    now += 1_000;
    onSend = async () => ({ status: 200 });
    expect(await send()).toEqual({ status: 200 });
    expect(opened.map(({ closed }) => closed)).toEqual([true, false]);
  });
});

test.each([
  ["kafka", { brokers: "k:9092", topic: "a b" }, "topic: must be the name of a topic"],
  ["kafka", { brokers: "k", topic: "a" }, "brokers.0: must be host:port"],
  ["kafka", { brokers: "k:9092", topic: "a", sasl: { password: "plain" } }, "sasl.password: must be a secret's name"],
  ["kafka", { brokers: "k:9092", topic: "a-{Type}" }, "topic: must be"],
  [
    "mqtt",
    { url: "mqtt://u:p@m", topic: "a" },
    "url: must be a URL such as mqtt://host:port, without user and password",
  ],
  ["mqtt", { url: "mqtt://m", topic: "a/#" }, "topic: must be a topic without wildcards"],
  ["mqtt", { url: "mqtt://m", topic: "a", version: "3.1.1", format: "binary" }, "format: must be structured"],
  ["nats", { servers: "nats://n", subject: "a.*" }, "subject: must be a subject without wildcards"],
  ["rabbitmq", { url: "http://r", routingKey: "a" }, "url: must be a URL such as amqp://"],
  ["webhook", { url: "https://w", headers: { Host: "x" } }, "headers.Host: is set by the platform"],
  ["webhook", { url: "https://w", headers: { a: "b\r\nc: d" } }, "headers.a: "],
  ["webhook", { url: "https://w", typo: 1 }, "typo"],
  ["fax", {}, "sink: type: must be one of kafka, mqtt, nats, rabbitmq, webhook"],
])("settings of %s such as %j are refused, naming the field and the rule", async (type, settings, rule) => {
  await expect(checkSinkSettings(sinkTypes(), { type, settings })).rejects.toThrow(rule);
});

test("a signature is as the standard has it", async () => {
  const { standardHeaders } = await import("../../events/sinks/types/standard-signature.ts");
  const key = Buffer.alloc(24, 7);
  const expected = createHmac("sha256", key).update("msg_1.1700000000.body").digest("base64");
  expect(standardHeaders("msg_1", 1_700_000_000_999, Buffer.from("body"), [`whsec_${key.toString("base64")}`])).toEqual(
    {
      "webhook-id": "msg_1",
      "webhook-timestamp": "1700000000",
      "webhook-signature": `v1,${expected}`,
    },
  );
});
