import type { Registry } from "prom-client";
import { qualifiedName } from "../../contract/functions.ts";
import { register, type Value } from "../../kit/series.ts";
import type { FunctionQueueStats, QueueStats } from "../queue/stats.ts";
import type { CallTally, QueueMeter } from "./queue-meter.ts";

export interface QueueMetricsOptions {
  readonly stats: () => Promise<QueueStats>;
  readonly meter: QueueMeter;
  /** Name of this process, for `kubernetes_pod_name`. */
  readonly instance: string;
  /** How often the connection to NATS was made anew, and under which names; absent when there is none. */
  readonly reconnects?: { readonly names: readonly string[]; readonly count: () => number };
}

/** How long what the queue said is good for: one scrape asks for many series. */
const STATS_AGE_MS = 500;
/** A queue that is away must not hold up the other series. */
const STATS_TIMEOUT_MS = 2_000;

/**
 * Series of the queue and its worker, under OpenFaaS's names where it has them. What the queue says is of all processes
 * and the same in each, so aggregate it by `max`; what is counted here is this process's own.
 * @see docs/async.md, "Metrics"
 */
export function registerQueueMetrics(registry: Registry, options: QueueMetricsOptions): void {
  registerStats(registry, sharedStats(options.stats));
  registerCounts(registry, options.meter, options.instance);
  const { reconnects } = options;
  for (const name of reconnects?.names ?? []) {
    register(registry, "counter", name, "Connections to NATS that were made anew.", () => [
      { labels: {}, value: reconnects?.count() ?? 0 },
    ]);
  }
}

/** Undefined when the queue does not say: it then leaves its own series out, not all the others. */
function sharedStats(ask: () => Promise<QueueStats>): () => Promise<QueueStats | undefined> {
  let asked: { readonly at: number; readonly stats: Promise<QueueStats | undefined> } | undefined;
  return async () => {
    if (!asked || performance.now() - asked.at > STATS_AGE_MS) {
      const late = new Promise<undefined>((resolve) => setTimeout(resolve, STATS_TIMEOUT_MS, undefined).unref());
      asked = { at: performance.now(), stats: Promise.race([ask().catch(() => undefined), late]) };
    }
    return await asked.stats;
  };
}

function registerStats(registry: Registry, stats: () => Promise<QueueStats | undefined>): void {
  const total = (name: string, help: string, value: (stats: QueueStats) => number) =>
    register(registry, "gauge", name, help, async () => {
      const now = await stats();
      return now ? [{ labels: {}, value: value(now) }] : [];
    });
  const each = (name: string, help: string, value: (stats: FunctionQueueStats) => number) =>
    register(registry, "gauge", name, help, async () =>
      ((await stats())?.functions ?? []).map((fn) => ({
        labels: { queue_name: fn.queue, function_name: qualifiedName(fn) },
        value: value(fn),
      })),
    );
  total("gateway_queue_waiting_calls", "Asynchronous calls that wait.", (s) => s.waiting);
  total("gateway_queue_inflight_calls", "Asynchronous calls under way.", (s) => s.inFlight);
  total("gateway_queue_dead_calls", "Asynchronous calls given up.", (s) => s.dead);
  total(
    "gateway_queue_oldest_call_seconds",
    "Age of the oldest asynchronous call that waits.",
    (s) => s.oldestMs / 1000,
  );
  each("queue_worker_pending_messages", "Calls that wait, by function.", (fn) => fn.waiting);
  each("queue_worker_oldest_message_seconds", "Age of the oldest call that waits.", (fn) => fn.oldestMs / 1000);
  each("queue_worker_dead_letters", "Dead letters kept.", (fn) => fn.dead);
}

function registerCounts(registry: Registry, meter: QueueMeter, instance: string): void {
  const perFunction = (tally: Readonly<CallTally>) => ({
    queue_name: tally.queue,
    function_name: tally.functionName,
  });
  const each = (type: "counter" | "gauge", name: string, help: string, value: (tally: Readonly<CallTally>) => number) =>
    register(registry, type, name, help, () =>
      [...meter.tallies()].map((tally) => ({ labels: perFunction(tally), value: value(tally) })),
    );
  const perQueue = (
    type: "counter" | "gauge",
    name: string,
    help: string,
    value: (tally: Readonly<CallTally>) => number,
  ) => register(registry, type, name, help, () => sumByQueue(meter.tallies(), value, instance));

  perQueue(
    "counter",
    "queue_worker_messages_processed_total",
    "Calls that this process has brought to their end.",
    ({ ended }) => ended.done + ended.dead + ended.expired,
  );
  perQueue(
    "gauge",
    "queue_worker_messages_submitted_total",
    "Calls that this process has accepted.",
    (t) => t.accepted,
  );
  each("gauge", "queue_worker_function_invocation_inflight", "Attempts under way in this process.", (t) => t.inFlight);
  each("counter", "queue_worker_retries_total", "Attempts after which a call is tried again.", (t) => t.ended.retry);
  each("counter", "queue_worker_dead_letters_total", "Calls given up.", (t) => t.ended.dead);
  each(
    "counter",
    "queue_worker_expired_total",
    "Calls with a callback that came to their turn too late; the queue ends others itself.",
    (t) => t.ended.expired,
  );
  each(
    "counter",
    "queue_worker_handed_back_total",
    "Deliveries that came to no attempt, or to none with an end: refused, stopped or cancelled.",
    (t) => t.ended.handedBack,
  );
  each("counter", "queue_worker_refused_total", "Calls that the platform had no room for.", (t) => t.refused);
  each("counter", "gateway_async_accepted_total", "Asynchronous calls accepted.", (t) => t.accepted);
  each(
    "counter",
    "gateway_async_duplicates_total",
    "Calls that were known by their idempotency key.",
    (t) => t.duplicates,
  );
  register(registry, "counter", "gateway_async_cancelled_total", "Asynchronous calls cancelled.", () => [
    { labels: {}, value: meter.cancelled },
  ]);
  each(
    "counter",
    "queue_worker_callback_retries_total",
    "Callbacks that failed and are tried again.",
    (t) => t.callbackRetries,
  );
  register(registry, "counter", "queue_worker_callbacks_total", "Callbacks, by whether they got through.", () =>
    [...meter.tallies()].flatMap((tally) =>
      (["delivered", "failed", "refused"] as const).map((outcome) => ({
        labels: { ...perFunction(tally), outcome },
        value: tally.callbacks[outcome],
      })),
    ),
  );
}

function sumByQueue(
  tallies: Iterable<Readonly<CallTally>>,
  value: (tally: Readonly<CallTally>) => number,
  instance: string,
): Value[] {
  const sums = new Map<string, number>();
  for (const tally of tallies) sums.set(tally.queue, (sums.get(tally.queue) ?? 0) + value(tally));
  return [...sums].map(([queue, sum]) => ({
    labels: { queue_name: queue, kubernetes_pod_name: instance },
    value: sum,
  }));
}
