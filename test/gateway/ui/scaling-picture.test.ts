import { expect, test } from "@jest/globals";
import type { ScalingDecision } from "../../../contract/scaling.ts";
import type { ScaleReason } from "../../../gateway/core/scaling/decision.ts";
import { barOf, SOURCES, stagesOf } from "../../../gateway/ui/browser/screens/function/scaling/explain.ts";
import {
  changesOf,
  readForm,
  whatIfCommand,
  whatIfPath,
  writeForm,
} from "../../../gateway/ui/browser/screens/function/scaling/what-if-form.ts";

const report = { type: "rps", settings: { target: 10, "target-proportion": 0.9, window: "30s", max: 4, "up-rate": 2 } };
const decision: ScalingDecision = {
  at: "2030-01-31T12:00:00Z",
  from: 1,
  ready: 1,
  to: 4,
  reason: "max",
  panic: true,
  load: 45,
  burstLoad: 80,
  steps: [
    { reason: "load", replicas: 5, text: "⌈45 / (10 × 0.9)⌉ = 5" },
    { reason: "up-rate", replicas: 5, text: "at most 2 times as many" },
    { reason: "max", replicas: 4, text: "at most 4" },
  ],
};

/** A reason that the gateway learns has to get a source here: this does not compile otherwise. */
const sources: Readonly<Record<ScaleReason, string>> = SOURCES;

test("a decision is told from the load to the result, each number with where it comes from", () => {
  expect(Object.keys(sources)).toContain("load");
  const stages = stagesOf(decision, report);
  expect(stages.map(({ kind, title, value, source, hasChanged }) => [kind, title, value, source, hasChanged])).toEqual([
    ["load", "Load", 45, "type: rps", false],
    ["wish", "Wish, by load", 5, "target: 10, target-proportion: 0.9, window: 30s", false],
    ["clamp", "Then up-rate", 5, "up-rate: 2", false],
    ["clamp", "Then max", 4, "max: 4", true],
    ["result", "Result", 4, "decided by max", true],
  ]);
  expect(stages[0]?.text).toBe("calls a second, on average over 30s; 80 over the panic window");
  expect(stages.map((stage) => barOf(stage, stages))).toEqual([0, 1, 1, 0.8, 0.8]);
});

test("a load that was not measured, and a decision without steps, are told as such", () => {
  const { load: _, burstLoad: __, ...unknown } = decision;
  const stages = stagesOf({ ...unknown, steps: [], from: 4, panic: false }, report);
  expect(stages.map(({ kind, text }) => [kind, text])).toEqual([
    ["load", "it was not measured"],
    ["result", "it stays at 4; 1 ready then"],
  ]);
});

test("other settings are in the address, the request and the command", () => {
  const form = readForm(new URLSearchParams("w.target=20&w.others=up-rate%3D3%20burst%3D1&w.since=10m&tab=x"));
  expect(changesOf(form)).toEqual(["target=20", "up-rate=3", "burst=1"]);
  expect(readForm(new URLSearchParams(writeForm(form)))).toEqual(form);
  const part = { name: "f", namespace: "ns" };
  expect(whatIfPath(form, part)).toBe(
    "/system/scaling/f/what-if?namespace=ns&since=10m&set=target%3D20&set=up-rate%3D3&set=burst%3D1",
  );
  expect(whatIfPath(readForm(new URLSearchParams()), part)).toBeUndefined();
  const labels = { "com.openfaas.scale.target": "5", "com.faaslane.scale.up-delay": "1m", team: "x" };
  expect(whatIfCommand(form, part, labels)).toBe(
    "faaslane scaling history f -n ns --since 10m | faaslane scaling simulate --from - --set target=20 --set up-delay=1m --set up-rate=3 --set burst=1",
  );
});
