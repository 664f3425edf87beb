import { expect, test } from "@jest/globals";
import { buildMetricsApp } from "../../gateway/app.ts";
import { createWorkerMetrics } from "../../gateway/metrics/gateway-metrics.ts";
import { meterQueue, QueueMeter } from "../../gateway/metrics/queue-meter.ts";
import type { Queue } from "../../gateway/queue/queue.ts";
import type { QueueStats } from "../../gateway/queue/stats.ts";
import { createLogger } from "../../kit/log.ts";
import { listen } from "../../kit/server.ts";
import { FakeQueue } from "./fake-queue.ts";

const log = createLogger("silent");
const place = { function: "f", namespace: "n", queue: "q" };
const LABELS = 'queue_name="q",function_name="f.n"';
const stats: QueueStats = {
  waiting: 5,
  inFlight: 2,
  dead: 1,
  oldestMs: 1500,
  bytes: 500,
  limits: { calls: 100, bytes: 2000, functionCalls: 50, functionBytes: 1000 },
  functions: [
    {
      name: "f",
      namespace: "n",
      queue: "q",
      waiting: 5,
      inFlight: 2,
      dead: 1,
      oldestMs: 1500,
      acceptedPerSecond: 1,
      finishedPerSecond: 1,
    },
  ],
};

test("one scrape asks the queue once, and tells of each function", async () => {
  let asked = 0;
  const ask = async () => {
    asked++;
    return stats;
  };
  const text = await createWorkerMetrics({ stats: ask, meter: new QueueMeter(), instance: "pod-1" }).metrics();
  for (const line of [
    "gateway_queue_waiting_calls 5",
    "gateway_queue_oldest_call_seconds 1.5",
    `queue_worker_pending_messages{${LABELS}} 5`,
    `queue_worker_oldest_message_seconds{${LABELS}} 1.5`,
    `queue_worker_dead_letters{${LABELS}} 1`,
  ]) {
    expect(text).toContain(`${line}\n`);
  }
  expect(text).not.toContain("nats_reconnect");
  expect(asked).toBe(1);
});

test("a queue that fails or is silent leaves out its own series only", async () => {
  for (const ask of [() => Promise.reject(new Error("away")), () => new Promise<never>(() => {})]) {
    const reconnects = { names: ["queue_worker_nats_reconnect_total"], count: () => 3 };
    const text = await createWorkerMetrics({
      stats: ask,
      meter: new QueueMeter(),
      instance: "p",
      reconnects,
    }).metrics();
    expect(text).not.toContain("gateway_queue_waiting_calls 0");
    expect(text).toContain("queue_worker_nats_reconnect_total 3\n");
    expect(text).toContain("process_cpu_seconds_total");
  }
});

test("what the worker tells is counted by how it ended", async () => {
  const meter = new QueueMeter();
  const { events } = meter;
  for (const end of ["done", "done", "retry", "callback", "dead", "expired", "handedBack"] as const) {
    events.delivered?.(place);
    events.ended?.({ ...place, end });
  }
  events.delivered?.(place);
  events.refused?.(place);
  events.callbackRetried?.(place);
  events.calledBack?.({ ...place, outcome: "failed", tries: 5 });
  const text = await createWorkerMetrics({ stats: async () => stats, meter, instance: "pod-1" }).metrics();
  for (const line of [
    'queue_worker_messages_processed_total{queue_name="q",kubernetes_pod_name="pod-1"} 4',
    `queue_worker_function_invocation_inflight{${LABELS}} 1`,
    `queue_worker_retries_total{${LABELS}} 1`,
    `queue_worker_dead_letters_total{${LABELS}} 1`,
    `queue_worker_expired_total{${LABELS}} 1`,
    `queue_worker_handed_back_total{${LABELS}} 1`,
    `queue_worker_refused_total{${LABELS}} 1`,
    `queue_worker_callback_retries_total{${LABELS}} 1`,
    `queue_worker_callbacks_total{${LABELS},outcome="failed"} 1`,
    `queue_worker_callbacks_total{${LABELS},outcome="delivered"} 0`,
  ]) {
    expect(text).toContain(`${line}\n`);
  }
});

test("the API counts what it accepts, knows already and cancels, and not what fails", async () => {
  const meter = new QueueMeter();
  const fake = new FakeQueue();
  const queue = meterQueue(fake as unknown as Queue, meter);
  const call = { ...place, method: "POST", path: "/", query: "", headers: [], body: new Uint8Array(), acceptedAt: 0 };
  await queue.publish(call);
  fake.receipt = () => ({ id: "a", callId: "a", duplicate: true });
  await queue.publish(call);
  fake.failure = new Error("away");
  await expect(queue.publish(call)).rejects.toThrow("away");
  fake.failure = undefined;
  fake.put({ id: "w", state: "waiting" });
  fake.put({ id: "d", state: "done" });
  for (const id of ["w", "d", "unknown"]) await queue.cancel(id);
  expect([...meter.tallies()]).toEqual([expect.objectContaining({ accepted: 1, duplicates: 1 })]);
  expect(meter.cancelled).toBe(1);
});

test("functions without end become one", () => {
  const meter = new QueueMeter();
  for (let i = 0; i < 10_005; i++) meter.accepted({ ...place, function: `f${i}` }, false);
  const tallies = [...meter.tallies()];
  expect(tallies).toHaveLength(10_001);
  expect(tallies.at(-1)).toMatchObject({ functionName: "others", accepted: 5 });
});

test("a process that will not be well again says so, and why", async () => {
  let problem: string | undefined;
  const registry = createWorkerMetrics({ stats: async () => stats, meter: new QueueMeter(), instance: "p" });
  const server = await listen(
    buildMetricsApp(registry, () => problem, log),
    { port: 0, host: "127.0.0.1" },
  );
  const health = async () => {
    const answer = await fetch(`${server.url}/healthz`);
    return [answer.status, await answer.text()];
  };
  expect(await health()).toEqual([200, "OK"]);
  problem = "the queue has failed: disk";
  expect(await health()).toEqual([503, "the queue has failed: disk"]);
  expect((await fetch(`${server.url}/metrics`)).status).toBe(200);
  await server.drain(100);
});
