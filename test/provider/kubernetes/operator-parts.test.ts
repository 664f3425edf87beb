import { describe, expect, test } from "@jest/globals";
import type { V1ManagedFieldsEntry } from "@kubernetes/client-node";
import {
  type Corrections,
  compare,
  decideCorrection,
  decideRequeueDelay,
  type Fingerprints,
  isSettled,
  isUrgent,
} from "../../../provider/backends/kubernetes/operator/decisions.ts";
import { RecordTable } from "../../../provider/backends/kubernetes/operator/record-table.ts";
import { recordFunction, recordObject } from "../../../provider/backends/kubernetes/operator/records.ts";
import { WorkQueue } from "../../../provider/backends/kubernetes/operator/work-queue.ts";
import type {
  FunctionObject,
  FunctionObjectStatus,
} from "../../../provider/backends/kubernetes/resources/function-object.ts";
import { eventually } from "../../support/eventually.ts";

const prints: Fingerprints = { definition: "u:1", profiles: "", deployment: "d", service: "s" };

test.each<[what: string, checked: Fingerprints | undefined, expected: string]>([
  ["never looked at", undefined, "definition"],
  ["as it was", prints, "none"],
  ["another definition", { ...prints, definition: "u:0" }, "definition"],
  ["other profiles", { ...prints, profiles: "p:1" }, "definition"],
  ["another Deployment", { ...prints, deployment: "" }, "objects"],
  ["another Service", { ...prints, service: "x" }, "objects"],
])("what has changed of a function: %s", (_what, checked, expected) => {
  expect(compare(checked, prints)).toBe(expected);
});

const ready = (status: "True" | "False", more: Partial<FunctionObjectStatus> = {}): FunctionObjectStatus => ({
  conditions: [{ type: "Ready", status, reason: "", message: "", lastTransitionTime: "" }],
  observedGeneration: 2,
  ...more,
});
const used = (observedGeneration: number) => ({
  profiles: [{ profileRef: { name: "spot", namespace: "openfaas" }, observedGeneration }],
});

test.each<[what: string, status: FunctionObjectStatus | undefined, profiles: string[], expected: boolean]>([
  ["says so", ready("True"), [], true],
  ["has no status", undefined, [], false],
  ["says it is not", ready("False"), [], false],
  ["has changed since", ready("True", { observedGeneration: 1 }), [], false],
  ["uses its profile", ready("True", used(3)), ["spot"], true],
  ["uses an old version of its profile", ready("True", used(2)), ["spot"], false],
  ["lacks a profile", ready("True"), ["spot"], false],
  ["uses a profile that it no longer names", ready("True", used(3)), [], false],
])("a Function is settled or not when it %s", (_what, status, profiles, expected) => {
  expect(isSettled({ generation: 2, profiles, ...(status && { status }) }, () => 3)).toBe(expected);
});

test("a status of another generation or readiness is written at once, one of other replicas may wait", () => {
  expect(isUrgent(undefined, ready("True"))).toBe(true);
  expect(isUrgent(ready("False"), ready("True"))).toBe(true);
  expect(isUrgent(ready("True", { observedGeneration: 1 }), ready("True"))).toBe(true);
  expect(isUrgent(ready("True", { replicas: 1 }), ready("True", { replicas: 2 }))).toBe(false);
});

test("tries that fail grow apart", () => {
  expect([1, 2, 3, 7, 50].map(decideRequeueDelay)).toEqual([500, 1_000, 2_000, 30_000, 30_000]);
});

test("corrections are free at first, and then ever rarer until there is peace", () => {
  let corrections: Corrections | undefined;
  const waits = [0, 1, 2, 3, 4].map((nowMs) => {
    const decided = decideCorrection(corrections, nowMs);
    corrections = decided.corrections;
    return decided.waitMs;
  });
  expect(waits).toEqual([0, 0, 500, 1_000, 2_000]);
  expect(decideCorrection(corrections, 200_000)).toMatchObject({ corrections: { count: 1 }, waitMs: 0 });
});

describe("what is kept of an object", () => {
  const entry = (
    manager: string,
    fieldsV1: object,
    more: Partial<V1ManagedFieldsEntry> = {},
  ): V1ManagedFieldsEntry => ({
    manager,
    operation: "Apply",
    time: new Date(1_000_000),
    fieldsV1,
    ...more,
  });
  const ours = { "f:spec": { "f:replicas": {}, "f:template": { "f:image": {} } } };
  const print = (managedFields: V1ManagedFieldsEntry[], uid = "u") =>
    recordObject({ metadata: { name: "fn", uid, managedFields } }).fingerprint;
  const before = print([entry("faaslane", ours)]);

  test("changes when somebody takes a field of ours, or the object is another one", () => {
    expect(print([entry("faaslane", { "f:spec": { "f:template": {} } })])).not.toBe(before);
    expect(print([])).not.toBe(before);
    expect(print([entry("faaslane", ours)], "v")).not.toBe(before);
  });

  test("stays when others set what is not ours, or scale", () => {
    const theirs = entry("kubectl", { "f:metadata": { "f:labels": {} } }, { operation: "Update" });
    expect(print([theirs, entry("faaslane", ours)])).toBe(before);
    expect(print([entry("faaslane", { "f:spec": { "f:template": { "f:image": {} } } })])).toBe(before);
    const scaled = entry("faaslane", { "f:spec": { "f:replicas": {} } }, { operation: "Update", subresource: "scale" });
    expect(print([entry("faaslane", ours), scaled])).toBe(before);
  });

  test("tells whether the definition came over the API", () => {
    const spec = { "f:spec": {} };
    const deployed = (...managedFields: V1ManagedFieldsEntry[]) => {
      const metadata = { name: "fn", namespace: "n", managedFields };
      const object: FunctionObject = { apiVersion: "", kind: "", metadata, spec: { name: "fn", image: "fn" } };
      return recordFunction(object).deployed;
    };
    const later = { time: new Date(2_000_000) };
    expect(deployed(entry("faaslane", spec))).toBe(true);
    expect(deployed(entry("kubectl", spec), entry("faaslane", spec, later))).toBe(true);
    expect(deployed(entry("faaslane", spec), entry("kubectl", spec, later))).toBe(false);
    expect(deployed(entry("kubectl", spec), entry("faaslane", { "f:status": {} }, later))).toBe(false);
  });

  test("is the newest, whether it was written or seen", () => {
    const changes: string[] = [];
    const table = new RecordTable<ReturnType<typeof recordObject>>((key) => changes.push(key));
    const record = (resourceVersion: string, uid = "u") => ({
      metadata: { name: "fn", namespace: "n", uid, resourceVersion },
      fingerprint: resourceVersion,
    });
    table.put(record("10"));
    table.put(record("9"));
    expect(table.get("fn.n")?.fingerprint).toBe("10");
    table.remove(record("9", "another"));
    expect(table.get("fn.n")?.fingerprint).toBe("10");
    table.replace([]);
    expect(table.get("fn.n")).toBeUndefined();
    expect(changes).toEqual(["fn.n", "fn.n"]);
  });
});

describe("a work queue", () => {
  function queue(concurrency: number) {
    const running = new Map<string, () => void>();
    const done: string[] = [];
    const work = async (key: string) => {
      await new Promise<void>((resolve) => running.set(key, resolve));
      running.delete(key);
      done.push(key);
    };
    return {
      queue: new WorkQueue({ concurrency, work }),
      running,
      done,
      finish: (key: string) => running.get(key)?.(),
    };
  }

  test("works on so many keys at a time, in order", async () => {
    const { queue: q, running, finish } = queue(2);
    for (const key of ["a", "b", "c"]) q.add(key);
    expect([...running.keys()]).toEqual(["a", "b"]);
    finish("b");
    await eventually("c runs", () => running.has("c"));
    expect([...running.keys()]).toEqual(["a", "c"]);
  });

  test("works on a key once at a time, and again when it was added meanwhile", async () => {
    const { queue: q, running, done, finish } = queue(5);
    q.add("a");
    q.add("a");
    q.add("a");
    expect(running.size).toBe(1);
    finish("a");
    await eventually("it runs again", () => done.length === 1 && running.has("a"));
    finish("a");
    await eventually("it is done", () => done.length === 2);
    expect(running.size).toBe(0);
  });

  test("keeps the earlier of two times", async () => {
    const { queue: q, running } = queue(5);
    q.add("a", 60_000);
    q.add("a", 5);
    q.add("b", 5);
    q.add("b", 60_000);
    await eventually("both run", () => running.size === 2, 2_000);
    await Promise.all([q.close(), ...[...running.values()].map((finish) => finish())]);
  });

  test("closes once nothing runs any more, and starts nothing afterwards", async () => {
    const { queue: q, running, done, finish } = queue(1);
    q.add("a");
    q.add("b");
    q.add("c", 1);
    const closed = q.close();
    finish("a");
    await closed;
    q.add("d");
    expect(done).toEqual(["a"]);
    expect(running.size).toBe(0);
  });
});
