import { expect, test } from "@jest/globals";
import type { FunctionEndpoints } from "../../../contract/endpoints.ts";
import { SCALE_DEFAULTS } from "../../../contract/scale-policy.ts";
import { WatchedFunction } from "../../../gateway/scaling/watched-function.ts";

const MAX = "com.openfaas.scale.max";

function snapshot(labels: Record<string, string>, annotations: Record<string, string> = {}): FunctionEndpoints {
  return { name: "f", namespace: "ns", labels, annotations, replicas: 1, generation: 1, endpoints: [] };
}

test.each<[what: string, next: FunctionEndpoints, parsesAgain: boolean]>([
  ["an event that repeats the labels", snapshot({ [MAX]: "3" }), false],
  ["another value", snapshot({ [MAX]: "4" }), true],
  ["a label more", snapshot({ [MAX]: "3", team: "a" }), true],
  ["a label less", snapshot({}), true],
  ["another annotation", snapshot({ [MAX]: "3" }, { "com.faaslane.queue.size": "5" }), true],
])("%s parses the scale policy again or not", (_what, next, parsesAgain) => {
  const watched = new WatchedFunction(snapshot({ [MAX]: "3" }), 0, SCALE_DEFAULTS, (ms) => ms);
  const before = watched.policyFor(snapshot({ [MAX]: "3" }));
  expect(watched.policyFor(next) !== before).toBe(parsesAgain);
});
