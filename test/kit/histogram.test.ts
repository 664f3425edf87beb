import { expect, test } from "@jest/globals";
import { Registry } from "prom-client";
import { registerHistogram, registerTotals, Tally } from "../../kit/histogram.ts";

test("a histogram counts each value under every bound that it does not pass, when it is scraped", async () => {
  const registry = new Registry();
  const tally = new Tally([0.1, 1]);
  registerHistogram(registry, "start_seconds", "Starts.", () => [{ labels: { phase: "up" }, tally }]);
  for (const value of [0.05, 0.1, 0.5, 7]) tally.observe(value);
  expect((await registry.metrics()).trim().split("\n")).toEqual([
    "# HELP start_seconds Starts.",
    "# TYPE start_seconds histogram",
    'start_seconds_bucket{phase="up",le="0.1"} 2',
    'start_seconds_bucket{phase="up",le="1"} 3',
    'start_seconds_bucket{phase="up",le="+Inf"} 4',
    'start_seconds_sum{phase="up"} 7.65',
    'start_seconds_count{phase="up"} 4',
  ]);
});

test("totals are a sum and a count", async () => {
  const registry = new Registry();
  registerTotals(registry, "start_seconds", "Starts.", () => [{ labels: { f: "a" }, count: 2, sum: 1.5 }]);
  expect((await registry.metrics()).trim().split("\n").slice(1)).toEqual([
    "# TYPE start_seconds summary",
    'start_seconds_sum{f="a"} 1.5',
    'start_seconds_count{f="a"} 2',
  ]);
});
