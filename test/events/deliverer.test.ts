import { afterAll, afterEach, beforeAll, describe, expect, test } from "@jest/globals";
import { FaasError } from "../../contract/errors.ts";
import { decodeTriggerSpec } from "../../contract/events/trigger-spec.ts";
import { type CloudEvent, checkedEvent } from "../../events/codec/cloud-event.ts";
import { Deliverer, type DelivererOptions } from "../../events/engine/deliverer.ts";
import type { EventAnswer } from "../../events/engine/ports.ts";
import { Sender } from "../../events/engine/sender.ts";
import { UriCaller } from "../../events/engine/uri-caller.ts";
import type { DeliverySettlement, EventDelivery } from "../../events/store/event-store.ts";
import { readTrigger } from "../../events/triggers/read-trigger.ts";
import type { Trigger } from "../../events/triggers/trigger.ts";
import { ANY_TARGET, CallbackTargets } from "../../kit/outbound/targets.ts";
import { HttpSubscriber, type SubscriberReply } from "../support/events/subscriber.ts";

const NOW = Date.parse("2026-03-01T12:00:00Z");
const log = { warn: () => {}, debug: () => {}, info: () => {} };
const BROKER = { namespace: "shop", name: "default" };
const EVENT: CloudEvent = {
  attributes: {
    specversion: "1.0",
    id: "7",
    source: "/shop",
    type: "order.placed",
    datacontenttype: "application/json",
  },
  data: Buffer.from('{"total": 5}'),
};

const uris = new UriCaller({
  targets: new CallbackTargets(ANY_TARGET),
  userAgent: "test/1",
  maxAnswerBytes: 64 * 1024,
});
let subscriber: HttpSubscriber;
const stops: string[] = [];
const pauses: [string, number][] = [];
let failingSince: number | undefined;

beforeAll(async () => {
  subscriber = await HttpSubscriber.open();
});
afterEach(() => {
  subscriber.received.length = 0;
  subscriber.answer = () => ({ status: 204 });
  stops.length = 0;
  pauses.length = 0;
  failingSince = undefined;
});
afterAll(async () => {
  await uris.close();
  await subscriber.close();
});

interface Given {
  readonly spec?: object;
  readonly trigger?: Partial<Trigger>;
  readonly delivery?: Partial<EventDelivery>;
  readonly event?: Partial<EventDelivery["event"]>;
  readonly options?: Partial<DelivererOptions>;
  readonly functionAnswer?: EventAnswer;
  readonly signal?: AbortSignal;
}

async function deliver(given: Given = {}): Promise<DeliverySettlement> {
  const spec = { subscriber: { uri: subscriber.url }, ...given.spec };
  const trigger = { ...readTrigger(decodeTriggerSpec(spec), { namespace: "shop", name: "one" }), ...given.trigger };
  const sender = new Sender({
    callFunction: async () => given.functionAnswer ?? { status: 200, headers: {}, body: Buffer.alloc(0) },
    sendToSink: async () => ({ status: 200 }),
    hasBroker: async ({ name }) => name !== "missing",
    uris,
    userAgent: "test/1",
    maxAnswerBytes: 64 * 1024,
    maxEventBytes: 32 * 1024,
    now: () => NOW,
  });
  const deliverer = new Deliverer({
    find: () => trigger,
    health: {
      stop: async (_trigger, reason) => void stops.push(reason),
      failed: async (_trigger, at) => {
        failingSince ??= at;
      },
      succeeded: async () => {
        failingSince = undefined;
      },
      failingSince: () => failingSince,
    },
    sender,
    transform: async (_expression, event) => event,
    pause: (id, ms) => void pauses.push([id, ms]),
    maxEventBytes: 32 * 1024,
    log,
    now: () => NOW,
    ageNow: () => NOW,
    random: () => 1,
    ...given.options,
  });
  const event = { ref: "r1", broker: BROKER, event: EVENT, headers: [], hops: 255, arrivedAt: NOW - 1000, via: "http" };
  const delivery = {
    id: "d1",
    trigger: trigger.id,
    failures: 0,
    ...given.delivery,
    event: { ...event, ...given.event },
  };
  return await deliverer.deliver(delivery, given.signal ?? new AbortController().signal);
}

const reply: SubscriberReply = {
  status: 200,
  headers: {
    "ce-specversion": "1.0",
    "ce-id": "r",
    "ce-source": "/r",
    "ce-type": "order.paid",
    "content-type": "text/plain",
  },
  body: "thanks",
};
const answering = (answer: SubscriberReply, given: Given = {}) => {
  subscriber.answer = () => answer;
  return deliver(given);
};

describe("what a subscriber gets", () => {
  test("the event in binary mode, byte for byte, with the headers of the data plane", async () => {
    await deliver();
    const [request] = subscriber.received;
    expect(request?.method).toBe("POST");
    expect(request?.body.toString()).toBe('{"total": 5}');
    expect(request?.headers).toMatchObject({
      "ce-specversion": "1.0",
      "ce-id": "7",
      "ce-source": "/shop",
      "ce-type": "order.placed",
      "content-type": "application/json",
      "ce-knativearrivaltime": "2026-03-01T11:59:59.000Z",
      prefer: "reply",
      "kn-namespace": "shop",
      "user-agent": "test/1",
    });
  });

  test("the event in structured mode where the trigger says so", async () => {
    await deliver({ spec: { delivery: { format: "json" } } });
    const [request] = subscriber.received;
    expect(request?.headers["content-type"]).toBe("application/cloudevents+json; charset=utf-8");
    expect(JSON.parse(request?.body.toString() ?? "")).toMatchObject({ id: "7", data: { total: 5 } });
  });

  test("no headers that say who the sender is", async () => {
    const headers = [
      ["Authorization", "Basic x"],
      ["Cookie", "a=b"],
      ["X-Request-Id", "r-1"],
      ["Knative-Priority", "high"],
      ["X-B3-TraceId", "1"],
      ["traceparent", "00-1"],
      ["X-Secret", "s"],
      ["ce-id", "other"],
    ] as const;
    await deliver({ event: { headers } });
    const got = subscriber.received[0]?.headers;
    expect(got).toMatchObject({
      "x-request-id": "r-1",
      "knative-priority": "high",
      "x-b3-traceid": "1",
      traceparent: "00-1",
      "ce-id": "7",
    });
    for (const name of ["authorization", "cookie", "x-secret"]) expect(got).not.toHaveProperty(name);
  });

  test("what a connector sends with it", async () => {
    const headers = [
      ["X-Topic", "orders"],
      ["Cookie", "a=b"],
      ["authorization", "Basic x"],
    ] as const;
    await deliver({ event: { headers, via: "source/shop/kafka" } });
    const got = subscriber.received[0]?.headers;
    expect(got?.["x-topic"]).toBe("orders");
    for (const name of ["authorization", "cookie"]) expect(got).not.toHaveProperty(name);
  });

  test("not how many hops are left", async () => {
    await deliver({ event: { event: { attributes: { ...EVENT.attributes, knativebrokerttl: 3 } } } });
    expect(subscriber.received[0]?.headers).not.toHaveProperty("ce-knativebrokerttl");
  });

  test("that it is a replay, where it is one", async () => {
    await deliver({ delivery: { replay: "mend" } });
    expect(subscriber.received[0]?.headers).toMatchObject({ "x-replay": "mend", "ce-faaslanereplay": "mend" });
  });

  test("what a transform makes of it", async () => {
    const transform = async (expression: string, event: CloudEvent) =>
      checkedEvent({ attributes: { ...event.attributes, type: expression }, data: Buffer.from("x") });
    await deliver({ spec: { transform: "changed" }, options: { transform } });
    expect(subscriber.received[0]?.headers["ce-type"]).toBe("changed");
    expect(subscriber.received[0]?.body.toString()).toBe("x");
  });
});

describe("what becomes of a delivery", () => {
  test.each<[string, SubscriberReply, Given, object]>([
    ["204 is done", { status: 204 }, {}, { kind: "done", attempt: { status: 204 } }],
    ["200 without a body is done", { status: 200 }, {}, { kind: "done" }],
    [
      "202 with an event is done, and the event is not routed",
      { ...reply, status: 202 },
      {},
      { kind: "done", appended: null },
    ],
    [
      "201 with an event is done, and the event is not routed",
      { ...reply, status: 201 },
      {},
      { kind: "done", appended: null },
    ],
    ["503 is tried again", { status: 503 }, {}, { kind: "retry", afterMs: 200, attempt: { error: "answered 503" } }],
    ["404, 408, 409 and 429 are tried again", { status: 409 }, {}, { kind: "retry" }],
    ["400 is dead at once", { status: 400 }, {}, { kind: "dead", reason: "answered 400", next: null }],
    [
      "a redirect is not followed",
      { status: 302, headers: { location: "/x" } },
      {},
      { kind: "dead", reason: "answered 302" },
    ],
    ["415 is dead at once", { status: 415 }, {}, { kind: "dead", reason: "answered 415" }],
    [
      "the last try is the last",
      { status: 500 },
      { delivery: { failures: 10 } },
      { kind: "dead", reason: /last of 11 tries/ },
    ],
    [
      "Retry-After in seconds is obeyed",
      { status: 429, headers: { "retry-after": "7" } },
      {},
      { kind: "retry", afterMs: 7000 },
    ],
    [
      "Retry-After as a date is obeyed",
      { status: 503, headers: { "retry-after": new Date(NOW + 9000).toUTCString() } },
      {},
      { kind: "retry", afterMs: 9000 },
    ],
    [
      "Retry-After is obeyed no longer than the policy says",
      { status: 503, headers: { "retry-after": "9000" } },
      { spec: { delivery: { retryAfterMax: "PT20S" } } },
      { kind: "retry", afterMs: 20_000 },
    ],
    [
      "a reply in binary mode goes back to the broker, with a hop less",
      reply,
      { event: { hops: 9 } },
      {
        kind: "done",
        appended: [
          {
            broker: BROKER,
            hops: 8,
            via: "reply/trigger/shop/one",
            event: {
              attributes: { id: "r", type: "order.paid", datacontenttype: "text/plain" },
              data: Buffer.from("thanks"),
            },
          },
        ],
      },
    ],
    [
      "a reply in structured mode, too",
      {
        status: 200,
        headers: { "content-type": "Application/CloudEvents+JSON" },
        body: '{"specversion":"1.0","id":"r","source":"/r","type":"t","knativebrokerttl":200,"data":[1]}',
      },
      {},
      { kind: "done", appended: [{ hops: 254, event: { attributes: { type: "t" }, data: Buffer.from("[1]") } }] },
    ],
    [
      "a reply at the last hop is dropped, and told",
      reply,
      { event: { hops: 1 } },
      { kind: "done", appended: null, attempt: { note: /too many replies/ } },
    ],
    [
      "a reply to a replay does not go on",
      reply,
      { delivery: { replay: "x" } },
      { kind: "done", appended: null, attempt: { note: /replay/ } },
    ],
    [
      "a reply to a replay goes on when that is asked for",
      reply,
      { delivery: { replay: "x", replies: true } },
      { kind: "done", appended: [{ event: { attributes: { faaslanereplay: "x" } } }] },
    ],
    [
      "a body that is no event is a malformed reply",
      { status: 200, body: "ok" },
      {},
      { kind: "retry", attempt: { error: /malformed reply: has a body that is no event/ } },
    ],
    [
      "… unless the trigger takes any answer",
      { status: 200, body: "ok" },
      { spec: { delivery: { reply: "any" } } },
      { kind: "done" },
    ],
    [
      "… or looks at none",
      { ...reply, headers: { "ce-specversion": "9" } },
      { spec: { delivery: { reply: "none" } } },
      { kind: "done" },
    ],
    [
      "an event that breaks a rule is a malformed reply, whatever the trigger takes",
      { status: 200, headers: { "ce-specversion": "1.0", "ce-id": "1", "ce-type": "t" } },
      { spec: { delivery: { reply: "any" } } },
      { kind: "retry", attempt: { error: /malformed reply: .*ce-source/ } },
    ],
    [
      "a batch is a malformed reply",
      { status: 200, headers: { "content-type": "application/cloudevents-batch+json" }, body: "[]" },
      {},
      { kind: "retry", attempt: { error: /malformed reply: is a batch/ } },
    ],
    [
      "a reply larger than a broker takes is a malformed one",
      { ...reply, body: "x".repeat(40_000) },
      {},
      { kind: "retry", attempt: { error: /larger than a broker takes/ } },
    ],
    [
      "a reply without end is not read to the end",
      { ...reply, body: "x".repeat(200_000) },
      {},
      { kind: "retry", attempt: { error: /is larger than 65536 bytes/ } },
    ],
  ])("%s", async (_rule, answer, given, expected) => {
    expectLike(await answering(answer, given), expected);
  });

  test("nobody there, and a connection that breaks off, are tried again", async () => {
    subscriber.answer = () => undefined;
    expect(await deliver()).toMatchObject({ kind: "retry", attempt: { error: expect.any(String) } });
    const gone = await HttpSubscriber.open();
    await gone.close();
    const settlement = await deliver({ spec: { subscriber: { uri: gone.url } } });
    expect(settlement).toMatchObject({ kind: "retry", attempt: { error: "ECONNREFUSED" } });
  });

  test("no answer in time is tried again", async () => {
    subscriber.answer = () => new Promise(() => {});
    const settlement = await deliver({ spec: { delivery: { timeout: "PT0.05S" } } });
    expect(settlement).toMatchObject({ kind: "retry", attempt: { error: "no answer within 50 ms" } });
  });

  test("a store that takes a delivery away ends the try", async () => {
    const away = new AbortController();
    subscriber.answer = () => {
      away.abort(new Error("away"));
      return new Promise(() => {});
    };
    expect(await deliver({ signal: away.signal })).toEqual({ kind: "back" });
  });

  test("410 stops the trigger", async () => {
    expect(await answering({ status: 410 })).toMatchObject({ kind: "dead", reason: "answered 410" });
    expect(stops).toEqual(["answered 410"]);
  });

  test("410 of the platform stops nothing", async () => {
    const functionAnswer = { status: 410, headers: {}, body: Buffer.alloc(0), internal: true };
    expect(await deliver({ spec: { subscriber: { function: "ship" } }, functionAnswer })).toMatchObject({
      kind: "dead",
    });
    expect(stops).toEqual([]);
  });

  test("429 with Retry-After pauses the trigger", async () => {
    await answering({ status: 429, headers: { "retry-after": "7" } });
    expect(pauses).toEqual([["trigger/shop/one", 7000]]);
  });

  test("what waits for a trigger that has stopped is dead, and its dead letter is delivered", async () => {
    const given: Given = {
      spec: { delivery: { deadLetterSink: { broker: "dead" } } },
      trigger: { stopped: "answered 410" },
    };
    expect(await deliver(given)).toMatchObject({
      kind: "dead",
      reason: "the trigger has stopped: answered 410",
      next: { trigger: "trigger/shop/one", deadLetter: true },
    });
    expect(subscriber.received).toEqual([]);
    expect(await deliver({ ...given, delivery: { deadLetter: true } })).toMatchObject({
      kind: "done",
      appended: [{ broker: { namespace: "shop", name: "dead" }, hops: 254 }],
    });
  });

  test("what waits for one that is suspended goes on waiting", async () => {
    expect(await deliver({ spec: { suspend: true } })).toEqual({ kind: "back" });
  });

  test("events that are over, by themselves or by the policy, are not delivered", async () => {
    const expirytime = new Date(NOW - 1).toISOString();
    const over = { event: { ...EVENT, attributes: { ...EVENT.attributes, expirytime } } };
    expect(await deliver({ event: over })).toMatchObject({ kind: "dead", reason: "the event has expired" });
    const old = { arrivedAt: NOW - 3_601_000 };
    const spec = { delivery: { maxAge: "1h" } };
    expect(await deliver({ event: old, spec })).toMatchObject({ kind: "dead", reason: /older/ });
    expect(await deliver({ event: old, spec, delivery: { replay: "x" } })).toMatchObject({ kind: "done" });
    expect(subscriber.received).toHaveLength(1);
  });

  test("what is given out again is old, and is tried again all the same", async () => {
    subscriber.answer = () => ({ status: 500 });
    const given = { event: { arrivedAt: NOW - 3_601_000 }, spec: { delivery: { maxAge: "1h" } } };
    expect(await deliver({ ...given, delivery: { replay: "x" } })).toMatchObject({ kind: "retry" });
    const spec = { delivery: { maxAge: "1h", deadLetterSink: { uri: subscriber.url } } };
    expect(await deliver({ ...given, spec, delivery: { deadLetter: true } })).toMatchObject({ kind: "retry" });
  });

  test("a transform that fails is dead with its reason; one that has no room is tried again", async () => {
    const failing = (kind: "invalid" | "unavailable") => async () => {
      throw new FaasError(kind, "no whole event");
    };
    const spec = { transform: "$" };
    expect(await deliver({ spec, options: { transform: failing("invalid") } })).toMatchObject({
      kind: "dead",
      reason: "transform: no whole event",
    });
    const said = async () => Promise.reject(new FaasError("invalid", "transform: no whole event"));
    expect(await deliver({ spec, options: { transform: said } })).toMatchObject({
      reason: "transform: no whole event",
    });
    expect(await deliver({ spec, options: { transform: failing("unavailable") } })).toMatchObject({ kind: "retry" });
    expect(subscriber.received).toEqual([]);
  });

  test("the policy `webhook` climbs its ladder, and gives a subscriber up after 5 days of failures", async () => {
    const spec = { delivery: { backoffPolicy: "webhook" } };
    expect(await answering({ status: 500 }, { spec })).toMatchObject({ kind: "retry", afterMs: 5000 });
    expect(failingSince).toBe(NOW);
    expect(await answering({ status: 500 }, { spec, delivery: { failures: 3 } })).toMatchObject({ afterMs: 7_200_000 });
    failingSince = NOW - 5 * 24 * 3600_000;
    await answering({ status: 500 }, { spec });
    expect(stops).toEqual(["nothing has been delivered for 5 days"]);
    await answering({ status: 204 }, { spec });
    expect(failingSince).toBeUndefined();
  });

  test("a target that the rules refuse is dead at once, and nothing is sent", async () => {
    const strict = new UriCaller({
      targets: new CallbackTargets({ private: false, allow: [], deny: [] }),
      userAgent: "test/1",
      maxAnswerBytes: 1000,
    });
    const answer = await strict.call(
      subscriber.url,
      { headers: [], body: Buffer.alloc(0) },
      new AbortController().signal,
    );
    await strict.close();
    expect(answer).toMatchObject({ final: true, error: "its target is refused: its address is not public" });
    expect(subscriber.received).toEqual([]);
  });
});

describe("other subscribers", () => {
  test("a function is called with its version and path, and answers what it likes", async () => {
    const functionAnswer = { status: 200, headers: {}, body: Buffer.from("ok"), version: "v3", replica: "r-1" };
    const settlement = await deliver({ spec: { subscriber: { function: "ship@v3", uri: "/x" } }, functionAnswer });
    expect(settlement).toMatchObject({ kind: "done", attempt: { status: 200, version: "v3", replica: "r-1" } });
  });

  test("a function that the platform has no room for is called later, and that was no try", async () => {
    const seen: string[] = [];
    const capacity = { refused: () => void seen.push("refused"), accepted: () => void seen.push("accepted") };
    const given: Given = { spec: { subscriber: { function: "ship" } }, options: { capacity } };
    const refusal = { status: 429, headers: {}, body: Buffer.alloc(0) };
    expect(await deliver({ ...given, functionAnswer: { ...refusal, internal: true } })).toEqual({ kind: "back" });
    expect(await deliver({ ...given, functionAnswer: refusal })).toMatchObject({ kind: "retry" });
    expect(seen).toEqual(["refused", "accepted"]);
  });

  test("what the platform says in a function's place is told", async () => {
    const functionAnswer = { status: 404, headers: {}, body: Buffer.from("no such function\n"), internal: true };
    expect(await deliver({ spec: { subscriber: { function: "ship" } }, functionAnswer })).toMatchObject({
      kind: "retry",
      attempt: { status: 404, error: "answered 404: no such function" },
    });
  });

  test("a broker gets it with a hop less, until there are none", async () => {
    const spec = { subscriber: { broker: "other" } };
    expect(await deliver({ spec, event: { hops: 5 } })).toMatchObject({
      kind: "done",
      attempt: { status: 202 },
      appended: [{ broker: { namespace: "shop", name: "other" }, hops: 4 }],
    });
    expect(await deliver({ spec, event: { hops: 1 } })).toMatchObject({ kind: "dead", reason: /too many brokers/ });
  });

  test("a broker that is not there is looked for again", async () => {
    expect(await deliver({ spec: { subscriber: { broker: "missing" } } })).toMatchObject({
      kind: "retry",
      attempt: { status: 404 },
    });
  });

  test("a target that is none is tried no longer than others are", async () => {
    const delivery = { target: "nowhere", replay: "x" };
    expect(await deliver({ delivery })).toMatchObject({
      kind: "retry",
      attempt: { error: expect.stringContaining("target: must be function/") },
    });
    expect(await deliver({ delivery: { ...delivery, failures: 10 } })).toMatchObject({ kind: "dead" });
  });

  test("a replay to another target goes there, and stops nothing", async () => {
    const functionAnswer = { status: 410, headers: {}, body: Buffer.alloc(0) };
    const delivery = { target: "function/shop/other", replay: "x" };
    expect(await deliver({ delivery, functionAnswer })).toMatchObject({ kind: "dead", reason: "answered 410" });
    expect(stops).toEqual([]);
    expect(subscriber.received).toEqual([]);
  });
});

describe("dead letters", () => {
  const spec = { delivery: { retry: 0, deadLetterSink: { broker: "dead" } } };

  test("tell the destination and the code of an unreachable subscriber", async () => {
    const gone = await HttpSubscriber.open();
    await gone.close();
    expect(await deliver({ spec: { ...spec, subscriber: { uri: `${gone.url}x?token=1` } } })).toMatchObject({
      next: { deadLetter: true, attributes: { knativeerrordest: `${gone.url}x`, knativeerrorcode: -1 } },
    });
  });

  test("tell destination and code of an error without data", async () => {
    const settlement = await answering({ status: 422 }, { spec });
    expect(settlement).toMatchObject({
      next: { attributes: { knativeerrordest: subscriber.url, knativeerrorcode: 422 } },
    });
    expect(settlement).not.toHaveProperty("next.attributes.knativeerrordata");
  });

  test("tell destination, code and data of an error with data, at most 1024 characters of base64", async () => {
    const settlement = await answering({ status: 500, body: "x".repeat(5000) }, { spec });
    const data = (settlement as unknown as { next: { attributes: { knativeerrordata: string } } }).next.attributes
      .knativeerrordata;
    expect(data).toHaveLength(1024);
    expect(Buffer.from(data, "base64").toString()).toBe("x".repeat(768));
  });

  test("of a malformed reply have the code 502", async () => {
    expect(await answering({ status: 200, body: "ok" }, { spec })).toMatchObject({
      kind: "dead",
      next: { attributes: { knativeerrorcode: 502 } },
    });
  });

  test("are given up after as many tries, without dead letters of their own", async () => {
    const to = { delivery: { retry: 2, deadLetterSink: { uri: subscriber.url } } };
    const delivery = { deadLetter: true, attributes: { knativeerrorcode: 500 } };
    expect(await answering({ status: 500 }, { spec: to, delivery })).toMatchObject({ kind: "retry" });
    expect(subscriber.received[0]?.headers).toMatchObject({ "ce-knativeerrorcode": "500", "ce-id": "7" });
    expect(subscriber.received[0]?.headers).not.toHaveProperty("prefer");
    const last = await answering({ status: 500 }, { spec: to, delivery: { ...delivery, failures: 2 } });
    expect(last).toMatchObject({ kind: "dead" });
    expect(last).not.toHaveProperty("next");
  });
});

describe("triggers that see to more themselves", () => {
  const appended = [{ broker: BROKER, event: EVENT, headers: [], hops: 1, arrivedAt: NOW, via: "flow" }];

  test("make of an answer what follows, and one that cannot has it tried again", async () => {
    const seen: unknown[] = [];
    const onAnswer: Trigger["onAnswer"] = async (_delivery, event, answer) => {
      seen.push([event?.attributes.type, answer.status, answer.contentType, answer.body?.toString()]);
      return appended;
    };
    expect(await answering(reply, { trigger: { onAnswer } })).toMatchObject({ kind: "done", appended });
    expect(seen).toEqual([["order.paid", 200, "text/plain", "thanks"]]);
    const failing = { onAnswer: async () => Promise.reject(new Error("no room")) };
    expect(await answering(reply, { trigger: failing })).toMatchObject({
      kind: "retry",
      attempt: { error: "no room" },
    });
  });

  test("decide before each try", async () => {
    const send: Trigger["onTry"] = async () => ({ kind: "send", headers: [["X-Flow", "f"]] });
    await deliver({ trigger: { onTry: send } });
    expect(subscriber.received[0]?.headers["x-flow"]).toBe("f");
    const done: Trigger["onTry"] = async () => ({ kind: "done", note: "cancelled", appended });
    expect(await deliver({ trigger: { onTry: done } })).toMatchObject({
      kind: "done",
      attempt: { note: "cancelled" },
      appended,
    });
    const failing = { onTry: async () => Promise.reject(new Error("away")) };
    expect(await deliver({ trigger: failing })).toMatchObject({ kind: "retry", attempt: { error: "away" } });
    expect(subscriber.received).toHaveLength(1);
  });

  test("make of a death what follows, and are asked again when they cannot", async () => {
    const seen: unknown[] = [];
    const onDead: Trigger["onDead"] = async (_delivery, reason, answer) => {
      seen.push([reason, answer?.status, answer?.body?.toString()]);
      return appended;
    };
    expect(await answering({ status: 400, body: "no" }, { trigger: { onDead } })).toMatchObject({
      kind: "dead",
      appended,
    });
    expect(seen).toEqual([["answered 400", 400, "no"]]);
    const failing = { onDead: async () => Promise.reject(new Error("away")) };
    expect(await answering({ status: 400 }, { trigger: failing })).toMatchObject({ kind: "retry" });
  });
});

/** With patterns, and `null` for what must not be there. */
function expectLike(actual: unknown, expected: unknown): void {
  if (expected instanceof RegExp) expect(actual).toMatch(expected);
  else if (expected === null) expect(actual).toBeUndefined();
  else if (Buffer.isBuffer(expected) || typeof expected !== "object") expect(actual).toEqual(expected);
  else {
    for (const [key, value] of Object.entries(expected)) expectLike((actual as Record<string, unknown>)[key], value);
    if (Array.isArray(expected)) expect(actual).toHaveLength(expected.length);
  }
}
