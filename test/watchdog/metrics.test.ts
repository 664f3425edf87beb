import { expect, test } from "@jest/globals";
import { CallMetrics } from "../../watchdog/metrics.ts";

test("calls are counted by lower-case method and code, verbs nobody knows together", () => {
  const metrics = new CallMetrics();
  metrics.observe("POST", 200, 0.1);
  metrics.observe("POST", 500, 0.1);
  metrics.observe("BREW", 200, 0.1);
  metrics.observe("WHEN", 200, 0.1);
  metrics.observe("post", 200, 0.1);
  const lines = metrics.render().split("\n");
  expect(lines).toContain('http_requests_total{code="200",method="post"} 1');
  expect(lines).toContain('http_requests_total{code="500",method="post"} 1');
  expect(lines).toContain('http_requests_total{code="200",method="unknown"} 3');
});

test("buckets are cumulative and include their bound", () => {
  const metrics = new CallMetrics();
  for (const seconds of [0.005, 0.006, 3, 60]) metrics.observe("GET", 200, seconds);
  const text = metrics.render();
  const bucket = (le: string) => text.match(new RegExp(`bucket{code="200",method="get",le="${le}"} (\\d+)`))?.[1];
  expect(["0.005", "0.01", "2.5", "5", "10", "\\+Inf"].map(bucket)).toEqual(["1", "2", "2", "3", "3", "4"]);
});
