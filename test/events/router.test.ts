import { describe, expect, test } from "@jest/globals";
import { decodeTriggerSpec } from "../../contract/events/trigger-spec.ts";
import { hasExpired, routeEvents } from "../../events/engine/router.ts";
import type { Routing, StoredEvent } from "../../events/store/event-store.ts";
import { readTrigger } from "../../events/triggers/read-trigger.ts";
import type { Trigger } from "../../events/triggers/trigger.ts";

const NOW = Date.parse("2026-03-01T12:00:00Z");
const BROKER = { namespace: "shop", name: "default" };
const event = (extra: object = {}, ref = "1"): StoredEvent => ({
  ref,
  broker: BROKER,
  event: { attributes: { specversion: "1.0", id: ref, source: "/s", type: "order.placed", ...extra } },
  headers: [],
  hops: 5,
  arrivedAt: NOW,
  via: "http",
});
const trigger = (name: string, spec: object = {}, more: Partial<Trigger> = {}): Trigger => ({
  ...readTrigger(decodeTriggerSpec({ subscriber: { function: "ship" }, ...spec }), { namespace: "shop", name }),
  ...more,
});
const other = { filters: [{ exact: { type: "other" } }] };

function run(events: readonly StoredEvent[], triggers: readonly Trigger[]): readonly Routing[] {
  const routing = routeEvents(events, () => triggers, NOW);
  for (;;) {
    const step = routing.next();
    if (step.done) return step.value;
  }
}
const route = (triggers: readonly Trigger[], extra: object = {}) => run([event(extra)], triggers)[0] as Routing;

describe("routing", () => {
  test("tells of every trigger whether it gets the event, and why not", () => {
    expect(route([trigger("a"), trigger("b", other)])).toEqual({
      ref: "1",
      verdicts: [
        { trigger: "trigger/shop/a", matched: true },
        {
          trigger: "trigger/shop/b",
          matched: false,
          reason: 'filters[0].exact: type is "order.placed", not exact "other"',
        },
      ],
      deliveries: [{ trigger: "trigger/shop/a" }],
      keep: "full",
    });
  });

  test("an event that nobody wants is kept, for its record", () => {
    expect(route([trigger("b", { ...other, ledger: "off" })])).toMatchObject({ deliveries: [], keep: "full" });
  });

  test.each<[("full" | "meta" | "off")[], string]>([
    [["off"], "off"],
    [["off", "meta"], "meta"],
    [["meta", "full", "off"], "full"],
  ])("of what is wanted to be kept, %j, the most counts", (wishes, keep) => {
    expect(route(wishes.map((ledger, i) => trigger(`t${i}`, { ledger }))).keep).toBe(keep);
  });

  test("an ordered trigger has one key for one partitionkey, and none without", () => {
    const ordered = trigger("a", { order: "partitionkey" });
    expect(route([ordered], { partitionkey: "k" }).deliveries).toEqual([{ trigger: ordered.id, orderKey: "k" }]);
    expect(route([ordered]).deliveries).toEqual([{ trigger: ordered.id }]);
    expect(route([ordered], { partitionkey: "" }).deliveries).toEqual([{ trigger: ordered.id }]);
    expect(route([trigger("b")], { partitionkey: "k" }).deliveries).toEqual([{ trigger: "trigger/shop/b" }]);
  });

  test("one that has stopped gets nothing, and what one that is suspended matches waits", () => {
    const gone = trigger("gone", {}, { stopped: "answered 410" });
    const waits = trigger("waits", { suspend: true });
    const { verdicts, deliveries } = route([gone, waits]);
    expect(verdicts[0]?.reason).toBe("the trigger has stopped: answered 410");
    expect(deliveries).toEqual([{ trigger: waits.id }]);
  });

  test("what has expired is for nobody", () => {
    const expirytime = new Date(NOW - 1).toISOString();
    expect(route([trigger("a")], { expirytime })).toMatchObject({
      verdicts: [{ matched: false, reason: "expirytime: is over" }],
      deliveries: [],
    });
    expect(hasExpired({ expirytime: new Date(NOW + 1).toISOString() }, NOW)).toBe(false);
    expect(hasExpired({ expirytime: "soon" }, NOW)).toBe(false);
    expect(hasExpired({ expirytime: 5 }, NOW)).toBe(false);
  });

  test("of thousands of triggers those that match are all told, and of the others some", () => {
    const many = Array.from({ length: 2000 }, (_, i) => trigger(`t${i}`, i % 2 === 0 ? other : {}));
    const { verdicts, deliveries } = route(many);
    expect(deliveries).toHaveLength(1000);
    expect(verdicts.filter(({ matched }) => matched)).toHaveLength(1000);
    expect(verdicts.length).toBeLessThanOrEqual(1100);
  });

  test("many events are routed in slices, in their order", () => {
    const many = Array.from({ length: 200 }, (_, i) => trigger(`t${i}`, other));
    const events = Array.from({ length: 600 }, (_, i) => event({}, String(i)));
    const routing = routeEvents(events, () => many, NOW);
    let slices = 1;
    let step = routing.next();
    for (; !step.done; step = routing.next()) slices++;
    expect(slices).toBeGreaterThan(1);
    expect(step.value.map(({ ref }) => ref)).toEqual(events.map(({ ref }) => ref));
  });
});
