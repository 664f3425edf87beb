import { spawnSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "@jest/globals";
import mqtt from "mqtt";
import { mqttSink } from "../../events/sinks/types/mqtt-sink.ts";
import { RunningSource } from "../support/events/declared-source.ts";
import { judge, runKilled } from "../support/events/killed-source.ts";
import { HARD_EVENTS, openSink } from "../support/events/round-trips.ts";
import { eventually } from "../support/eventually.ts";
import { temporaryFolder } from "../support/platform.ts";
import { describeWithMosquitto, Mosquitto } from "../support/servers/mosquitto.ts";
import { TcpRelay } from "../support/tcp-relay.ts";

describeWithMosquitto("MQTT", () => {
  let server: Mosquitto;
  let publisher: mqtt.MqttClient;
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  const opened: { close(): Promise<void> }[] = [];
  const login = { user: "faas", password: { secret: "mqtt" } };
  const secrets = { mqtt: "right-p4ss\n" };

  beforeAll(async () => {
    folder = await temporaryFolder();
    const [passwords, rules] = [join(folder.path, "passwords"), join(folder.path, "rules")];
    await writeFile(passwords, "faas:right-p4ss\ntest:t\n", { mode: 0o600 });
    spawnSync("mosquitto_passwd", ["-U", passwords]);
    await writeFile(rules, "user faas\ntopic readwrite #\ntopic deny secret/#\nuser test\ntopic readwrite #\n", {
      mode: 0o600,
    });
    server = await Mosquitto.start(["allow_anonymous false", `password_file ${passwords}`, `acl_file ${rules}`]);
    publisher = await mqtt.connectAsync(server.url, { protocolVersion: 5, username: "test", password: "t" });
  });

  afterEach(async () => {
    for (const each of opened.splice(0).reverse()) await each.close();
  });

  afterAll(async () => {
    await publisher?.endAsync(true);
    await server?.stop();
    await folder?.remove();
  });

  async function source(name: string, spec: object, texts: Readonly<Record<string, string>> = secrets) {
    const running = await RunningSource.start(name, { type: "mqtt", url: server.url, ...login, ...spec }, texts);
    opened.push(running);
    return running;
  }

  test.each([
    ["5", 0],
    ["5", 1],
    ["5", 2],
    ["3.1.1", 0],
    ["3.1.1", 1],
    ["3.1.1", 2],
  ] as const)("messages of version %s with QoS %i become events", async (version, qos) => {
    const topic = `machines/${version}/${qos}`;
    const running = await source(`plain-${version.replaceAll(".", "-")}-${qos}`, {
      topics: "machines/+/+",
      qos,
      version,
    });
    await running.connected();
    for (let i = 0; i < 5; i++) {
      const properties = { contentType: "text/plain", userProperties: { unit: "C", "x-odd": "1" } };
      await publisher.publishAsync(topic, `${20 + i}`, { qos, properties });
    }
    const events = await running.events(5);
    expect(running.texts).toEqual(["20", "21", "22", "23", "24"]);
    expect(events[0]?.headers).toEqual([
      ["X-Connector", "connector-sdk"],
      ["X-Topic", topic],
    ]);
    expect(events[0]?.event.attributes).toMatchObject({
      type: "com.faaslane.mqtt.message",
      subject: topic,
      topic,
      ...(version === "5" && { unit: "C", datacontenttype: "text/plain" }),
    });
    expect(new Set(events.map(({ event }) => event.attributes.id)).size).toBe(5);
  });

  test.each([
    ["5", "binary"],
    ["5", "structured"],
    ["3.1.1", "structured"],
  ])("events go out and come back as they are, in version %s and %s", async (version, format) => {
    const way = `rt/${version}/${format}`;
    const back = await source(`rt-${version.length}-${format}`, { topics: `${way}/#`, version });
    await back.connected();
    const sink = await openSink(
      mqttSink,
      { url: server.url, ...login, topic: `${way}/{type}`, version, format },
      secrets,
    );
    opened.push(sink);
    for (const [, event] of HARD_EVENTS) expect(await sink.send(event, signal())).toEqual({ status: 200 });
    const events = await back.events(HARD_EVENTS.length);
    for (const [place, [what, event]] of HARD_EVENTS.entries()) {
      const { topic, ...attributes } = events[place]?.event.attributes ?? {};
      expect([what, topic]).toEqual([what, `${way}/hard.event`]);
      expect(attributes).toEqual(event.attributes);
      expect(events[place]?.event.data?.equals(event.data as Buffer) ?? undefined).toBe(event.data ? true : undefined);
    }
  });

  test("what a session holds is stored however often the process is killed; what comes twice has one source and id", async () => {
    const spec = { type: "mqtt", url: server.url, ...login, topics: "kill/#" };
    const orders = { path: join(folder.path, "events.db"), spec, secrets };
    // The session begins with the first message, and holds the others from then on.
    await publisher.publishAsync("kill/0", "message 0", { qos: 1, retain: true });
    await runKilled(orders, [{ append: 1, step: "acknowledged" }], 1);
    await Promise.all(
      Array.from({ length: 999 }, (_, n) => publisher.publishAsync("kill/1", `message ${n + 1}`, { qos: 1 })),
    );
    const stored = await runKilled(
      orders,
      [
        { append: 1, step: "after" },
        { append: 1, step: "before" },
        { append: 120, step: "after" },
        { append: 150, step: "acknowledged" },
      ],
      999,
    );
    const { distinct, torn, repeated } = judge(stored);
    expect({ distinct, torn }).toEqual({ distinct: 1_000, torn: [] });
    expect(repeated).toBeGreaterThan(0);
  }, 60_000);

  test("a server that was away is read on", async () => {
    let relay = await TcpRelay.open(server.address);
    const { port } = relay;
    const running = await source("away", { url: `mqtt://${relay.address}`, topics: "away" });
    await running.connected();
    await publisher.publishAsync("away", "1", { qos: 1 });
    await running.events(1);
    await relay.close();
    expect(await running.failing()).toContain(`MQTT at mqtt://127.0.0.1:${port}`);
    await publisher.publishAsync("away", "2", { qos: 1 });
    relay = await TcpRelay.open(server.address, port);
    opened.push(relay);
    await eventually("it is read on", () => running.texts.includes("2"), 20_000);
    // The first may have lost its acknowledgement with the connection.
    expect([...new Set(running.texts)]).toEqual(["1", "2"]);
  });

  test("a message stays with the server while the store is away, and is one event then", async () => {
    const running = await source("full", { topics: "full", qos: 2 });
    await running.connected();
    running.log.failing = new Error("the store is away");
    await publisher.publishAsync("full", "1", { qos: 2 });
    expect(await running.failing()).toContain("the store is away");
    running.log.failing = undefined;
    await running.events(1);
    await publisher.publishAsync("full", "2", { qos: 2 });
    await running.events(2);
    expect(running.texts).toEqual(["1", "2"]);
  });

  test("topics that are not declared any more are not read any more, in a session that goes on", async () => {
    const running = await source("changed", { topics: ["old", "kept"] });
    await running.connected();
    await running.declare({ type: "mqtt", url: server.url, ...login, topics: ["kept", "new"] });
    await eventually("the new one is read", async () => {
      await publisher.publishAsync("new", "new", { qos: 1 });
      return running.texts.includes("new");
    });
    for (const topic of ["old", "kept"]) await publisher.publishAsync(topic, topic, { qos: 1 });
    await eventually("the other one is read", () => running.texts.includes("kept"));
    expect(running.texts).not.toContain("old");
  });

  test("a wrong password is told, without it", async () => {
    const told = await (await source("login", { topics: "a" }, { mqtt: "wr0ng-password" })).failing();
    expect(told.toLowerCase()).toContain("not authorized");
    expect(told).not.toMatch(/wr0ng|right-p4ss/);
  });

  test("a message that is an event and breaks a rule of events, and one that is too large, keep nobody back", async () => {
    const running = await source("odd", { topics: "odd" });
    running.log.refuse = (event) => (event.data?.length ?? 0) > 1024 ** 2;
    await running.connected();
    const userProperties = { specversion: "9", id: "", source: "has space", type: "t" };
    await publisher.publishAsync("odd", "broken", { qos: 1, properties: { userProperties } });
    await publisher.publishAsync("odd", "x".repeat(2 * 1024 ** 2), { qos: 1 });
    await publisher.publishAsync("odd", "good", { qos: 1 });
    await running.events(2);
    expect(running.texts).toEqual(["broken", "good"]);
    expect(running.status).toMatchObject({ state: "connected", errors: 2 });
  });

  test("a topic that a sink may not write to is told", async () => {
    const sink = await openSink(mqttSink, { url: server.url, ...login, topic: "secret/{type}" }, secrets);
    opened.push(sink);
    const [, event] = HARD_EVENTS[0] as (typeof HARD_EVENTS)[number];
    expect(await sink.send(event, signal())).toMatchObject({ status: 503 });
  });
});

function signal(): AbortSignal {
  return AbortSignal.timeout(15_000);
}
