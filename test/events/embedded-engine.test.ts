import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { EventFile } from "../../events/store/embedded/db/event-file.ts";
import { EventStoreEngine } from "../../events/store/embedded/engine/engine.ts";
import { eventHash } from "../../events/store/embedded/event-hash.ts";
import type {
  EventAnswers,
  EventAsk,
  EventRequest,
  EventThreadAnswer,
  WireEvent,
  WireEventDelivery,
  WireEventSettlement,
} from "../../events/store/embedded/protocol.ts";
import type { NewDelivery } from "../../events/store/event-store.ts";

const GIB = 1024 ** 3;
const HOUR = 3600_000;
const BROKER = { namespace: "openfaas-fn", name: "default" };
const attempt = { at: 0, durationMs: 1 };
const nothing: EventThreadAnswer = {
  kind: "stored",
  appended: [],
  refused: [],
  answers: [],
  claims: [],
  ready: [],
  pending: [],
  abort: [],
};

let folder: string;
let file: EventFile;
let engine: EventStoreEngine;
/** What the system's clock says, and one that is never set. */
let now: number;
let steady: number;
/** What passes with each look at that. */
let tick: number;
let posted: EventThreadAnswer[];
let lastName: number;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "faaslane-engine-"));
  now = Date.parse("2026-06-01T12:00:00Z");
  steady = 1000;
  tick = 0;
  lastName = 0;
  open();
});
afterEach(async () => {
  file.close();
  await rm(folder, { recursive: true, force: true });
});

function open(): void {
  const path = join(folder, "events.db");
  file = new EventFile(path, GIB);
  posted = [];
  engine = new EventStoreEngine(
    file,
    { held: true, release: () => false },
    { path, minFreeBytes: 0, maxBytes: GIB, keepDataBytes: 65_536 },
    () => now,
    () => {
      steady += tick;
      return steady;
    },
    (message) => {
      if (message.kind === "stored") posted.push(message);
    },
    { take: () => undefined },
  );
}

function slowClock(ms: number): () => void {
  tick = ms;
  return () => {
    tick = 0;
  };
}

function restart(): void {
  file.close();
  open();
}

function pass(ms: number): void {
  now += ms;
  steady += ms;
}

function handle(...requests: EventRequest[]): EventThreadAnswer {
  posted = [];
  engine.handle([{ kind: "batch", requests, bodies: new ArrayBuffer(0) }]);
  // Lists are answered after the rest, by messages of their own.
  return posted.length < 2
    ? (posted[0] ?? nothing)
    : { ...(posted[0] as EventThreadAnswer), answers: posted.flatMap(({ answers }) => answers) };
}

function ask<K extends EventAsk["kind"]>(ask: Extract<EventAsk, { kind: K }>): EventAnswers[K] {
  const { answers, refused } = handle({ kind: "ask", name: ++lastName, ask });
  if (refused[0]) throw new Error(refused[0][1].message);
  return answers[0]?.[1] as EventAnswers[K];
}

function event(own: Partial<WireEvent> = {}): WireEvent {
  const head = JSON.stringify([{ specversion: "1.0", id: "i", source: "/s", type: "t" }, []]);
  return { broker: BROKER, head, hops: 1, arrivedAt: now, via: "http", hashes: [1, 2, 3], ...own };
}

function append(...events: WireEvent[]): number[] {
  const { appended } = handle({ kind: "append", name: ++lastName, events });
  return (appended[0]?.[1] ?? []).map(([seq]) => seq);
}

function route(seqs: readonly number[], deliveries: readonly NewDelivery[]): EventThreadAnswer {
  const routings = seqs.map((seq) => ({ seq, verdicts: [], deliveries, keep: "full" as const }));
  return handle({ kind: "route", broker: 1, routings });
}

function claim(trigger: string, count: number): readonly WireEventDelivery[] {
  return handle({ kind: "claim", consumer: 1, claims: [[trigger, count]] }).claims[0]?.deliveries ?? [];
}

function settle(delivery: number, settlement: WireEventSettlement): EventThreadAnswer {
  return handle({ kind: "settle", delivery, settlement });
}

const only = (deliveries: readonly WireEventDelivery[]): WireEventDelivery => {
  expect(deliveries).toHaveLength(1);
  return deliveries[0] as WireEventDelivery;
};

test.each([
  ["back by a day", -24 * HOUR],
  ["forward by a day", 24 * HOUR],
])("a retry keeps its wait when the clock is set %s", (_how, step) => {
  route(append(event()), [{ trigger: "t" }]);
  settle(only(claim("t", 1)).id, { kind: "retry", afterMs: 10_000, attempt });
  now += step;
  pass(9_000);
  handle();
  expect(claim("t", 1)).toEqual([]);
  pass(1_500);
  handle();
  expect(only(claim("t", 1)).failures).toBe(1);
});

test("a retry waits no longer than it was told when the clock was set back while nothing ran", () => {
  route(append(event()), [{ trigger: "t" }]);
  settle(only(claim("t", 1)).id, { kind: "retry", afterMs: 10_000, attempt });
  now -= 365 * 24 * HOUR;
  restart();
  handle();
  pass(10_001);
  expect(only(claim("t", 1)).failures).toBe(1);
});

test("what waits for its turn does not wait for the clock", () => {
  const seqs = append(event(), event());
  now -= 30 * 24 * HOUR;
  handle();
  route(seqs, [{ trigger: "t" }]);
  expect(claim("t", 5)).toHaveLength(2);
});

test.each([
  ["forward by a month", 30 * 24 * HOUR],
  ["back by a month", -30 * 24 * HOUR],
])("neither events nor keys of `once` are lost when the clock is set %s", (_how, step) => {
  const [seq] = append(event({ once: "k" }));
  now += step;
  for (let i = 0; i < 3; i++) {
    pass(5_000);
    handle();
  }
  expect(append(event({ once: "k" }))).toEqual([seq]);
  expect(ask({ kind: "find", namespace: BROKER.namespace, seq: seq as number })).toBeDefined();
});

test("events and keys go after their time, however the clock was set before", () => {
  now += 365 * 24 * HOUR;
  const [ahead] = append(event({ once: "ahead" }));
  now -= 365 * 24 * HOUR;
  const [seq] = append(event({ once: "k" }));
  pass(25 * HOUR);
  handle();
  pass(1 * HOUR);
  handle();
  // The one that seems to come from the future waits for its time; those after it do not wait for it.
  expect(ask({ kind: "find", namespace: BROKER.namespace, seq: seq as number })?.pending ?? false).toBe(false);
  const [again] = append(event({ once: "k" }));
  expect(again).not.toBe(seq);
  expect(append(event({ once: "ahead" }))).toEqual([ahead]);
});

test("an event whose time is over tells for a while that it was dropped, without its data", () => {
  const [seq = 0] = append(event());
  route([seq], [{ trigger: "t" }, { trigger: "u" }]);
  settle(only(claim("t", 1)).id, { kind: "done", attempt });
  const held = only(claim("u", 1));
  pass(24 * HOUR + 2000);
  expect(handle().abort).toEqual([held.id]);
  const record = ask({ kind: "find", namespace: BROKER.namespace, seq });
  expect(record?.deliveries).toMatchObject([
    { trigger: "t", state: "delivered" },
    { trigger: "u", state: "dropped", reason: expect.stringContaining("not delivered within 24h") },
  ]);
  settle(held.id, { kind: "done", attempt });
  expect(ask({ kind: "find", namespace: BROKER.namespace, seq })?.deliveries[1]?.state).toBe("dropped");
  pass(HOUR + 2000);
  handle();
  expect(ask({ kind: "find", namespace: BROKER.namespace, seq })).toBeUndefined();
  expect(ask({ kind: "stats", namespace: BROKER.namespace })).toMatchObject([
    { events: 0, bytes: 0, pending: 0, dead: 0 },
  ]);
});

test("counts stay right through all that may become of an event", () => {
  const seqs = append(...Array.from({ length: 8 }, () => event()));
  const [a = 0, b = 0, c = 0] = seqs;
  route([a, b, c], [{ trigger: "t", orderKey: "k" }, { trigger: "u" }]);
  const [first, second] = [only(claim("t", 1)), claim("u", 3)];
  settle(first.id, { kind: "dead", reason: "x", next: { trigger: "t", deadLetter: true } });
  settle(second[0]?.id ?? 0, { kind: "done", attempt, appended: [event()] });
  settle(second[1]?.id ?? 0, { kind: "retry", afterMs: 5, attempt });
  ask({ kind: "drop", trigger: "t", reason: "gone", upTo: undefined });
  ask({ kind: "limit", broker: BROKER, limits: { maxAgeMs: 24 * HOUR, maxBytes: GIB, maxEvents: 9 } });
  append(event());
  const stats = ask({ kind: "stats", namespace: BROKER.namespace })[0];
  const count = (sql: string) => file.db.number(sql);
  expect(stats).toMatchObject({
    events: count("SELECT count(*) FROM events"),
    bytes: count("SELECT sum(bytes) FROM events"),
    pending: count("SELECT count(*) FROM events WHERE phase = 0"),
    dead: count("SELECT count(*) FROM deliveries WHERE state = 3"),
  });
  expect(Object.values(stats?.open ?? {}).reduce((sum, one) => sum + one, 0)).toBe(
    count("SELECT count(*) FROM deliveries WHERE state < 2"),
  );
  restart();
  expect(ask({ kind: "stats", namespace: BROKER.namespace })[0]).toEqual(stats);
});

/** From now on no transaction is stored. @returns ends that */
function fillDisk(): () => void {
  const { transaction } = file;
  file.transaction = (change) =>
    transaction.call(
      file,
      () => {
        change();
        throw Object.assign(new Error("database or disk is full"), { errcode: 13 });
      },
      true,
    ) as never;
  return () => {
    file.transaction = transaction;
  };
}

test("what can never be stored keeps nothing else from it", () => {
  const seqs = append(event(), event(), event());
  route(seqs, [{ trigger: "t" }]);
  const [one, two, three] = claim("t", 3);
  const odd = {
    ...attempt,
    toJSON: () => {
      throw new TypeError("odd");
    },
  };
  const { refused, appended } = handle(
    { kind: "settle", delivery: one?.id ?? 0, settlement: { kind: "done", attempt } },
    { kind: "settle", delivery: two?.id ?? 0, settlement: { kind: "done", attempt: odd } },
    { kind: "settle", delivery: three?.id ?? 0, settlement: { kind: "done", attempt } },
    { kind: "append", name: 1, events: [event({ hops: 0.5 })] },
    { kind: "append", name: 2, events: [event()] },
  );
  expect(refused).toMatchObject([[1, { kind: "internal" }]]);
  expect(appended.map(([name]) => name)).toEqual([2]);
  expect(ask({ kind: "stats", namespace: BROKER.namespace })[0]).toMatchObject({ events: 4, open: { t: 1 } });
});

test.each([Number.NaN, Number.POSITIVE_INFINITY, -1, 0.5, 1e300])("a wait of %s milliseconds is one", (afterMs) => {
  route(append(event()), [{ trigger: "t", notBefore: afterMs }]);
  pass(10);
  const [delivery] = claim("t", 1);
  if (delivery) settle(delivery.id, { kind: "retry", afterMs, attempt });
  expect(ask({ kind: "stats", namespace: BROKER.namespace })[0]?.open).toEqual({ t: 1 });
  expect(() =>
    ask({ kind: "limit", broker: BROKER, limits: { maxAgeMs: afterMs, maxBytes: afterMs, maxEvents: afterMs } }),
  ).not.toThrow();
});

test("a transaction that comes to nothing leaves memory as it was, and is done again", () => {
  const seqs = append(event(), event());
  route(seqs, [{ trigger: "t" }]);
  const [one, two] = claim("t", 2);
  const makeRoom = fillDisk();
  expect(() => ask({ kind: "drop", trigger: "t", reason: "x", upTo: undefined })).toThrow("cannot be stored now");
  handle();
  // Nothing is left to be stored, so nothing is tried again.
  expect(engine.sleepMs ?? 60_000).toBeGreaterThan(1000);
  settle(one?.id ?? 0, { kind: "done", attempt });
  expect(engine.sleepMs).toBe(1000);
  expect(ask({ kind: "stats", namespace: BROKER.namespace })[0]?.open).toEqual({ t: 2 });
  expect(claim("t", 2)).toEqual([]);
  makeRoom();
  settle(two?.id ?? 0, { kind: "done", attempt });
  expect(ask({ kind: "stats", namespace: BROKER.namespace })[0]?.open).toEqual({});
});

test("an append that fails leaves what is settled with it settled", () => {
  route(append(event()), [{ trigger: "t" }]);
  const { id } = only(claim("t", 1));
  const { insert } = file.events;
  file.events.insert = () => {
    throw Object.assign(new Error("database or disk is full"), { errcode: 13 });
  };
  const { refused } = handle(
    { kind: "append", name: 77, events: [event()] },
    { kind: "settle", delivery: id, settlement: { kind: "done", attempt } },
  );
  expect(refused).toMatchObject([[77, { kind: "unavailable", message: expect.stringContaining("full") }]]);
  expect(ask({ kind: "stats", namespace: BROKER.namespace })).toMatchObject([{ events: 1, open: {} }]);
  file.events.insert = insert;
  expect(append(event())).toHaveLength(1);
});

test("neither what is new nor what is tried again waits for all of the other", () => {
  const seqs = append(...Array.from({ length: 40 }, () => event()));
  route(seqs.slice(0, 20), [{ trigger: "t" }]);
  for (const { id } of claim("t", 20)) settle(id, { kind: "retry", afterMs: 10, attempt });
  route(seqs.slice(20), [{ trigger: "t" }]);
  pass(50);
  handle();
  const failures = claim("t", 10).map((delivery) => delivery.failures);
  expect(failures.filter((count) => count === 0)).toHaveLength(5);
  expect(failures.filter((count) => count === 1)).toHaveLength(5);
});

test("data that is large is kept until it is delivered, and its hash after that", () => {
  const bodies = new ArrayBuffer(70_000);
  const data = { at: 0, bytes: 70_000 };
  engine.handle([
    { kind: "batch", requests: [{ kind: "append", name: 1, events: [event({ data }), event({ data })] }], bodies },
  ]);
  const seqs = [1, 2];
  route(seqs, [{ trigger: "t" }]);
  const [one, two] = claim("t", 2);
  settle(one?.id ?? 0, { kind: "done", attempt });
  settle(two?.id ?? 0, { kind: "dead", reason: "no" });
  const find = (seq: number) => ask({ kind: "find", namespace: BROKER.namespace, seq });
  expect(find(1)?.event.data).toBeUndefined();
  expect(find(1)).toMatchObject({ dataBytes: 70_000, sha256: find(2)?.sha256 });
  // What could not be delivered may be wanted again.
  expect(find(2)?.event.data?.byteLength).toBe(70_000);
  expect(() => ask({ kind: "again", namespace: BROKER.namespace, seq: 1, deliveries: [{ trigger: "t" }] })).toThrow(
    "not kept",
  );
});

test("what is delivered again before it is routed keeps its data for that", () => {
  const bodies = new ArrayBuffer(70_000);
  const events = [event({ data: { at: 0, bytes: 70_000 } })];
  engine.handle([{ kind: "batch", requests: [{ kind: "append", name: 1, events }], bodies }]);
  ask({ kind: "again", namespace: BROKER.namespace, seq: 1, deliveries: [{ trigger: "replay" }] });
  settle(only(claim("replay", 1)).id, { kind: "done", attempt });
  expect(ask({ kind: "events", seqs: [1] })[0]?.data?.byteLength).toBe(70_000);
});

test("who brings events does not wait for all that others look for", () => {
  append(event());
  const list: EventAsk = {
    kind: "list",
    query: { namespace: BROKER.namespace },
    newest: true,
    after: undefined,
    limit: 1,
    withData: false,
  };
  const lists = Array.from({ length: 6 }, (_, i): EventRequest => ({ kind: "ask", name: 100 + i, ask: list }));
  // Each look at the clock is 10 ms after the one before.
  const end = slowClock(10);
  handle(...lists, { kind: "append", name: 1, events: [event()] });
  expect(posted[0]?.appended).toHaveLength(1);
  expect(posted.flatMap(({ answers }) => answers)).toHaveLength(2);
  expect(engine.sleepMs).toBe(0);
  handle({ kind: "append", name: 2, events: [event()] });
  expect(posted[0]?.appended).toHaveLength(1);
  expect(posted.flatMap(({ answers }) => answers).map(([name]) => name)).toEqual([102, 103]);
  end();
  handle();
  expect(posted.flatMap(({ answers }) => answers)).toHaveLength(2);
  expect(engine.sleepMs).not.toBe(0);
});

test("an event is found by its id among many, also when others have the same hash", () => {
  const ids = Array.from({ length: 9000 }, (_, i) => (i % 4000 === 17 ? "wanted" : `id-${i}`));
  const head = (id: string) => JSON.stringify([{ specversion: "1.0", id, source: "/s", type: "t" }, []]);
  append(
    ...ids.map((id, i) => event({ head: head(id), hashes: [i % 100 === 17 ? eventHash(BROKER, "wanted") : i, 2, 3] })),
  );
  const found = ({ newest, after }: { newest: boolean; after?: number }) => {
    const seqs: number[] = [];
    for (let at = after; ; ) {
      const query = { namespace: BROKER.namespace, id: "wanted" };
      const page = ask({ kind: "list", query, newest, after: at, limit: 10, withData: false });
      seqs.push(...page.records.map((record) => record.event.seq));
      if (page.next === undefined) return seqs;
      at = page.next;
    }
  };
  expect(found({ newest: false })).toEqual([18, 4018, 8018]);
  expect(found({ newest: true, after: 8018 })).toEqual([4018, 18]);
});

/** What the database says that it does for a statement. */
function planOf(sql: string): string {
  return file.db
    .all(`EXPLAIN QUERY PLAN ${sql}`)
    .map(({ detail }) => String(detail))
    .join("; ");
}

test("no statement that is run for each event or delivery looks at all of them", () => {
  const statements: string[] = [];
  const { db } = file;
  for (const method of ["all", "get", "run", "number", "numbers", "object"] as const) {
    const own = db[method].bind(db) as (...given: unknown[]) => unknown;
    Object.defineProperty(db, method, {
      value: (...given: unknown[]) => {
        statements.push((method === "object" ? given[1] : given[0]) as string);
        return own(...given);
      },
    });
  }
  route(append(event({ once: "k" }), event()), [
    { trigger: "t", orderKey: "k" },
    { trigger: "u", notBefore: now + 5 },
  ]);
  for (const { id } of claim("t", 4)) settle(id, { kind: "retry", afterMs: 5, attempt });
  pass(10_000);
  for (const { id } of claim("u", 4)) settle(id, { kind: "done", attempt, appended: [event()] });
  for (const { id } of claim("t", 4))
    settle(id, { kind: "dead", reason: "x", next: { trigger: "v", deadLetter: true } });
  ask({ kind: "drop", trigger: "v", reason: "x", upTo: undefined });
  const query = { namespace: BROKER.namespace };
  for (const own of [
    {},
    { id: "i" },
    { source: "/s" },
    { type: "t" },
    { trigger: "t" },
    { states: ["dead"] as const },
    { since: 1 },
  ]) {
    ask({ kind: "list", query: { ...query, ...own }, newest: true, after: undefined, limit: 5, withData: true });
  }
  ask({ kind: "stats", namespace: BROKER.namespace });
  pass(48 * HOUR);
  for (let i = 0; i < 4; i++) {
    handle();
    pass(2 * HOUR);
  }
  const plans = [...new Set(statements)]
    .filter((sql) => !/ (marks|brokers|triggers|loads|resources)\b/.test(sql) && !sql.startsWith("INSERT"))
    .map((sql) => `${sql}: ${planOf(sql)}`);
  expect(plans.length).toBeGreaterThan(20);
  expect(plans.filter((plan) => /SCAN (?!\(subquery)|TEMP B-TREE/.test(plan.slice(plan.lastIndexOf(": "))))).toEqual(
    [],
  );
});
