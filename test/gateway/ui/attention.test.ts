import { expect, test } from "@jest/globals";
import type { FunctionRow } from "../../../contract/ui/stream.ts";
import type { RolloutState } from "../../../contract/versions/rollout-state.ts";
import { attentionOf, MOST } from "../../../gateway/ui/browser/screens/overview/attention.ts";
import { filterFunctions, healthOf } from "../../../gateway/ui/browser/screens/overview/health.ts";

const NONE = { functions: [], queue: [], events: [], platform: [] };
const row = (changed: Partial<FunctionRow> = {}): FunctionRow => ({
  name: "f",
  namespace: "n",
  labels: {},
  annotations: {},
  replicas: 1,
  available: 1,
  calls: 0,
  rate: 1,
  errors: 0,
  inFlight: 0,
  held: 0,
  spark: [],
  ...changed,
});

test.each<[Partial<FunctionRow>, string]>([
  [{}, "ready"],
  [{ available: 0 }, "starting"],
  [{ replicas: 0, available: 0 }, "at-zero"],
  [{ errors: 0.05 }, "some-errors"],
  [{ errors: 0.051 }, "failing"],
  [{ errors: 1, rate: 0 }, "some-errors"],
  [{ errors: 1, problem: "no image" }, "cannot-start"],
])("a function %j is %s", (changed, health) => {
  expect(healthOf(row(changed))).toBe(health);
});

test("nothing needs attention while all is well", () => {
  expect(
    attentionOf({
      functions: [row()],
      queue: [{ queue: "q", waiting: 1, running: 1, dead: 0, published: 1, finished: 1 }],
      events: [{ namespace: "n", broker: "b", events: 1, pending: 0, open: 0, dead: 0 }],
      platform: [
        { part: "gateway", state: "ok" },
        { part: "events", state: "off" },
      ],
    }),
  ).toEqual([]);
});

test("each kind is told of with where to look, the worst first", () => {
  const rollout = (phase: RolloutState["phase"], reason?: string) =>
    ({ phase, from: "v1", to: "v2", step: 0, reason, settings: { steps: [{}, {}] } }) as unknown as RolloutState;
  const found = attentionOf({
    functions: [
      row({ name: "slow", errors: 0.1, rate: 1 }),
      row({ name: "bad", errors: 0.5, rate: 10 }),
      row({ name: "gone", problem: "no such image" }),
      row({ name: "waits", rollout: rollout("paused") }),
      row({ name: "back", rollout: rollout("aborted", "too many errors") }),
      row({ name: "fine", rollout: rollout("done") }),
    ],
    queue: [{ queue: "q", waiting: 0, running: 0, dead: 3, published: 0, finished: 0 }],
    events: [{ namespace: "n", broker: "b", events: 1, pending: 0, open: 0, dead: 1_234 }],
    platform: [{ part: "provider", state: "away", problem: "it is gone" }],
  });
  expect(found.map(({ title, items }) => [title, ...items.map(({ what, to, why }) => `${what} ${to} ${why}`)])).toEqual(
    [
      ["Away", "provider /platform it is gone"],
      ["Cannot start", "gone /functions/n/gone no such image"],
      [
        "Failing",
        "bad /functions/n/bad/calls?preset=errors 50% of 10 calls a second",
        "slow /functions/n/slow/calls?preset=errors 10% of 1 calls a second",
      ],
      [
        "Rollouts",
        "waits /functions/n/waits/versions v1 to v2, step 1 of 2 waits for approval",
        "back /functions/n/back/versions v2 was aborted, v1 has its calls again: too many errors",
      ],
      ["Calls that failed for good", "q /queue 3 dead letters"],
      ["Events that failed for good", "b in n /events 1,234 dead letters"],
    ],
  );
});

test("of many of a kind some are named, and all are counted", () => {
  const functions = Array.from({ length: 200 }, (_, n) => row({ name: `f${n}`, problem: "no" }));
  const [found] = attentionOf({ ...NONE, functions });
  expect([found?.items.length, found?.count, found?.all]).toEqual([MOST, 200, "/?state=cannot-start"]);
});

test("functions are found by name, label, namespace and state", () => {
  const rows = [
    row({ name: "orders", labels: { team: "shop" } }),
    row({ name: "shop", namespace: "staging" }),
    row({ name: "mails", replicas: 0, available: 0 }),
  ];
  const found = (filter: Partial<Parameters<typeof filterFunctions>[1]>) =>
    filterFunctions(rows, { text: "", namespace: "", state: "", ...filter }).map(({ name }) => name);
  expect(found({})).toEqual(["orders", "shop", "mails"]);
  expect(found({ text: " SHOP" })).toEqual(["shop"]);
  expect(found({ text: "team=sh" })).toEqual(["orders"]);
  expect(found({ namespace: "staging" })).toEqual(["shop"]);
  expect(found({ state: "at-zero" })).toEqual(["mails"]);
  expect(found({ state: "nothing" })).toEqual([]);
});
