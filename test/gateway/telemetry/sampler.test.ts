import { expect, test } from "@jest/globals";
import { TraceIds } from "../../../gateway/telemetry/ids.ts";
import { buildSampler, decideSampling, SAMPLERS, type SamplerName } from "../../../gateway/telemetry/sampler.ts";

const LOW = "f".repeat(18) + "0".repeat(14);
const HIGH = "1".repeat(18) + "f".repeat(14);

test.each<[name: SamplerName, root: boolean, parentSays: readonly [yes: boolean, no: boolean]]>([
  ["always_on", true, [true, true]],
  ["always_off", false, [false, false]],
  ["parentbased_always_on", true, [true, false]],
  ["parentbased_always_off", false, [true, false]],
])("%s", (name, root, [yes, no]) => {
  const sampler = buildSampler(name, 0.5);
  for (const id of [LOW, HIGH]) {
    expect(decideSampling(sampler, id, undefined)).toBe(root);
    expect(decideSampling(sampler, id, true)).toBe(yes);
    expect(decideSampling(sampler, id, false)).toBe(no);
  }
});

test("a ratio goes by the random end of the id, and alike in all processes", () => {
  const sampler = buildSampler("traceidratio", 0.5);
  expect([LOW, HIGH].map((id) => decideSampling(sampler, id, undefined))).toEqual([false, true]);
  expect(decideSampling(sampler, LOW, true)).toBe(false);
  expect(decideSampling(buildSampler("parentbased_traceidratio", 0.5), LOW, true)).toBe(true);
});

test("a ratio of a tenth takes about a tenth, and of 0 and 1 none and all", () => {
  const ids = new TraceIds();
  const taken = (ratio: number) => {
    const sampler = buildSampler("parentbased_traceidratio", ratio);
    return Array.from({ length: 20_000 }, () => decideSampling(sampler, ids.trace(), undefined)).filter(Boolean).length;
  };
  expect(taken(0)).toBe(0);
  expect(taken(1)).toBe(20_000);
  // Ten standard deviations on either side.
  expect(Math.abs(taken(0.1) - 2_000)).toBeLessThan(430);
});

test("every name that is offered can be built", () => {
  for (const name of SAMPLERS) expect(buildSampler(name, 0.25).ratio).toBeGreaterThanOrEqual(0);
});
