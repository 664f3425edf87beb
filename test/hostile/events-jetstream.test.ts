import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { connect } from "nats";
import type { EventDelivery, EventStore, RouteEvents } from "../../events/store/event-store.ts";
import { type JetStreamEvents, openJetStreamEvents } from "../../events/store/jetstream/index.ts";
import { attempt, done, newEvent, routeTo } from "../events/store-contract.ts";
import { silent } from "../gateway/queue/jetstream/support.ts";
import { eventually } from "../support/eventually.ts";
import { describeWithNats, NatsServer } from "../support/nats.ts";

const NS = "openfaas-fn";
const OPTIONS = { concurrency: 16, perTrigger: () => 16 };
const OLDEST = { order: "oldest", limit: 50 } as const;
const WILD = ["*", ">", "a.b", "a b", "a/../b", "%2e", "$JS.API", "ünï", "__proto__", "\u0000", "t"];

describeWithNats("events on JetStream", () => {
  let server: NatsServer;
  let store: JetStreamEvents;
  let events: EventStore;

  beforeEach(async () => {
    server = await NatsServer.start();
    store = await openJetStreamEvents({
      servers: [server.address],
      pollMs: 200,
      leaseMs: 1000,
      ackWaitMs: 2000,
      log: silent,
    });
    events = store.events;
  });
  afterEach(async () => {
    await store?.close();
    await server?.remove();
  });

  const isIdle = async () =>
    (await events.stats(NS)).every(({ pending, open }) => pending === 0 && Object.keys(open).length === 0);

  async function delivering(route: RouteEvents): Promise<EventDelivery[]> {
    const seen: EventDelivery[] = [];
    await events.consume(
      route,
      async (delivery) => {
        seen.push(delivery);
        return done;
      },
      OPTIONS,
    );
    return seen;
  }

  test("names with wildcards, dots and control characters mean themselves alone", async () => {
    const seen = await delivering(routeTo(WILD.map((trigger) => ({ trigger, orderKey: trigger }))));
    await events.append(WILD.map((once) => newEvent({ once })));
    await eventually("all are delivered", async () => seen.length >= WILD.length ** 2 && (await isIdle()), 30_000);
    expect(seen).toHaveLength(WILD.length ** 2);
    for (const trigger of WILD) expect(seen.filter((one) => one.trigger === trigger)).toHaveLength(WILD.length);
    expect(await events.drop("*", "x")).toBe(0);
    const names = WILD.slice(0, 6);
    for (const name of names) await store.resources.put({ kind: "cursor", namespace: NS, name, spec: name }, 0);
    expect(await store.resources.remove({ kind: "cursor", namespace: NS, name: "*" })).toBe(true);
    expect((await store.resources.list("cursor")).map(({ name }) => name)).toEqual(
      names.filter((name) => name !== "*").toSorted((a, b) => (a < b ? -1 : 1)),
    );
    expect(await store.resources.list("cursor", "*")).toEqual([]);
    expect((await events.list({ namespace: "*" }, OLDEST)).events).toEqual([]);
    expect((await events.list({ namespace: NS, broker: "*" }, OLDEST)).events).toEqual([]);
  }, 60_000);

  test("references that nobody gave find nothing", async () => {
    const [one] = await events.append([newEvent()]);
    const ref = one?.ref as string;
    const wrong = [
      ...["", "0", "-1", "1e9", "*", ">", "NaN", "__proto__", `${ref} `, `0${ref}`, `${ref}.`, "9".repeat(18)],
      `${ref.slice(0, -1)}${(Number(ref.at(-1)) + 1) % 10}`,
    ];
    for (const hostile of [...wrong, "9".repeat(400)]) {
      expect(await events.find(NS, hostile)).toBeUndefined();
      await expect(events.deliverAgain(NS, hostile, [{ trigger: "t" }])).rejects.toMatchObject({ kind: "notFound" });
      const listed = await events.list({ namespace: NS }, { ...OLDEST, after: hostile });
      expect(listed.events.length).toBeLessThanOrEqual(1);
    }
  }, 60_000);

  test("messages of somebody else in the streams hold nobody up", async () => {
    const nc = await connect({ servers: server.address });
    const garbage = ["", "{", "null", "[]", "\n", '{"mark":1}\n', '{"ref":"x"}', "\u0000".repeat(100)];
    const seen = await delivering(routeTo(["t"]));
    await events.append([newEvent({ id: "first" })]);
    for (const text of garbage) {
      for (const subject of [
        `log.${NS}.default.10`,
        `due.t.${NS}.default.u`,
        `lane.t.${NS}.default.x`,
        `routed.${NS}.default.a.b.1234${garbage.indexOf(text)}`,
        `record.${NS}.default.12345.${garbage.indexOf(text)}`,
      ]) {
        await nc.request(`FAASLANE.events.${subject}`, text, { timeout: 5000 });
      }
    }
    await nc.close();
    await events.append([newEvent({ id: "second" })]);
    await eventually("both are delivered", () => seen.length === 2);
    const { events: listed } = await events.list({ namespace: NS }, OLDEST);
    expect(listed.map(({ event }) => event.event.attributes.id)).toEqual(["first", "second"]);
    const newest = await events.list({ namespace: NS }, { order: "newest", limit: 50 });
    expect(newest.events).toHaveLength(2);
    expect(await events.stats(NS)).toHaveLength(1);
  }, 60_000);

  test("texts that are hard to carry come out as they went in", async () => {
    const seen = await delivering(routeTo([{ trigger: "t", attributes: { note: 'a\r\nb: "c"', zero: 0, no: false } }]));
    const texts = ["\r\nX-Injected: 1", "\u2028\u{1f600}", "\ud800", "NATS/1.0\r\n", "\\n", "x".repeat(60_000)];
    const sent = newEvent({
      headers: texts.map((text, i) => [`x-${i}`, text] as const),
      event: { attributes: { specversion: "1.0", id: texts[1] as string, source: "/é", type: "t", n: 5, b: true } },
    });
    const data = Buffer.from(Array.from({ length: 70_000 }, (_, i) => i % 256));
    await events.append([{ ...sent, event: { ...sent.event, data } }]);
    await eventually("it is delivered", () => seen.length === 1);
    expect(seen[0]?.event.headers).toEqual(sent.headers);
    expect(seen[0]?.event.event.attributes).toEqual(sent.event.attributes);
    expect(seen[0]?.event.event.data?.equals(data)).toBe(true);
    expect(seen[0]?.attributes).toEqual({ note: 'a\r\nb: "c"', zero: 0, no: false });
  });

  test("an event with more deliveries than one answer of the server holds is told in whole", async () => {
    const triggers = Array.from({ length: 1500 }, (_, i) => ({ trigger: "t", attributes: { i } }));
    const seen = await delivering(routeTo(triggers));
    const [one] = await events.append([newEvent()]);
    await eventually("all are made", async () => seen.length >= 1500 && (await isIdle()), 60_000, 50);
    const record = await events.find(NS, one?.ref as string);
    expect(record?.deliveries).toHaveLength(1500);
    expect(record?.deliveries.every(({ state }) => state === "delivered")).toBe(true);
  }, 90_000);

  test("what follows from a delivery and is too large is left out, and told of", async () => {
    const data = Buffer.alloc(events.maxEventBytes);
    const reply = newEvent({ id: "reply", event: { ...newEvent().event, data } });
    await events.consume(
      routeTo(["t"]),
      async () => ({ kind: "done", attempt: attempt(), appended: [reply] }),
      OPTIONS,
    );
    const [one] = await events.append([newEvent()]);
    const record = await eventually("it is settled", async () => {
      const found = await events.find(NS, one?.ref as string);
      return found?.deliveries[0]?.state === "delivered" && found;
    });
    expect(record.deliveries[0]?.attempts[0]?.note).toContain("max_payload");
    expect((await events.list({ namespace: NS }, OLDEST)).events).toHaveLength(1);
  });

  test("a settlement that the process makes twice, or late, counts once", async () => {
    const first = Promise.withResolvers<void>();
    let tries = 0;
    await events.consume(
      routeTo(["t"]),
      async () => {
        if (tries++ === 0) await first.promise;
        return { kind: "done", attempt: attempt({ status: 200 + tries }), appended: [newEvent({ type: "reply" })] };
      },
      OPTIONS,
    );
    await events.append([newEvent({ id: "one" })]);
    await eventually("it is under way", () => tries === 1);
    expect(await events.drop("t", "the trigger was removed")).toBe(1);
    first.resolve();
    await eventually("nothing is open", isIdle, 20_000, 50);
    const { events: listed } = await events.list({ namespace: NS }, OLDEST);
    expect(listed).toHaveLength(1);
    expect(listed[0]?.deliveries).toMatchObject([{ state: "dropped", tries: 0 }]);
  }, 60_000);
});
