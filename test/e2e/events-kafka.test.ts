import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { Producer } from "@platformatic/kafka";
import { kafkaSource } from "../../events/sources/kafka/kafka-source.ts";
import { FakeSourceContext, runSource } from "../support/events/source-context.ts";
import { describeWithKafka, KafkaServer } from "../support/servers/kafka.ts";

describeWithKafka("Kafka as a source", () => {
  let server: KafkaServer;
  let producer: Producer;

  beforeAll(async () => {
    server = await KafkaServer.start();
    producer = new Producer({ clientId: "test", bootstrapBrokers: [server.address] });
  });

  afterAll(async () => {
    await producer?.close(true);
    await server?.stop();
  });

  test("records become events", async () => {
    await producer.send({ messages: [{ topic: "orders", key: Buffer.from("k"), value: Buffer.from("hello") }] });
    const context = new FakeSourceContext({ name: "a" });
    const source = runSource(kafkaSource, { brokers: server.address, topics: ["orders"] }, context);
    const [event] = await context.waitForEvents(1);
    expect(event).toMatchObject({ topic: "orders" });
    await source.stop();
  });
});
