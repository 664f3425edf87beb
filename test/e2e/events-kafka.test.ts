import { afterAll, afterEach, beforeAll, expect, test } from "@jest/globals";
import { Producer } from "@platformatic/kafka";
import { kafkaSink } from "../../events/sinks/types/kafka-sink.ts";
import { RunningSource } from "../support/events/declared-source.ts";
import { HARD_EVENTS, openSink } from "../support/events/round-trips.ts";
import { eventually } from "../support/eventually.ts";
import { describeWithKafka, KafkaServer } from "../support/servers/kafka.ts";

describeWithKafka("Kafka", () => {
  let server: KafkaServer;
  let producer: Producer;
  const opened: { close(): Promise<void> }[] = [];
  /** Joining a group takes the mock three seconds, so all begin together. */
  let sources: Readonly<Record<string, RunningSource>>;

  beforeAll(async () => {
    server = await KafkaServer.start();
    producer = new Producer({ clientId: "test", bootstrapBrokers: [server.address], autocreateTopics: true });
    const declared = {
      plain: { topics: ["orders", "payments"] },
      "rt-binary": { topics: "rt-binary-hard.event" },
      "rt-structured": { topics: "rt-structured-hard.event" },
      away: { topics: "away" },
      full: { topics: "full" },
    };
    const all = await Promise.all(
      Object.entries(declared).map(async ([name, spec]) => [name, await source(name, spec)] as const),
    );
    sources = Object.fromEntries(all);
    await Promise.all(all.map(([, running]) => running.connected()));
  }, 40_000);

  afterEach(async () => {
    for (const each of opened.splice(0).reverse()) await each.close();
  });

  afterAll(async () => {
    await Promise.all(Object.values(sources ?? {}).map((running) => running.close()));
    await producer?.close(true);
    await server?.stop();
  });

  async function source(name: string, spec: object, secrets: Readonly<Record<string, string>> = {}) {
    const declared = { type: "kafka", brokers: server.address, sessionTimeoutMs: 6_000, ...spec };
    return await RunningSource.start(name, declared, secrets);
  }

  const send = (topic: string, texts: readonly string[], partition = 0) =>
    producer.send({ messages: texts.map((text) => ({ topic, partition, value: Buffer.from(text) })) });

  test("records of several topics become events, with keys of bytes, odd headers and none, and tombstones", async () => {
    const headers = new Map([
      [Buffer.from("Trace"), Buffer.from("t1")],
      [Buffer.from("bytes"), Buffer.from([0, 255])],
      [Buffer.from("a\r\nb"), Buffer.from("x")],
    ]);
    await producer.send({
      messages: [
        { topic: "orders", partition: 0, key: Buffer.from([0, 255]), value: Buffer.from("1"), headers },
        { topic: "orders", partition: 0, key: Buffer.from("k") },
        { topic: "payments", partition: 2, value: Buffer.from([0xff, 0xfe]) },
      ],
    });
    const running = sources.plain as RunningSource;
    const events = await running.events(3);
    const [order, tombstone] = events.filter(({ event }) => event.attributes.topic === "orders");
    expect(order?.event.attributes).toMatchObject({ id: "orders/0/0", key: "AP8=", kafkaheadertrace: "t1" });
    expect(order?.headers).toEqual([
      ["X-Connector", "openfaasltd/kafka-connector"],
      ["X-Topic", "orders"],
      ["X-Kafka-Partition", "0"],
      ["X-Kafka-Offset", "0"],
      ["X-Kafka-Key", "AP8="],
      ["X-Kafka-Key-Enc", "b64"],
      ["X-Kafka-Trace", "t1"],
      ["X-Kafka-bytes", "AP8="],
      ["X-Kafka-bytes-Enc", "b64"],
    ]);
    expect([tombstone?.event.attributes.id, tombstone?.event.data]).toEqual(["orders/0/1", undefined]);
    const [payment] = events.filter(({ event }) => event.attributes.topic === "payments");
    expect([payment?.event.attributes.id, payment?.event.data]).toEqual(["payments/2/0", Buffer.from([0xff, 0xfe])]);
  });

  test.each(["binary", "structured"])("events go out and come back as they are, %s", async (format) => {
    const sink = await openSink(kafkaSink, {
      brokers: server.address,
      topic: `rt-${format}-{type}`,
      format,
      key: "subject",
    });
    opened.push(sink);
    for (const [what, event] of HARD_EVENTS)
      expect([what, await sink.send(event, signal())]).toEqual([what, { status: 200 }]);
    const back = sources[`rt-${format}`] as RunningSource;
    const events = await back.events(HARD_EVENTS.length);
    for (const [what, event] of HARD_EVENTS) {
      const found = events.find((each) => each.event.attributes.id === event.attributes.id);
      const { topic, ...attributes } = found?.event.attributes ?? {};
      expect([what, topic, attributes]).toEqual([what, `rt-${format}-hard.event`, event.attributes]);
      expect(found?.event.data?.equals(event.data as Buffer) ?? undefined).toBe(event.data ? true : undefined);
      const key = found?.headers.find(([name]) => name === "X-Kafka-Key")?.[1];
      expect(key === undefined).toBe(event.attributes.subject === undefined);
    }
  });

  test("nothing is committed while the store is away, and one that is too large keeps nobody back", async () => {
    const running = sources.full as RunningSource;
    running.log.failing = new Error("the store is away");
    await send("full", ["1", "x".repeat(900_000), "3"]);
    expect(await running.failing()).toContain("the store is away");
    running.log.failing = undefined;
    running.log.refuse = (event) => (event.data?.length ?? 0) > 500_000;
    await running.events(2);
    expect(running.texts).toEqual(["1", "3"]);
  });

  test("a login that the server does not take is told, without the secret", async () => {
    const sasl = { mechanism: "SCRAM-SHA-256", user: "faas", password: { secret: "kafka" } };
    const running = await source("login", { topics: "a", sasl }, { kafka: "wr0ng-password" });
    opened.push(running);
    const told = await running.failing();
    expect(told).toContain(`Kafka at ${server.address}`);
    expect(told).not.toContain("wr0ng");
  });

  test("a server that was away is read on", async () => {
    const running = sources.away as RunningSource;
    await send("away", ["1"]);
    await running.events(1);
    await server.proxy.goAway();
    expect(await running.failing()).toContain(`Kafka at ${server.address}`);
    await server.proxy.comeBack();
    await send("away", ["2"]);
    await eventually("it is read on", () => running.texts.includes("2"), 20_000);
    // The first may have lost its acknowledgement with the connection.
    expect([...new Set(running.texts)]).toEqual(["1", "2"]);
  });
});

function signal(): AbortSignal {
  return AbortSignal.timeout(15_000);
}
