import { expect, test } from "@jest/globals";
import { parseScalePolicy } from "../../../../contract/scale-policy.ts";
import type { Sample } from "../../../../gateway/core/scaling/sample.ts";
import { simulate } from "../../../../gateway/core/scaling/simulate.ts";

const START = 1_700_000_000_000;

function history(seconds: number, load: (second: number) => number): Sample[] {
  return Array.from({ length: seconds }, (_, second) => {
    const value = load(second);
    const facts = { concurrency: value, started: value, inFlight: value, held: 0, queued: 0, replicas: 1, ready: 1 };
    return { t: START + second * 1000, ...facts };
  });
}

const policyOf = (labels: Record<string, string>) => parseScalePolicy(labels).policy;
const CAPACITY = { "com.openfaas.scale.type": "capacity", "com.faaslane.scale.down-delay": "0s" };

test("another target needs other replicas", () => {
  const steady = history(120, () => 18);
  const run = (target: string) =>
    simulate(steady, {
      policy: policyOf({ ...CAPACITY, "com.openfaas.scale.target": target }),
      startMs: 1000,
      tickMs: 2000,
    });
  expect(run("10").seconds.at(-1)).toMatchObject({ wanted: 2, ready: 2, load: 18, reason: "load" });
  expect(run("5").seconds.at(-1)).toMatchObject({ wanted: 4, ready: 4 });
  expect(run("5").replicaSeconds).toBeGreaterThan(run("10").replicaSeconds);
});

test("sleep costs cold starts and saves replicas", () => {
  const rare = history(1200, (second) => (second % 300 === 10 ? 1 : 0));
  const run = (labels: Record<string, string>) =>
    simulate(rare, { policy: policyOf({ ...CAPACITY, ...labels }), startMs: 500, tickMs: 2000 });
  const awake = run({});
  const asleep = run({ "com.openfaas.scale.zero": "true", "com.openfaas.scale.zero-duration": "60s" });
  expect(awake).toMatchObject({ coldStarts: 0, replicaSeconds: 1199, changes: 0 });
  expect(asleep).toMatchObject({ coldStarts: 3, changes: 7 });
  expect(asleep.replicaSeconds).toBeLessThan(320);
});

test("replicas that take long to start leave the function overloaded for longer", () => {
  const step = history(60, (second) => (second < 30 ? 4 : 40));
  const run = (startMs: number) =>
    simulate(step, { policy: policyOf({ ...CAPACITY, "com.openfaas.scale.target": "5" }), startMs, tickMs: 2000 });
  expect(run(0).overloadedSeconds).toBeLessThanOrEqual(6);
  expect(run(10_000).overloadedSeconds).toBeGreaterThan(run(0).overloadedSeconds + 8);
});

test("a type that was not measured keeps what there is", () => {
  const { seconds } = simulate(
    history(20, () => 9),
    { policy: policyOf({ "com.openfaas.scale.type": "cpu" }), startMs: 0, tickMs: 2000 },
  );
  expect(seconds.at(-1)).toMatchObject({ wanted: 1, reason: "no-data" });
});

test("an empty history is none", () => {
  expect(simulate([], { policy: policyOf({}), startMs: 0, tickMs: 2000 })).toMatchObject({ seconds: [], changes: 0 });
});
