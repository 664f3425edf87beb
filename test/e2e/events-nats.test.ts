import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "@jest/globals";
import { connect, headers, type JetStreamManager, type NatsConnection } from "nats";
import { natsSink } from "../../events/sinks/types/nats-sink.ts";
import { RunningSource } from "../support/events/declared-source.ts";
import { judge, runKilled } from "../support/events/killed-source.ts";
import { HARD_EVENTS, openSink } from "../support/events/round-trips.ts";
import { eventually } from "../support/eventually.ts";
import { describeWithNats, NatsServer } from "../support/nats.ts";
import { temporaryFolder } from "../support/platform.ts";
import { TcpRelay } from "../support/tcp-relay.ts";

describeWithNats("NATS", () => {
  let server: NatsServer;
  let servers: string;
  let nc: NatsConnection;
  let jsm: JetStreamManager;
  const opened: { close(): Promise<void> }[] = [];

  beforeAll(async () => {
    server = await NatsServer.start({
      maxPayload: 4 * 1024 ** 2,
      config: 'authorization { users: [{user: "faas", password: "right-p4ss"}, {user: "test", password: "t"}] }',
    });
    servers = `nats://${server.address}`;
    nc = await connect({ servers: server.address, user: "test", pass: "t" });
    jsm = await nc.jetstreamManager();
  });

  afterEach(async () => {
    for (const each of opened.splice(0).reverse()) await each.close();
  });

  afterAll(async () => {
    await nc?.close();
    await server?.kill();
  });

  const login = { user: "faas", password: { secret: "nats" } };
  const secrets = { nats: "right-p4ss\n" };

  async function source(name: string, spec: object, texts: Readonly<Record<string, string>> = secrets) {
    const running = await RunningSource.start(name, { type: "nats", servers, ...login, ...spec }, texts);
    opened.push(running);
    return running;
  }

  test("core messages become events once, however many sources share their queue group", async () => {
    const both = [
      await source("a", { subjects: ["orders.>", "returns"], queue: "g" }),
      await source("b", { subjects: ["orders.>", "returns"], queue: "g" }),
    ];
    for (const each of both) await each.connected();
    const sent = headers();
    sent.set("X-Tenant", "acme");
    sent.set("Nats-Msg-Id", "m-1");
    nc.publish("orders.eu", '{"n":1}', { headers: sent });
    nc.publish("returns", "hello");
    await eventually("both have come", () => both.flatMap(({ texts }) => texts).length >= 2);
    const events = both.flatMap(({ log }) => log.appended);
    expect(events).toHaveLength(2);
    const [order] = events.filter(({ event }) => event.attributes.topic === "orders.eu");
    expect(order?.headers).toEqual([
      ["X-Connector", "connector-sdk"],
      ["X-Topic", "orders.eu"],
    ]);
    expect(order?.event.attributes).toMatchObject({
      id: "m-1",
      type: "com.faaslane.nats.message",
      subject: "orders.eu",
      natsheaderxtenant: "acme",
    });
    expect(String(order?.event.data)).toBe('{"n":1}');
  });

  test.each(["binary", "structured"])("events go out and come back as they are, %s, on a stream", async (format) => {
    await jsm.streams.add({ name: `rt-${format}`, subjects: [`rt.${format}.>`] });
    const sink = await openSink(
      natsSink,
      { servers, ...login, subject: `rt.${format}.{type}`, jetstream: true, format },
      secrets,
    );
    opened.push(sink);
    const back = await source(`rt-${format}`, { stream: `rt-${format}` });
    for (const [, event] of HARD_EVENTS) expect(await sink.send(event, signal())).toEqual({ status: 200 });
    const events = await back.events(HARD_EVENTS.length);
    for (const [place, [what, event]] of HARD_EVENTS.entries()) {
      const { topic, ...attributes } = events[place]?.event.attributes ?? {};
      expect([what, topic]).toEqual([what, `rt.${format}.hard.event`]);
      expect(attributes).toEqual(event.attributes);
      expect(events[place]?.event.data?.equals(event.data as Buffer) ?? undefined).toBe(event.data ? true : undefined);
    }
  });

  test("a stream takes an event once that is sent twice, and one that nobody takes is told", async () => {
    await jsm.streams.add({ name: "once", subjects: ["once"] });
    const sink = await openSink(natsSink, { servers, ...login, subject: "{topic}", jetstream: true }, secrets);
    opened.push(sink);
    const [, event] = HARD_EVENTS[0] as (typeof HARD_EVENTS)[number];
    const to = (topic: string) => ({ ...event, attributes: { ...event.attributes, topic } });
    await sink.send(to("once"), signal());
    await sink.send(to("once"), signal());
    expect((await jsm.streams.info("once")).state.messages).toBe(1);
    expect(await sink.send(to("nowhere"), signal())).toEqual({ status: 503, error: "no stream takes nowhere" });
    await expect(sink.send(event, signal())).rejects.toThrow("the event has no topic");
    await expect(sink.send(to("a b"), signal())).rejects.toThrow('make "a b", which is not a subject');
  });

  test("what is in a stream is stored however often the process is killed; what comes twice has one source and id", async () => {
    const folder = await temporaryFolder();
    opened.push({ close: () => folder.remove() });
    await jsm.streams.add({ name: "kill", subjects: ["kill"] });
    const js = nc.jetstream();
    await Promise.all(Array.from({ length: 1_000 }, (_, n) => js.publish("kill", `message ${n}`)));
    const spec = { type: "nats", servers, ...login, stream: "kill", ackWaitSeconds: 1 };
    const stored = await runKilled(
      { path: join(folder.path, "events.db"), spec, secrets },
      [
        { append: 1, step: "before" },
        { append: 1, step: "after" },
        { append: 2, step: "acknowledged" },
        { append: 2, step: "after" },
        { append: 3, step: "before" },
      ],
      1_000,
    );
    const { distinct, torn, repeated } = judge(stored);
    expect({ distinct, torn }).toEqual({ distinct: 1_000, torn: [] });
    // It did die between the store and the acknowledgement.
    expect(repeated).toBeGreaterThan(0);
    await eventually(
      "all are acknowledged",
      async () => (await jsm.consumers.info("kill", "faaslane-openfaas-fn-killed")).num_pending === 0,
    );
  }, 60_000);

  test("a server that was away is read on", async () => {
    await jsm.streams.add({ name: "away", subjects: ["away"] });
    let relay = await TcpRelay.open(server.address);
    const { port } = relay;
    const running = await source("away", { servers: `nats://${relay.address}`, stream: "away" });
    await running.connected();
    await nc.jetstream().publish("away", "1");
    await running.events(1);
    await relay.close();
    expect(await running.failing()).toContain(`NATS at nats://127.0.0.1:${port}`);
    await nc.jetstream().publish("away", "2");
    relay = await TcpRelay.open(server.address, port);
    opened.push(relay);
    await eventually("it is read on", () => running.texts.includes("2"), 20_000);
    // The first may have lost its acknowledgement with the connection.
    expect([...new Set(running.texts)]).toEqual(["1", "2"]);
    await running.connected();
  });

  test.each([
    ["a wrong password", { stream: "s" }, "Authorization"],
    ["a stream that is not there", { stream: "missing" }, "stream not found"],
  ])("%s is told, without the secret", async (what, spec, problem) => {
    const texts = what.includes("password") ? { nats: "wr0ng-password" } : secrets;
    const told = await (await source("broken", spec, texts)).failing();
    expect(told.toLowerCase()).toContain(problem.toLowerCase());
    expect(told).not.toMatch(/wr0ng|right-p4ss/);
  });

  test("a message that is an event and breaks a rule of events, and one that is too large, keep nobody back", async () => {
    await jsm.streams.add({ name: "odd", subjects: ["odd"] });
    const broken = headers();
    for (const name of ["specversion", "id", "type"]) broken.set(`ce-${name}`, name === "specversion" ? "0.3" : "x");
    broken.set("ce-source", "has space");
    const js = nc.jetstream();
    await js.publish("odd", "broken", { headers: broken });
    await js.publish("odd", "x".repeat(2 * 1024 ** 2));
    await js.publish("odd", "good");
    const running = await source("odd", { stream: "odd" });
    running.log.refuse = (event) => (event.data?.length ?? 0) > 1024 ** 2;
    await running.events(2);
    expect(running.texts).toEqual(["broken", "good"]);
    expect(running.status).toMatchObject({ state: "connected", errors: 2 });
    await eventually(
      "none waits for an acknowledgement",
      async () => (await jsm.consumers.info("odd", "faaslane-openfaas-fn-odd")).num_ack_pending === 0,
    );
  });
});

function signal(): AbortSignal {
  return AbortSignal.timeout(15_000);
}
