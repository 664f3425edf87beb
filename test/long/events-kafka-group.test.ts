import { spawn } from "node:child_process";
import { once } from "node:events";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { Producer } from "@platformatic/kafka";
import { RunningSource } from "../support/events/declared-source.ts";
import { eventually } from "../support/eventually.ts";
import { describeWithKafka, KafkaServer } from "../support/servers/kafka.ts";
import { PROGRAM_PATH } from "../support/servers/programs.ts";

const COMPRESSIONS = ["none", "gzip", "snappy", "lz4", "zstd"];
const PARTITIONS = [0, 1, 2, 3];

describeWithKafka("Kafka's groups", () => {
  let server: KafkaServer;
  let producer: Producer;

  beforeAll(async () => {
    server = await KafkaServer.start();
    producer = new Producer({ clientId: "test", bootstrapBrokers: [server.address], autocreateTopics: true });
  });

  afterAll(async () => {
    await producer?.close(true);
    await server?.stop();
  });

  const source = (name: string, spec: object) =>
    RunningSource.start(name, { type: "kafka", brokers: server.address, sessionTimeoutMs: 6_000, ...spec });

  const send = (round: string) =>
    producer.send({
      messages: PARTITIONS.flatMap((partition) =>
        Array.from({ length: 50 }, (_, n) => ({
          topic: "shared",
          partition,
          value: Buffer.from(`${round}/${partition}/${n}`),
        })),
      ),
    });

  test("two processes share the partitions of a topic, and one that goes leaves its own to the other", async () => {
    const both = await Promise.all(["a", "b"].map((name) => source(name, { topics: "shared", group: "g" })));
    const [first, second] = both as [RunningSource, RunningSource];
    try {
      await Promise.all(both.map((each) => each.connected(60_000)));
      await send("1");
      const texts = () => both.flatMap((each) => each.texts);
      await eventually("all have come", () => new Set(texts()).size === 200, 30_000);
      expect(first.texts.length).toBeGreaterThan(0);
      expect(second.texts.length).toBeGreaterThan(0);
      await first.close();
      await send("2");
      await eventually("the other has all of them", () => new Set(texts()).size === 400, 60_000);
      // What came while the group was sorted out may have come twice: as the same event.
      const ids = both.flatMap((each) => each.log.appended.map(({ event }) => event.attributes.id));
      expect(new Set(ids).size).toBe(400);
      for (const partition of PARTITIONS) {
        const round = new Set(second.texts.filter((text) => text.startsWith(`2/${partition}/`)));
        expect([...round]).toEqual(Array.from({ length: 50 }, (_, n) => `2/${partition}/${n}`));
      }
    } finally {
      await Promise.all(both.map((each) => each.close()));
    }
  }, 120_000);

  test("records of every compression are read", async () => {
    const topics = COMPRESSIONS.map((name) => `compressed-${name}`);
    for (const name of COMPRESSIONS) {
      const options = ["-P", "-b", server.address, "-t", `compressed-${name}`, "-p", "0", "-z", name];
      const input = `${name} ${"1".repeat(500)}\n${name} ${"2".repeat(500)}\n`;
      // Not at once: it goes through the proxy, which is in this process.
      const sending = spawn("kcat", options, { env: { PATH: PROGRAM_PATH }, stdio: ["pipe", "ignore", "inherit"] });
      sending.stdin.end(input);
      expect([name, ...(await once(sending, "exit"))]).toEqual([name, 0, null]);
    }
    const running = await source("compressed", { topics });
    try {
      await running.events(10);
      expect(running.texts.map((text) => text.slice(0, 8)).sort()).toEqual(
        COMPRESSIONS.flatMap((name) => [`${name} 1111111`.slice(0, 8), `${name} 2222222`.slice(0, 8)]).sort(),
      );
    } finally {
      await running.close();
    }
  }, 60_000);
});
