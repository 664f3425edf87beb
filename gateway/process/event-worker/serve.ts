import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import type { Credentials } from "../../../kit/basic-auth.ts";
import type { Logger } from "../../../kit/log.ts";
import { EventMeter } from "../../metrics/event-meter.ts";
import { createEventWorkerMetrics } from "../../metrics/gateway-metrics.ts";
import { EventObjectFeed } from "../../proxy/event-object-feed.ts";
import { openEvents } from "../events/open-events.ts";
import { eventAgent } from "../events/open-gateway-events.ts";
import { type OpenWork, type OpenWorkerProcess, openWorkerProcess, type WorkParts } from "../worker-process.ts";
import type { EventWorkerConfig } from "./config.ts";

/**
 * Starts an event worker of its own: it delivers events through the gateway, and runs sources. Any number of them share the
 * deliveries; sources that must run once run on one of them.
 * @param credentials what the provider gets, and the gateway knows; absent when authentication is off
 * @throws when the metrics port cannot be opened; nothing is left running then
 */
export function openEventWorker(
  config: EventWorkerConfig,
  credentials: Credentials | undefined,
  log: Logger,
): Promise<OpenWorkerProcess> {
  const work = {
    kind: "events" as const,
    servers: config.events.servers,
    connections: config.events.concurrency,
    userAgent: eventAgent,
    open: (parts: WorkParts) => deliverEvents(config, parts),
  };
  return openWorkerProcess(config, credentials, work, log);
}

async function deliverEvents(config: EventWorkerConfig, parts: WorkParts): Promise<OpenWork> {
  const { table, caller, provider, connection, telemetry, release, log } = parts;
  const meter = new EventMeter();
  const events = await openEvents({
    config: config.events,
    table,
    caller,
    tracer: telemetry.tracer,
    meter,
    log,
    answers: false,
    process: `${hostname()}-${randomUUID().slice(0, 8)}`,
    listNamespaces: (signal) => provider.namespaces(signal),
    objects: new EventObjectFeed({ connection, timeoutMs: config.upstreamTimeoutMs, log }),
    isAuthorized: () => false,
    functionSecretsPath: config.functionSecretsPath,
    secretMountPath: config.secretMountPath,
    targets: config.callbackTargets,
    userAgent: eventAgent(release),
    defaultNamespace: config.defaultNamespace,
  });
  return {
    registry: createEventWorkerMetrics(
      { meter, stats: () => events.stats(), sources: () => events.sources(), runs: () => events.runs() },
      telemetry.counts,
    ),
    problem: () => events.problem(),
    close: async () => {
      await events.drain(config.drainTimeoutMs);
      await events.close();
    },
  };
}
