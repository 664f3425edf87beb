import { hostname } from "node:os";
import type { Credentials } from "../../../kit/basic-auth.ts";
import { loginWith } from "../../../kit/credential-files.ts";
import { descriptorLimit, shareConnections } from "../../../kit/descriptors.ts";
import type { Logger } from "../../../kit/log.ts";
import { listen } from "../../../kit/server.ts";
import { readVersion } from "../../../kit/version.ts";
import { buildMetricsApp } from "../../app.ts";
import { workerAgent } from "../../async/function-caller.ts";
import { callTimeLimit } from "../../async/worker/call-time.ts";
import { GatewayCaller } from "../../async/worker/gateway-caller.ts";
import { createWorkerMetrics } from "../../metrics/gateway-metrics.ts";
import { QueueMeter } from "../../metrics/queue-meter.ts";
import { ProviderClient } from "../../provider-client.ts";
import { FunctionTable } from "../../proxy/function-table.ts";
import { ProviderConnection } from "../../proxy/provider-connection.ts";
import { maxSlotless } from "../../queue/worker/slots.ts";
import { followProvider } from "../follow-provider.ts";
import { openQueue } from "../open-queue.ts";
import { openTelemetry } from "../open-telemetry.ts";
import { runWorker } from "../run-worker.ts";
import type { QueueWorkerConfig } from "./config.ts";

export interface OpenQueueWorker {
  /** `http://host:port` of `/metrics` and `/healthz`. */
  readonly metricsUrl: string;
  /** Takes no more calls, finishes those under way, hands back the rest. May be called twice. */
  close(): Promise<void>;
}

const CONNECT_TIMEOUT_MS = 5_000;
/** Longer than the gateway takes to find out that there is no connection to a replica. */
const SLACK_MS = 10_000;

/**
 * Starts a queue worker of its own: it takes calls from the queue and makes them through the gateway. Any number of
 * them share the work.
 * @param credentials what the provider gets, and the gateway knows; absent when authentication is off
 * @throws when the queue or the metrics port cannot be opened; nothing is left running then
 */
export async function openQueueWorker(
  config: QueueWorkerConfig,
  credentials: Credentials | undefined,
  log: Logger,
): Promise<OpenQueueWorker> {
  const shares = shareConnections(descriptorLimit());
  const opened: { close(): Promise<void> }[] = [];
  const closeAll = async () => {
    for (const part of opened.splice(0).reverse()) await part.close();
  };
  const connection = new ProviderConnection({
    url: config.providerUrl,
    connections: shares.toProvider,
    timeoutMs: config.upstreamTimeoutMs,
    ...(credentials && { login: loginWith(credentials) }),
  });
  // A snapshot only: no call goes straight from here to a replica.
  const table = new FunctionTable({
    defaultNamespace: config.defaultNamespace,
    maxHeld: 1,
    timeoutMs: config.upstreamTimeoutMs,
    ...(config.upstreamTimeoutGiven && { leastTimeoutMs: config.upstreamTimeoutMs }),
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
  });
  opened.push(connection, table);
  try {
    const { release } = readVersion();
    const accessLog = { kind: "off" } as const; // the gateway's: all calls go through it
    const telemetry = await openTelemetry({ accessLog, tracing: config.tracing, release, log });
    opened.push(telemetry);
    const queueing = await openQueue(config.async, log);
    if (!queueing) throw new Error("a queue worker needs a queue");
    opened.push(queueing.queue);
    const provider = new ProviderClient({
      connection,
      timeoutMs: config.upstreamTimeoutMs,
      defaultNamespace: config.defaultNamespace,
      log,
    });
    opened.push(followProvider(provider, table));
    const meter = new QueueMeter();
    const caller = new GatewayCaller({
      gatewayUrl: config.gatewayUrl,
      // Calls that have lent their slots wait here all the same.
      connections: config.async.worker.concurrency + maxSlotless(config.async.worker.concurrency),
      timeLimit: callTimeLimit({
        table,
        timeoutMs: config.upstreamTimeoutMs,
        aroundMs: config.scaleUpTimeoutMs + SLACK_MS,
      }),
      userAgent: workerAgent(release),
      credentials,
    });
    opened.push(caller);
    const worker = await runWorker({
      config: config.async,
      queue: queueing.queue,
      whenOpen: queueing.whenOpen,
      meter,
      table,
      caller,
      tracer: telemetry.tracer,
      release,
      drainTimeoutMs: config.drainTimeoutMs,
      defaultNamespace: config.defaultNamespace,
      log,
    });
    opened.push(worker);
    const queue = {
      stats: () => queueing.queue.stats(),
      meter,
      instance: hostname(),
      ...(queueing.reconnects && {
        reconnects: { names: ["queue_worker_nats_reconnect_total"], count: queueing.reconnects },
      }),
    };
    const registry = createWorkerMetrics(queue, telemetry.counts);
    const problem = () => queueing.problem() ?? worker.problem();
    const metrics = await listen(buildMetricsApp(registry, problem, log), {
      port: config.metricsPort,
      host: config.bindAddress,
      limits: { maxConnections: shares.metrics },
      log,
    });
    // Answers until the very end, so that probes see that it drains.
    opened.splice(0, 0, { close: () => metrics.drain(1_000) });
    log.info({ metrics: metrics.url, gateway: config.gatewayUrl.href }, "queue worker started");
    return { metricsUrl: metrics.url, close: closeAll };
  } catch (error) {
    await closeAll();
    throw error;
  }
}
