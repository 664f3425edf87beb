import { collectDefaultMetrics, type Metric, type MetricValueWithName, Registry } from "prom-client";
import type { FunctionTable } from "../proxy/function-table.ts";
import type { QueueStats } from "../queue/queue.ts";
import { type CodeTally, DURATION_BUCKETS } from "./function-meter.ts";

export interface GatewayMetricsOptions {
  readonly table: FunctionTable;
  /** Absent when there is no queue. */
  readonly queueStats?: () => Promise<QueueStats>;
}

/** One line of a scrape; `metricName` where it differs from the series' name. */
type Value = Omit<MetricValueWithName<string>, "metricName"> & { readonly metricName?: string };

/** All series of the gateway, under OpenFaaS's names where it has them. @see reference gateway-and-provider §6.1 */
export function createMetrics({ table, queueStats }: GatewayMetricsOptions): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const meters = () =>
    [...table.entries()].map((entry) => ({ function_name: entry.qualifiedName, meter: entry.meter }));

  register(registry, "counter", "gateway_function_invocation_started", "Calls given to a function.", () =>
    meters().map(({ meter, ...labels }) => ({ labels, value: meter.started })),
  );
  register(registry, "counter", "gateway_function_invocation_total", "Calls that ended, by status code.", () =>
    meters().flatMap(({ meter, ...labels }) =>
      [...meter.codes].map(([code, tally]) => ({ labels: { ...labels, code: `${code}` }, value: tally.count })),
    ),
  );
  register(registry, "histogram", "gateway_functions_seconds", "Time from a call's sending to its last byte.", () =>
    meters().flatMap(({ meter, ...labels }) =>
      [...meter.codes].flatMap(([code, tally]) => histogramValues({ ...labels, code: `${code}` }, tally)),
    ),
  );
  register(registry, "gauge", "gateway_function_invocation_inflight", "Calls under way.", () =>
    meters().map(({ meter, ...labels }) => ({ labels, value: meter.inFlight })),
  );
  const perFunction =
    (value: (entry: { picture: { replicas: number }; readyReplicas: number; held: { count: number } }) => number) =>
    () =>
      [...table.entries()].map((entry) => ({ labels: { function_name: entry.qualifiedName }, value: value(entry) }));
  register(
    registry,
    "gauge",
    "gateway_service_count",
    "Replicas wanted.",
    perFunction((e) => e.picture.replicas),
  );
  register(
    registry,
    "gauge",
    "gateway_service_ready_count",
    "Replicas ready to serve.",
    perFunction((e) => e.readyReplicas),
  );
  register(
    registry,
    "gauge",
    "gateway_held_calls",
    "Calls that wait for a replica.",
    perFunction((e) => e.held.count),
  );

  if (queueStats) {
    // A queue that has failed leaves its own series out, not all the others.
    const total = (value: (stats: QueueStats) => number) => async () => {
      const stats = await queueStats().catch(() => undefined);
      return stats ? [{ labels: {}, value: value(stats) }] : [];
    };
    register(
      registry,
      "gauge",
      "gateway_queue_waiting_calls",
      "Asynchronous calls that wait.",
      total((s) => s.waiting),
    );
    register(
      registry,
      "gauge",
      "gateway_queue_inflight_calls",
      "Asynchronous calls under way.",
      total((s) => s.inFlight),
    );
    register(
      registry,
      "gauge",
      "gateway_queue_dead_calls",
      "Asynchronous calls given up.",
      total((s) => s.dead),
    );
    const help = "Age of the oldest asynchronous call that waits.";
    register(
      registry,
      "gauge",
      "gateway_queue_oldest_call_seconds",
      help,
      total((s) => s.oldestMs / 1000),
    );
  }
  return registry;
}

/**
 * A series whose values are read from elsewhere when somebody scrapes, at no cost before. prom-client asks its metrics
 * for no more than these members.
 */
function register(
  registry: Registry,
  type: "counter" | "gauge" | "histogram",
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

function histogramValues(labels: Record<string, string>, tally: CodeTally): Value[] {
  let below = 0;
  const buckets = [...DURATION_BUCKETS.map(String), "+Inf"].map((le, i) => {
    below += tally.buckets[i] as number;
    return { labels: { ...labels, le }, value: below, metricName: "gateway_functions_seconds_bucket" };
  });
  return [
    ...buckets,
    { labels, value: tally.sum, metricName: "gateway_functions_seconds_sum" },
    { labels, value: tally.count, metricName: "gateway_functions_seconds_count" },
  ];
}
