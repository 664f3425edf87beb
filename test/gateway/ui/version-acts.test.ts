import { expect, test } from "@jest/globals";
import type { RolloutState } from "../../../contract/versions/rollout-state.ts";
import {
  callPath,
  removeVersionAct,
  rollbackAct,
  rolloutAct,
  splitAct,
} from "../../../gateway/ui/browser/screens/function/versions/acts.ts";
import { gateRows, stepWords, whyNot } from "../../../gateway/ui/browser/screens/function/versions/gate-rows.ts";

const part = { name: "shop", namespace: "ns" };
const settings: RolloutState["settings"] = {
  strategy: "canary",
  minRequests: 50,
  onFail: "abort",
  maxMs: 1,
  warm: 1,
  steps: [{ share: 100, mirror: true, forMs: 120_000 }, { share: 1_000 }, { share: 10_000, forMs: 0 }],
  gates: [
    { metric: "errors", limit: 0.01 },
    { metric: "p95", limit: 1.5, relative: true },
    { metric: "cold", limit: 0.2 },
  ],
};
const measurement: RolloutState["measurements"][number] = {
  at: 1,
  step: 0,
  verdict: "bad",
  candidate: { calls: 100, errors: 3, cold: 0, p95: 120 },
  stable: { calls: 900, errors: 9, cold: 0, p95: 100 },
};

test("the conditions of a rollout are told with both versions' numbers and what they have to be below", () => {
  expect(gateRows({ settings, measurements: [measurement] })).toEqual([
    { condition: "errors < 1%", candidate: "3%", stable: "1%", limit: "1%", state: "broken" },
    { condition: "p95 < 1.5 × stable", candidate: "120 ms", stable: "100 ms", limit: "150 ms", state: "kept" },
    { condition: "cold < 20%", candidate: "0%", stable: "0%", limit: "20%", state: "kept" },
  ]);
});

test("conditions without numbers are open", () => {
  const { p95: _, ...slowless } = measurement.stable;
  const nothing = { ...measurement, candidate: { calls: 0, errors: 0, cold: 0 }, stable: slowless };
  for (const measurements of [[], [nothing]]) {
    expect(gateRows({ settings, measurements }).map(({ state }) => state)).toEqual(["open", "open", "open"]);
  }
});

test("steps are told in words, with where it is", () => {
  expect(stepWords({ settings, step: 1, phase: "paused" })).toEqual([
    { text: "a copy of 1 % for 2 min", place: "past" },
    { text: "10 % until somebody approves", place: "now" },
    { text: "100 %", place: "open" },
  ]);
  expect(stepWords({ settings, step: 2, phase: "done" }).map(({ place }) => place)).toEqual(["past", "past", "past"]);
  expect(stepWords({ settings, step: 0, phase: "aborted" }).map(({ place }) => place)).toEqual([
    ...["open", "open", "open"],
  ]);
});

test.each([
  ["approve", "step", "It waits for nobody"],
  ["approve", "holding", undefined],
  ["resume", "step", "It is not paused"],
  ["pause", "paused", "It is paused"],
  ["abort", "warming", undefined],
  ["promote", "paused", undefined],
] as const)("%s in the phase %s: %s", (order, phase, why) => {
  expect(whyNot(order, phase)).toBe(why);
});

test("orders to a rollout say what they do, and carry their reason", () => {
  const rollout = { from: "v1", to: "v2", step: 1 };
  expect(rolloutAct(part, "abort", rollout, " too slow ")).toMatchObject({
    title: "Abort the rollout of v2",
    isDangerous: true,
    cli: "faaslane abort shop -n ns --reason 'too slow'",
    request: {
      method: "POST",
      path: "/system/function/shop/rollout?namespace=ns",
      body: { action: "abort", reason: "too slow" },
    },
  });
  const approval = rolloutAct(part, "approve", rollout, "");
  expect([approval.cli, approval.request.body]).toEqual([
    "faaslane rollout approve shop -n ns",
    { action: "approve", step: 1 },
  ]);
});

test("a split, a rollback and the removal of a version are written as commands take them", () => {
  const targets = [
    { version: "v1", share: 9_050, tag: "old" },
    { version: "v2", share: 950 },
  ];
  expect(splitAct(part, targets, { generation: 7, reason: "" })).toMatchObject({
    cli: "faaslane traffic shop -n ns v1=90.5 v2=9.5 --tag old=v1 --reason 'by the dashboard'",
    request: { body: { generation: 7, targets, reason: "by the dashboard" } },
  });
  expect(rollbackAct(part, { to: "v1", reason: "wrong prices", detach: true })).toMatchObject({
    cli: "faaslane rollback shop -n ns --to v1 --detach --reason 'wrong prices'",
    request: { body: { to: "v1", reason: "wrong prices", detach: true } },
  });
  expect(removeVersionAct(part, "v1").request.path).toBe("/system/function/shop/versions/v1?namespace=ns");
});

test("a tag's address has the namespace where it is not the gateway's own", () => {
  expect([callPath(part, "old", "ns"), callPath(part, "old", "other")]).toEqual([
    "/function/shop@old",
    "/function/shop@old.ns",
  ]);
});
