import { afterEach, describe, expect, test } from "@jest/globals";
import type { CronSettings } from "../../events/cron/cron-settings.ts";
import { ClockFollower } from "../../events/sources/cron/clock-follower.ts";
import { cronSource } from "../../events/sources/cron/cron-source.ts";
import { functionCron } from "../../events/sources/cron/function-cron.ts";
import { tickEvent } from "../../events/sources/cron/tick-event.ts";
import { type AnnotatedFunction, FunctionSources } from "../../events/sources/function-sources.ts";
import { ALWAYS_ACTS, SourceRunner } from "../../events/sources/source-runner.ts";
import { sourceTypes } from "../../events/sources/source-types.ts";
import { createLogger } from "../../kit/log.ts";
import { ANY_TARGET, CallbackTargets } from "../../kit/outbound/targets.ts";
import { FakeLog, FakeResources } from "../support/events/fake-stores.ts";
import { FakeSourceContext, runSource } from "../support/events/source-context.ts";
import { eventually } from "../support/eventually.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const at = (text: string) => Date.parse(text);

/** A clock that says what it is told. */
class Clock {
  ms: number;
  constructor(text: string) {
    this.ms = at(text);
  }
}

function follow(clock: Clock, given: object, context = new FakeSourceContext({ now: () => clock.ms })) {
  const { cron } = cronSource.settings.parse(given) as unknown as { readonly cron: CronSettings };
  const follower = new ClockFollower(cron, context, (tick) => ({
    event: tickEvent("/sources/ns/s", tick, cron),
    once: tick.id,
  }));
  const planned = () => context.emitted.map(({ event }) => String(event.attributes.time).replace(".000", ""));
  /** Looks whenever there is something to be seen, until the clock says `until`. */
  const runUntil = async (until: number) => {
    for (;;) {
      const next = await follower.step();
      if (next === undefined || next > until) break;
      clock.ms = next;
    }
    clock.ms = until;
    await follower.step();
  };
  return { context, follower, planned, runUntil };
}

describe("years of a clock", () => {
  test.each([
    ["Europe/Berlin", 2026],
    ["America/New_York", 2026],
  ])("a daily tick in %s comes on each of 1,096 days, once, whatever the clocks do", async (timezone, year) => {
    const clock = new Clock(`${year}-01-01T12:00:00Z`);
    const { context, planned, runUntil } = follow(clock, { schedule: "30 2 * * *", timezone });
    await runUntil(clock.ms + 1_096 * DAY_MS);
    const days = planned().map((time) => new Date(time).toLocaleDateString("sv", { timeZone: timezone }));
    expect(days).toHaveLength(1_096);
    expect(new Set(days).size).toBe(1_096);
    expect(new Set(context.emitted.map(({ event }) => event.attributes.id)).size).toBe(1_096);
  });

  test.each([
    ["Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z"],
    ["Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z"],
    ["America/New_York", "2026-03-08T00:00:00Z", "2026-03-08T07:00:00Z"],
    ["America/New_York", "2026-11-01T00:00:00Z", "2026-11-01T06:30:00Z"],
  ])("02:30 in %s after %s is %s", async (timezone, from, expected) => {
    const clock = new Clock(from);
    const { planned, runUntil } = follow(clock, { schedule: "30 2 * * *", timezone });
    await runUntil(clock.ms + 20 * HOUR_MS);
    const wanted = timezone === "America/New_York" && from.startsWith("2026-11") ? "2026-11-01T07:30:00Z" : expected;
    expect(planned()).toEqual([wanted]);
  });
});

describe("ticks", () => {
  test("of one time are stored together, and the cursor says so", async () => {
    const clock = new Clock("2026-01-01T00:00:30Z");
    const { context, follower, runUntil } = follow(clock, { schedule: ["* * * * *", "@every 1m", "0 1 * * *"] });
    const batches: number[] = [];
    context.beforeStore = async (events) => void batches.push(events.length);
    await runUntil(at("2026-01-01T01:00:00Z"));
    expect(batches).toEqual([...Array(59).fill(2), 3]);
    expect(JSON.parse(context.savedCursor as string).until).toBe(at("2026-01-01T01:00:00Z"));
    expect(await follower.step()).toBe(at("2026-01-01T01:01:00Z"));
  });

  test("that were stored but not noted before a crash are the same ones again", async () => {
    const clock = new Clock("2026-01-01T00:00:30Z");
    const { context, runUntil, planned } = follow(clock, { schedule: "* * * * *" });
    await runUntil(at("2026-01-01T00:01:00Z"));
    const noted = context.savedCursor as string;
    await runUntil(at("2026-01-01T00:02:00Z"));
    context.savedCursor = noted;
    await follow(clock, { schedule: "* * * * *" }, context).runUntil(at("2026-01-01T00:03:00Z"));
    expect(planned()).toEqual(["2026-01-01T00:01:00Z", "2026-01-01T00:02:00Z", "2026-01-01T00:03:00Z"]);
  });

  test.each([
    ["none", []],
    ["last", ["2026-01-01T12:00:00Z"]],
    ["all:3", ["2026-01-01T10:00:00Z", "2026-01-01T11:00:00Z", "2026-01-01T12:00:00Z"]],
    [
      "all:100",
      [...Array(11).keys()].map((hour) => new Date(at("2026-01-01T02:00:00Z") + hour * HOUR_MS).toISOString()),
    ],
  ])("that nobody saw are caught up after a restart: %s", async (catchUp, expected) => {
    const clock = new Clock("2026-01-01T00:30:00Z");
    const first = follow(clock, { schedule: "0 * * * *", catchUp });
    await first.runUntil(at("2026-01-01T01:30:00Z"));
    clock.ms = at("2026-01-01T12:30:00Z");
    const again = follow(clock, { schedule: "0 * * * *", catchUp }, first.context);
    await again.follower.step();
    expect(first.planned().slice(1)).toEqual(expected.map((time) => time.replace(".000", "")));
  });

  test("of another schedule than before were not missed", async () => {
    const clock = new Clock("2026-01-01T00:30:00Z");
    const first = follow(clock, { schedule: "0 * * * *", catchUp: "all:100" });
    await first.runUntil(at("2026-01-01T01:30:00Z"));
    clock.ms = at("2026-01-01T12:30:00Z");
    await follow(clock, { schedule: "*/5 * * * *", catchUp: "all:100" }, first.context).follower.step();
    expect(first.context.emitted).toHaveLength(1);
  });

  test("that pass while it is suspended were not missed", async () => {
    const clock = new Clock("2026-01-01T00:30:00Z");
    const given = { schedule: "0 * * * *", catchUp: "all:100" };
    const first = follow(clock, given);
    await first.runUntil(at("2026-01-01T01:30:00Z"));
    await cronSource.suspended?.(cronSource.settings.parse(given), first.context);
    clock.ms = at("2026-01-01T12:30:00Z");
    await follow(clock, given, first.context).runUntil(at("2026-01-01T13:10:00Z"));
    expect(first.planned().slice(1)).toEqual(["2026-01-01T13:00:00Z"]);
  });

  test("come neither twice nor never when the clock is set back", async () => {
    const clock = new Clock("2026-01-01T00:30:00Z");
    const { follower, planned, runUntil } = follow(clock, { schedule: "0 * * * *" });
    await runUntil(at("2026-01-01T03:10:00Z"));
    clock.ms = at("2026-01-01T01:30:00Z");
    await follower.step();
    await runUntil(at("2026-01-01T04:10:00Z"));
    expect(planned()).toEqual([1, 2, 3, 4].map((hour) => `2026-01-01T0${hour}:00:00Z`));
  });

  test("go on when the clock was years ahead and is set right", async () => {
    const clock = new Clock("2026-01-01T00:30:00Z");
    const { context, follower, planned, runUntil } = follow(clock, { schedule: "0 * * * *" });
    await follower.step();
    clock.ms = at("2036-06-01T10:00:05Z");
    await follower.step();
    clock.ms = at("2026-01-01T00:40:00Z");
    await follower.step();
    await runUntil(at("2026-01-01T02:10:00Z"));
    expect(planned()).toEqual(["2036-06-01T10:00:00Z", "2026-01-01T01:00:00Z", "2026-01-01T02:00:00Z"]);
    // Also after a restart in between.
    context.savedCursor = JSON.stringify({ until: at("2036-06-01T10:00:00Z"), of: ["0 * * * *"] });
    await follow(clock, { schedule: "0 * * * *" }, context).runUntil(at("2026-01-01T03:10:00Z"));
    expect(planned().at(-1)).toBe("2026-01-01T03:00:00Z");
  });

  test("are put off by no more than the jitter says, in order, by as much after a restart", async () => {
    const clock = new Clock("2026-01-01T00:00:30Z");
    const given = { schedule: "* * * * *", jitter: "10m" };
    const times = async (context: FakeSourceContext, restart: boolean) => {
      clock.ms = at("2026-01-01T00:00:30Z");
      const emittedAt: number[] = [];
      context.beforeStore = async () => void emittedAt.push(clock.ms);
      let one = follow(clock, given, context);
      for (let hour = 1; hour <= 4; hour++) {
        await one.runUntil(at("2026-01-01T00:00:00Z") + hour * HOUR_MS);
        if (restart) one = follow(clock, given, context);
      }
      return emittedAt;
    };
    const context = new FakeSourceContext({ now: () => clock.ms });
    const without = await times(context, false);
    const delays = context.emitted.map(
      ({ event }, place) => (without[place] as number) - at(String(event.attributes.time)),
    );
    expect(context.emitted.length).toBeGreaterThan(225);
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...delays)).toBeLessThanOrEqual(10 * MINUTE_MS);
    expect(new Set(delays).size).toBeGreaterThan(20);
    const other = new FakeSourceContext({ now: () => clock.ms });
    const restarted = await times(other, true);
    expect(other.emitted.map(({ once }) => once)).toEqual(context.emitted.map(({ once }) => once));
    expect(restarted).toEqual(without);
  });

  test.each([
    ["skip", 1, 2],
    ["allow", 3, 4],
    ["queue", 3, 4],
  ])("with overlap %s: %d while the first is not over, %d after it", async (overlap, during, after) => {
    const clock = new Clock("2026-01-01T00:00:30Z");
    const { context, runUntil } = follow(clock, { schedule: "* * * * *", overlap });
    context.open.add("ref-1");
    await runUntil(at("2026-01-01T00:03:30Z"));
    expect(context.emitted).toHaveLength(during);
    context.open.clear();
    await runUntil(at("2026-01-01T00:04:30Z"));
    expect(context.emitted).toHaveLength(after);
  });

  test("that cannot be stored are tried again until they are", async () => {
    const clock = new Clock("2026-01-01T00:00:59.990Z");
    const context = new FakeSourceContext({ now: () => clock.ms });
    context.failing = new Error("the store is away");
    const running = runSource(cronSource, { schedule: "* * * * *" }, context);
    await eventually("it has begun", () => context.connections > 0);
    clock.ms += 1_000;
    await eventually("it has failed", () => context.failures.length > 0, 30_000);
    clock.ms += 10 * MINUTE_MS;
    context.failing = undefined;
    await context.waitForEvents(1, 30_000);
    expect(context.emitted[0]?.event.attributes.time).toBe("2026-01-01T00:01:00.000Z");
    await running.stop();
  });
});

test.each([
  [{}, "schedule: is required"],
  [{ schedule: "" }, "schedule: is empty"],
  [{ schedule: "61 * * * *" }, "schedule: "],
  [{ schedule: "* * * * *", timezone: "Mars/Base" }, "timezone: "],
  [{ schedule: "* * * * *", jitter: "2h" }, "jitter: must be a duration"],
  [{ schedule: "* * * * *", overlap: "maybe" }, "overlap: must be one of"],
  [{ schedule: "* * * * *", catchUp: "all" }, "catchUp: must be none, last or all:N"],
  [{ schedule: "* * * * *", contentType: "json" }, "contentType: must be a media type"],
  [{ schedule: "* * * * *", data: "x".repeat(70_000) }, "data: must have at most"],
  [{ schedule: "* * * * *", timezon: "UTC" }, "timezon"],
])("a declared clock %j is refused with %s", (given, message) => {
  const result = cronSource.settings.safeParse(given);
  expect(result.error?.issues.map(({ path, message: said }) => `${path.join(".")}: ${said}`).join("; ")).toContain(
    message,
  );
});

test("a declared clock emits what it is told, typed, keyed by its name when its ticks are to queue", async () => {
  const clock = new Clock("2026-01-01T00:00:59.999Z");
  const context = new FakeSourceContext({ name: "nightly", now: () => clock.ms });
  const given = { schedule: "* * * * *", data: { a: 1 }, topic: "backup", overlap: "queue" };
  const running = runSource(cronSource, given, context);
  await eventually("it has begun", () => context.connections > 0);
  clock.ms += 2;
  const [emitted] = await context.waitForEvents(1);
  await running.stop();
  expect(emitted).toEqual({
    event: {
      attributes: {
        specversion: "1.0",
        id: "* * * * */2026-01-01T00:01:00.000Z",
        source: "/sources/openfaas-fn/nightly",
        type: "com.faaslane.cron.tick",
        time: "2026-01-01T00:01:00.000Z",
        datacontenttype: "application/json",
        partitionkey: "nightly",
      },
      data: Buffer.from('{"a":1}'),
    },
    once: "* * * * */2026-01-01T00:01:00.000Z",
    topic: "backup",
  });
});

describe("functions with a schedule", () => {
  const log = createLogger("silent");
  const closing: (() => unknown)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  function setUp(
    functions: AnnotatedFunction[],
    clock: Pick<Clock, "ms">,
    store = new FakeLog(),
    resources = new FakeResources(),
  ) {
    const listeners = new Set<() => void>();
    const known = {
      entries: () => functions,
      onChange: (listener: () => void) => {
        listeners.add(listener);
        return () => void listeners.delete(listener);
      },
    };
    const set = new FunctionSources(known);
    const runner = new SourceRunner({
      sets: [set],
      types: sourceTypes(),
      store,
      resources,
      readSecret: async () => "",
      targets: new CallbackTargets(ANY_TARGET),
      lead: ALWAYS_ACTS,
      runs: { receiving: true, fetching: true },
      now: () => clock.ms,
      log,
    });
    closing.push(
      () => set.close(),
      () => runner.close(),
    );
    const change = () => {
      for (const listener of listeners) listener();
    };
    return { runner, store, resources, change };
  }

  const cron = (name: string, more: Record<string, string> = {}): AnnotatedFunction => ({
    name,
    namespace: "openfaas-fn",
    annotations: { topic: "cron-function", schedule: "* * * * *", ...more },
  });

  test("get their own ticks alone, as OpenFaaS's connector sends them", async () => {
    const clock = new Clock("2026-01-01T00:00:59.990Z");
    const others = [
      { name: "idle", namespace: "openfaas-fn", annotations: { topic: "cron-function" } },
      { name: "other", namespace: "openfaas-fn", annotations: { topic: "orders", schedule: "* * * * *" } },
      cron("report@v2"),
    ];
    const { runner, store } = setUp(
      [
        cron("report", { "com.faaslane.cron.overlap": "queue", "com.faaslane.cron.headers": '{"X-Job":"a"}' }),
        ...others,
      ],
      clock,
    );
    await eventually("it runs", () => runner.find("function/openfaas-fn/report")?.status.state === "connected");
    clock.ms += 20;
    await eventually("a tick", () => store.appended.length > 0, 20_000);
    expect(runner.all().map(({ source }) => source.name)).toEqual(["report"]);
    expect(store.appended).toMatchObject([
      {
        broker: { namespace: "openfaas-fn", name: "default" },
        event: {
          attributes: {
            id: "* * * * */2026-01-01T00:01:00.000Z",
            source: "/cron/openfaas-fn/report",
            type: "com.faaslane.cron.tick",
            topic: "cron-function",
          },
        },
        headers: [
          ["X-Topic", "cron-function"],
          ["X-Connector", "cron-connector"],
          ["X-Job", "a"],
        ],
        directed: [{ trigger: "function/openfaas-fn/report", orderKey: "cron-function" }],
        via: "function/openfaas-fn/report",
      },
    ]);
    expect(store.appended[0]?.event.data).toBeUndefined();
  });

  test("get one tick when two watch the clock at the same store", async () => {
    const store = new FakeLog();
    const resources = new FakeResources();
    const now = {
      get ms() {
        return Date.now();
      },
    };
    const both = [1, 2].map(() => setUp([cron("report", { schedule: "@every 1s" })], now, store, resources).runner);
    await eventually("three ticks", () => store.appended.length >= 3, 25_000);
    const ids = store.appended.map(({ event }) => event.attributes.id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(both.map((runner) => runner.find("function/openfaas-fn/report")?.status.state)).toEqual([
      "connected",
      "connected",
    ]);
    // Both have tried: otherwise this would tell nothing.
    expect(store.asked).toBeGreaterThan(store.appended.length);
  });

  test("that are suspended, removed or not sound", async () => {
    const clock = new Clock("2026-01-01T00:00:30Z");
    const functions = [
      cron("asleep", { "com.faaslane.cron.suspend": "true" }),
      cron("odd", { schedule: "never" }),
      cron("gone"),
    ];
    const { runner, resources, change } = setUp(functions, clock);
    const status = (name: string) => runner.find(`function/openfaas-fn/${name}`)?.status;
    await eventually("asleep", () => status("asleep")?.state === "suspended");
    await eventually("told", () => status("odd")?.state === "failing");
    expect(status("odd")?.problem).toMatch(/schedule: "never"/);
    await eventually("noted", () => resources.documents.has("cursor/openfaas-fn/function.gone"));
    functions.splice(2);
    change();
    await eventually("forgotten", () => !resources.documents.has("cursor/openfaas-fn/function.gone"));
    expect(status("gone")).toBeUndefined();
  });

  test("settings come from annotations", () => {
    const settings = functionCron.settings.parse({
      schedule: "0 2 * * *; @hourly",
      timezone: "Europe/Berlin",
      "com.faaslane.cron.body": "hello",
      "com.faaslane.cron.content-type": "text/plain",
      "com.faaslane.cron.catch-up": "all:5",
      "com.faaslane.cron.headers": '{"X-Job": "nightly"}',
    });
    expect(settings).toMatchObject({ body: "hello", contentType: "text/plain", catchUp: 5 });
    expect(settings.headers).toEqual([["X-Job", "nightly"]]);
    expect(settings.schedules.map(({ text }) => text)).toEqual(["0 2 * * *", "@hourly"]);
  });
});
