import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { type EmbeddedEvents, openEmbeddedEvents } from "../../events/store/embedded/index.ts";
import type { EventConsumerOptions, EventQuery } from "../../events/store/event-store.ts";
import { createLogger } from "../../kit/log.ts";
import { attempt, done, newEvent, routeTo } from "../events/store-contract.ts";
import { eventually } from "../support/eventually.ts";

const NS = "openfaas-fn";
const OPTIONS: EventConsumerOptions = { concurrency: 16, perTrigger: () => 8 };

let folder: string;
let store: EmbeddedEvents;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "faaslane-events-"));
  store = await openEmbeddedEvents({ path: join(folder, "events.db"), log: createLogger("silent"), minFreeBytes: 0 });
});
afterEach(async () => {
  await store.close();
  await rm(folder, { recursive: true, force: true });
});

const idsOf = async (query: Partial<EventQuery>) => {
  const { events } = await store.events.list({ namespace: NS, ...query }, { order: "oldest", limit: 100 });
  return events.map(({ event }) => event.event.attributes.id);
};

const TEXTS = [
  "'; DROP TABLE events; --",
  '" OR 1=1 --',
  "%_*?",
  "__proto__",
  "constructor",
  "a\0b",
  "é\u202e\u{1f600}",
  `${"x".repeat(20_000)}`,
];

test.each(TEXTS)("text that could mean something to a database or to objects is text: %#", async (text) => {
  await store.events.append([newEvent({ id: text, source: text, type: text }), newEvent({ id: "other" })]);
  for (const query of [{ id: text }, { source: text }, { type: text }]) expect(await idsOf(query)).toEqual([text]);
  await store.events.consume(
    routeTo([{ trigger: text, orderKey: text }]),
    async () => ({ kind: "dead", reason: text }),
    OPTIONS,
  );
  await eventually("all are dead", async () => (await store.events.stats(NS))[0]?.dead === 2);
  expect(await idsOf({ trigger: text, states: ["dead"] })).toEqual([text, "other"]);
  const document = { kind: "trigger" as const, namespace: text, name: text, spec: { [text]: text } };
  await store.resources.put(document);
  expect((await store.resources.get(document))?.spec).toEqual({ [text]: text });
});

test("counts of triggers with the names of what objects have are told", async () => {
  await store.events.consume(routeTo(["__proto__", "constructor"]), async () => done, {
    concurrency: 1,
    perTrigger: () => 0,
  });
  await store.events.append([newEvent()]);
  const open = await eventually("both are open", async () => {
    const told = Object.entries((await store.events.stats(NS))[0]?.open ?? {});
    return told.length === 2 && told;
  });
  expect(open.toSorted()).toEqual(
    [
      ["__proto__", 1],
      ["constructor", 1],
    ].toSorted(),
  );
});

test.each(["0", "-1", "1e3", "9".repeat(400), "1; DROP TABLE events", "", "NaN", "１"])(
  "a reference that nobody was given names nothing: %j",
  async (ref) => {
    await store.events.append([newEvent()]);
    expect(await store.events.find(NS, ref)).toBeUndefined();
    await expect(store.events.deliverAgain(NS, ref, [{ trigger: "t" }])).rejects.toMatchObject({ kind: "notFound" });
    await expect(store.events.list({ namespace: NS }, { order: "oldest", limit: 1, after: ref })).rejects.toMatchObject(
      {
        kind: "invalid",
      },
    );
  },
);

test.each([0, -5, Number.NaN])("a page of %s events is empty, and ends", async (limit) => {
  await store.events.append([newEvent()]);
  expect(await store.events.list({ namespace: NS }, { order: "oldest", limit })).toEqual({ events: [] });
});

test("thousands of triggers that take nothing do not keep another one from its events", async () => {
  const names = Array.from({ length: 3000 }, (_, i) => `stopped-${i}`);
  let made = 0;
  await store.events.consume(
    routeTo([...names, "going"]),
    async () => {
      made++;
      return done;
    },
    { concurrency: 4, perTrigger: (trigger) => (trigger === "going" ? 4 : 0) },
  );
  await store.events.append(Array.from({ length: 5 }, () => newEvent()));
  await eventually("it has its events", () => made === 5, 60_000);
});

test("an event that always fails delays neither its trigger's others nor other keys", async () => {
  let made = 0;
  await store.events.consume(
    async (events) =>
      events.map(({ ref, event }) => {
        const orderKey = String(event.attributes.id).slice(0, 1);
        return { ref, verdicts: [], deliveries: [{ trigger: "t", orderKey }], keep: "full" };
      }),
    async ({ event }) => {
      if (event.event.attributes.id === "p-0") return { kind: "retry", afterMs: 1, attempt: attempt({ status: 500 }) };
      made++;
      return done;
    },
    { concurrency: 4, perTrigger: () => 2 },
  );
  await store.events.append([newEvent({ id: "p-0" }), newEvent({ id: "p-1" })]);
  await store.events.append(Array.from({ length: 100 }, (_, i) => newEvent({ id: `${"abcdefg"[i % 7]}-${i}` })));
  await eventually("all the others are made", () => made === 100, 60_000);
});

test("a deliverer that throws is asked again, and not at once", async () => {
  let tries = 0;
  await store.events.consume(
    routeTo(["t"]),
    async () => {
      if (++tries < 2) throw new Error("a fault");
      return done;
    },
    OPTIONS,
  );
  await store.events.append([newEvent()]);
  await eventually(
    "it is settled",
    async () => tries === 2 && Object.keys((await store.events.stats(NS))[0]?.open ?? {}).length === 0,
  );
});

test("a reply that is larger than an event may be ends its delivery, and says so", async () => {
  const large = newEvent({ event: { ...newEvent().event, data: Buffer.alloc(store.events.maxEventBytes + 1) } });
  await store.events.consume(
    routeTo(["t"]),
    async () => ({ kind: "done", attempt: attempt(), appended: [large] }),
    OPTIONS,
  );
  await store.events.append([newEvent({ id: "asks" })]);
  await eventually("it is dead", async () => (await store.events.stats(NS))[0]?.dead === 1);
  const { events } = await store.events.list({ namespace: NS, id: "asks" }, { order: "oldest", limit: 1 });
  expect(events[0]?.deliveries).toMatchObject([{ state: "dead", reason: expect.stringContaining("larger than") }]);
});

test("a reply that is no event ends its delivery, and nothing else", async () => {
  const odd = newEvent({ event: { attributes: { id: 1n as never, source: "/s", type: "t", specversion: "1.0" } } });
  await store.events.consume(
    routeTo(["t"]),
    async ({ event }) =>
      event.event.attributes.id === "odd" ? { kind: "done", attempt: attempt(), appended: [odd] } : done,
    OPTIONS,
  );
  await store.events.append([newEvent({ id: "odd" }), newEvent({ id: "even" })]);
  await eventually("both have ended", async () => {
    const [stats] = await store.events.stats(NS);
    return stats?.dead === 1 && stats.pending === 0 && Object.keys(stats.open).length === 0;
  });
});

test("more than may wait for the disk is refused at once", async () => {
  const data = Buffer.alloc(1_000_000);
  await store.events.append([newEvent()]);
  const all = await Promise.allSettled(
    Array.from({ length: 150 }, () => store.events.append([newEvent({ event: { ...newEvent().event, data } })])),
  );
  const refused = all.flatMap((one) => (one.status === "rejected" ? [one.reason as unknown] : []));
  expect(refused.length).toBeGreaterThan(50);
  for (const reason of refused) expect(reason).toMatchObject({ kind: "overloaded" });
  await store.events.append([newEvent()]);
});
