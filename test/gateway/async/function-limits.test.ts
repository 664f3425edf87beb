import { afterEach, expect, test } from "@jest/globals";
import type { FunctionEndpoints } from "../../../contract/endpoints.ts";
import { DeliveryLimits } from "../../../gateway/async/worker/function-limits.ts";
import { snapshotsOf } from "../../../gateway/async/worker/function-snapshots.ts";
import { FunctionTable } from "../../../gateway/proxy/function-table.ts";
import { eventually } from "../../support/eventually.ts";

const REF = { name: "shout", namespace: "team" };

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

function open() {
  const table = new FunctionTable({
    defaultNamespace: "openfaas-fn",
    maxHeld: 10,
    timeoutMs: 1000,
    connectTimeoutMs: 1000,
  });
  const changes: string[] = [];
  const clock = { now: 1_000_000 };
  const limits = new DeliveryLimits({
    functions: snapshotsOf(table),
    perFunction: 16,
    changed: ({ name, namespace }) => changes.push(`${name}.${namespace}`),
    clock: () => clock.now,
    random: () => 0.5,
  });
  closing.push(
    () => limits.close(),
    () => table.close(),
  );
  const put = (states: readonly ("starting" | "ready" | "draining")[], maxInflight?: number, name = REF.name) => {
    const endpoints = states.map((state, i) => ({ address: `127.0.0.1:${i + 1}`, instance: `${i}`, state }));
    const snapshot: FunctionEndpoints = {
      name,
      namespace: REF.namespace,
      labels: {},
      annotations: { "com.openfaas.retry.attempts": "1" },
      replicas: states.length,
      generation: 1,
      endpoints,
      ...(maxInflight !== undefined && { maxInflight }),
    };
    table.apply({ type: "changed", function: snapshot });
  };
  const remove = () => {
    const entry = table.find("shout.team");
    if (entry) table.apply({ type: "removed", function: entry.snapshot });
  };
  return { limits, changes, clock, put, remove, snapshots: snapshotsOf(table) };
}

test("follows the function table, and tells each change", () => {
  const { limits, changes, put, remove } = open();
  expect(limits.limitOf(REF)).toBe(16);
  put([]);
  expect(limits.limitOf(REF)).toBe(1);
  put(["ready", "ready", "starting", "draining"], 5);
  expect(limits.limitOf(REF)).toBe(10);
  put(["ready", "ready"]);
  expect(limits.limitOf(REF)).toBe(32);
  expect(changes).toEqual(["shout.team", "shout.team", "shout.team"]);
  remove();
  expect(limits.limitOf(REF)).toBe(16);
  expect(changes).toHaveLength(4);
});

test("annotations are the same object until they change", () => {
  const { put, snapshots } = open();
  put(["ready"]);
  expect(snapshots.find(REF)?.annotations).toBe(snapshots.find(REF)?.annotations);
  expect(snapshots.find({ ...REF, name: "other" })).toBeUndefined();
});

test("refusals cut it, successes bring it back, and both are told", () => {
  const { limits, changes, clock, put } = open();
  put(["ready"], 8);
  changes.length = 0;
  limits.refused(REF, clock.now);
  expect(limits.limitOf(REF)).toBe(4);
  expect(changes).toEqual(["shout.team"]);
  clock.now += 10;
  for (let i = 0; i < 4; i++) limits.accepted(REF, clock.now);
  expect(limits.limitOf(REF)).toBe(5);
  expect(changes).toEqual(["shout.team", "shout.team"]);
});

test("the end of a pause is told", async () => {
  const { limits, changes, clock, put } = open();
  put(["ready"], 1);
  changes.length = 0;
  const waitMs = limits.refused(REF, clock.now);
  expect(limits.limitOf(REF)).toBe(0);
  expect(waitMs).toBeGreaterThanOrEqual(75);
  expect(changes).toHaveLength(1);
  await eventually("it is told", () => changes.length === 2);
  clock.now += waitMs;
  expect(limits.limitOf(REF)).toBe(1);
});

test("functions do not share their limits", () => {
  const { limits, clock, put } = open();
  put(["ready"], 8);
  put(["ready"], 8, "other");
  limits.refused(REF, clock.now);
  expect(limits.limitOf({ ...REF, name: "other" })).toBe(8);
  expect(limits.limitOf({ ...REF, namespace: "elsewhere" })).toBe(16);
});

test("a minute later nothing is left of it", () => {
  const { limits, clock, put } = open();
  put(["ready"], 8);
  for (let i = 0; i < 4; i++) limits.refused(REF, clock.now++);
  expect(limits.limitOf(REF)).toBe(0);
  clock.now += 61_000;
  expect(limits.limitOf(REF)).toBe(8);
});

test("closed, it tells nothing any more", async () => {
  const { limits, changes, clock, put } = open();
  put(["ready"], 1);
  limits.refused(REF, clock.now);
  const before = changes.length;
  limits.close();
  put(["ready", "ready"], 1);
  // The same pause begins later elsewhere, so it ends later.
  const other = open();
  other.put(["ready"], 1);
  other.limits.refused(REF, other.clock.now);
  await eventually("the other one tells its end", () => other.changes.length === 3);
  expect(changes).toHaveLength(before);
});
