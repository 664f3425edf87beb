import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { type Candidate, chooseReplica } from "../../../gateway/core/choose-replica.ts";

const ready = (outstanding: number): Candidate => ({ ready: true, outstanding, lagging: false });
const notReady = (outstanding: number): Candidate => ({ ready: false, outstanding, lagging: false });
const lagging = (outstanding: number): Candidate => ({ ready: true, outstanding, lagging: true });

test.each<[rule: string, replicas: Candidate[], maxInflight: number, expected: number | "full" | "none"]>([
  ["the one with the fewest calls", [ready(3), ready(1), ready(2)], 0, 1],
  ["one that is not ready is passed over", [notReady(0), ready(5)], 0, 1],
  ["one at its limit is passed over", [ready(1), ready(1), ready(0)], 1, 2],
  ["all at their limit", [ready(2), ready(2)], 2, "full"],
  ["none ready", [notReady(0)], 0, "none"],
  ["no replicas", [], 0, "none"],
  ["one that lags comes last, however few calls it has", [lagging(0), ready(7)], 0, 1],
  ["so it does when it is looked at last", [ready(7), lagging(0)], 0, 0],
  ["one that lags is better than none", [lagging(3), notReady(0), lagging(2)], 0, 2],
  ["and better than those at their limit", [lagging(0), ready(1)], 1, 0],
])("%s", (_rule, replicas, maxInflight, expected) => {
  const choice = chooseReplica(replicas, maxInflight, 0);
  if (typeof expected === "number") expect(choice).toEqual({ kind: "replica", replica: replicas[expected] });
  else expect(choice).toEqual({ kind: expected });
});

test("idle replicas take turns", () => {
  const replicas = [0, 1, 2].map((id) => ({ id, ...ready(0) }));
  const chosen = [0, 1, 2, 3].map((turn) => {
    const choice = chooseReplica(replicas, 0, turn);
    return choice.kind === "replica" && choice.replica.id;
  });
  expect(chosen).toEqual([0, 1, 2, 0]);
});

test("the choice is ready, below its limit, and nobody ready has fewer calls", () => {
  const candidate = fc.record({ ready: fc.boolean(), outstanding: fc.nat(5), lagging: fc.boolean() });
  fc.assert(
    fc.property(fc.array(candidate), fc.nat(4), fc.nat(), (replicas, maxInflight, start) => {
      const choice = chooseReplica(replicas, maxInflight, start);
      const able = replicas.filter((r) => r.ready && (maxInflight === 0 || r.outstanding < maxInflight));
      if (choice.kind !== "replica") {
        expect(able).toEqual([]);
        return;
      }
      expect(able).toContain(choice.replica);
      const well = able.filter((r) => !r.lagging);
      const preferred = well.length > 0 ? well : able;
      expect(preferred).toContain(choice.replica);
      expect(choice.replica.outstanding).toBe(Math.min(...preferred.map((r) => r.outstanding)));
    }),
  );
});
