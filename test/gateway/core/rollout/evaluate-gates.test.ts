import { describe, expect, test } from "@jest/globals";
import type { RolloutGate } from "../../../../contract/versions/rollout-settings.ts";
import type { VersionCounts } from "../../../../contract/versions/rollout-state.ts";
import { type Evaluation, evaluateGates } from "../../../../gateway/core/rollout/evaluate-gates.ts";
import { LatencyCounts } from "../../../../gateway/core/rollout/latency-counts.ts";
import { TrialBook } from "../../../../gateway/core/rollout/trial-book.ts";
import { TrialCounts } from "../../../../gateway/core/rollout/trial-counts.ts";
import { wilsonInterval } from "../../../../gateway/core/rollout/wilson.ts";

const side = (seen: Partial<VersionCounts> = {}): VersionCounts => ({ calls: 1000, errors: 0, cold: 0, ...seen });
const errors = (limit: number, relative?: true): RolloutGate => ({
  metric: "errors",
  limit,
  ...(relative && { relative }),
});
const p95 = (limit: number, relative?: true): RolloutGate => ({ metric: "p95", limit, ...(relative && { relative }) });

test.each([
  [0, 0, 0, 1],
  [0, 50, 0, 0.0713],
  [5, 25, 0.0886, 0.3913],
  [1, 1, 0.2065, 1],
  [200, 1000, 0.1764, 0.2259],
])("%d of %d lie between %d and %d with 95 %%", (hits, of, lower, upper) => {
  const interval = wilsonInterval(hits, of);
  expect(interval.lower).toBeCloseTo(lower, 3);
  expect(interval.upper).toBeCloseTo(upper, 3);
});

describe("a verdict", () => {
  test.each<[string, RolloutGate[], VersionCounts, VersionCounts, Evaluation["verdict"]]>([
    ["is good where nothing is asked for", [], side(), side(), "good"],
    ["waits for as many calls as are needed", [errors(0.01)], side({ calls: 1, errors: 1 }), side(), "no-data"],
    [
      "is bad where even the lower bound is above the limit",
      [errors(0.01)],
      side({ calls: 50, errors: 10 }),
      side(),
      "bad",
    ],
    ["is open where chance explains it", [errors(0.01)], side({ calls: 50, errors: 1 }), side(), "inconclusive"],
    ["is open after few calls without an error", [errors(0.01)], side({ calls: 50 }), side(), "inconclusive"],
    [
      "is good where even the upper bound is below the limit",
      [errors(0.01)],
      side({ calls: 1000, errors: 1 }),
      side(),
      "good",
    ],
    ["names cold starts", [{ metric: "cold", limit: 0.2 }], side({ cold: 500 }), side(), "bad"],
    ["compares a percentile with a time", [p95(500)], side({ p95: 501 }), side(), "bad"],
    ["takes a percentile below it", [p95(500)], side({ p95: 499 }), side(), "good"],
    ["is open without any answer", [p95(500)], side(), side(), "inconclusive"],
    [
      "compares a percentile with the stable version's",
      [p95(1.3, true)],
      side({ p95: 200 }),
      side({ p95: 100 }),
      "bad",
    ],
    ["takes both being slow", [p95(1.3, true)], side({ p95: 2000 }), side({ p95: 1900 }), "good"],
    [
      "compares nothing with 99 calls",
      [p95(1.3, true)],
      side({ p95: 200 }),
      side({ calls: 99, p95: 100 }),
      "inconclusive",
    ],
    [
      "compares nothing of 99 calls",
      [p95(1.3, true)],
      side({ calls: 99, p95: 200 }),
      side({ p95: 100 }),
      "inconclusive",
    ],
    ["compares errors", [errors(1.5, true)], side({ errors: 200 }), side({ errors: 50 }), "bad"],
    ["takes both failing", [errors(1.5, true)], side({ errors: 200 }), side({ errors: 190 }), "good"],
    ["takes no errors beside none", [errors(1.5, true)], side(), side(), "good"],
    ["is as bad as its worst condition", [errors(0.01), p95(500)], side({ p95: 900 }), side(), "bad"],
    [
      "is open as long as one condition is",
      [errors(0.01), p95(500)],
      side({ calls: 60, p95: 9 }),
      side(),
      "inconclusive",
    ],
  ])("%s", (_rule, gates, candidate, stable, verdict) => {
    expect(evaluateGates({ gates, minRequests: 50 }, { candidate, stable }).verdict).toBe(verdict);
  });

  test.each([
    [{ value: 0.4 }, "good"],
    [{ value: 0.5 }, "bad"],
    [{ problem: "away" }, "inconclusive"],
    [undefined, "inconclusive"],
  ])("takes what Prometheus says, %j, as %s", (result, verdict) => {
    const settings = { gates: [errors(0.01)], query: { expression: "x", limit: 0.5 }, minRequests: 50 };
    expect(evaluateGates(settings, { candidate: side(), stable: side() }, result).verdict).toBe(verdict);
  });

  test("says what it was that was not kept, with the numbers", () => {
    const numbers = { candidate: side({ calls: 25, errors: 5 }), stable: side() };
    const { reason } = evaluateGates({ gates: [errors(0.01)], minRequests: 10 }, numbers);
    expect(reason).toBe("errors are 20% of 25 calls, by chance 8.86% to 39.13%; the limit is 1%");
  });
});

describe("what is counted", () => {
  test.each([
    [200, 1, 0],
    [404, 1, 0],
    [429, 0, 0],
    [499, 0, 0],
    [500, 1, 1],
    [502, 1, 1],
    [503, 1, 1],
    [504, 1, 1],
  ])("an answer with status %d is %d call with %d errors", (status, calls, failed) => {
    const counts = new TrialCounts("1/1/0");
    counts.observe(status, 5, false);
    expect(counts.counts()).toMatchObject({ calls, errors: failed });
  });

  test("percentiles are right within a few percent, from below a millisecond to minutes", () => {
    for (const scale of [0.2, 3, 40, 500, 60_000]) {
      const counts = new LatencyCounts();
      for (let i = 1; i <= 1000; i++) counts.observe((scale * i) / 1000);
      for (const share of [0.5, 0.95, 0.99]) {
        const error = Math.abs((counts.quantile(share) as number) / (scale * share) - 1);
        expect(error).toBeLessThan(scale < 1 ? 0.15 : 0.05);
      }
    }
    expect(new LatencyCounts().quantile(0.5)).toBeUndefined();
  });

  test("times that no call takes do not spoil it", () => {
    const counts = new LatencyCounts();
    for (const ms of [-1, 0, Number.NaN, Number.POSITIVE_INFINITY, 1e12]) counts.observe(ms);
    expect(counts.report().reduce((sum, [, count]) => sum + count, 0)).toBe(5);
  });

  test("gateways are added up, each with its newest word, and only of the step that is meant", () => {
    const of = (key: string, ...statuses: number[]) => {
      const counts = new TrialCounts(key);
      for (const status of statuses) counts.observe(status, 10, true);
      return { key, candidate: counts.report(), stable: new TrialCounts(key).report() };
    };
    const book = new TrialBook();
    book.write("a", { f: of("1/1/0", 200) });
    book.write("a", { f: of("1/1/0", 200, 500) });
    book.write("b", { f: of("1/1/0", 200, 200), g: of("1/1/0", 200) });
    book.write("c", { f: of("1/1/1", 500, 500, 500) });
    expect(book.sum("f", "1/1/0").candidate).toMatchObject({ calls: 4, errors: 1, cold: 4 });
    expect(book.sum("f", "1/1/1").candidate).toMatchObject({ calls: 3, errors: 3 });
    expect(book.sum("f", undefined).candidate).toMatchObject({ calls: 0 });
    book.keep(new Set(["g"]));
    expect(book.sum("f", "1/1/0").candidate).toMatchObject({ calls: 0 });
    expect(book.sum("g", "1/1/0").candidate).toMatchObject({ calls: 1 });
  });
});
