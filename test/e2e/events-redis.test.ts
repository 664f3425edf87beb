import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "@jest/globals";
import { createClient } from "@redis/client";
import { RunningSource } from "../support/events/declared-source.ts";
import { judge, runKilled } from "../support/events/killed-source.ts";
import { eventually } from "../support/eventually.ts";
import { temporaryFolder } from "../support/platform.ts";
import { describeWithRedis, RedisServer } from "../support/servers/redis.ts";

describeWithRedis("Redis", () => {
  let server: RedisServer;
  const opened: { close(): Promise<void> }[] = [];

  beforeAll(async () => {
    server = await RedisServer.start();
  }, 30_000);

  afterEach(async () => {
    for (const each of opened.splice(0).reverse()) await each.close();
  });

  afterAll(() => server?.stop());

  async function admin() {
    const client = createClient({ url: server.url, password: server.password, socket: { reconnectStrategy: false } });
    client.on("error", () => {}); // who waits for an answer is told
    await client.connect();
    opened.push({ close: async () => (client.isOpen ? client.destroy() : undefined) });
    return client;
  }

  const about = () => ({ type: "redis", url: server.url, password: { secret: "redis" } });

  async function source(name: string, streams: string | readonly string[], password = server.password) {
    const running = await RunningSource.start(name, { ...about(), streams }, { redis: password });
    opened.push(running);
    return running;
  }

  test("entries become events, and an event in fields stays the one it is", async () => {
    const client = await admin();
    const first = await client.xAdd("orders", "*", { item: "a", note: "ü" });
    await client.xAdd("orders", "*", { raw: Buffer.from([0xff, 0xfe]) });
    const whole = { specversion: "1.0", id: "w-1", source: "/shop", type: "order", data: { n: 1 } };
    await client.xAdd("orders", "*", { event: JSON.stringify(whole) });
    const split = { ce_specversion: "1.0", ce_id: "s-1", ce_source: "/shop", ce_type: "order", ce_part: "x" };
    await client.xAdd("other", "*", { ...split, "content-type": "text/plain", data: "as it is" });
    await client.xAdd("other", "*", { ...split, ce_specversion: "9", data: "broken" });
    const running = await source("plain", ["orders", "other"]);
    const events = await running.events(5);
    const [plain, bytes, structured] = events.filter(({ event }) => event.attributes.topic === "orders");
    expect(plain?.event.attributes).toMatchObject({
      id: `orders/${first}`,
      type: "com.faaslane.redis.message",
      source: "/apis/v1/namespaces/openfaas-fn/redissources/plain#orders",
      subject: "orders",
      datacontenttype: "application/json",
      time: new Date(Number(first.split("-")[0])).toISOString(),
    });
    expect(JSON.parse(String(plain?.event.data))).toEqual({ item: "a", note: "ü" });
    expect(plain?.headers).toEqual([
      ["X-Connector", "faaslane/redis"],
      ["X-Topic", "orders"],
      ["X-Redis-Entry-Id", first],
    ]);
    expect(JSON.parse(String(bytes?.event.data))).toEqual({ raw_base64: "//4=" });
    expect(structured?.event.attributes).toMatchObject({ id: "w-1", source: "/shop", type: "order" });
    expect(JSON.parse(String(structured?.event.data))).toEqual({ n: 1 });
    const [binary, broken] = events.filter(({ event }) => event.attributes.topic === "other");
    expect(binary?.event.attributes).toMatchObject({ id: "s-1", part: "x", datacontenttype: "text/plain" });
    expect(String(binary?.event.data)).toBe("as it is");
    expect(broken?.event.attributes).toMatchObject({ type: "com.faaslane.redis.message", subject: "other" });
    expect(running.status).toMatchObject({ state: "connected", errors: 1 });
    await eventually("all are acknowledged", async () => {
      const { pending } = await client.xPending("orders", "faaslane-openfaas-fn-plain");
      return pending === 0;
    });
  });

  test("what is in a stream is stored however often the process is killed; what comes twice has one source and id", async () => {
    const folder = await temporaryFolder();
    opened.push({ close: () => folder.remove() });
    const client = await admin();
    await Promise.all(Array.from({ length: 1_000 }, (_, n) => client.xAdd("kill", "*", { text: `message ${n}` })));
    const spec = { ...about(), streams: "kill", claimAfterSeconds: 1 };
    const stored = await runKilled(
      { path: join(folder.path, "events.db"), spec, secrets: { redis: server.password } },
      [
        { append: 1, step: "before" },
        { append: 2, step: "after" },
        { append: 2, step: "acknowledged" },
      ],
      1_000,
    );
    const { distinct, torn, repeated } = judge(stored);
    expect({ distinct, torn }).toEqual({ distinct: 1_000, torn: [] });
    expect(repeated).toBeGreaterThan(0);
    await eventually("all are acknowledged", async () => {
      const { pending } = await client.xPending("kill", "faaslane-openfaas-fn-killed");
      return pending === 0;
    });
  }, 60_000);

  test("entries that could not be stored are read again once the store is back", async () => {
    const client = await admin();
    const running = await source("full", "full");
    await running.connected();
    running.log.failing = new Error("the store is away");
    await client.xAdd("full", "*", { n: "1" });
    expect(await running.failing()).toContain("the store is away");
    running.log.failing = undefined;
    await running.events(1);
    expect(running.texts).toEqual(['{"n":"1"}']);
  });

  test("a server that was away is read on", async () => {
    await (await admin()).xAdd("away", "*", { n: "1" });
    const running = await source("away", "away");
    await running.events(1);
    await server.end();
    expect(await running.failing()).toContain(`Redis at ${server.url}`);
    await server.restart();
    await (await admin()).xAdd("away", "*", { n: "2" });
    await eventually("it is read on", () => running.texts.includes('{"n":"2"}'), 20_000);
    // The first may have lost its acknowledgement with the server.
    expect([...new Set(running.texts)]).toEqual(['{"n":"1"}', '{"n":"2"}']);
  }, 60_000);

  test("a wrong password is told, without the secret", async () => {
    const told = await (await source("wrong", "orders", "wr0ng-password")).failing();
    expect(told).toContain("WRONGPASS");
    expect(told).not.toContain("wr0ng");
  });
});
