import { join } from "node:path";
import { afterAll, beforeAll, expect } from "@jest/globals";
import { Producer } from "@platformatic/kafka";
import mqtt from "mqtt";
import { connect } from "nats";
import { Connection } from "rabbitmq-client";
import { buildImage } from "../support/build-upload.ts";
import { RunningSource } from "../support/events/declared-source.ts";
import { eventually } from "../support/eventually.ts";
import { missingNats, NatsServer } from "../support/nats.ts";
import { testNeeding } from "../support/needing.ts";
import { Platform, temporaryFolder } from "../support/platform.ts";
import { KafkaServer } from "../support/servers/kafka.ts";
import { Mosquitto } from "../support/servers/mosquitto.ts";
import { missingProgram } from "../support/servers/programs.ts";
import { RabbitMq } from "../support/servers/rabbitmq.ts";

/** Answers each call with an event that says what it was called with. */
const ECHO = `
export default (req, res) => {
  const parts = [];
  req.on("data", (part) => parts.push(part));
  req.on("end", () => {
    const headers = Object.fromEntries(Object.entries(req.headers).filter(([name]) => /^(x-|ce-(type|topic))/.test(name)));
    res.setHeader("ce-specversion", "1.0").setHeader("ce-id", "answer-" + req.headers["ce-id"]);
    res.setHeader("ce-source", "/echo").setHeader("ce-type", "answered." + req.headers["x-topic"]);
    res.setHeader("content-type", "application/json");
    res.end(JSON.stringify({ headers, body: Buffer.concat(parts).toString() }));
  });
};`;

interface Server {
  /** What sources and sinks of it have in common. */
  readonly settings: object;
  /** Of a source of that name. */
  readonly source: (topic: string) => object;
  readonly sink: (topic: string) => object;
  publish(topic: string, text: string): Promise<unknown>;
  close(): Promise<void>;
}

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let platform: Platform;

beforeAll(async () => {
  folder = await temporaryFolder();
  platform = await Platform.start({ dataDir: join(folder.path, "data"), cwd: folder.path, env: { sandbox: "off" } });
  await buildImage(platform, "echo:1", {
    "faaslane.json": JSON.stringify({ env: { mode: "inproc", inproc_handler: "./index.mjs" } }),
    "index.mjs": ECHO,
  });
  const topics = ["kafka", "mqtt", "nats", "rabbitmq"].map((type) => `orders-${type}`).join(",");
  const service = { service: "echo", image: "echo:1", annotations: { topic: topics } };
  expect((await send("POST", "/system/functions", service)).status).toBe(202);
  expect((await send("POST", "/system/secrets", { name: "rabbit", value: "guest" })).status).toBe(202);
}, 90_000);

afterAll(async () => {
  await platform?.stop();
  await folder?.remove();
});

const send = (method: string, path: string, body: object) =>
  platform.control(path, { method, body: JSON.stringify(body) });

async function declare(path: string, spec: object): Promise<void> {
  const answer = await send("PUT", path, spec);
  expect([path, answer.status, answer.ok ? "" : await answer.text()]).toEqual([path, 201, ""]);
}

async function kafka(): Promise<Server> {
  const server = await KafkaServer.start();
  const producer = new Producer({ clientId: "t", bootstrapBrokers: [server.address], autocreateTopics: true });
  return {
    settings: { type: "kafka", brokers: server.address },
    source: (topics) => ({ topics, sessionTimeoutMs: 6_000 }),
    sink: (topic) => ({ topic }),
    publish: (topic, text) => producer.send({ messages: [{ topic, partition: 0, value: Buffer.from(text) }] }),
    close: async () => {
      await producer.close(true);
      await server.stop();
    },
  };
}

async function mosquitto(): Promise<Server> {
  const server = await Mosquitto.start();
  const client = await mqtt.connectAsync(server.url);
  return {
    settings: { type: "mqtt", url: server.url },
    source: (topics) => ({ topics }),
    sink: (topic) => ({ topic }),
    publish: (topic, text) => client.publishAsync(topic, text, { qos: 1 }),
    close: async () => {
      await client.endAsync(true);
      await server.stop();
    },
  };
}

async function nats(): Promise<Server> {
  const server = await NatsServer.start();
  const nc = await connect({ servers: server.address });
  return {
    settings: { type: "nats", servers: `nats://${server.address}` },
    source: (subjects) => ({ subjects }),
    sink: (subject) => ({ subject }),
    publish: async (subject, text) => nc.publish(subject, text),
    close: async () => {
      await nc.close();
      await server.kill();
    },
  };
}

async function rabbitmq(): Promise<Server> {
  const server = await RabbitMq.start();
  const connection = new Connection(server.loginUrl);
  const publisher = connection.createPublisher({ confirm: true });
  return {
    settings: { type: "rabbitmq", url: server.url, user: "guest", password: { secret: "rabbit" } },
    source: (queues) => ({ queues, declare: { durable: false } }),
    sink: (routingKey) => ({ routingKey }),
    publish: (routingKey, text) => publisher.send({ routingKey }, Buffer.from(text)),
    close: async () => {
      await publisher.close();
      await connection.close();
      await server.stop();
    },
  };
}

for (const [type, open, missing] of [
  ["mqtt", mosquitto, missingProgram("mosquitto")],
  ["nats", nats, missingNats()],
  ["rabbitmq", rabbitmq, missingProgram("rabbitmq-server")],
  ["kafka", kafka, missingProgram("kcat")],
] as const) {
  testNeeding(missing)(
    `${type}: a message comes to the function that names its topic, and the answer goes back through a sink`,
    async () => {
      const server = await open();
      const topic = `orders-${type}`;
      const answers = await RunningSource.start(
        "answers",
        { ...server.settings, ...server.source(`answers-${type}`) },
        { rabbit: "guest" },
      );
      try {
        await declare(`/system/sources/${type}`, { ...server.settings, ...server.source(topic) });
        await declare(`/system/sinks/${type}`, { ...server.settings, ...server.sink(`answers-{kind}`) });
        await declare(`/system/triggers/${type}`, {
          filter: { attributes: { type: `answered.${topic}` } },
          subscriber: { sink: type },
          transform: `$merge([$, {"kind": "${type}"}])`,
        });
        const status = async () => {
          const answer = await platform.control(`/system/sources/${type}`);
          return ((await answer.json()) as { status: { state: string; events: number } }).status;
        };
        await eventually("the source is connected", async () => (await status()).state === "connected", 30_000, 50);
        await answers.connected();
        await server.publish(topic, '{"total": 7.0}');
        const [answer] = await answers.events(1);
        const said = JSON.parse(String(answer?.event.data)) as { headers: Record<string, string>; body: string };
        expect(said.body).toBe('{"total": 7.0}');
        expect(said.headers).toMatchObject({ "x-topic": topic, "ce-topic": topic });
        expect(said.headers["x-connector"]).toMatch(/connector/);
        expect(answer?.event.attributes).toMatchObject({ source: "/echo", type: `answered.${topic}` });
        expect(await status()).toMatchObject({ state: "connected", events: 1 });
        const sink = await (await platform.control(`/system/sinks/${type}`)).json();
        expect(sink).toMatchObject({ status: { state: "open", sent: 1, errors: 0 } });
      } finally {
        await answers.close();
        await server.close();
      }
    },
    90_000,
  );
}
