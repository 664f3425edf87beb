import { describe, expect, test } from "@jest/globals";
import { decodeTriggerSpec } from "../../contract/events/trigger-spec.ts";
import { readEventAnnotations, wantsEvents } from "../../events/triggers/annotation-trigger.ts";
import { readTrigger } from "../../events/triggers/read-trigger.ts";
import { formatSubscriber, parseSubscriber } from "../../events/triggers/subscribers.ts";

const FUNCTION = { name: "ship", namespace: "shop" };
const EVENT = { specversion: "1.0", id: "1", source: "/shop/eu", type: "order.placed" };
const read = (annotations: Record<string, string>) => readEventAnnotations(FUNCTION, annotations);
const declared = (spec: unknown) => readTrigger(decodeTriggerSpec(spec), { namespace: "shop", name: "one" });

describe("triggers of annotations", () => {
  test("without any, a function subscribes to nothing", () => {
    expect(wantsEvents({ "com.faaslane.events.sink": "default" })).toBe(false);
  });

  test("a topic alone subscribes to the default broker of its namespace", () => {
    expect(read({ topic: "order.*, paid" })).toMatchObject({
      id: "function/shop/ship",
      broker: { namespace: "shop", name: "default" },
      subscriber: { kind: "function", function: FUNCTION },
      policy: { retries: 10, backoff: "exponential", delayMs: 200 },
      reply: "any",
      ordered: false,
      concurrency: 20,
      keep: "full",
    });
  });

  test.each<[string, object, boolean]>([
    ["the type, where an event has no topic", EVENT, true],
    ["the topic before the type", { ...EVENT, topic: "other" }, false],
    ["the topic", { ...EVENT, type: "x", topic: "paid" }, true],
  ])("a topic is compared with %s", (_what, attributes, passes) => {
    expect(read({ topic: "order.*, paid" }).filter(attributes as never).passes).toBe(passes);
  });

  test("topic and filters have both to let an event pass, and say why not", () => {
    const { filter } = read({ topic: "order.*", "com.faaslane.events.filter.source": "/shop/*" });
    expect(filter(EVENT).passes).toBe(true);
    expect(filter({ ...EVENT, source: "/other" }).reason).toContain('source is "/other"');
    expect(filter({ ...EVENT, type: "paid" }).reason).toBe('topic: is "paid", not one of "order.*"');
  });

  test("a function gets its own ticks of cron only", () => {
    const { filter } = read({ topic: "cron-function" });
    const tick = { ...EVENT, type: "com.faaslane.cron.tick", topic: "cron-function" };
    expect(filter({ ...tick, source: "/cron/shop/ship" }).passes).toBe(true);
    expect(filter({ ...tick, source: "/cron/shop/bill" }).passes).toBe(false);
  });

  test("all of them together", () => {
    const trigger = read({
      "com.faaslane.events.broker": "orders",
      "com.faaslane.events.delivery": '{"retry":3,"timeout":"PT2S","backoffPolicy":"linear"}',
      "com.faaslane.events.retry": "5",
      "com.faaslane.events.max-age": "1h",
      "com.faaslane.events.format": "json",
      "com.faaslane.events.reply": "none",
      "com.faaslane.events.dead-letter": "broker/dead",
      "com.faaslane.events.order": "partitionkey",
      "com.faaslane.events.concurrency": "2",
      "com.faaslane.events.suspend": "true",
      "com.faaslane.events.ledger": "meta",
      "com.faaslane.events.transform": "$",
      "com.faaslane.events.path": "/events",
    });
    expect(trigger).toMatchObject({
      broker: { namespace: "shop", name: "orders" },
      subscriber: { path: "/events" },
      policy: { retries: 5, backoff: "linear", timeoutMs: 2000, maxAgeMs: 3600_000 },
      format: "json",
      reply: "none",
      deadLetter: { kind: "broker", broker: { namespace: "shop", name: "dead" } },
      ordered: true,
      concurrency: 2,
      stopped: "suspended",
      suspended: true,
      keep: "meta",
      transform: "$",
    });
    expect(trigger.filter(EVENT).passes).toBe(true);
  });

  test.each<[Record<string, string>, string]>([
    [{ "com.faaslane.events.fliter": "x" }, "com.faaslane.events.fliter: there is no such annotation"],
    [{ "com.faaslane.events.broker": "A/b/c" }, "com.faaslane.events.broker: must be NAME or NAMESPACE/NAME"],
    [{ "com.faaslane.events.filter": "id =" }, "com.faaslane.events.filter"],
    [{ "com.faaslane.events.filters": "{" }, "com.faaslane.events.filters"],
    [{ "com.faaslane.events.delivery": '{"retries":1}' }, 'com.faaslane.events.delivery: Unrecognized key: "retries"'],
    [{ "com.faaslane.events.delivery": "{" }, "com.faaslane.events.delivery: "],
    [{ "com.faaslane.events.retry": "many" }, "com.faaslane.events.retry: must be a whole number"],
    [{ "com.faaslane.events.timeout": "soon" }, "com.faaslane.events.delivery.timeout: must be a duration"],
    [{ "com.faaslane.events.format": "xml" }, "format: must be binary or json"],
    [{ "com.faaslane.events.dead-letter": "ftp://x" }, "com.faaslane.events.dead-letter: uri: must be a URL of http"],
    [{ "com.faaslane.events.order": "fifo" }, "com.faaslane.events.order: must be partitionkey or any"],
    [{ "com.faaslane.events.concurrency": "0" }, "com.faaslane.events.concurrency: must be a whole number from 1"],
    [{ "com.faaslane.events.suspend": "yes" }, "com.faaslane.events.suspend: must be true or false"],
    [{ "com.faaslane.events.ledger": "none" }, "com.faaslane.events.ledger: must be full, meta or off"],
    [{ "com.faaslane.events.path": "x" }, "com.faaslane.events.path: must be a path"],
    [{ topic: "a.>.b" }, 'topic: "a.>.b"'],
  ])("%j is refused", (annotations, message) => {
    expect(() => read({ topic: "x", ...annotations })).toThrow(message);
  });
});

describe("declared triggers", () => {
  const subscriber = { function: "ship" };

  test("take Knative's fields", () => {
    const trigger = declared({
      broker: "orders",
      filter: { attributes: { type: "order.placed" } },
      subscriber: { ref: { apiVersion: "v1", kind: "Service", name: "ship" }, uri: "/events" },
      delivery: {
        retry: 2,
        backoffPolicy: "linear",
        backoffDelay: "PT0.5S",
        timeout: "PT5S",
        retryAfterMax: "PT30S",
        format: "json",
        deadLetterSink: { uri: "https://example.com/dead" },
      },
    });
    expect(trigger).toMatchObject({
      id: "trigger/shop/one",
      broker: { namespace: "shop", name: "orders" },
      subscriber: { kind: "function", function: FUNCTION, path: "/events" },
      policy: { retries: 2, backoff: "linear", delayMs: 500, maxDelayMs: 30_000, timeoutMs: 5000 },
      format: "json",
      deadLetter: { kind: "uri", uri: "https://example.com/dead" },
    });
    expect(trigger.filter(EVENT).passes).toBe(true);
    expect(trigger.filter({ ...EVENT, type: "paid" }).passes).toBe(false);
  });

  test("with filters of both kinds, the newer ones count", () => {
    const { filter } = declared({
      subscriber,
      filter: { attributes: { type: "x" } },
      filters: [{ prefix: { type: "order" } }],
    });
    expect(filter(EVENT).passes).toBe(true);
  });

  test("pin a version", () => {
    expect(declared({ subscriber, version: "v3" }).subscriber).toMatchObject({ version: "v3" });
    expect(declared({ subscriber: { function: "ship@v2" }, version: "v3" }).subscriber).toMatchObject({
      version: "v2",
    });
  });

  test("take what they leave out from their broker, field by field", () => {
    const spec = decodeTriggerSpec({ subscriber, delivery: { retry: 1 } });
    const defaults = { retry: 7, timeout: "9s", deadLetterSink: { broker: "dead" } };
    const trigger = readTrigger(spec, { namespace: "shop", name: "one" }, () => defaults as never);
    expect(trigger).toMatchObject({
      policy: { retries: 1, timeoutMs: 9000 },
      deadLetter: { kind: "broker", broker: { namespace: "shop", name: "dead" } },
    });
  });

  test("functions have as long as the platform gives their calls", () => {
    expect(declared({ subscriber }).policy.timeoutMs).toBe(3600_000);
    expect(declared({ subscriber, delivery: { timeout: "5s" } }).policy.timeoutMs).toBe(5000);
    expect(declared({ subscriber: { uri: "http://a.example/" } }).policy.timeoutMs).toBe(60_000);
  });

  test("answers have to be events where the subscriber is no function", () => {
    expect(declared({ subscriber: { uri: "http://a.example/" } }).reply).toBe("event");
    expect(declared({ subscriber }).reply).toBe("any");
  });

  test.each<[object, string]>([
    [{}, "trigger: subscriber: "],
    [{ subscriber: {} }, "trigger: subscriber: must have one of ref, function, sink, broker and uri"],
    [
      { subscriber: { function: "a", sink: "b" } },
      "must have one of ref, function, sink, broker and uri, not function and sink",
    ],
    [{ subscriber: { uri: "ftp://a" } }, "trigger: subscriber.uri: must be a URL of http or https"],
    [{ subscriber: { uri: "http://u:p@a/" } }, "trigger: subscriber.uri: must not carry credentials"],
    [{ subscriber: { sink: "a", uri: "/x" } }, "trigger: subscriber.uri: must not be there beside sink"],
    [{ subscriber: { function: "A b" } }, "trigger: subscriber.function: must be NAME"],
    [{ subscriber: { ref: { kind: "Pod", name: "x" } } }, "trigger: subscriber.ref.kind: must be Function"],
    [{ subscriber, broker: "a/b" }, "trigger: broker: must be a DNS label"],
    [{ subscriber, filters: [{ regex: {} }] }, 'filters[0]: "regex" is no dialect'],
    [{ subscriber, filter: { attributes: { A: "x" } } }, 'filter.attributes: "A" is no name'],
    [{ subscriber, delivery: { retry: 1.5 } }, "trigger: delivery.retry: must be a whole number"],
    [{ subscriber, delivery: { backoffPolicy: "square" } }, "delivery.backoffPolicy: must be one of"],
    [{ subscriber, delivery: { deadLetterSink: {} } }, "trigger: delivery.deadLetterSink: must have one of"],
    [{ subscriber, concurrency: 0 }, "trigger: concurrency: must be at least 1"],
    [{ subscriber, ledger: "all" }, "trigger: ledger: must be full, meta or off"],
    [{ subscriber, order: "fifo" }, "trigger: order: must be partitionkey or any"],
    [{ subscriber, sbscriber: 1 }, 'trigger: Unrecognized key: "sbscriber"'],
    [{}, "trigger: subscriber: is required"],
    [{ subscriber: [] }, "trigger: subscriber: must be an object"],
  ])("%j is refused", (spec, message) => {
    expect(() => declared(spec)).toThrow(message);
  });
});

describe("subscribers as text", () => {
  test.each([
    ["ship", "function/shop/ship"],
    ["ship@v2", "function/shop/ship@v2"],
    ["other/ship", "function/other/ship"],
    ["function/other/ship@v2", "function/other/ship@v2"],
    ["broker/dead", "broker/shop/dead"],
    ["broker/other/dead", "broker/other/dead"],
    ["sink/kafka", "sink/shop/kafka"],
    ["https://a.example/x?y=1", "https://a.example/x?y=1"],
  ])("%s is %s", (text, whole) => {
    const subscriber = parseSubscriber(text, "shop", "field");
    expect(formatSubscriber(subscriber)).toBe(whole);
    expect(parseSubscriber(whole, "elsewhere", "field")).toEqual(subscriber);
  });
});
