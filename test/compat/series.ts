import { expect } from "@jest/globals";

/** A metric that dashboards and alerts are written for. Labels come in no order. */
export type Series = readonly [name: string, type: "counter" | "gauge" | "histogram", labels: readonly string[]];

/** A function is named `<name>.<namespace>`. */
export const GATEWAY_SERIES: readonly Series[] = [
  ["gateway_function_invocation_started", "counter", ["function_name"]],
  ["gateway_function_invocation_total", "counter", ["code", "function_name"]],
  ["gateway_functions_seconds", "histogram", ["code", "function_name"]],
  ["gateway_service_count", "gauge", ["function_name"]],
];

/** Of both watchdogs; the method is in lower case. */
export const WATCHDOG_SERIES: readonly Series[] = [
  ["http_request_duration_seconds", "histogram", ["code", "method"]],
  ["http_requests_in_flight", "gauge", []],
  ["http_requests_total", "counter", ["code", "method"]],
];

const BUCKETS = ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"];

interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** @see https://prometheus.io/docs/instrumenting/exposition_formats/ */
export function readSamples(text: string): Sample[] {
  return [...text.matchAll(/^(\w+)(?:\{(.*)\})? (\S+)$/gm)].map(([, name = "", labels = "", value]) => ({
    name,
    labels: Object.fromEntries([...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, key, said]) => [key, said])),
    value: Number(value),
  }));
}

/** The text of a `/metrics` has a sample at least of every series, and each with its labels and no others. */
export function expectSeries(text: string, series: readonly Series[]): void {
  const samples = readSamples(text);
  for (const [name, type, labels] of series) {
    expect(text.split("\n")).toContain(`# TYPE ${name} ${type}`);
    const parts = type === "histogram" ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name];
    for (const part of parts) {
      const own = samples.filter((sample) => sample.name === part);
      expect([part, own.length > 0]).toEqual([part, true]);
      const expected = [...labels, ...(part.endsWith("_bucket") ? ["le"] : [])].sort();
      for (const sample of own) expect([part, Object.keys(sample.labels).sort()]).toEqual([part, expected]);
    }
    if (type === "histogram") expectBuckets(samples, name);
  }
}

/** Each set of labels has every bucket, and none counts less than the one before it. */
function expectBuckets(samples: readonly Sample[], name: string): void {
  const buckets = samples.filter((sample) => sample.name === `${name}_bucket`);
  const groups = Map.groupBy(buckets, ({ labels: { le: _le, ...labels } }) => JSON.stringify(labels));
  for (const [labels, group] of groups) {
    expect([labels, group.map((sample) => sample.labels.le)]).toEqual([labels, BUCKETS]);
    const counts = group.map(({ value }) => value);
    expect(counts).toEqual(counts.toSorted((a, b) => a - b));
  }
}
