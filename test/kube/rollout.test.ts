import { describe, expect, test } from "@jest/globals";
import { rankForDeletion } from "../support/kube/controllers/deletion-rank.ts";
import { type Bounds, boundsOf, planRollout, type SetCounts } from "../support/kube/controllers/rollout.ts";
import type { Deployment, Pod } from "../support/kube/workloads.ts";

const set = (replicas: number, available = replicas): SetCounts => ({ replicas, available });

test.each<
  [
    what: string,
    wanted: number,
    bounds: Bounds,
    current: SetCounts,
    old: SetCounts[],
    plan: { current: number; old: number[] },
  ]
>([
  ["begins with the surge", 3, { surge: 1, unavailable: 0 }, set(0), [set(3)], { current: 1, old: [3] }],
  ["waits for the new one", 3, { surge: 1, unavailable: 0 }, set(1, 0), [set(3)], { current: 1, old: [3] }],
  ["gives up an old one for it", 3, { surge: 1, unavailable: 0 }, set(1), [set(3)], { current: 1, old: [2] }],
  ["goes on", 3, { surge: 1, unavailable: 0 }, set(1), [set(2)], { current: 2, old: [2] }],
  ["gives up first where it may", 3, { surge: 0, unavailable: 1 }, set(0), [set(3)], { current: 0, old: [2] }],
  [
    "gives up what does not serve",
    3,
    { surge: 1, unavailable: 0 },
    set(1, 0),
    [set(3, 1), set(0)],
    { current: 1, old: [3, 0] },
  ],
  [
    "several old ones, the oldest first",
    4,
    { surge: 2, unavailable: 2 },
    set(2),
    [set(1), set(3)],
    { current: 2, old: [0, 0] },
  ],
  ["scales a rolled out one", 5, { surge: 1, unavailable: 0 }, set(2), [set(0)], { current: 5, old: [0] }],
  ["scales down", 1, { surge: 1, unavailable: 0 }, set(4), [], { current: 1, old: [] }],
  ["to nothing", 0, { surge: 1, unavailable: 0 }, set(1, 0), [set(1)], { current: 0, old: [0] }],
])("a rollout %s", (_what, wanted, bounds, current, old, plan) => {
  expect(planRollout(wanted, bounds, current, old)).toEqual(plan);
});

test("portions: the surge is rounded up, what may be missing down, and one of them is at least 1", () => {
  const bounds = (replicas: number, maxSurge: number | string, maxUnavailable: number | string) =>
    boundsOf({
      spec: { replicas, strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge, maxUnavailable } } },
    } as Deployment);
  expect(bounds(5, "25%", "25%")).toEqual({ surge: 2, unavailable: 1 });
  expect(bounds(1, "0%", "25%")).toEqual({ surge: 0, unavailable: 1 });
  expect(bounds(10, 1, 0)).toEqual({ surge: 1, unavailable: 0 });
});

describe("a ReplicaSet gives up first", () => {
  let number = 0;
  const pod = (fields: {
    node?: string;
    phase?: string;
    ready?: boolean;
    cost?: string;
    since?: string;
    restarts?: number;
  }): Pod => {
    number += 1;
    const { node = "n", phase = "Running", ready = true, cost, since = "2026-01-01T00:00:00Z", restarts = 0 } = fields;
    return {
      apiVersion: "v1",
      kind: "Pod",
      metadata: {
        name: `p${number}`,
        uid: `${number}`,
        resourceVersion: "1",
        creationTimestamp: "2026-01-01T00:00:00Z",
        ...(cost !== undefined && { annotations: { "controller.kubernetes.io/pod-deletion-cost": cost } }),
      },
      spec: { containers: [], ...(node !== "" && { nodeName: node }) },
      status: {
        phase,
        conditions: [{ type: "Ready", status: ready ? "True" : "False", lastTransitionTime: since }],
        containerStatuses: [{ restartCount: restarts } as never],
      },
    };
  };

  test.each<[what: string, first: Parameters<typeof pod>[0], second: Parameters<typeof pod>[0]]>([
    ["what has no node", { node: "", cost: "100" }, {}],
    ["what is pending", { phase: "Pending", cost: "100" }, {}],
    ["what is not ready", { ready: false, cost: "100" }, {}],
    ["what costs less", { cost: "-5" }, {}],
    ["what costs nothing before what costs", {}, { cost: "1" }],
    ["what is ready for a shorter time", { since: "2026-02-01T00:00:00Z" }, {}],
    ["what was restarted more often", { restarts: 2 }, { restarts: 1 }],
  ])("%s", (_what, first, second) => {
    const [one, other] = [pod(first), pod(second)];
    expect(rankForDeletion([other, one])[0]).toBe(one);
    expect(rankForDeletion([one, other])[0]).toBe(one);
  });
});
