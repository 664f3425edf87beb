import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "@jest/globals";
import { Connection, type Publisher } from "rabbitmq-client";
import { rabbitSink } from "../../events/sinks/types/rabbitmq-sink.ts";
import { RunningSource } from "../support/events/declared-source.ts";
import { judge, runKilled } from "../support/events/killed-source.ts";
import { HARD_EVENTS, openSink } from "../support/events/round-trips.ts";
import { eventually } from "../support/eventually.ts";
import { temporaryFolder } from "../support/platform.ts";
import { describeWithRabbitMq, RabbitMq } from "../support/servers/rabbitmq.ts";
import { TcpRelay } from "../support/tcp-relay.ts";

describeWithRabbitMq("RabbitMQ", () => {
  let server: RabbitMq;
  let admin: Connection;
  let publisher: Publisher;
  const opened: { close(): Promise<void> }[] = [];
  const login = { user: "guest", password: { secret: "rabbit" } };
  const secrets = { rabbit: "guest" };

  beforeAll(async () => {
    server = await RabbitMq.start();
    admin = new Connection(server.loginUrl);
    publisher = admin.createPublisher({ confirm: true });
  }, 100_000);

  afterEach(async () => {
    for (const each of opened.splice(0).reverse()) await each.close();
  });

  afterAll(async () => {
    await publisher?.close();
    await admin?.close();
    await server?.stop();
  });

  async function source(name: string, spec: object, texts: Readonly<Record<string, string>> = secrets) {
    const running = await RunningSource.start(name, { type: "rabbitmq", url: server.url, ...login, ...spec }, texts);
    opened.push(running);
    return running;
  }

  const isEmpty = (queue: string) => async () =>
    (await admin.queueDeclare({ queue, passive: true })).messageCount === 0;

  test("messages become events as they are, and an exchange is bound to a queue that is made", async () => {
    await admin.exchangeDeclare({ exchange: "shop", type: "topic" });
    const running = await source("plain", {
      queues: "orders",
      declare: { exchange: "shop", routingKeys: ["order.*", "return"] },
    });
    await running.connected();
    const about = { exchange: "shop", messageId: "m-1", contentType: "application/json", correlationId: "c-1" };
    await publisher.send(
      { ...about, routingKey: "order.new", headers: { a: "\u0001", b: 1 } },
      Buffer.from('{"a" : 1.0}'),
    );
    await publisher.send(
      { exchange: "shop", routingKey: "return", contentType: "text/plain" },
      Buffer.from([0xff, 0xfe]),
    );
    await publisher.send({ exchange: "shop", routingKey: "return" }, Buffer.alloc(0));
    const [order, bytes, empty] = await running.events(3);
    expect(order?.event.attributes).toMatchObject({
      id: "m-1",
      type: "dev.knative.rabbitmq.event",
      source: "/apis/v1/namespaces/openfaas-fn/rabbitmqsources/plain#orders",
      subject: "m-1",
      topic: "orders",
      datacontenttype: "application/json",
      correlationid: "c-1",
    });
    expect(String(order?.event.data)).toBe('{"a" : 1.0}');
    expect(order?.headers).toEqual([
      ["X-Connector", "openfaasltd/rabbitmq-connector"],
      ["X-Topic", "orders"],
      ["X-Rabbitmq-Msg-Id", "m-1"],
      ["X-Rabbitmq-Routing-Key", "order.new"],
    ]);
    expect(bytes?.event.data).toEqual(Buffer.from([0xff, 0xfe]));
    expect(empty?.event.data).toEqual(Buffer.alloc(0));
    await eventually("all are acknowledged", isEmpty("orders"));
  });

  test.each(["binary", "structured"])("events go out and come back as they are, %s", async (format) => {
    const queue = `rt-${format}-hard.event`;
    const back = await source(`rt-${format}`, { queues: queue, declare: { durable: false } });
    await back.connected();
    const sink = await openSink(
      rabbitSink,
      { url: server.url, ...login, routingKey: `rt-${format}-{type}`, format },
      secrets,
    );
    opened.push(sink);
    for (const [, event] of HARD_EVENTS) expect(await sink.send(event, signal())).toEqual({ status: 200 });
    const events = await back.events(HARD_EVENTS.length);
    for (const [what, event] of HARD_EVENTS) {
      const found = events.find((each) => each.event.attributes.id === event.attributes.id);
      const { topic, ...attributes } = found?.event.attributes ?? {};
      expect([what, topic, attributes]).toEqual([what, queue, event.attributes]);
      expect(found?.event.data?.equals(event.data as Buffer) ?? undefined).toBe(event.data ? true : undefined);
    }
  });

  test("an event that no queue takes, and one for an exchange that is not there, are told", async () => {
    const [, event] = HARD_EVENTS[0] as (typeof HARD_EVENTS)[number];
    const sink = await openSink(rabbitSink, { url: server.url, ...login, routingKey: "nobody" }, secrets);
    opened.push(sink);
    expect(await sink.send(event, signal())).toEqual({ status: 503, error: 'no queue takes "nobody"' });
    const lost = await openSink(rabbitSink, { url: server.url, ...login, exchange: "none", routingKey: "k" }, secrets);
    opened.push(lost);
    await expect(lost.send(event, signal())).rejects.toThrow("none");
  });

  test("what is in a queue is stored however often the process is killed; what comes twice has one source and id", async () => {
    const folder = await temporaryFolder();
    opened.push({ close: () => folder.remove() });
    await admin.queueDeclare({ queue: "kill", durable: true });
    await Promise.all(
      Array.from({ length: 1_000 }, (_, n) => publisher.send("kill", Buffer.from(`message ${n}`) as never)),
    );
    const spec = { type: "rabbitmq", url: server.url, ...login, queues: "kill", prefetch: 100 };
    const stored = await runKilled(
      { path: join(folder.path, "events.db"), spec, secrets },
      [
        { append: 1, step: "before" },
        { append: 1, step: "after" },
        { append: 3, step: "acknowledged" },
        { append: 2, step: "after" },
      ],
      1_000,
    );
    const { distinct, torn, repeated } = judge(stored);
    expect({ distinct, torn }).toEqual({ distinct: 1_000, torn: [] });
    expect(repeated).toBeGreaterThan(0);
    await eventually("all are acknowledged", isEmpty("kill"));
  }, 60_000);

  test("a server that was away is read on", async () => {
    await admin.queueDeclare({ queue: "away" });
    let relay = await TcpRelay.open(server.address);
    const { port } = relay;
    const running = await source("away", { url: `amqp://${relay.address}`, queues: "away" });
    await running.connected();
    await publisher.send({ routingKey: "away" }, Buffer.from("1"));
    await running.events(1);
    await relay.close();
    expect(await running.failing()).toContain(`RabbitMQ at amqp://127.0.0.1:${port}`);
    await publisher.send({ routingKey: "away" }, Buffer.from("2"));
    relay = await TcpRelay.open(server.address, port);
    opened.push(relay);
    await eventually("it is read on", () => running.texts.includes("2"), 20_000);
    // The first may have lost its acknowledgement with the connection.
    expect([...new Set(running.texts)]).toEqual(["1", "2"]);
  });

  test("a message goes back to its queue while the store is away", async () => {
    await admin.queueDeclare({ queue: "full" });
    const running = await source("full", { queues: "full" });
    await running.connected();
    running.log.failing = new Error("the store is away");
    await publisher.send({ routingKey: "full" }, Buffer.from("1"));
    await eventually("it is told", () => running.status.problem?.includes("the store is away"));
    running.log.failing = undefined;
    await running.events(1);
    await eventually("it is acknowledged", isEmpty("full"));
  });

  test("one that is too large goes where the queue's dead letters go, one that breaks a rule of events is a message", async () => {
    await admin.queueDeclare({ queue: "dead" });
    const letters = { "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead" };
    await admin.queueDeclare({ queue: "odd", arguments: letters });
    const running = await source("odd", { queues: "odd" });
    running.log.refuse = (event) => (event.data?.length ?? 0) > 1024 ** 2;
    const broken = {
      cloudEvents_specversion: "9",
      cloudEvents_id: "",
      cloudEvents_source: "a b",
      cloudEvents_type: "t",
    };
    await publisher.send({ routingKey: "odd", headers: broken }, Buffer.from("broken"));
    await publisher.send({ routingKey: "odd" }, Buffer.alloc(2 * 1024 ** 2));
    await publisher.send({ routingKey: "odd" }, Buffer.from("good"));
    await running.events(2);
    expect([...running.texts].sort()).toEqual(["broken", "good"]);
    await eventually(
      "it is a dead letter",
      async () => (await admin.queueDeclare({ queue: "dead", passive: true })).messageCount === 1,
    );
    expect(running.status).toMatchObject({ state: "connected", errors: 2 });
  });

  test("a queue that is deleted under the source is told, and read again once it is there", async () => {
    await admin.queueDeclare({ queue: "fleeting" });
    const running = await source("fleeting", { queues: "fleeting" });
    await running.connected();
    await admin.queueDelete({ queue: "fleeting" });
    expect(await running.failing()).toContain("fleeting");
    await admin.queueDeclare({ queue: "fleeting" });
    await publisher.send({ routingKey: "fleeting" }, Buffer.from("1"));
    await running.events(1);
  });

  test.each([
    ["a wrong password", { queues: "orders" }, "ACCESS_REFUSED"],
    ["a queue that is not there", { queues: "missing" }, "no queue 'missing'"],
    ["a virtual host that is not there", { queues: "orders", vhost: "nowhere" }, "nowhere"],
  ])(
    "%s is told, without the secret",
    async (what, { vhost = "", ...spec }: { queues: string; vhost?: string }, problem) => {
      const texts = what.includes("password") ? { rabbit: "wr0ng-password" } : secrets;
      const url = vhost === "" ? server.url : `${server.url}/${vhost}`;
      const told = await (await source(what.replaceAll(" ", "-"), { ...spec, url }, texts)).failing();
      expect(told).toContain(problem);
      expect(told).not.toContain("wr0ng");
    },
  );
});

function signal(): AbortSignal {
  return AbortSignal.timeout(15_000);
}
