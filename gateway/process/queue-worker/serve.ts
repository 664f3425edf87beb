import { hostname } from "node:os";
import type { Credentials } from "../../../kit/basic-auth.ts";
import type { Logger } from "../../../kit/log.ts";
import { workerAgent } from "../../async/function-caller.ts";
import { createWorkerMetrics } from "../../metrics/gateway-metrics.ts";
import { QueueMeter } from "../../metrics/queue-meter.ts";
import { maxSlotless } from "../../queue/worker/slots.ts";
import { openQueue } from "../open-queue.ts";
import { runWorker } from "../run-worker.ts";
import { type OpenWork, type OpenWorkerProcess, openWorkerProcess, type WorkParts } from "../worker-process.ts";
import type { QueueWorkerConfig } from "./config.ts";

/**
 * Starts a queue worker of its own: it takes calls from the queue and makes them through the gateway. Any number of
 * them share the work.
 * @param credentials what the provider gets, and the gateway knows; absent when authentication is off
 * @throws when the queue or the metrics port cannot be opened; nothing is left running then
 */
export function openQueueWorker(
  config: QueueWorkerConfig,
  credentials: Credentials | undefined,
  log: Logger,
): Promise<OpenWorkerProcess> {
  const { concurrency } = config.async.worker;
  const work = {
    kind: "queue" as const,
    servers: config.async.nats?.servers,
    // Calls that have lent their slots wait here all the same.
    connections: concurrency + maxSlotless(concurrency),
    userAgent: workerAgent,
    open: (parts: WorkParts) => takeCalls(config, parts),
  };
  return openWorkerProcess(config, credentials, work, log);
}

async function takeCalls(config: QueueWorkerConfig, parts: WorkParts): Promise<OpenWork> {
  const { table, caller, telemetry, release, log } = parts;
  const queueing = await openQueue(config.async, log);
  if (!queueing) throw new Error("a queue worker needs a queue");
  const { queue, whenOpen, reconnects } = queueing;
  try {
    const meter = new QueueMeter();
    const { drainTimeoutMs, defaultNamespace } = config;
    const worker = await runWorker({
      config: config.async,
      queue,
      whenOpen,
      meter,
      table,
      caller,
      release,
      drainTimeoutMs,
      defaultNamespace,
      log,
      tracer: telemetry.tracer,
    });
    const measured = {
      stats: () => queue.stats(),
      meter,
      instance: hostname(),
      ...(reconnects && { reconnects: { names: ["queue_worker_nats_reconnect_total"], count: reconnects } }),
    };
    return {
      registry: createWorkerMetrics(measured, telemetry.counts),
      problem: () => queueing.problem() ?? worker.problem(),
      close: async () => {
        await worker.close();
        await queue.close();
      },
    };
  } catch (error) {
    await queue.close();
    throw error;
  }
}
