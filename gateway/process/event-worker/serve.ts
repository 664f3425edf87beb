import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import type { Credentials } from "../../../kit/basic-auth.ts";
import { loginWith } from "../../../kit/credential-files.ts";
import { descriptorLimit, shareConnections } from "../../../kit/descriptors.ts";
import type { Logger } from "../../../kit/log.ts";
import { listen } from "../../../kit/server.ts";
import { readVersion } from "../../../kit/version.ts";
import { buildMetricsApp } from "../../app.ts";
import { callTimeLimit } from "../../async/worker/call-time.ts";
import { GatewayCaller } from "../../async/worker/gateway-caller.ts";
import { EventMeter } from "../../metrics/event-meter.ts";
import { createEventWorkerMetrics } from "../../metrics/gateway-metrics.ts";
import { ProviderClient } from "../../provider-client.ts";
import { FunctionTable } from "../../proxy/function-table.ts";
import { ProviderConnection } from "../../proxy/provider-connection.ts";
import { openEvents } from "../events/open-events.ts";
import { eventAgent } from "../events/open-gateway-events.ts";
import { followProvider } from "../follow-provider.ts";
import { openTelemetry } from "../open-telemetry.ts";
import type { EventWorkerConfig } from "./config.ts";

export interface OpenEventWorker {
  /** `http://host:port` of `/metrics` and `/healthz`. */
  readonly metricsUrl: string;
  /** Takes no more deliveries, stops its sources, finishes what is under way, hands back the rest. May be called twice. */
  close(): Promise<void>;
}

const CONNECT_TIMEOUT_MS = 5_000;
/** Longer than the gateway takes to find out that there is no connection to a replica. */
const SLACK_MS = 10_000;

/**
 * Starts an event worker of its own: it delivers events through the gateway, and runs sources. Any number of them share the
 * deliveries; sources that must run once run on one of them.
 * @param credentials what the provider gets, and the gateway knows; absent when authentication is off
 * @throws when the metrics port cannot be opened; nothing is left running then
 */
export async function openEventWorker(
  config: EventWorkerConfig,
  credentials: Credentials | undefined,
  log: Logger,
): Promise<OpenEventWorker> {
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
    const provider = new ProviderClient({
      connection,
      timeoutMs: config.upstreamTimeoutMs,
      defaultNamespace: config.defaultNamespace,
      log,
    });
    opened.push(followProvider(provider, table));
    const caller = new GatewayCaller({
      gatewayUrl: config.gatewayUrl,
      connections: config.events.concurrency,
      timeLimit: callTimeLimit({
        table,
        timeoutMs: config.upstreamTimeoutMs,
        aroundMs: config.scaleUpTimeoutMs + SLACK_MS,
      }),
      userAgent: eventAgent(release),
      credentials,
    });
    opened.push(caller);
    const meter = new EventMeter();
    const events = await openEvents({
      ...{ config: config.events, table, caller, tracer: telemetry.tracer, meter, log, answers: false },
      process: `${hostname()}-${randomUUID().slice(0, 8)}`,
      listNamespaces: (signal) => provider.namespaces(signal),
      isAuthorized: () => false,
      functionSecretsPath: config.functionSecretsPath,
      secretMountPath: config.secretMountPath,
      targets: config.callbackTargets,
      userAgent: eventAgent(release),
      defaultNamespace: config.defaultNamespace,
    });
    opened.push({
      close: async () => {
        await events.drain(config.drainTimeoutMs);
        await events.close();
      },
    });
    const registry = createEventWorkerMetrics(
      { meter, stats: () => events.stats(), sources: () => events.sources() },
      telemetry.counts,
    );
    const metrics = await listen(
      buildMetricsApp(registry, () => events.problem(), log),
      {
        port: config.metricsPort,
        host: config.bindAddress,
        limits: { maxConnections: shares.metrics },
        log,
      },
    );
    // Answers until the very end, so that probes see that it drains.
    opened.splice(0, 0, { close: () => metrics.drain(1_000) });
    log.info({ metrics: metrics.url, gateway: config.gatewayUrl.href }, "event worker started");
    return { metricsUrl: metrics.url, close: closeAll };
  } catch (error) {
    await closeAll();
    throw error;
  }
}
