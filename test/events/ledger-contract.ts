import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import type { EventReport, EventSummary } from "../../contract/events/event-report.ts";
import type { ReplayReport } from "../../contract/events/replay-spec.ts";
import { buildEventRedaction } from "../../events/ledger/redact-event.ts";
import { Replays } from "../../events/ledger/replays.ts";
import { addLedgerRoutes } from "../../events/routes/ledger.ts";
import type { DeliverEvent, EventConsumer, EventDelivery, RouteEvents } from "../../events/store/event-store.ts";
import { createLogger } from "../../kit/log.ts";
import { createApp, errorResponder, notFoundResponder } from "../../kit/respond.ts";
import { eventually } from "../support/eventually.ts";
import { attempt, newEvent, type OpenedStore, type StorePlace } from "./store-contract.ts";

const NS = "openfaas-fn";
const MAIL = `trigger/${NS}/mail`;
const AUDIT = `trigger/${NS}/audit`;
const log = createLogger("error");

/** What the ledger answers and replays, over a store. */
export function describeLedger(name: string, makePlace: () => Promise<StorePlace>): void {
  describe(name, () => {
    let place: StorePlace;
    let store: OpenedStore;
    let consumer: EventConsumer;
    let replays: Replays;
    let server: Server;
    let url: string;
    const delivered: EventDelivery[] = [];
    /** What becomes of a delivery. */
    let deliver: DeliverEvent = async () => ({ kind: "done", attempt: attempt({ version: "v2" }) });

    /** `order.*` goes to mail; nothing to audit. */
    const route: RouteEvents = async (events) =>
      events.map(({ ref, event }) => {
        const matched = String(event.attributes.type).startsWith("order.");
        const reason = `filters[0].prefix: type is "${String(event.attributes.type)}", not prefix "order."`;
        return {
          ref,
          verdicts: [
            { trigger: MAIL, matched, ...(!matched && { reason }) },
            { trigger: AUDIT, matched: false, reason: "filters[0].exact: the event has no audit" },
          ],
          deliveries: matched ? [{ trigger: MAIL }] : [],
          keep: "full" as const,
        };
      });

    beforeAll(async () => {
      place = await makePlace();
      store = await place.open();
      consumer = await store.events.consume(
        route,
        async (delivery, signal) => {
          delivered.push(delivery);
          return await deliver(delivery, signal);
        },
        { concurrency: 8, perTrigger: () => 8 },
      );
      replays = new Replays({ store: store.events, resources: store.resources, leads: () => true, now: Date.now, log });
      await replays.start();
      const app = createApp();
      addLedgerRoutes(app, {
        store: store.events,
        replays,
        redaction: buildEventRedaction(["x-customer"]),
        authorized: (_req, _res, next) => next(),
        defaultNamespace: NS,
      });
      app.use(notFoundResponder());
      app.use(errorResponder(log));
      server = app.listen(0, "127.0.0.1");
      await new Promise((resolve) => server.once("listening", resolve));
      url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    });

    afterAll(async () => {
      server?.closeAllConnections();
      server?.close();
      await replays?.close();
      await consumer?.close();
      await store?.close();
      await place?.remove();
    });

    async function ask(path: string, method = "GET", body?: object) {
      const answer = await fetch(url + path, {
        method,
        ...(body && { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
      });
      const text = await answer.text();
      const isJson = answer.headers.get("content-type") === "application/json";
      return { status: answer.status, body: isJson ? JSON.parse(text) : text };
    }

    async function append(...given: Parameters<typeof newEvent>[0][]): Promise<string[]> {
      return (await store.events.append(given.map((each) => newEvent(each)))).map(({ ref }) => ref);
    }

    const settled = (refs: readonly string[]) =>
      eventually("all are settled", async () => {
        const { body } = await ask("/system/events?limit=1000");
        const states = new Map((body.items as EventSummary[]).map(({ ref, state }) => [ref, state]));
        return refs.every((ref) => ["delivered", "dead", "unmatched"].includes(states.get(ref) ?? ""));
      });

    const ended = (name: string) =>
      eventually(`the replay ${name} ends`, async () => {
        const { body } = await ask(`/system/replays/${name}`);
        return ["COMPLETED", "CANCELLED"].includes((body as ReplayReport).state) && (body as ReplayReport);
      });

    describe("events are listed", () => {
      test("newest first, by what was asked for, page by page", async () => {
        const refs = await append(...["a", "b", "c"].map((id) => ({ id, type: "order.listed", source: "/list" })), {
          id: "d",
          type: "other",
          source: "/list",
        });
        await settled(refs);
        const ids = async (query: string) =>
          ((await ask(`/system/events?${query}`)).body.items as EventSummary[]).map(({ id }) => id);
        expect(await ids("source=/list")).toEqual(["d", "c", "b", "a"]);
        expect(await ids("type=order.listed")).toEqual(["c", "b", "a"]);
        expect(await ids("source=/list&state=unmatched")).toEqual(["d"]);
        expect(await ids("source=/list&state=delivered&trigger=mail")).toEqual(["c", "b", "a"]);
        expect(await ids(`source=/list&trigger=${AUDIT}&id=b`)).toEqual(["b"]);
        expect(await ids("source=/list&broker=other")).toEqual([]);
        expect(await ids("source=/list&namespace=dev")).toEqual([]);
        expect(await ids("source=/list&until=1h")).toEqual([]);
        const first = (await ask("/system/events?source=/list&limit=3")).body;
        const second = (await ask(`/system/events?source=/list&limit=3&after=${encodeURIComponent(first.next)}`)).body;
        expect([first.items.length, second.items.map(({ id }: EventSummary) => id)]).toEqual([3, ["a"]]);
      });

      test.each(["limit=0", "typ=x", "state=gone", "follow=true&until=1h", "after=x"])(
        "%s is refused or finds nothing",
        async (query) => {
          const { status, body } = await ask(`/system/events?${query}`);
          if (query === "after=x") expect([200, 400]).toContain(status);
          else expect([status, body]).toEqual([400, expect.stringMatching(/^(limit|typ|state|until): /)]);
        },
      );

      test("as they arrive, and again once they are delivered", async () => {
        const leave = new AbortController();
        const answer = await fetch(`${url}/system/events?follow=true&source=/tail`, { signal: leave.signal });
        expect(answer.headers.get("content-type")).toBe("application/x-ndjson");
        const { promise: gate, resolve: open } = Promise.withResolvers<void>();
        deliver = async () => {
          await gate;
          return { kind: "done", attempt: attempt() };
        };
        const seen: EventSummary[] = [];
        let begun = false;
        const read = (async () => {
          let text = "";
          for await (const chunk of answer.body as unknown as AsyncIterable<Uint8Array>) {
            text += Buffer.from(chunk).toString();
            const lines = text.split("\n");
            text = lines.pop() as string;
            begun ||= lines.includes("{}");
            seen.push(...lines.filter((line) => line !== "{}").map((line) => JSON.parse(line) as EventSummary));
          }
        })().catch(() => undefined);
        const told = (state: RegExp) => seen.some((event) => event.source === "/tail" && state.test(event.state));
        await eventually("it has begun", () => begun);
        await append({ source: "/tail", type: "order.tailed" });
        await eventually("an arrival is told", () => told(/delivering|waiting|pending/), 20_000);
        open();
        await eventually("its delivery is told", () => told(/delivered/), 20_000);
        leave.abort();
        await read;
        deliver = async () => ({ kind: "done", attempt: attempt({ version: "v2" }) });
      });
    });

    describe("one event", () => {
      test("is found by its ref and by its id, without its secrets", async () => {
        const [ref = ""] = await append({
          id: "x/1",
          source: "/one",
          headers: [
            ["X-Customer", "7"],
            ["X-Topic", "t"],
          ],
          event: {
            attributes: { specversion: "1.0", id: "x/1", source: "/one", type: "order.one", token: "t0p" },
            data: Buffer.from('{"password":"x","n":1}'),
          },
        });
        await settled([ref]);
        for (const name of [ref, "x/1"]) {
          const { body } = await ask(`/system/events/${encodeURIComponent(name)}`);
          const report = body as EventReport;
          expect(report).toMatchObject({ ref, id: "x/1", state: "delivered", counts: { delivered: 1 }, dataBytes: 22 });
          expect(report.data).toEqual({ text: '{"password":"[redacted]","n":1}', truncated: false });
          expect(report.attributes.token).toBe("[redacted]");
          expect(report.headers).toEqual([
            ["X-Customer", "[redacted]"],
            ["X-Topic", "t"],
          ]);
          expect(report.verdicts).toHaveLength(2);
          expect(report.deliveries[0]).toMatchObject({
            trigger: MAIL,
            state: "delivered",
            tries: 1,
            attempts: [{ status: 200, version: "v2" }],
          });
        }
      });

      test("is explained, as text and as JSON", async () => {
        const [ref = ""] = await append({ id: "why", source: "/why", type: "invoice.made" });
        await settled([ref]);
        const text = await ask("/system/events/why/why");
        expect(text.status).toBe(200);
        expect(text.body).toContain(
          `${MAIL}: filtered: filters[0].prefix: type is "invoice.made", not prefix "order.".\n`,
        );
        expect((await ask("/system/events/why/why?format=json")).body.items).toEqual([
          { ref, lines: (text.body as string).trimEnd().split("\n") },
        ]);
      });

      test("is one of several with its id, unless its source says which", async () => {
        const refs = await append({ id: "same", source: "/s1" }, { id: "same", source: "/s2" });
        await settled(refs);
        expect((await ask("/system/events/same")).body.items).toHaveLength(2);
        expect((await ask("/system/events/same?source=/s1")).body).toMatchObject({ ref: refs[0] });
        expect((await ask("/system/events/same/why")).body).toMatch(/from \/s2[\s\S]*\n\nEvent same .* from \/s1/);
      });

      test("is not taken for another whose id is its ref", async () => {
        const [first = ""] = await append({ source: "/first" });
        const refs = await append({ id: first, source: "/second" });
        await settled([first, ...refs]);
        expect((await ask(`/system/events/${first}`)).body.items).toHaveLength(2);
        expect((await ask(`/system/events/ref:${first}`)).body).toMatchObject({ ref: first, source: "/first" });
        expect((await ask(`/system/events/${first}?source=/second`)).body).toMatchObject({ ref: refs[0] });
        const { status, body } = await ask("/system/replays", "POST", { events: [first] });
        expect([status, body]).toEqual([400, expect.stringMatching(/is the ref of one event and the id of another/)]);
      });

      test.each(["/system/events/nowhere", "/system/events/nowhere/why", "/system/replays/nowhere"])(
        "%s is not found",
        async (path) => {
          expect((await ask(path)).status).toBe(404);
        },
      );
    });

    describe("a replay", () => {
      test("sends what is dead to its trigger again, once, and tells how far it is", async () => {
        deliver = async () => ({ kind: "dead", reason: "answered 400", attempt: attempt({ status: 400 }) });
        const refs = await append(
          ...Array.from({ length: 5 }, (_, n) => ({ id: `dead-${n}`, source: "/dead", type: "order.dead" })),
        );
        await settled(refs);
        deliver = async () => ({ kind: "done", attempt: attempt() });
        const select = { source: "/dead", states: ["dead"], since: "1h" };
        const dry = await ask("/system/replays", "POST", { ...select, dryRun: true });
        expect(dry).toEqual({
          status: 200,
          body: { count: 5, more: false, deliveries: { [MAIL]: 5 }, sample: expect.any(Array) },
        });
        delivered.length = 0;
        const { status, body } = await ask("/system/replays", "POST", { ...select, name: "mend", rate: 1000 });
        expect([status, body.state]).toEqual([202, "STARTING"]);
        expect(await ended("mend")).toMatchObject({
          state: "COMPLETED",
          total: 5,
          done: 5,
          skipped: 0,
          lastRef: refs.at(-1),
        });
        await settled(refs);
        const mine = delivered.filter(({ replay }) => replay === "mend");
        expect(mine.map(({ trigger, event }) => [trigger, event.event.attributes.id])).toEqual(
          expect.arrayContaining([0, 1, 2, 3, 4].map((n) => [MAIL, `dead-${n}`])),
        );
        expect(mine).toHaveLength(5);
        expect((await ask("/system/events/dead-1/why")).body).toMatch(
          /The delivery was given up after one try: answered 400\.\n[^\n]*Try 1[^\n]*\n {2}The replay mend was delivered/,
        );
        // There is nothing left that is dead.
        expect((await ask("/system/replays", "POST", { ...select, dryRun: true })).body.count).toBe(0);
        expect((await ask("/system/replays", "POST", { ...select, name: "mend" })).status).toBe(409);
        expect((await ask("/system/replays/mend", "DELETE")).status).toBe(204);
        expect((await ask("/system/replays/mend")).status).toBe(404);
      });

      test("goes to a version of a function by a trigger of its own", async () => {
        const refs = await append({ id: "fn", source: "/fn", type: "order.fn" });
        await settled(refs);
        await ask("/system/replays", "POST", { name: "to-fn", events: ["fn"], to: "hello@v3" });
        expect(await ended("to-fn")).toMatchObject({ done: 1, to: `function/${NS}/hello@v3` });
        const own = replays.all.find(({ id }) => id === `replay/${NS}/to-fn`);
        expect(own).toMatchObject({
          subscriber: { kind: "function", function: { name: "hello", namespace: NS }, version: "v3" },
        });
        await eventually("it is delivered by that trigger", () => delivered.some(({ trigger }) => trigger === own?.id));
      });

      test("keeps its rate, and ends when it is cancelled", async () => {
        const refs = await append(...Array.from({ length: 50 }, () => ({ source: "/slow", type: "order.slow" })));
        await settled(refs);
        await ask("/system/replays", "POST", { name: "slow", source: "/slow", rate: 1 });
        await eventually("it runs", async () => (await ask("/system/replays/slow")).body.done >= 1);
        expect((await ask("/system/replays/slow", "DELETE")).body).toMatchObject({ state: "CANCELLED" });
        const { done } = (await ask("/system/replays/slow")).body as ReplayReport;
        expect(done).toBeLessThan(50);
        expect((await ask("/system/replays")).body[0]).toMatchObject({ name: "slow", state: "CANCELLED" });
      });

      test("goes on where it was when another process takes it over, and sends nothing twice", async () => {
        const refs = await append(...Array.from({ length: 40 }, () => ({ source: "/moved", type: "order.moved" })));
        await settled(refs);
        delivered.length = 0;
        let leads = true;
        const first = new Replays({
          store: store.events,
          resources: store.resources,
          leads: () => leads,
          now: Date.now,
          log,
        });
        await replays.close();
        await first.start();
        await first.create({ name: "moved", source: "/moved", rate: 60 }, NS);
        const mine = () => delivered.filter(({ replay }) => replay === "moved");
        await eventually("some have gone out", () => mine().length >= 5);
        leads = false;
        await first.close();
        replays = new Replays({
          store: store.events,
          resources: store.resources,
          leads: () => true,
          now: Date.now,
          log,
        });
        await replays.start();
        expect(
          await eventually(
            "the other ends it",
            async () => {
              const report = await replays.get(NS, "moved");
              return report.state === "COMPLETED" && report;
            },
            20_000,
          ),
        ).toMatchObject({ total: 40, done: 40, skipped: 0 });
        await eventually("all are delivered", () => mine().length >= 40);
        expect(new Set(mine().map(({ event }) => event.ref)).size).toBe(40);
        expect(mine()).toHaveLength(40);
      });

      test.each<[given: object, status: number, message: RegExp]>([
        [{}, 400, /all: must be true/],
        [{ events: ["nowhere"] }, 404, /no event "nowhere" is known/],
        [{ all: true, since: "x" }, 400, /since: must be a time/],
        [{ all: 1 }, 400, /all: /],
      ])("of %j is refused", async (given, status, message) => {
        expect(await ask("/system/replays", "POST", given)).toEqual({ status, body: expect.stringMatching(message) });
      });
    });
  });
}
