import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Credentials } from "../../kit/basic-auth.ts";
import { hostBeside } from "../../kit/bind-address.ts";
import type { Logger } from "../../kit/log.ts";
import type { LoginAttempts } from "../../kit/login-attempts.ts";
import { type DrainingServer, type Handler, listen } from "../../kit/server.ts";
import type { PathPrefix } from "../core/path-prefix.ts";
import type { CallCounts } from "../metrics/call-counts.ts";
import { CallChoice } from "../telemetry/call-choice.ts";
import { type Assets, loadAssets } from "../ui/assets.ts";
import { Dashboard } from "../ui/dashboard.ts";
import { Offers } from "../ui/deploy/offers.ts";
import { Templates } from "../ui/deploy/templates.ts";
import { CallLog } from "../ui/live/call-log.ts";
import { buildConfiguration } from "../ui/platform/configuration.ts";
import type { GatewayConfig } from "./config.ts";
import type { LazyEvents } from "./events/lazy-events.ts";
import { listenWithCertificates } from "./listen-with-certificates.ts";
import { type LiveParts, openLive } from "./open-live.ts";
import type { OpenQueue } from "./open-queue.ts";
import type { UiConfig } from "./ui-config.ts";

export interface UiParts
  extends Omit<LiveParts, "queue" | "events" | "callsOf" | "defaultNamespace" | "seriesFile" | "self"> {
  /** Name of this gateway, its own for each start. */
  readonly gateway: string;
  readonly config: GatewayConfig;
  readonly credentials: Credentials | undefined;
  readonly attempts: LoginAttempts;
  readonly pathPrefix: PathPrefix;
  readonly queueing: OpenQueue | undefined;
  readonly events: LazyEvents | undefined;
  readonly counts: Pick<CallCounts, "of">;
}

/** Undefined where no calls are kept. */
export function openCallLog({ on, calls: mode }: Pick<UiConfig, "on" | "calls">): CallLog | undefined {
  return on && mode !== "never" ? new CallLog({ mode, choice: new CallChoice() }) : undefined;
}

export interface OpenUi {
  /** Undefined with `ui=off`. */
  readonly dashboard: Dashboard | undefined;
  /** Those who follow what goes on have to come again. */
  endStreams(): void;
  close(): Promise<void>;
}

/** Of what comes with the gateway. */
const ROOT = fileURLToPath(new URL("../..", import.meta.url));

export function openUi({
  config,
  credentials,
  attempts,
  pathPrefix,
  queueing,
  events,
  counts,
  gateway,
  ...parts
}: UiParts): OpenUi {
  const { on, readOnly, port, sessionIdleMs: idleMs, sessionMaxMs: maxMs } = config.ui;
  if (!on) return { dashboard: undefined, endStreams: () => {}, close: async () => {} };
  const startedAt = Date.now();
  const { release, autoscaler, provider } = parts;
  const live = openLive({
    ...parts,
    self: () => ({
      name: gateway,
      release,
      startedAt,
      threads: config.workers ?? 1,
      leads: autoscaler.leading,
      hasProvider: provider.connected,
      ...(queueing && { drainsQueue: config.ownWorker }),
      ...(config.events.kind !== "none" && { deliversEvents: config.events.ownWorker }),
    }),
    callsOf: (name) => counts.of(name),
    defaultNamespace: config.defaultNamespace,
    seriesFile: config.seriesFile,
    queue: queueing && {
      kind: config.async.queue.kind,
      stats: () => queueing.queue.stats(),
      problem: () => queueing.problem(),
    },
    events: events && {
      kind: config.events.kind,
      stats: async () => (await events.opened?.stats()) ?? [],
      problem: () => events.problem(),
    },
  });
  let loaded: Assets | undefined;
  const assets = () => {
    loaded ??= loadAssets();
    return loaded;
  };
  const dashboard = new Dashboard({
    assets,
    credentials,
    attempts,
    pathPrefix,
    readOnly,
    limits: { idleMs, maxMs },
    ownOrigin: port !== undefined,
    release,
    defaultNamespace: config.defaultNamespace,
    features: { queue: queueing !== undefined, events: events !== undefined },
    stream: live.stream,
    deploy: {
      store: new Offers({ folder: join(ROOT, "functions"), url: config.ui.storeUrl }),
      templates: new Templates(join(ROOT, "templates")),
    },
    past: live.past,
    calls: live.calls,
    platform: { gateways: live.gateways, configuration: buildConfiguration(config.variables) },
  });
  return { dashboard, endStreams: () => live.stream.close(), close: () => live.close() };
}

const MAX_CONNECTIONS = 200;

/** Opens the dashboard's own port, with the gateway's certificates. @throws the listen error when it is taken */
export function listenForDashboard(
  handler: Handler,
  port: number,
  { ui, bindAddress, front, readTimeoutMs }: Pick<GatewayConfig, "ui" | "bindAddress" | "front" | "readTimeoutMs">,
  log: Logger,
): Promise<DrainingServer> {
  return listenWithCertificates(front.certificates, log, (certificates) =>
    listen(handler, {
      port,
      host: ui.bindAddress ?? hostBeside(bindAddress),
      server: { requestTimeout: readTimeoutMs },
      limits: { maxConnections: MAX_CONNECTIONS },
      front: { proxyProtocol: false, certificates },
      log,
    }),
  );
}
