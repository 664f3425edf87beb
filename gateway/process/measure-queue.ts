import { hostname } from "node:os";
import type { QueueMeter } from "../metrics/queue-meter.ts";
import type { QueueMetricsOptions } from "../metrics/queue-metrics.ts";
import type { OpenQueue } from "./open-queue.ts";

/** What a gateway measures of its queue. */
export function queueMetrics(
  { queue, reconnects }: OpenQueue,
  meter: QueueMeter,
  ownWorker: boolean,
): QueueMetricsOptions {
  const names = ["gateway_nats_reconnect_total", ...(ownWorker ? ["queue_worker_nats_reconnect_total"] : [])];
  return {
    stats: () => queue.stats(),
    meter,
    instance: hostname(),
    ...(reconnects && { reconnects: { names, count: reconnects } }),
  };
}
