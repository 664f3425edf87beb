import { collectDefaultMetrics, Registry } from "prom-client";
import { registerHistogram } from "../../kit/histogram.ts";
import { register } from "../../kit/series.ts";
import type { FunctionEntry } from "../proxy/function-entry.ts";
import type { FunctionTable } from "../proxy/function-table.ts";
import type { Autoscaler } from "../scaling/autoscaler.ts";
import type { ControlMeter } from "./control-meter.ts";
import { type EventMetricsOptions, registerEventMetrics } from "./event-metrics.ts";
import { type QueueMetricsOptions, registerQueueMetrics } from "./queue-metrics.ts";
import { type RolloutMetricsOptions, registerRolloutMetrics } from "./rollout-metrics.ts";
import { registerScalingMetrics } from "./scaling-metrics.ts";
import { registerTelemetryMetrics, type TelemetryCounts } from "./telemetry-metrics.ts";
import { registerVersionMetrics } from "./version-metrics.ts";

export interface GatewayMetricsOptions {
  readonly table: Pick<FunctionTable, "entries" | "startups">;
  /** Absent where functions are not scaled here. */
  readonly autoscaler?: Autoscaler;
  /** Absent when there is no queue. */
  readonly queue?: QueueMetricsOptions;
  /** Absent when there are no events. */
  readonly events?: EventMetricsOptions;
  readonly telemetry?: TelemetryCounts;
  readonly control?: ControlMeter;
  readonly rollouts?: RolloutMetricsOptions;
}

/** All series of the gateway, under OpenFaaS's names where it has them: those of `test/compat/series.ts`. */
export function createMetrics({
  table,
  autoscaler,
  queue,
  events,
  telemetry,
  control,
  rollouts,
}: GatewayMetricsOptions): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const functions = () => [...table.entries()].filter(({ isBeside }) => !isBeside);
  const meters = () => functions().map((entry) => ({ function_name: entry.qualifiedName, meter: entry.wholeMeter }));

  register(registry, "counter", "gateway_function_invocation_started", "Calls given to a function.", () =>
    meters().map(({ meter, ...labels }) => ({ labels, value: meter.started })),
  );
  register(registry, "counter", "gateway_function_invocation_total", "Calls that ended, by status code.", () =>
    meters().flatMap(({ meter, ...labels }) =>
      [...meter.codes].map(([code, tally]) => ({ labels: { ...labels, code: `${code}` }, value: tally.count })),
    ),
  );
  registerHistogram(registry, "gateway_functions_seconds", "Time from a call's sending to its last byte.", () =>
    meters().flatMap(({ meter, ...labels }) =>
      [...meter.codes].map(([code, tally]) => ({ labels: { ...labels, code: `${code}` }, tally })),
    ),
  );
  const coldHelp = "Time of calls that waited for a replica, from their arrival to the first byte of the answer.";
  registerHistogram(registry, "gateway_cold_start_seconds", coldHelp, () =>
    meters().flatMap(({ meter: { cold }, ...labels }) => (cold ? [{ labels, tally: cold }] : [])),
  );
  const firstByteHelp = "Time from a call's sending to a replica until its answer began.";
  registerHistogram(registry, "gateway_function_first_byte_seconds", firstByteHelp, () =>
    meters().flatMap(({ meter: { firstBytes: tally }, ...labels }) => (tally.count > 0 ? [{ labels, tally }] : [])),
  );
  const waitHelp = "Time that calls waited for a replica, until they were sent or given up.";
  registerHistogram(registry, "gateway_replica_wait_seconds", waitHelp, () =>
    meters().flatMap(({ meter: { waits: tally }, ...labels }) => (tally ? [{ labels, tally }] : [])),
  );
  const phaseHelp = "Time from a replica's creation until it had reached a phase, of replicas that calls waited for.";
  registerHistogram(registry, "gateway_cold_start_phase_seconds", phaseHelp, () =>
    [...table.startups.phases()].map(([phase, tally]) => ({ labels: { phase }, tally })),
  );
  register(registry, "gauge", "gateway_function_invocation_inflight", "Calls under way.", () =>
    meters().map(({ meter, ...labels }) => ({ labels, value: meter.inFlight })),
  );
  const perFunction = (value: (entry: FunctionEntry) => number) => () =>
    functions().map((entry) => ({
      labels: { function_name: entry.qualifiedName },
      value: entry.all.reduce((sum, each) => sum + value(each), 0),
    }));
  register(
    registry,
    "gauge",
    "gateway_service_count",
    "Replicas wanted.",
    perFunction((e) => e.snapshot.replicas),
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
  registerVersionMetrics(registry, functions);
  if (autoscaler) registerScalingMetrics(registry, { functions, autoscaler });
  if (queue) registerQueueMetrics(registry, queue);
  if (events) registerEventMetrics(registry, events);
  if (telemetry) registerTelemetryMetrics(registry, "gateway", telemetry);
  control?.register(registry);
  if (rollouts) registerRolloutMetrics(registry, rollouts);
  return registry;
}

/** The series of a queue worker that runs alone. */
export function createWorkerMetrics(queue: QueueMetricsOptions, telemetry: TelemetryCounts = {}): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  registerQueueMetrics(registry, queue);
  registerTelemetryMetrics(registry, "queue_worker", telemetry);
  return registry;
}

/** The series of an event worker, which runs alone. */
export function createEventWorkerMetrics(events: EventMetricsOptions, telemetry: TelemetryCounts = {}): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  registerEventMetrics(registry, events);
  registerTelemetryMetrics(registry, "event_worker", telemetry);
  return registry;
}
