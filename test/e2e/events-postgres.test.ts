import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "@jest/globals";
import type { Client } from "pg";
import { RunningSource } from "../support/events/declared-source.ts";
import { judge, runKilled } from "../support/events/killed-source.ts";
import { eventually } from "../support/eventually.ts";
import { temporaryFolder } from "../support/platform.ts";
import { describeWithPostgres, PostgresServer } from "../support/servers/postgres.ts";

describeWithPostgres("PostgreSQL", () => {
  let server: PostgresServer;
  const opened: { close(): Promise<void> }[] = [];

  beforeAll(async () => {
    server = await PostgresServer.start();
    const client = await admin();
    await client.query(`
      CREATE TABLE customer (id int PRIMARY KEY, name text, big bigint, vip boolean, more jsonb, at timestamptz);
      CREATE TABLE other (id int PRIMARY KEY);
      CREATE SCHEMA shop; CREATE TABLE shop.item (id int, n int); ALTER TABLE shop.item REPLICA IDENTITY FULL;
      CREATE TABLE kill (id int PRIMARY KEY);
      CREATE PUBLICATION changes FOR TABLE customer, other, shop.item;
      CREATE PUBLICATION kills FOR TABLE kill`);
  }, 60_000);

  afterEach(async () => {
    for (const each of opened.splice(0).reverse()) await each.close();
  });

  afterAll(() => server?.stop());

  async function admin(): Promise<Client> {
    const client = server.client();
    await client.connect();
    opened.push({ close: () => client.end().catch(() => {}) }); // the server may have ended it
    return client;
  }

  const about = () => ({
    type: "postgres",
    host: "127.0.0.1",
    port: server.port,
    database: "postgres",
    user: "postgres",
    password: { secret: "postgres" },
    createSlot: true,
  });

  async function source(name: string, spec: object = {}, password = server.password) {
    const declared = { ...about(), publication: "changes", slot: `s_${name}`, ...spec };
    const running = await RunningSource.start(name, declared, { postgres: password });
    opened.push(running);
    return running;
  }

  test("changes of rows become events, those that are wanted", async () => {
    const running = await source("plain", { tables: ["customer:*", "shop.item:update"] });
    await running.connected();
    const client = await admin();
    await client.query(`INSERT INTO customer VALUES
      (1, 'ü', 9007199254740993, true, '{"a": [1]}', '2026-01-02 03:04:05.123456+00')`);
    await client.query("INSERT INTO other VALUES (1)");
    await client.query("BEGIN; UPDATE customer SET name = NULL, big = 5; DELETE FROM customer; COMMIT");
    await client.query("BEGIN; INSERT INTO shop.item VALUES (1, 1); UPDATE shop.item SET n = 2; COMMIT");
    const events = await running.events(4);
    const bodies = events.map(({ event }) => JSON.parse(String(event.data)));
    const id = events[0]?.event.attributes.id as string;
    expect(id).toMatch(/^[0-9A-F]+\/[0-9A-F]+\/1$/);
    expect(events[0]?.event.attributes).toMatchObject({
      type: "com.faaslane.postgres.insert",
      source: "/apis/v1/namespaces/openfaas-fn/postgressources/plain#postgres",
      subject: "public.customer",
      topic: "customer:insert",
      datacontenttype: "application/json",
      time: bodies[0].commitTime,
      sequence: expect.stringMatching(/^[0-9A-F]{16}\/0000000001$/),
    });
    expect(events[0]?.headers).toEqual([
      ["X-Connector", "openfaasltd/postgres-connector"],
      ["X-Topic", "customer:insert"],
      ["X-Event-Action", "insert"],
      ["X-Event-Table", "customer"],
      ["X-Event-Id", id],
      ["X-Message-Id", id],
    ]);
    const row = { id: 1, name: "ü", vip: true, more: { a: [1] } };
    expect(bodies[0]).toMatchObject({ id, schema: "public", table: "customer", action: "insert", dataOld: {} });
    expect(bodies[0].data).toMatchObject({ ...row, big: "9007199254740993" });
    expect(bodies[0].data.at).toContain(".123456");
    expect(bodies[1]).toMatchObject({ action: "update", data: { ...row, name: null, big: 5 } });
    const nothing = { name: null, big: null, vip: null, more: null, at: null };
    expect(bodies[2]).toMatchObject({ action: "delete", data: {}, dataOld: { id: 1, ...nothing } });
    expect(bodies[3]).toMatchObject({ schema: "shop", table: "item", data: { n: 2 }, dataOld: { n: 1 } });
    const ids = events.map(({ event }) => String(event.attributes.id).split("/").at(-1));
    expect(ids).toEqual(["1", "1", "2", "2"]);
    const sequences = events.map(({ event }) => String(event.attributes.sequence));
    expect(sequences).toEqual([...new Set(sequences)].sort());
  });

  test("what is in the log is stored however often the process is killed; what comes twice has one source and id", async () => {
    const folder = await temporaryFolder();
    opened.push({ close: () => folder.remove() });
    const client = await admin();
    await client.query("SELECT pg_create_logical_replication_slot('s_kill', 'pgoutput')");
    // One large transaction, and many small ones that end within each other.
    await client.query("INSERT INTO kill SELECT generate_series(1, 400)");
    const others = await Promise.all(Array.from({ length: 4 }, admin));
    await Promise.all(
      others.map(async (other, n) => {
        for (let i = 0; i < 150; i++) await other.query(`INSERT INTO kill VALUES (${1000 * (n + 1) + i})`);
      }),
    );
    const spec = { ...about(), publication: "kills", slot: "s_kill" };
    const stored = await runKilled(
      { path: join(folder.path, "events.db"), spec, secrets: { postgres: server.password } },
      [
        { append: 1, step: "before" },
        { append: 2, step: "after" },
        { append: 6, step: "acknowledged" },
      ],
      1_000,
    );
    const { distinct, torn, repeated } = judge(stored);
    expect({ distinct, torn }).toEqual({ distinct: 1_000, torn: [] });
    expect(repeated).toBeGreaterThan(0);
    expect(new Set(stored.map(({ event }) => event.attributes.id)).size).toBe(1_000);
  }, 60_000);

  test("a change that could not be stored is read again once the store is back", async () => {
    const running = await source("full", { tables: "other:insert" });
    await running.connected();
    running.log.failing = new Error("the store is away");
    await (await admin()).query("INSERT INTO other VALUES (10)");
    expect(await running.failing()).toContain("the store is away");
    running.log.failing = undefined;
    const [found] = await running.events(1);
    expect(JSON.parse(String(found?.event.data)).data).toEqual({ id: 10 });
  });

  test("a server that was away is read on", async () => {
    const numbers = () => running.texts.map((text) => JSON.parse(text).data.id);
    const running = await source("away", { tables: "other:insert" });
    await running.connected();
    await (await admin()).query("INSERT INTO other VALUES (20)");
    await running.events(1);
    await server.end();
    expect(await running.failing()).toContain(`PostgreSQL at 127.0.0.1:${server.port}/postgres`);
    await server.restart();
    await (await admin()).query("INSERT INTO other VALUES (21)");
    await eventually("it is read on", () => numbers().includes(21), 20_000);
    // The first may have lost its acknowledgement with the server.
    expect([...new Set(numbers())]).toEqual([20, 21]);
  }, 60_000);

  test.each([
    ["a wrong password", {}, "wr0ng-password", "password authentication failed"],
    ["a publication that is not there", { publication: "missing" }, undefined, "no publication missing"],
    ["a slot that is not there", { createSlot: false, slot: "missing" }, undefined, '"missing" does not exist'],
  ])("%s is told, without the secret", async (_, spec, password, problem) => {
    const told = await (await source("wrong", spec, password)).failing();
    expect(told).toContain(problem);
    expect(told).not.toContain("wr0ng");
  });
});
