import { type Credentials, checkLogin } from "../../../kit/basic-auth.ts";
import type { Logger } from "../../../kit/log.ts";
import type { LoginAttempts } from "../../../kit/login-attempts.ts";
import type { FunctionCaller } from "../../async/function-caller.ts";
import type { EventMeter } from "../../metrics/event-meter.ts";
import type { EventMetricsOptions } from "../../metrics/event-metrics.ts";
import type { ProviderClient } from "../../provider-client.ts";
import { EventObjectFeed } from "../../proxy/event-object-feed.ts";
import type { FunctionTable } from "../../proxy/function-table.ts";
import type { ProviderConnection } from "../../proxy/provider-connection.ts";
import type { CallObserver } from "../../telemetry/call-record.ts";
import type { Tracer } from "../../telemetry/tracer.ts";
import type { GatewayConfig } from "../config.ts";
import { LazyEvents } from "./lazy-events.ts";

export interface GatewayEventsDeps {
  readonly config: GatewayConfig;
  readonly credentials: Credentials | undefined;
  readonly attempts: LoginAttempts;
  readonly table: FunctionTable;
  readonly caller: FunctionCaller;
  readonly provider: Pick<ProviderClient, "namespaces">;
  readonly connection: Pick<ProviderConnection, "request">;
  readonly tracer: Tracer | undefined;
  /** Told of requests that bring events; absent where nobody wants to know. */
  readonly observer: CallObserver | undefined;
  readonly meter: EventMeter;
  /** Name of this gateway, its own for each start. */
  readonly gateway: string;
  readonly release: string;
  readonly log: Logger;
}

/** Events of a gateway, of which nothing is loaded before they are used; undefined where there are to be none. */
export function openGatewayEvents(deps: GatewayEventsDeps): LazyEvents | undefined {
  const { config, credentials, attempts, table, caller, provider, connection } = deps;
  const { tracer, observer, meter, gateway, release, log } = deps;
  const { events } = config;
  if (events.kind === "none") return undefined;
  const objects = new EventObjectFeed({ connection, timeoutMs: config.upstreamTimeoutMs, log });
  const open = async () => {
    const { openEvents } = await import("./open-events.ts");
    return await openEvents({
      config: events,
      table,
      caller,
      tracer,
      observer,
      meter,
      log,
      answers: true,
      process: gateway,
      listNamespaces: (signal) => provider.namespaces(signal),
      objects,
      isAuthorized: (req) => checkLogin(req, credentials, attempts),
      functionSecretsPath: config.functionSecretsPath,
      secretMountPath: config.async.secretMountPath,
      targets: config.async.callbackTargets,
      userAgent: eventAgent(release),
      defaultNamespace: config.defaultNamespace,
    });
  };
  return new LazyEvents({ config: events, open, table, objects, log });
}

/** How deliveries of events name their sender. */
export function eventAgent(release: string): string {
  return `faaslane-events/${release}`;
}

/** What there is to measure of events, from the time on when they are open. */
export function eventMetrics(events: LazyEvents, meter: EventMeter): EventMetricsOptions {
  return {
    meter,
    stats: async () => (await events.opened?.stats()) ?? [],
    sources: () => events.opened?.sources() ?? [],
    runs: () => events.opened?.runs() ?? [],
  };
}
