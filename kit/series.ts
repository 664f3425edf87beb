import type { Metric, MetricValueWithName, Registry } from "prom-client";

/** One line of a scrape; `metricName` where it differs from the series' name. */
export type Value = Omit<MetricValueWithName<string>, "metricName"> & { readonly metricName?: string };

/**
 * A series whose values are read from elsewhere when somebody scrapes, at no cost before. prom-client asks its metrics
 * for no more than these members.
 */
export function register(
  registry: Registry,
  type: "counter" | "gauge" | "histogram" | "summary",
  name: string,
  help: string,
  values: () => Value[] | Promise<Value[]>,
): void {
  const metric = {
    name,
    async get() {
      return { name, help, type, aggregator: "sum", values: await values() };
    },
    reset() {},
  };
  registry.registerMetric(metric as unknown as Metric);
}
