import type { Registry } from "prom-client";
import { register, type Value } from "../../kit/series.ts";
import type { Autoscaler, Scalable } from "../scaling/autoscaler.ts";
import type { WatchedFunction } from "../scaling/watched-function.ts";

export interface ScalingMetricsOptions {
  readonly functions: () => Iterable<Scalable>;
  readonly autoscaler: Autoscaler;
}

/**
 * What the autoscaler knows and decides, under OpenFaaS's names where it has them. Each gateway tells what it would
 * decide; `gateway_autoscaler_leader` says which of them acts.
 */
export function registerScalingMetrics(registry: Registry, { functions, autoscaler }: ScalingMetricsOptions): void {
  const gauge = (name: string, help: string, value: (watched: WatchedFunction, entry: Scalable) => Value[]) =>
    register(registry, "gauge", name, help, () =>
      [...functions()].flatMap((entry) => {
        const watched = autoscaler.watched(entry.qualifiedName);
        return watched ? value(watched, entry) : [];
      }),
    );
  const perFunction = (
    name: string,
    help: string,
    value: (watched: WatchedFunction, entry: Scalable) => number | undefined,
  ) =>
    gauge(name, help, (watched, entry) => {
      const number = value(watched, entry);
      return number === undefined ? [] : [{ labels: { function_name: entry.qualifiedName }, value: number }];
    });

  perFunction(
    "gateway_service_min",
    "Least replicas while awake.",
    (watched, { snapshot }) => watched.policyFor(snapshot).min,
  );
  perFunction("gateway_service_max", "Most replicas.", (watched, { snapshot }) => watched.policyFor(snapshot).max);
  gauge("gateway_service_target_load", "Load that a replica is meant for.", (watched, { snapshot, qualifiedName }) => {
    const { type, target } = watched.policyFor(snapshot);
    return [{ labels: { function_name: qualifiedName, scaling_type: type }, value: target }];
  });
  perFunction("gateway_autoscaler_load", "Load over the window.", ({ last }) => last?.decision.stableLoad);
  perFunction("gateway_autoscaler_burst_load", "Load over the panic window.", ({ last }) => last?.decision.panicLoad);
  perFunction("gateway_autoscaler_wanted_replicas", "Replicas decided.", ({ last }) => last?.decision.replicas);
  perFunction("gateway_autoscaler_panic", "1 while nothing is taken away in a burst.", ({ last }) =>
    last ? Number(last.decision.panic) : undefined,
  );
  gauge("gateway_autoscaler_reason", "1 for the reason of the last decision.", ({ last }, { qualifiedName }) =>
    last ? [{ labels: { function_name: qualifiedName, reason: last.decision.reason }, value: 1 }] : [],
  );
  gauge("gateway_prewarm_slots", "Predicted slots of ten minutes, by whether a call came.", (watched, entry) => {
    if (!watched.policyFor(entry.snapshot).prewarm) return [];
    const { hits, misses } = watched.pattern.score;
    const labels = { function_name: entry.qualifiedName };
    return [
      { labels: { ...labels, result: "hit" }, value: hits },
      { labels: { ...labels, result: "miss" }, value: misses },
    ];
  });
  register(registry, "gauge", "gateway_autoscaler_leader", "1 where decisions are acted on.", () => [
    { labels: {}, value: Number(autoscaler.leading) },
  ]);
  register(registry, "gauge", "gateway_autoscaler_tick_seconds", "Time that the last tick took.", () => [
    { labels: {}, value: autoscaler.tickMs / 1000 },
  ]);
}
