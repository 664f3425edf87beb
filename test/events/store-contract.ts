import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import type {
  AttemptRecord,
  DeliverEvent,
  DeliverySettlement,
  EventConsumer,
  EventConsumerOptions,
  EventDelivery,
  EventRecord,
  EventStore,
  NewDelivery,
  NewEvent,
  RouteEvents,
  StoredEvent,
  TriggerVerdict,
} from "../../events/store/event-store.ts";
import type { ResourceStore } from "../../events/store/resource-store.ts";
import { eventually } from "../support/eventually.ts";

export interface OpenedStore {
  readonly events: EventStore;
  readonly resources: ResourceStore;
  close(): Promise<void>;
}

/** Where a store keeps what it has, empty at first. */
export interface StorePlace {
  /** Opens it; again after a close. */
  open(): Promise<OpenedStore>;
  /**
   * Of a store with several processes, while it is closed: as if long ago the last one had died after it had stored what
   * follows from settlements, and before it noted that. A store in one file does both at once.
   */
  unnote?(): Promise<void>;
  remove(): Promise<void>;
}

const NS = "openfaas-fn";
const BROKER = { namespace: NS, name: "default" };
let lastId = 0;

export function newEvent(given: Partial<NewEvent> & { id?: string; type?: string; source?: string } = {}): NewEvent {
  const { id = `e-${++lastId}`, type = "order.created", source = "/shop", ...rest } = given;
  return {
    broker: BROKER,
    event: { attributes: { specversion: "1.0", id, source, type }, data: Buffer.from(`{"id":"${id}"}`) },
    headers: [],
    hops: 10,
    arrivedAt: Date.now(),
    via: "http",
    ...rest,
  };
}

export function attempt(given: Partial<AttemptRecord> = {}): AttemptRecord {
  return { at: Date.now(), durationMs: 1.5, status: 200, ...given };
}

export const done: DeliverySettlement = { kind: "done", attempt: attempt() };
const idOf = ({ event }: StoredEvent) => String(event.attributes.id);
const matched = (trigger: string): TriggerVerdict => ({ trigger, matched: true });

const replyWith = (data: string): NewEvent["event"] => ({
  attributes: { specversion: "1.0", id: "reply", source: "/f", type: "reply" },
  ...(data !== "" && { data: Buffer.from(data) }),
});

/** Gives all events to these triggers. */
export function routeTo(
  triggers: readonly (string | NewDelivery)[],
  keep: "full" | "meta" | "off" = "full",
): RouteEvents {
  const deliveries = triggers.map((trigger) => (typeof trigger === "string" ? { trigger } : trigger));
  return async (events) =>
    events.map(({ ref }) => ({
      ref,
      verdicts: deliveries.map(({ trigger }) => matched(trigger)),
      deliveries,
      keep,
    }));
}

const OPTIONS: EventConsumerOptions = { concurrency: 16, perTrigger: () => 16 };

/** What every store of events does, sentence by sentence of its interface. */
export function describeEventStore(name: string, place: () => Promise<StorePlace>): void {
  describe(`${name}: events`, () => {
    let at: StorePlace;
    let opened: OpenedStore[] = [];
    let store: EventStore;
    const consumers: EventConsumer[] = [];

    beforeEach(async () => {
      at = await place();
      store = await reopened();
    });
    afterEach(async () => {
      await Promise.all(opened.map((one) => one.close()));
      opened = [];
      consumers.length = 0;
      await at.remove();
    });

    async function reopened(): Promise<EventStore> {
      await Promise.all(opened.map((one) => one.close()));
      const next = await at.open();
      opened = [next];
      return next.events;
    }

    async function consume(
      route: RouteEvents,
      deliver: DeliverEvent,
      options: Partial<EventConsumerOptions> = {},
    ): Promise<EventConsumer> {
      const consumer = await store.consume(route, deliver, { ...OPTIONS, ...options });
      consumers.push(consumer);
      return consumer;
    }

    async function recordOf(id: string): Promise<EventRecord> {
      const { events } = await store.list({ namespace: NS, id }, { order: "oldest", limit: 1 });
      const [found] = events;
      if (!found) throw new Error(`no event has the id ${id}`);
      return found;
    }

    const statesOf = async (id: string) => (await recordOf(id)).deliveries.map(({ state }) => state);

    /** Makes deliveries, and remembers them. */
    function collecting(settle: (delivery: EventDelivery) => DeliverySettlement | Promise<DeliverySettlement>) {
      const seen: EventDelivery[] = [];
      const deliver: DeliverEvent = async (delivery) => {
        seen.push(delivery);
        return await settle(delivery);
      };
      return { seen, deliver };
    }

    test("what is appended is given to the router and then to its triggers, as it came", async () => {
      const { seen, deliver } = collecting(() => done);
      const sent = newEvent({
        headers: [["X-Topic", "orders"]],
        hops: 7,
        via: "source/a/b",
        arrivedAt: 1234 + Date.now(),
      });
      const binary = { ...sent.event, data: Buffer.from([0, 1, 2, 255, 254]) };
      await consume(routeTo(["function/a/f"]), deliver);
      const [appended] = await store.append([{ ...sent, event: binary }]);
      await eventually("it is delivered", () => seen.length === 1);
      const [delivery] = seen;
      expect(delivery).toMatchObject({ trigger: "function/a/f", failures: 0 });
      expect(delivery?.event).toEqual({
        ref: appended?.ref,
        broker: BROKER,
        event: binary,
        headers: [["X-Topic", "orders"]],
        hops: 7,
        via: "source/a/b",
        arrivedAt: sent.arrivedAt,
      });
      await eventually(
        "it is settled",
        async () => (await statesOf(idOf(delivery?.event as StoredEvent)))[0] === "delivered",
      );
    });

    test("an event without data has none, and one with empty data has that", async () => {
      const { seen, deliver } = collecting(() => done);
      await consume(routeTo(["t"]), deliver);
      const attributes = newEvent().event.attributes;
      await store.append([newEvent({ event: { attributes: { ...attributes, id: "none" } } })]);
      await store.append([newEvent({ event: { attributes: { ...attributes, id: "empty" }, data: Buffer.alloc(0) } })]);
      await eventually("both are delivered", () => seen.length === 2);
      expect(seen.find(({ event }) => idOf(event) === "none")?.event.event.data).toBeUndefined();
      expect(seen.find(({ event }) => idOf(event) === "empty")?.event.event.data).toHaveLength(0);
      store = await reopened();
      const found = await store.list({ namespace: NS }, { order: "oldest", limit: 10, withData: true });
      expect(found.events.map(({ event }) => event.event.data?.byteLength)).toEqual([undefined, 0]);
    });

    test("refs are unique, and longer and later ones sort after others", async () => {
      const many = await store.append(Array.from({ length: 12 }, () => newEvent()));
      const more = await store.append([newEvent()]);
      const refs = [...many, ...more].map(({ ref }) => ref);
      expect(new Set(refs).size).toBe(13);
      const sorted = refs.toSorted((a, b) => a.length - b.length || (a < b ? -1 : 1));
      expect(sorted).toEqual(refs);
    });

    test("events of one broker are routed in order of arrival, and one broker's at a time", async () => {
      const routed: string[] = [];
      await store.append(Array.from({ length: 50 }, (_, i) => newEvent({ id: `o-${i}` })));
      await store.append([newEvent({ id: "other", broker: { namespace: NS, name: "other" } })]);
      const mixed: number[] = [];
      await consume(
        async (events) => {
          mixed.push(new Set(events.map(({ broker }) => broker.name)).size);
          routed.push(...events.map(idOf));
          return events.map(({ ref }) => ({ ref, verdicts: [], deliveries: [], keep: "full" }));
        },
        async () => done,
      );
      await store.append(Array.from({ length: 50 }, (_, i) => newEvent({ id: `p-${i}` })));
      await eventually("all are routed", () => routed.length >= 101);
      const own = routed.filter((id) => id !== "other");
      expect(own).toEqual([
        ...Array.from({ length: 50 }, (_, i) => `o-${i}`),
        ...Array.from({ length: 50 }, (_, i) => `p-${i}`),
      ]);
      expect(Math.max(...mixed)).toBe(1);
    });

    test("an event with a `once` that was taken is not taken again, until now and after a restart", async () => {
      const { seen, deliver } = collecting(() => done);
      await consume(routeTo(["t"]), deliver);
      const [first] = await store.append([newEvent({ once: "k" })]);
      const [second] = await store.append([newEvent({ once: "k" })]);
      const [third, fourth] = await store.append([newEvent({ once: "l" }), newEvent({ once: "l" })]);
      expect(second).toEqual({ ref: first?.ref, duplicate: true });
      expect([third?.duplicate, fourth?.duplicate]).toEqual([false, true]);
      expect(fourth?.ref).toBe(third?.ref);
      const [elsewhere] = await store.append([newEvent({ once: "k", broker: { namespace: NS, name: "b" } })]);
      expect(elsewhere?.duplicate).toBe(false);
      await eventually("three are delivered", () => seen.length === 3);
      store = await reopened();
      const [again] = await store.append([newEvent({ once: "k" })]);
      expect(again).toEqual({ ref: first?.ref, duplicate: true });
    });

    test("directed events go to those alone that they name, and no trigger is asked", async () => {
      const { seen, deliver } = collecting(() => done);
      const routed: StoredEvent[] = [];
      await consume(async (events) => {
        routed.push(...events);
        return await routeTo(["other"])(events);
      }, deliver);
      const directed = { trigger: "flow/a/b/c", target: "function/a/f@2", attributes: { step: 3 }, replay: "r" };
      await store.append([newEvent({ id: "d", directed: [directed] })]);
      await eventually("it is delivered", () => seen.length === 1);
      expect(seen[0]).toMatchObject(directed);
      expect(routed).toEqual([]);
      await eventually("it is settled", async () => (await statesOf("d"))[0] === "delivered");
      expect(await recordOf("d")).toMatchObject({ pending: false, verdicts: [] });
    });

    test("an event that is too large is refused, and with it all that are appended with it", async () => {
      const data = Buffer.alloc(store.maxEventBytes + 1);
      const large = newEvent({ event: { ...newEvent().event, data } });
      await expect(store.append([newEvent(), large])).rejects.toMatchObject({ kind: "tooLarge" });
      expect((await store.list({ namespace: NS }, { order: "oldest", limit: 10 })).events).toEqual([]);
    });

    test("a retry comes after its time with one failure more, and what failed is told", async () => {
      const { seen, deliver } = collecting(({ failures }) =>
        failures < 2 ? { kind: "retry", afterMs: 20, attempt: attempt({ status: 500, error: "no" }) } : done,
      );
      await consume(routeTo(["t"]), deliver);
      await store.append([newEvent({ id: "r" })]);
      await eventually("it is delivered", async () => (await statesOf("r"))[0] === "delivered");
      expect(seen.map(({ failures }) => failures)).toEqual([0, 1, 2]);
      const [delivery] = (await recordOf("r")).deliveries;
      expect(delivery).toMatchObject({ tries: 3, state: "delivered" });
      expect(delivery?.attempts.map(({ status }) => status)).toEqual([500, 500, 200]);
    });

    test("of many attempts the latest 20 are told", async () => {
      const { deliver } = collecting(({ failures }) =>
        failures < 24 ? { kind: "retry", afterMs: 1, attempt: attempt({ status: 500 + failures }) } : done,
      );
      await consume(routeTo(["t"]), deliver);
      await store.append([newEvent({ id: "m" })]);
      await eventually("it is delivered", async () => (await statesOf("m"))[0] === "delivered", 30_000);
      const [delivery] = (await recordOf("m")).deliveries;
      expect(delivery?.tries).toBe(25);
      expect(delivery?.attempts).toHaveLength(20);
      expect(delivery?.attempts[0]?.status).toBe(505);
    });

    test("what was not tried is at once due again, without a failure", async () => {
      let backs = 0;
      const { seen, deliver } = collecting(() => (backs++ < 3 ? { kind: "back" } : done));
      await consume(routeTo(["t"]), deliver);
      await store.append([newEvent({ id: "b" })]);
      await eventually("it is delivered", async () => (await statesOf("b"))[0] === "delivered");
      expect(seen.map(({ failures }) => failures)).toEqual([0, 0, 0, 0]);
      expect((await recordOf("b")).deliveries[0]?.tries).toBe(1);
    });

    test("what is appended with a settlement is routed as all events are", async () => {
      const { seen, deliver } = collecting(({ event, trigger }) =>
        trigger === "first"
          ? {
              kind: "done",
              attempt: attempt(),
              appended: [newEvent({ id: `reply-${idOf(event)}`, type: "reply", hops: event.hops - 1 })],
            }
          : done,
      );
      await consume(
        async (events) =>
          events.map(({ ref, event }) => {
            const trigger = event.attributes.type === "reply" ? "second" : "first";
            return { ref, verdicts: [matched(trigger)], deliveries: [{ trigger }], keep: "full" };
          }),
        deliver,
      );
      await store.append([newEvent({ id: "x" })]);
      await eventually("the reply is delivered", () => seen.find(({ trigger }) => trigger === "second"));
      expect(seen.map(({ event }) => [idOf(event), event.hops])).toEqual([
        ["x", 10],
        ["reply-x", 9],
      ]);
    });

    test.each(["full", "meta"] as const)(
      "what follows from a delivery is stored once, however late its end is carried out again; of it is kept: %s",
      async (keep) => {
        const replies = ["", "0123456789"].map((data) => newEvent({ type: "reply", event: replyWith(data) }));
        const settle = ({ trigger }: EventDelivery): DeliverySettlement =>
          trigger === "first" ? { kind: "done", attempt: attempt(), appended: replies } : done;
        const route: RouteEvents = async (events) =>
          events.map(({ ref, event }) => {
            const trigger = event.attributes.type === "reply" ? "second" : "first";
            return { ref, verdicts: [matched(trigger)], deliveries: [{ trigger }], keep };
          });
        const isOver = async () =>
          (await store.stats(NS)).every(({ pending, open }) => pending === 0 && Object.keys(open).length === 0);
        const listed = async () =>
          (await store.list({ namespace: NS, type: "reply" }, { order: "oldest", limit: 10 })).events;
        const first = collecting(settle);
        await consume(route, first.deliver);
        await store.append([newEvent({ id: "x" })]);
        await eventually("the replies are delivered", async () => first.seen.length === 3 && (await isOver()), 20_000);
        await Promise.all(opened.splice(0).map((one) => one.close()));
        await at.unnote?.();
        store = await reopened();
        const second = collecting(settle);
        await consume(route, second.deliver);
        await store.append([newEvent({ id: "y", type: "reply" })]);
        await eventually(
          "what comes after is delivered",
          async () => second.seen.length > 0 && (await isOver()),
          45_000,
        );
        expect(second.seen.map(({ event }) => idOf(event))).toEqual(["y"]);
        expect((await listed()).map(({ event }) => idOf(event))).toEqual(["reply", "reply", "y"]);
      },
      90_000,
    );

    test("a dead delivery tells why, and its dead letter is a delivery of the same event", async () => {
      const { seen, deliver } = collecting(({ deadLetter }) =>
        deadLetter
          ? done
          : {
              kind: "dead",
              reason: "gave up",
              attempt: attempt({ status: 400 }),
              next: { trigger: "t", deadLetter: true, attributes: { knativeerrorcode: 400 } },
            },
      );
      await consume(routeTo(["t"]), deliver);
      await store.append([newEvent({ id: "dl" })]);
      await eventually("both have ended", async () => (await statesOf("dl")).join() === "dead,delivered");
      expect(seen[1]).toMatchObject({
        trigger: "t",
        deadLetter: true,
        attributes: { knativeerrorcode: 400 },
        failures: 0,
      });
      expect((await recordOf("dl")).deliveries[0]).toMatchObject({ reason: "gave up", tries: 1 });
      const [stats] = await store.stats(NS);
      expect(stats).toMatchObject({ dead: 1, open: {} });
    });

    test("what is not settled comes again after a restart, with its failures; what is settled does not", async () => {
      const held = Promise.withResolvers<DeliverySettlement>();
      const first = collecting(({ event, failures }) => {
        if (idOf(event) === "settled") return done;
        return failures === 0 ? { kind: "retry", afterMs: 1, attempt: attempt({ status: 500 }) } : held.promise;
      });
      await consume(routeTo(["t"]), first.deliver);
      await store.append([newEvent({ id: "settled" }), newEvent({ id: "open" })]);
      await eventually("one is settled, one is tried again", async () => {
        return first.seen.length === 3 && (await statesOf("settled"))[0] === "delivered";
      });
      store = await reopened();
      held.resolve(done);
      const second = collecting(() => done);
      await consume(routeTo(["t"]), second.deliver);
      await eventually("it comes again", async () => (await statesOf("open"))[0] === "delivered", 45_000);
      expect(second.seen.map(({ event, failures }) => [idOf(event), failures])).toEqual([["open", 1]]);
    });

    test("events that were not routed are, after a restart", async () => {
      await store.append([newEvent({ id: "later" })]);
      expect(await recordOf("later")).toMatchObject({ pending: true, deliveries: [] });
      store = await reopened();
      const { seen, deliver } = collecting(() => done);
      await consume(routeTo(["t"]), deliver);
      await eventually("it is delivered", () => seen.length === 1);
    });

    test("deliveries of a key are made one after another in order of arrival, and a retry blocks its key only", async () => {
      const order: string[] = [];
      const othersMade = Promise.withResolvers<void>();
      let underWay = 0;
      let most = 0;
      const { deliver } = collecting(async ({ event, failures }) => {
        const id = idOf(event);
        if (id.startsWith("a")) most = Math.max(most, ++underWay);
        order.push(`${id}/${failures}`);
        await new Promise((resolve) => setImmediate(resolve));
        if (id.startsWith("a")) underWay--;
        if (id === "a-0" && failures < 2) return { kind: "retry", afterMs: 20, attempt: attempt({ status: 503 }) };
        if (id === "b-4") othersMade.resolve();
        if (id === "a-0") await othersMade.promise;
        return done;
      });
      await consume(
        async (events) =>
          events.map((event) => {
            const orderKey = idOf(event).slice(0, 1);
            return { ref: event.ref, verdicts: [matched("t")], deliveries: [{ trigger: "t", orderKey }], keep: "full" };
          }),
        deliver,
      );
      for (let i = 0; i < 5; i++) await store.append([newEvent({ id: `a-${i}` }), newEvent({ id: `b-${i}` })]);
      await eventually("all are made", () => order.length === 12);
      expect(order.filter((id) => id.startsWith("a"))).toEqual([
        "a-0/0",
        "a-0/1",
        "a-0/2",
        "a-1/0",
        "a-2/0",
        "a-3/0",
        "a-4/0",
      ]);
      expect(order.filter((id) => id.startsWith("b"))).toEqual(["b-0/0", "b-1/0", "b-2/0", "b-3/0", "b-4/0"]);
      expect(order.indexOf("b-4/0")).toBeLessThan(order.indexOf("a-1/0"));
      expect(most).toBe(1);
    });

    test("no more are under way than the consumer takes, in all and of a trigger", async () => {
      let all = 0;
      let mostOfAll = 0;
      const own = new Map<string, number>();
      const mostOf = new Map<string, number>();
      const { seen, deliver } = collecting(async ({ trigger }) => {
        mostOfAll = Math.max(mostOfAll, ++all);
        own.set(trigger, (own.get(trigger) ?? 0) + 1);
        mostOf.set(trigger, Math.max(mostOf.get(trigger) ?? 0, own.get(trigger) as number));
        await new Promise((resolve) => setTimeout(resolve, 5));
        all--;
        own.set(trigger, (own.get(trigger) as number) - 1);
        return done;
      });
      const perTrigger = (trigger: string) => (trigger === "narrow" ? 2 : 100);
      await store.append(Array.from({ length: 20 }, () => newEvent()));
      await consume(routeTo(["narrow", "wide"]), deliver, { concurrency: 6, perTrigger });
      await eventually("all are made", () => seen.length === 40);
      expect(mostOfAll).toBeLessThanOrEqual(6);
      expect(mostOf.get("narrow")).toBeLessThanOrEqual(2);
      expect(mostOf.get("wide")).toBeGreaterThan(1);
    });

    test("deliveries of a trigger with a limit of 0 wait, until that changes", async () => {
      let limit = 0;
      const { seen, deliver } = collecting(() => done);
      const consumer = await consume(routeTo(["stopped", "going"]), deliver, {
        perTrigger: (trigger) => (trigger === "stopped" ? limit : 8),
      });
      await store.append([newEvent({ id: "s" }), newEvent()]);
      await eventually("the others are made", () => seen.length === 2);
      expect(seen.map(({ trigger }) => trigger)).toEqual(["going", "going"]);
      const open = await eventually("only the stopped ones are open", async () => {
        const stats = (await store.stats(NS))[0];
        return Object.keys(stats?.open ?? {}).length === 1 && stats?.open;
      });
      expect(open).toEqual({ stopped: 2 });
      limit = 8;
      consumer.changed();
      await eventually("they are made", () => seen.length === 4);
    });

    test("a trigger whose deliveries hang does not keep others from theirs", async () => {
      const hung = Promise.withResolvers<DeliverySettlement>();
      const { seen, deliver } = collecting(({ trigger }) => (trigger === "slow" ? hung.promise : done));
      await store.append(Array.from({ length: 40 }, () => newEvent({ type: "slow" })));
      await consume(
        async (events) =>
          events.map(({ ref, event }) => {
            const trigger = String(event.attributes.type);
            return { ref, verdicts: [matched(trigger)], deliveries: [{ trigger }], keep: "full" };
          }),
        deliver,
        { concurrency: 8, perTrigger: () => 100 },
      );
      await eventually("the slow one has several", () => seen.length > 2);
      await store.append(Array.from({ length: 20 }, () => newEvent({ type: "quick" })));
      await eventually(
        "the quick ones are made",
        () => seen.filter(({ trigger }) => trigger === "quick").length === 20,
      );
      hung.resolve(done);
    });

    test("a delivery is not made before its time", async () => {
      const notBefore = Date.now() + 300;
      const later = Date.now() + 3600_000;
      const times: number[] = [];
      await consume(
        routeTo([
          { trigger: "t", notBefore },
          { trigger: "later", notBefore: later },
        ]),
        async () => {
          times.push(Date.now());
          return done;
        },
      );
      await store.append([newEvent({ id: "n" })]);
      await eventually("one is made", () => times.length === 1);
      expect(times[0]).toBeGreaterThanOrEqual(notBefore);
      const waiting = (await recordOf("n")).deliveries.find(({ trigger }) => trigger === "later");
      expect(waiting).toMatchObject({ state: "waiting", nextAttemptAt: later });
    });

    test("consumers share the work, and each delivery is made once", async () => {
      const one = collecting(() => done);
      const two = collecting(() => done);
      await consume(routeTo(["t"]), one.deliver, { concurrency: 3 });
      await consume(routeTo(["t"]), two.deliver, { concurrency: 3 });
      await store.append(Array.from({ length: 60 }, () => newEvent()));
      await eventually("all are made", () => one.seen.length + two.seen.length >= 60);
      await eventually("all are settled", async () => Object.keys((await store.stats(NS))[0]?.open ?? {}).length === 0);
      expect(new Set([...one.seen, ...two.seen].map(({ id }) => id)).size).toBe(60);
      expect(one.seen.length + two.seen.length).toBe(60);
    });

    test("a consumer that closes waits for what is under way, and leaves the rest to others", async () => {
      const held = Promise.withResolvers<DeliverySettlement>();
      const first = collecting(() => held.promise);
      const consumer = await consume(routeTo(["t"]), first.deliver, { concurrency: 1 });
      await store.append([newEvent({ id: "c-0" }), newEvent({ id: "c-1" })]);
      await eventually("one is under way", () => first.seen.length === 1);
      let closed = false;
      const closing = consumer.close().then(() => {
        closed = true;
      });
      await store.append([newEvent({ id: "c-2" })]);
      expect(closed).toBe(false);
      held.resolve(done);
      await closing;
      const second = collecting(() => done);
      await consume(routeTo(["t"]), second.deliver);
      await eventually("the rest is made", () => second.seen.length === 2);
      expect(second.seen.map(({ event }) => idOf(event)).toSorted()).toEqual(["c-1", "c-2"]);
      expect(await statesOf("c-0")).toEqual(["delivered"]);
    });

    test("what is under way when the store closes is told so", async () => {
      const aborted = Promise.withResolvers<void>();
      await consume(routeTo(["t"]), async (_delivery, signal) => {
        await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
        aborted.resolve();
        return { kind: "back" };
      });
      await store.append([newEvent({ id: "u" })]);
      await eventually("it is under way", async () => (await statesOf("u"))[0] === "delivering");
      await opened[0]?.close();
      await aborted.promise;
      await expect(store.append([newEvent()])).rejects.toMatchObject({ kind: "unavailable" });
    });

    test("the ledger tells every verdict with its reason, and each delivery's state", async () => {
      await consume(
        async (events) =>
          events.map(({ ref }) => ({
            ref,
            verdicts: [matched("yes"), { trigger: "no", matched: false, reason: 'type is "a", not "b"' }],
            deliveries: [{ trigger: "yes" }],
            keep: "full",
          })),
        async () => ({
          kind: "retry",
          afterMs: 60_000,
          attempt: attempt({ status: 503, version: "2", replica: "r1" }),
        }),
      );
      const [{ ref } = { ref: "" }] = await store.append([newEvent({ id: "v" })]);
      await eventually("it is tried", async () => (await statesOf("v"))[0] === "retrying");
      const record = await store.find(NS, ref);
      expect(record?.verdicts).toEqual([
        { trigger: "yes", matched: true },
        { trigger: "no", matched: false, reason: 'type is "a", not "b"' },
      ]);
      expect(record?.deliveries).toMatchObject([
        { state: "retrying", tries: 1, attempts: [{ status: 503, version: "2", replica: "r1" }] },
      ]);
      expect(record?.deliveries[0]?.nextAttemptAt).toBeGreaterThan(Date.now());
      expect(record?.event.event.data?.toString()).toBe('{"id":"v"}');
      expect(record?.dataBytes).toBe(10);
      expect(await store.find("another", ref)).toBeUndefined();
      expect(await store.find(NS, "no-such-ref")).toBeUndefined();
      expect(await store.find(NS, "999999999")).toBeUndefined();
    });

    test("events are found by each field, oldest or newest first, page by page", async () => {
      const { deliver } = collecting(({ event }) =>
        event.event.attributes.type === "bad" ? { kind: "dead", reason: "bad" } : done,
      );
      await consume(
        async (events) =>
          events.map(({ ref, event }) => {
            const trigger = event.attributes.type === "nobody" ? undefined : String(event.attributes.source);
            return {
              ref,
              verdicts: [{ trigger: "/a", matched: trigger === "/a" }],
              deliveries: trigger === undefined ? [] : [{ trigger }],
              keep: "full",
            };
          }),
        deliver,
      );
      const base = Date.now();
      const sent = [
        newEvent({ id: "1", source: "/a", type: "good", arrivedAt: base }),
        newEvent({ id: "2", source: "/b", type: "good", arrivedAt: base + 10 }),
        newEvent({ id: "3", source: "/a", type: "bad", arrivedAt: base + 20 }),
        newEvent({ id: "4", source: "/a", type: "nobody", arrivedAt: base + 30 }),
        newEvent({
          id: "5",
          source: "/b",
          type: "good",
          arrivedAt: base + 40,
          broker: { namespace: NS, name: "second" },
        }),
        newEvent({
          id: "6",
          source: "/a",
          type: "good",
          arrivedAt: base + 50,
          broker: { namespace: "another", name: "default" },
        }),
      ];
      for (const event of sent) await store.append([event]);
      await eventually("all have ended", async () => {
        const all = [...(await store.stats(NS)), ...(await store.stats("another"))];
        return all.length === 3 && all.every(({ pending, open }) => pending === 0 && Object.keys(open).length === 0);
      });
      const found = async (query: object, order: "oldest" | "newest" = "oldest") => {
        const { events } = await store.list({ namespace: NS, ...query }, { order, limit: 10 });
        return events.map(({ event }) => idOf(event)).join("");
      };
      expect(await found({})).toBe("12345");
      expect(await found({}, "newest")).toBe("54321");
      expect(await found({ broker: "second" })).toBe("5");
      expect(await found({ namespace: "another" })).toBe("6");
      expect(await found({ namespace: "none" })).toBe("");
      expect(await found({ id: "3" })).toBe("3");
      expect(await found({ source: "/a" })).toBe("134");
      expect(await found({ type: "good", source: "/b" })).toBe("25");
      expect(await found({ type: "good" }, "newest")).toBe("521");
      expect(await found({ trigger: "/b" })).toBe("25");
      expect(await found({ trigger: "no/such" })).toBe("");
      expect(await found({ states: ["dead"] })).toBe("3");
      expect(await found({ states: ["delivered"] })).toBe("125");
      expect(await found({ states: ["dead", "delivered"], trigger: "/a" })).toBe("13");
      expect(await found({ states: ["unmatched"], broker: "default" })).toBe("4");
      expect(await found({ since: base + 10, until: base + 40 })).toBe("234");
      expect(await found({ since: base + 60 })).toBe("");
      const pages: string[] = [];
      for (let after: string | undefined; ; ) {
        const page = await store.list(
          { namespace: NS },
          { order: "oldest", limit: 2, ...(after !== undefined && { after }) },
        );
        if (page.events.length > 0) pages.push(page.events.map(({ event }) => idOf(event)).join(""));
        // What comes meanwhile shifts nothing.
        if (pages.length === 1) await store.append([newEvent({ id: "7" })]);
        if (page.next === undefined) break;
        after = page.next;
      }
      expect(pages).toEqual(["12", "34", "57"]);
    });

    test("lists are without data unless that is asked for", async () => {
      await store.append([newEvent({ id: "q" })]);
      const without = await store.list({ namespace: NS }, { order: "newest", limit: 1 });
      expect(without.events[0]?.event.event.data).toBeUndefined();
      expect(without.events[0]?.dataBytes).toBe(10);
      const withData = await store.list({ namespace: NS }, { order: "newest", limit: 1, withData: true });
      expect(withData.events[0]?.event.event.data?.toString()).toBe('{"id":"q"}');
    });

    test("of what is delivered all is kept, or not its data, or nothing", async () => {
      const { seen, deliver } = collecting(() => done);
      const keeps = ["full", "meta", "off"] as const;
      await consume(
        async (events) =>
          events.map((event) => ({
            ref: event.ref,
            verdicts: [matched("t")],
            deliveries: [{ trigger: "t" }],
            keep: idOf(event) as (typeof keeps)[number],
          })),
        deliver,
      );
      await store.append(keeps.map((id) => newEvent({ id })));
      await eventually("nothing is open", async () => {
        const [stats] = await store.stats(NS);
        return seen.length === 3 && stats?.events === 2 && Object.keys(stats.open).length === 0;
      });
      const { events } = await store.list({ namespace: NS }, { order: "oldest", limit: 10, withData: true });
      expect(events.map(({ event }) => [idOf(event), event.event.data?.toString()])).toEqual([
        ["full", '{"id":"full"}'],
        ["meta", undefined],
      ]);
      expect(events[1]).toMatchObject({ dataBytes: 13 });
      const refs = events.map(({ event }) => event.ref);
      await expect(store.deliverAgain(NS, refs[1] as string, [{ trigger: "t" }])).rejects.toMatchObject({
        kind: "conflict",
      });
      await store.deliverAgain(NS, refs[0] as string, [{ trigger: "t", replay: "r" }]);
      await eventually("it is delivered again", () => seen.length === 4);
      expect(seen[3]).toMatchObject({ trigger: "t", replay: "r", failures: 0, event: { ref: refs[0] } });
      await eventually("both are told", async () => (await statesOf("full")).join() === "delivered,delivered");
      await expect(store.deliverAgain("another", refs[0] as string, [{ trigger: "t" }])).rejects.toMatchObject({
        kind: "notFound",
      });
      await expect(store.deliverAgain(NS, "999999999", [{ trigger: "t" }])).rejects.toMatchObject({ kind: "notFound" });
    });

    test("what is open of a trigger can be dropped, and is told to be", async () => {
      const { seen, deliver } = collecting(() => done);
      await consume(routeTo(["gone", "there"]), deliver, { perTrigger: (trigger) => (trigger === "gone" ? 0 : 4) });
      await store.append(Array.from({ length: 5 }, (_, i) => newEvent({ id: `g-${i}` })));
      await eventually("the others are made", () => seen.length === 5);
      await eventually("only those are open", async () => (await store.stats(NS))[0]?.open.gone === 5);
      expect(await store.drop("gone", "the trigger was removed")).toBe(5);
      expect(await store.drop("gone", "the trigger was removed")).toBe(0);
      expect(await store.drop("never/seen", "x")).toBe(0);
      expect((await store.stats(NS))[0]?.open).toEqual({});
      const dropped = (await recordOf("g-0")).deliveries.find(({ trigger }) => trigger === "gone");
      expect(dropped).toMatchObject({ state: "dropped", reason: "the trigger was removed" });
    });

    test("a broker takes no more than it may keep, but what is delivered makes room", async () => {
      const limits = { maxAgeMs: 3600_000, maxBytes: 1024 ** 3, maxEvents: 5 };
      await store.limit(BROKER, limits);
      await store.append(Array.from({ length: 5 }, (_, i) => newEvent({ id: `f-${i}` })));
      const full = { kind: "overloaded", code: "broker_full" };
      await expect(store.append([newEvent()])).rejects.toMatchObject(full);
      await store.append([newEvent({ broker: { namespace: NS, name: "another" } })]);
      const { seen, deliver } = collecting(() => done);
      await consume(routeTo(["t"]), deliver);
      await eventually("all are delivered", async () => {
        const open = (await store.stats(NS)).flatMap((stats) => Object.keys(stats.open));
        return seen.length === 6 && open.length === 0;
      });
      await eventually("there is room", async () => await store.append([newEvent({ id: "next" })]));
      expect(await recordOf("next")).toBeDefined();
      const { events } = await store.list({ namespace: NS, broker: "default" }, { order: "oldest", limit: 10 });
      expect(events.map(({ event }) => idOf(event))).toEqual(["f-1", "f-2", "f-3", "f-4", "next"]);
    });

    test("events may be refused for their bytes, too", async () => {
      await store.limit(BROKER, { maxAgeMs: 3600_000, maxBytes: 40_000, maxEvents: 1000 });
      const large = () => newEvent({ event: { ...newEvent().event, data: Buffer.alloc(15_000) } });
      await store.append([large(), large()]);
      await expect(store.append([large()])).rejects.toMatchObject({ kind: "overloaded", code: "broker_full" });
    });

    test("an event whose time is over is delivered no more", async () => {
      const { seen, deliver } = collecting(() => done);
      await consume(routeTo(["t"]), deliver, { perTrigger: () => 0 });
      await store.append([newEvent({ id: "old" })]);
      await eventually("it is open", async () => (await store.stats(NS))[0]?.open.t === 1);
      await store.limit(BROKER, { maxAgeMs: 1000, maxBytes: 1024 ** 3, maxEvents: 1000 });
      await eventually(
        "its time is over",
        async () => Object.keys((await store.stats(NS))[0]?.open ?? {}).length === 0,
        30_000,
      );
      const { events } = await store.list({ namespace: NS, id: "old" }, { order: "oldest", limit: 1 });
      for (const { deliveries } of events) expect(deliveries).toMatchObject([{ state: "dropped" }]);
      expect(seen).toEqual([]);
    });

    test("counts tell what is pending, open, dead and how old", async () => {
      expect(await store.stats(NS)).toEqual([]);
      const arrivedAt = Date.now() - 5000;
      await store.append([newEvent({ arrivedAt }), newEvent()]);
      expect(await store.stats(NS)).toMatchObject([
        { broker: BROKER, events: 2, pending: 2, open: {}, dead: 0, oldestOpenAt: arrivedAt },
      ]);
      expect((await store.stats(NS))[0]?.bytes).toBeGreaterThan(20);
      await consume(routeTo(["t"]), async () => done);
      await eventually("nothing is open", async () => {
        const [stats] = await store.stats(NS);
        return stats?.pending === 0 && Object.keys(stats.open).length === 0 && stats.oldestOpenAt === undefined;
      });
      expect((await store.stats(NS))[0]?.events).toBe(2);
    });

    test("a router that fails is asked again", async () => {
      let failures = 0;
      const { seen, deliver } = collecting(() => done);
      await consume(async (events) => {
        if (failures++ < 1) throw new Error("triggers are not known yet");
        return await routeTo(["t"])(events);
      }, deliver);
      await store.append([newEvent()]);
      await eventually("it is delivered", () => seen.length === 1);
    });
  });

  describeResources(name, place);
}

function describeResources(name: string, place: () => Promise<StorePlace>): void {
  describe(`${name}: documents`, () => {
    let at: StorePlace;
    let opened: OpenedStore;
    beforeEach(async () => {
      at = await place();
      opened = await at.open();
    });
    afterEach(async () => {
      await opened.close();
      await at.remove();
    });
    const doc = (own: object = {}) => ({
      kind: "trigger" as const,
      namespace: NS,
      name: "a",
      spec: { x: [1, "é"] },
      ...own,
    });

    test("a document is what was put, with its version, also after a restart", async () => {
      const version = await opened.resources.put(doc());
      expect(await opened.resources.get(doc())).toEqual({ ...doc(), version });
      await opened.close();
      opened = await at.open();
      expect(await opened.resources.get(doc())).toEqual({ ...doc(), version });
      const origin = { uid: "u-1", generation: 3 };
      const taken = await opened.resources.put({ ...doc(), origin });
      expect(await opened.resources.get(doc())).toEqual({ ...doc(), version: taken, origin });
      expect(await opened.resources.list(doc().kind)).toContainEqual({ ...doc(), version: taken, origin });
      await opened.resources.put(doc());
      expect(await opened.resources.get(doc())).not.toHaveProperty("origin");
      expect(await opened.resources.get(doc({ name: "b" }))).toBeUndefined();
      expect(await opened.resources.get(doc({ kind: "source" }))).toBeUndefined();
    });

    test("a version that is expected has to be there, 0 for none", async () => {
      const first = await opened.resources.put(doc(), 0);
      await expect(opened.resources.put(doc(), 0)).rejects.toMatchObject({ kind: "conflict" });
      const second = await opened.resources.put(doc({ spec: 2 }), first);
      expect(second).toBeGreaterThan(first);
      await expect(opened.resources.put(doc({ spec: 3 }), first)).rejects.toMatchObject({ kind: "conflict" });
      await opened.resources.put(doc({ spec: 4 }));
      expect((await opened.resources.get(doc()))?.spec).toBe(4);
    });

    test("of two that expect the same version, one succeeds", async () => {
      const version = await opened.resources.put(doc());
      const both = await Promise.allSettled([1, 2].map((spec) => opened.resources.put(doc({ spec }), version)));
      expect(both.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
    });

    test("documents are listed by kind, in one namespace or all", async () => {
      await opened.resources.put(doc());
      await opened.resources.put(doc({ name: "b.c", kind: "run" }));
      await opened.resources.put(doc({ name: "b", namespace: "another" }));
      const names = async (kind: "trigger" | "run", namespace?: string) =>
        (await opened.resources.list(kind, namespace)).map((one) => `${one.namespace}/${one.name}`).toSorted();
      expect(await names("trigger")).toEqual(["another/b", `${NS}/a`]);
      expect(await names("trigger", "another")).toEqual(["another/b"]);
      expect(await names("run")).toEqual([`${NS}/b.c`]);
      expect(await names("run", "none")).toEqual([]);
    });

    test("what is removed is gone, and can be made anew", async () => {
      await opened.resources.put(doc());
      expect(await opened.resources.remove(doc())).toBe(true);
      expect(await opened.resources.remove(doc())).toBe(false);
      expect(await opened.resources.get(doc())).toBeUndefined();
      await opened.resources.put(doc(), 0);
      expect(await opened.resources.list("trigger")).toHaveLength(1);
    });

    test("a document that is too large is refused", async () => {
      const spec = "x".repeat(256 * 1024);
      await expect(opened.resources.put(doc({ spec }))).rejects.toMatchObject({ kind: "tooLarge" });
    });

    test("who watches a kind is told of its changes, until that is ended", async () => {
      let told = 0;
      const end = opened.resources.watch("trigger", () => told++);
      await opened.resources.put(doc());
      await eventually("it is told", () => told > 0);
      const before = told;
      await opened.resources.remove(doc());
      await eventually("it is told again", () => told > before);
      end();
      const last = told;
      await opened.resources.put(doc());
      await opened.resources.get(doc());
      expect(told).toBe(last);
    });
  });
}
