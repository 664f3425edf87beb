import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect } from "@jest/globals";
import { sinkTypes } from "../../events/sinks/sink-types.ts";
import { Sinks } from "../../events/sinks/sinks.ts";
import { CallbackTargets } from "../../kit/outbound/targets.ts";
import { makeCertificate, writeCertificate } from "../support/certificates.ts";
import { RunningSource } from "../support/events/declared-source.ts";
import { FakeResources } from "../support/events/fake-stores.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free-port.ts";
import { missingNats, NatsServer } from "../support/nats.ts";
import { testNeeding } from "../support/needing.ts";
import { KafkaServer } from "../support/servers/kafka.ts";
import { Mosquitto } from "../support/servers/mosquitto.ts";
import { missingProgram } from "../support/servers/programs.ts";
import { RabbitMq } from "../support/servers/rabbitmq.ts";
import { TcpRelay } from "../support/tcp-relay.ts";

/** A way to a server, which may end and be there again. */
interface Way {
  readonly address: string;
  goAway(): Promise<void>;
  comeBack(): Promise<void>;
}

let folder: string;
/** The server's own certificate is its authority, and the client's is another one's. */
const ours = makeCertificate("localhost", ["localhost"]);
const client = makeCertificate("client");
const secrets: Readonly<Record<string, string>> = {
  ca: ours.cert,
  cert: client.cert,
  key: client.key,
  guest: "guest",
};
const tls = { ca: { secret: "ca" }, cert: { secret: "cert" }, key: { secret: "key" }, serverName: "localhost" };
const { serverName: _, ...natsTls } = tls;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "faaslane-tls-"));
  await writeCertificate(folder, "server", ours);
  await writeCertificate(folder, "client", client);
});

afterAll(async () => await rm(folder, { recursive: true, force: true }));

const file = (name: string) => join(folder, name);
const event = (id: string) => ({
  attributes: { specversion: "1.0", id, source: "/s", type: "t" },
  data: Buffer.from(id),
});

async function relayTo(address: string): Promise<Way & { close(): Promise<void> }> {
  let relay = await TcpRelay.open(address);
  const { port } = relay;
  return {
    address: relay.address,
    goAway: () => relay.close(),
    comeBack: async () => {
      relay = await TcpRelay.open(address, port);
    },
    close: () => relay.close(),
  };
}

function openSinks(): { readonly sinks: Sinks; declare(spec: object): Promise<unknown> } {
  const resources = new FakeResources();
  const sinks = new Sinks({
    resources,
    types: sinkTypes(),
    readSecret: async (_namespace, name) => secrets[name] as string,
    targets: new CallbackTargets({ private: true, allow: [], deny: [] }),
    now: Date.now,
    random: Math.random,
  });
  return { sinks, declare: (spec) => resources.put({ kind: "sink", namespace: "ns", name: "out", spec }) };
}

/** Sends, has the server go away and come back, and sends again; a source reads what has come. */
async function holds(way: Way, settings: object, source: object, sink: object): Promise<void> {
  const reading = await RunningSource.start("in", { ...settings, ...source }, secrets);
  const { sinks, declare } = openSinks();
  const send = (id: string) => sinks.send({ namespace: "ns", name: "out" }, event(id), AbortSignal.timeout(20_000));
  try {
    await reading.connected();
    await declare({ ...settings, ...sink });
    expect(await send("1")).toEqual({ status: 200 });
    await reading.events(1);
    await way.goAway();
    expect(await send("2")).toMatchObject({ error: expect.stringContaining(way.address.split(":")[1] as string) });
    expect(sinks.status({ namespace: "ns", name: "out" }).state).toBe("failing");
    await reading.failing();
    await way.comeBack();
    // What core NATS gets while nobody is subscribed is lost.
    await reading.connected();
    await eventually("it is sent", async () => (await send("2")).status === 200, 20_000, 50);
    await eventually("it has come", () => reading.texts.includes("2"), 20_000);
    expect(sinks.status({ namespace: "ns", name: "out" })).toMatchObject({ state: "open", sent: 2 });
  } finally {
    await reading.close();
    await sinks.close();
  }
}

testNeeding(missingProgram("mosquitto"))(
  "MQTT over TLS with a certificate of ours goes on after the server was away",
  async () => {
    const port = await freePort();
    const server = await Mosquitto.start([
      "allow_anonymous true",
      `listener ${port} 127.0.0.1`,
      ...[`cafile ${file("client.crt")}`, `certfile ${file("server.crt")}`, `keyfile ${file("server.key")}`],
      "require_certificate true",
    ]);
    const way = await relayTo(`127.0.0.1:${port}`);
    try {
      const settings = { type: "mqtt", url: `mqtts://${way.address}`, tls };
      await holds(way, settings, { topics: "t" }, { topic: "t" });
      await refusesStrangers({ ...settings, topics: "t" });
    } finally {
      await way.close();
      await server.stop();
    }
  },
  60_000,
);

testNeeding(missingNats())(
  "NATS over TLS with a certificate of ours goes on after the server was away",
  async () => {
    const files = `cert_file: "${file("server.crt")}", key_file: "${file("server.key")}", ca_file: "${file("client.crt")}"`;
    const server = await NatsServer.start({ config: `tls { ${files}, verify: true }` });
    const way = await relayTo(server.address);
    try {
      const settings = {
        type: "nats",
        servers: `nats://${way.address.replace("127.0.0.1", "localhost")}`,
        tls: natsTls,
      };
      await holds(way, settings, { subjects: "t" }, { subject: "t" });
      await refusesStrangers({ ...settings, subjects: "t" });
    } finally {
      await way.close();
      await server.kill();
    }
  },
  60_000,
);

testNeeding(missingProgram("rabbitmq-server"))(
  "RabbitMQ over TLS goes on after the server was away",
  async () => {
    const port = await freePort();
    const server = await RabbitMq.start([
      `listeners.ssl.default = 127.0.0.1:${port}`,
      `ssl_options.certfile = ${file("server.crt")}`,
      `ssl_options.keyfile = ${file("server.key")}`,
      // Erlang takes no certificate of a client that has signed itself.
      "ssl_options.verify = verify_none",
    ]);
    const way = await relayTo(`127.0.0.1:${port}`);
    try {
      const login = { user: "guest", password: { secret: "guest" } };
      const settings = { type: "rabbitmq", url: `amqps://${way.address}`, tls, ...login };
      await holds(way, settings, { queues: "t", declare: {} }, { routingKey: "t" });
      await refusesStrangers({ ...settings, queues: "t" });
    } finally {
      await way.close();
      await server.stop();
    }
  },
  100_000,
);

testNeeding(missingProgram("kcat"))(
  "Kafka goes on after the server was away",
  async () => {
    const server = await KafkaServer.start();
    try {
      const settings = { type: "kafka", brokers: server.address };
      const way = {
        address: server.address,
        goAway: () => server.proxy.goAway(),
        comeBack: () => server.proxy.comeBack(),
      };
      await holds(way, settings, { topics: "t", sessionTimeoutMs: 6_000 }, { topic: "t" });
    } finally {
      await server.stop();
    }
  },
  60_000,
);

/** A server whose certificate is not of the authority that is named is not told anything. */
async function refusesStrangers(settings: object): Promise<void> {
  const strange = await RunningSource.start("strange", settings, { ...secrets, ca: makeCertificate("other").cert });
  try {
    expect(await strange.failing()).toMatch(/certificate|self.signed/i);
  } finally {
    await strange.close();
  }
}
