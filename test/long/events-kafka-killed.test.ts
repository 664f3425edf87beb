import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { Producer } from "@platformatic/kafka";
import { judge, runKilled } from "../support/events/killed-source.ts";
import { temporaryFolder } from "../support/platform.ts";
import { describeWithKafka, KafkaServer } from "../support/servers/kafka.ts";

describeWithKafka("Kafka and processes that are killed", () => {
  let server: KafkaServer;
  let producer: Producer;
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;

  beforeAll(async () => {
    folder = await temporaryFolder();
    server = await KafkaServer.start();
    producer = new Producer({ clientId: "test", bootstrapBrokers: [server.address], autocreateTopics: true });
  });

  afterAll(async () => {
    await producer?.close(true);
    await server?.stop();
    await folder?.remove();
  });

  const send = (topic: string, texts: readonly string[], partition: number) =>
    producer.send({ messages: texts.map((text) => ({ topic, partition, value: Buffer.from(text) })) });

  test("what is in a topic is stored however often the process is killed; what comes twice has one source and id", async () => {
    for (let partition = 0; partition < 4; partition++) {
      await send(
        "kill",
        Array.from({ length: 250 }, (_, n) => `message ${partition}/${n}`),
        partition,
      );
    }
    const spec = { type: "kafka", brokers: server.address, topics: "kill", sessionTimeoutMs: 4_000 };
    const stored = await runKilled(
      { path: join(folder.path, "events.db"), spec, secrets: {} },
      [
        { append: 2, step: "after" },
        { append: 2, step: "acknowledged" },
        { append: 3, step: "before" },
      ],
      1_000,
    );
    const { distinct, torn, repeated } = judge(stored);
    expect({ distinct, torn }).toEqual({ distinct: 1_000, torn: [] });
    expect(repeated).toBeGreaterThan(0);
  }, 60_000);
});
