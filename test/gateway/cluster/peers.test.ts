import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { connect } from "nats";
import type { LoadReport } from "../../../gateway/core/scaling/load-book.ts";
import { eventually } from "../../support/eventually.ts";
import { describeWithNats, NatsServer } from "../../support/nats.ts";
import { openGatewayAt, TEST_LEASE_MS, TestGateways } from "./support.ts";

const load = (inFlight: number) => ({ concurrency: inFlight, started: 0, inFlight, held: 0 });

describeWithNats("gateways on one NATS", () => {
  let nats: NatsServer;
  let gateways: TestGateways;

  beforeEach(async () => {
    nats = await NatsServer.start({ maxPayload: 4096 });
    gateways = new TestGateways(nats.address);
  });

  afterEach(async () => {
    await gateways.close();
    await nats.remove();
  });

  test("hear what the others report, whatever its size, and not themselves", async () => {
    const [a, b, c] = [gateways.open("a"), gateways.open("b"), gateways.open("c")];
    await gateways.near(a, b, c);
    const functions = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`f${i}`, load(i)]));
    const report: LoadReport = { gateway: "a", functions, alerted: ["f1"], last: true };
    await eventually("both have heard it", () => {
      a.exchange.publish(report);
      return b.heard.length > 0 && c.heard.length > 0;
    });
    expect([b.heard[0], c.heard[0], a.heard]).toEqual([report, report, []]);
  });

  test("what is no report is dropped and told of once", async () => {
    const [a, b] = [gateways.open("a"), gateways.open("b")];
    await gateways.near(a, b);
    const stranger = await connect({ servers: nats.address });
    for (const bad of ["{", "[]", `{"gateway":"a"}`]) stranger.publish("faaslane.load", bad);
    await stranger.flush();
    await stranger.close();
    await eventually("a report is heard after them", () => {
      b.exchange.publish({ gateway: "b", functions: { f: load(1) } });
      return a.heard.length > 0;
    });
    expect(a.heard[0]?.gateway).toBe("b");
    expect(a.told.lines.filter((line) => line.startsWith("dropped"))).toHaveLength(1);
  });

  test("one leads, all know who; when it stops another one does at once", async () => {
    const all = [gateways.open("a"), gateways.open("b"), gateways.open("c")];
    const first = await gateways.oneLeads("one leads");
    await eventually("all know", () => all.every(({ leadership }) => leadership.leader === first.name));
    const others = all.filter((gateway) => gateway !== first);
    const stopped = performance.now();
    await first.close();
    expect(first.leadership.leading).toBe(false);
    const second = await gateways.oneLeads("another leads");
    expect(others).toContain(second);
    expect(performance.now() - stopped).toBeLessThan(TEST_LEASE_MS);
  });

  test("one that could not act leaves it to the others", async () => {
    let willing = false;
    const a = gateways.open("a", { willing: () => willing });
    const b = gateways.open("b", { willing: () => true });
    expect(await gateways.oneLeads("one leads")).toBe(b);
    await eventually("the other one knows", () => a.leadership.leader === "b");
    willing = true;
    await b.close();
    expect(await gateways.oneLeads("the other one leads")).toBe(a);
    willing = false;
    await eventually("it leads no more", () => !a.leadership.leading);
  });

  test("without NATS nobody leads, and each says why; with it one does", async () => {
    await nats.kill();
    const [a, b] = [gateways.open("a"), gateways.open("b")];
    await eventually("it was tried", () => a.told.lines.some((line) => line.includes("cannot share")));
    expect([a.exchange.away, a.leadership.leading, a.leadership.leader]).toEqual([
      "the other gateways cannot be heard: there is no connection to NATS",
      false,
      undefined,
    ]);
    a.exchange.publish({ gateway: "a", functions: {} });
    await nats.restart();
    await gateways.near(a, b);
    await gateways.oneLeads("one leads");
  });

  test("one that may not listen says so", async () => {
    const strict = await NatsServer.start({
      config: `authorization { users = [{ user: u, password: p, permissions: { subscribe: { deny: "faaslane.load" } } }] }`,
    });
    const gateway = openGatewayAt(strict.address, "a", { credentials: { user: "u", password: "p" } });
    try {
      const refused = () => gateway.exchange.away?.includes("does not let it subscribe");
      await eventually("it says why", refused, 20_000);
    } finally {
      await gateway.close();
      await strict.remove();
    }
  });

  test("what the leader has learned is there for the next start, of functions that are still there", async () => {
    const pattern = (hits: number) => ({ watchedSince: 1, days: { "20000": [1, 2] }, hits, misses: 0 });
    const a = gateways.open("a");
    await gateways.oneLeads("one leads");
    const before: object[] = [];
    a.patterns.onRead((learned) => before.push(learned));
    await eventually("nothing was learned", () => before.length > 0);
    await a.patterns.write({ "f.ns": pattern(1), "g.ns": pattern(2) });
    await a.patterns.write({ "f.ns": pattern(3) });
    const b = gateways.open("b");
    const after: object[] = [];
    b.patterns.onRead((learned) => after.push(learned));
    await eventually("it is read", () => after.length > 0);
    await b.patterns.write({});
    expect([before, after]).toEqual([[{}], [{ "f.ns": pattern(3) }]]);
  });

  test("what was learned is read as soon as it can be", async () => {
    const nc = await connect({ servers: nats.address });
    try {
      // Takes the place of the bucket.
      const jsm = await nc.jetstreamManager();
      await jsm.streams.add({ name: "in-the-way", subjects: ["$KV.faaslane_patterns.>"] });
      const a = gateways.open("a");
      const learned: object[] = [];
      a.patterns.onRead((some) => learned.push(some));
      const warnings = () => a.told.lines.filter((line) => line.startsWith("could not read what was learned"));
      await eventually("it could not be read", () => warnings().length > 0);
      expect(learned).toEqual([]);
      await jsm.streams.delete("in-the-way");
      await eventually("it is read", () => learned.length > 0, 30_000);
      expect(warnings()).toHaveLength(1);
      expect(learned).toEqual([{}]);
    } finally {
      await nc.close();
    }
  });

  test("what nobody can read of what was learned does not cost the rest", async () => {
    const pattern = { watchedSince: 1, days: { "20000": [1, 2] }, hits: 1, misses: 0 };
    const nc = await connect({ servers: nats.address });
    try {
      const bucket = await nc.jetstream().views.kv("faaslane_patterns");
      await bucket.put("bad.ns", "no pattern");
      await bucket.put("f.ns", JSON.stringify(pattern));
      const a = gateways.open("a");
      const learned: object[] = [];
      a.patterns.onRead((some) => learned.push(some));
      await eventually("it is read", () => learned.length > 0);
      expect(learned).toEqual([{ "f.ns": pattern }]);
      expect(a.told.lines).toContain("could not read a function's daily pattern; starting a new one");
    } finally {
      await nc.close();
    }
  });
});
