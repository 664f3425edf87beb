import { describe, expect, test } from "@jest/globals";
import { FaasError } from "../../contract/errors.ts";
import { encodeKafka } from "../../events/codec/messages.ts";
import { ConnectorHeaders } from "../../events/sources/connector-headers.ts";
import { emitMessages, type MessageEvent } from "../../events/sources/emit-messages.ts";
import { EmitTogether } from "../../events/sources/emit-together.ts";
import { kafkaMessage } from "../../events/sources/kafka/kafka-message.ts";
import { PacketNames } from "../../events/sources/mqtt/packet-names.ts";
import { eventOfMessage } from "../../events/sources/plain-message.ts";
import { rabbitMessage } from "../../events/sources/rabbitmq/rabbitmq-message.ts";
import { checkSettings } from "../../events/sources/source-settings.ts";
import { sourceTypes } from "../../events/sources/source-types.ts";

const declared = { namespace: "openfaas-fn", name: "in" };

describe("names of MQTT's messages", () => {
  /** As a process that begins with what the one before has saved. */
  const begin = (text: string | undefined, isResumed: boolean, session: string) => {
    const names = new PacketNames(text);
    names.begin(isResumed, ["a"], session);
    return names;
  };

  test("a message that comes again after the process died has the name that it had", () => {
    const first = begin(undefined, false, "s1");
    const [one, two] = [first.name(1, false).name, first.name(2, false).name];
    const second = begin(first.text, true, "s2");
    expect([second.name(1, true).name, second.name(2, true).name]).toEqual([one, two]);
  });

  test("ids that are used again name other messages: in order, always the lowest, and after all have been used", () => {
    const names = begin(undefined, false, "s1");
    const ids = [1, 2, 3, 1, 1, 65_535, 1, 2];
    const given = ids.map((id) => names.name(id, false).name);
    expect(new Set(given).size).toBe(ids.length);
    // What the round needs is saved before a message of it is stored, and only then.
    const again = begin(undefined, false, "s1");
    expect(ids.map((id) => again.name(id, false).isNewRound)).toEqual([
      true,
      false,
      false,
      true,
      true,
      true,
      true,
      false,
    ]);
  });

  test("after the process died, a new message with an id from before has another name, also if it says the same", () => {
    const first = begin(undefined, false, "s1");
    const before = first.name(1, false).name;
    const second = begin(first.text, true, "s2");
    expect(second.name(1, false).name).not.toBe(before);
  });

  test("messages before and after the ids began anew have their names when they come again", () => {
    const first = begin(undefined, false, "s1");
    for (let id = 1; id < 65_535; id++) first.name(id, false);
    const names = [65_535, 1, 2].map((id) => first.name(id, false).name);
    const second = begin(first.text, true, "s2");
    expect([65_535, 1, 2].map((id) => second.name(id, true).name)).toEqual(names);
  });

  test("a server that has forgotten the session gives other names", () => {
    const first = begin(undefined, false, "s1");
    const before = first.name(1, false).name;
    expect(begin(first.text, false, "s2").name(1, false).name).not.toBe(before);
  });
});

describe("records of Kafka", () => {
  const record = {
    topic: "orders",
    partition: 3,
    offset: 42n,
    timestamp: 1_700_000_000_000n,
    key: Buffer.from("k1"),
    value: Buffer.from("hello"),
    headerEntries: [[Buffer.from("Trace-Id"), Buffer.from("t1")]] as [Buffer, Buffer | null][],
  };

  test("become events that are named by their place, with the headers of OpenFaaS's connector", () => {
    const { event, headers, topic } = kafkaMessage({ ...record }, { ...declared, contentType: "text/plain" });
    expect({ topic, attributes: event.attributes }).toEqual({
      topic: "orders",
      attributes: {
        specversion: "1.0",
        id: "orders/3/42",
        source: "/apis/v1/namespaces/openfaas-fn/kafkasources/in#orders",
        type: "dev.knative.kafka.event",
        subject: "partition:3#42",
        time: "2023-11-14T22:13:20.000Z",
        datacontenttype: "text/plain",
        partitionkey: "k1",
        key: "k1",
        kafkaheadertraceid: "t1",
      },
    });
    expect(headers).toEqual([
      ["X-Connector", "openfaasltd/kafka-connector"],
      ["X-Topic", "orders"],
      ["X-Kafka-Partition", "3"],
      ["X-Kafka-Offset", "42"],
      ["X-Kafka-Key", "k1"],
      ["X-Kafka-Trace-Id", "t1"],
    ]);
  });

  test.each<[what: string, given: object]>([
    ["a key of bytes", { key: Buffer.from([0, 255]) }],
    [
      "names and values that no header may have",
      {
        headerEntries: [
          ["a b\r\n", "x"],
          ["ok", "a\r\nSet-Cookie: b"],
          ["", ""],
        ],
      },
    ],
    ["a header that is null", { headerEntries: [["n", null]] }],
    [
      "headers that claim to be the record's place",
      {
        headerEntries: [
          ["offset", "7"],
          ["Key-Enc", "none"],
        ],
      },
    ],
    ["a thousand headers", { headerEntries: Array.from({ length: 1_000 }, (_, i) => [`h${i}`, "x"]) }],
    ["a header of a mebibyte", { headerEntries: [["big", "x".repeat(1024 ** 2)]] }],
    [
      "a header named __proto__",
      {
        headerEntries: [
          ["__proto__", "x"],
          ["constructor", "y"],
        ],
      },
    ],
    ["a time before time", { timestamp: -1n }],
    ["a time beyond time", { timestamp: 2n ** 62n }],
    ["no key, no value, no headers", { key: null, value: null, headerEntries: [] }],
    [
      "attributes of an event that break its rules",
      { headerEntries: ["specversion", "id", "source", "type"].map((n) => [`ce_${n}`, "\u0000"]) },
    ],
    [
      "an event as a whole without a value",
      { value: null, headerEntries: [["content-type", "application/cloudevents+json"]] },
    ],
    ["a type of its data that is none", { headerEntries: [["content-type", "\u0000"]] }],
  ])("%s makes an event all the same, whose headers can be sent", (_what, given) => {
    const { headerEntries = [] } = given as { headerEntries?: [string, string | null][] };
    const entries = headerEntries.map(
      ([name, value]) => [Buffer.from(name), value === null ? null : Buffer.from(value)] as [Buffer, Buffer | null],
    );
    const { event, headers = [] } = kafkaMessage({ ...record, ...given, headerEntries: entries }, declared);
    expect(event.attributes.id).toBe("orders/3/42");
    for (const [name, value] of headers)
      expect([name, value]).toEqual([expect.stringMatching(/^[-\w]+$/), expect.stringMatching(/^[\x20-\x7e]*$/)]);
    expect(headers.length).toBeLessThanOrEqual(101);
    expect(headers.filter(([name]) => name === "X-Kafka-Offset")).toEqual([["X-Kafka-Offset", "42"]]);
  });

  test("that are events pass as they are", () => {
    const event = { attributes: { specversion: "1.0", id: "1", source: "/s", type: "t" }, data: Buffer.from("x") };
    const { headers, value } = encodeKafka(event);
    const headerEntries = [...headers].map(([name, bytes]) => [Buffer.from(name), bytes] as [Buffer, Buffer]);
    expect(kafkaMessage({ ...record, value, headerEntries }, declared).event).toEqual(event);
  });
});

describe("messages of RabbitMQ", () => {
  const message = { exchange: "e", routingKey: "k", body: Buffer.from("x"), headers: { a: 1 } };

  test("without an id are named by what they say, but not by what the server adds when it delivers them again", () => {
    const id = (given: object) => rabbitMessage({ ...message, ...given }, "q", declared).event.attributes.id;
    expect(id({ headers: { a: 1, "x-delivery-count": 2n, "x-death": [{}] } })).toBe(id({}));
    expect(id({ body: Buffer.from("y") })).not.toBe(id({}));
    expect(id({ headers: { a: 2 } })).not.toBe(id({}));
    expect(id({ messageId: "m-1" })).toBe("m-1");
  });

  test("have the headers of OpenFaaS's connector", () => {
    expect(rabbitMessage({ ...message, messageId: "m-1" }, "q", declared).headers).toEqual([
      ["X-Connector", "openfaasltd/rabbitmq-connector"],
      ["X-Topic", "q"],
      ["X-Rabbitmq-Msg-Id", "m-1"],
      ["X-Rabbitmq-Routing-Key", "k"],
    ]);
  });
});

test("a message whose id and source are no texts of an event gets ones that are", () => {
  const { attributes } = eventOfMessage({ type: "t", source: "/a b\ud800", id: "x\u0001\udfff", subject: "\u0000" });
  expect(attributes).toEqual({ specversion: "1.0", id: "x%01%EF%BF%BD", source: "/a%20b%EF%BF%BD", type: "t" });
});

test("a header that no header can hold goes as base64", () => {
  expect(new ConnectorHeaders("c", "täst").add("X-A", Buffer.from([0])).add("bad name", "x").list).toEqual([
    ["X-Connector", "c"],
    ["X-Topic", Buffer.from("täst").toString("base64")],
    ["X-Topic-Enc", "b64"],
    ["X-A", "AA=="],
    ["X-A-Enc", "b64"],
  ]);
});

describe("messages that are emitted", () => {
  const messages = (count: number): MessageEvent[] =>
    Array.from({ length: count }, (_, n) => ({
      event: { attributes: { specversion: "1.0", id: String(n), source: "/s", type: "t" } },
      from: `m/${n}`,
    }));
  const idOf = ({ event }: { event: MessageEvent["event"] }) => Number(event.attributes.id);

  test("one that will never be stored keeps nobody back, and is told", async () => {
    const stored: number[] = [];
    const warnings: string[] = [];
    const results = await emitMessages(
      {
        emit: async (events) => {
          if (events.some((event) => idOf(event) === 6)) throw new FaasError("tooLarge", "too large");
          stored.push(...events.map(idOf));
          return [];
        },
        warn: (error) => warnings.push((error as Error).message),
      },
      messages(10),
    );
    expect(stored).toEqual([0, 1, 2, 3, 4, 5, 7, 8, 9]);
    expect(results.map((isStored, n) => (isStored ? -1 : n)).filter((n) => n >= 0)).toEqual([6]);
    expect(warnings).toEqual(["m/6 is not taken: too large"]);
  });

  test("what may be over later is thrown", async () => {
    const emit = async () => {
      throw new FaasError("overloaded", "full");
    };
    await expect(emitMessages({ emit, warn: () => {} }, messages(3))).rejects.toThrow("full");
  });

  test("what comes while the store is busy is stored together, and a failure is everybody's", async () => {
    const batches: number[][] = [];
    let failing = false;
    const together = new EmitTogether({
      emit: async (events) => {
        await new Promise(setImmediate);
        batches.push(events.map(idOf));
        if (failing) throw new FaasError("unavailable", "away");
        return [];
      },
      warn: () => {},
    });
    expect(await Promise.all(messages(250).map((each) => together.emit(each)))).toEqual(Array(250).fill(true));
    expect(batches.map(({ length }) => length)).toEqual([100, 100, 50]);
    expect(batches.flat()).toEqual(Array.from({ length: 250 }, (_, n) => n));
    failing = true;
    const failed = await Promise.allSettled(messages(2).map((each) => together.emit(each)));
    expect(failed.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    failing = false;
    expect(await together.emit(messages(1)[0] as MessageEvent)).toBe(true);
  });
});

test.each([
  ["kafka", { topics: ["a"] }, "brokers: must be a list"],
  ["kafka", { brokers: ["k:99999"], topics: ["a"] }, "brokers.0: must be host:port"],
  ["kafka", { brokers: ["k:1"], topics: [".."] }, "topics.0: must be the name of a topic"],
  ["kafka", { brokers: ["k:1"], topics: ["a"], sasl: { mechanism: "GSSAPI" } }, "sasl.mechanism: must be one of PLAIN"],
  ["kafka", { brokers: ["k:1"], topics: ["a"], tls: { ca: "-----BEGIN" } }, "tls.ca: must be a secret's name"],
  ["mqtt", { url: "mqtt://m", topics: "a/#/b" }, "topics.0: must be a topic filter"],
  ["mqtt", { url: "mqtt://m", topics: "a", qos: 3 }, "qos: must be a whole number from 0 to 2"],
  ["rabbitmq", { url: "amqp://r", queues: [] }, "queues: must have at least one entry"],
  ["rabbitmq", { url: "amqp://r", queues: "q", prefetch: 0 }, "prefetch: must be a whole number from 1 to 1000"],
  ["nats", { servers: "nats://n" }, "subjects: is required, or a stream"],
  ["nats", { servers: "nats://n", stream: "s", queue: "q" }, "queue: is of core NATS"],
  ["nats", { servers: "nats://n", subjects: "a..b" }, "subjects.0: must be a subject"],
])("settings of %s such as %j are refused, naming the field and the rule", async (type, settings, rule) => {
  await expect(checkSettings(sourceTypes(), { type, settings })).rejects.toThrow(rule);
});
