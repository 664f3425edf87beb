import type { RequestListener } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Express, NextFunction, Request, Response } from "express";
import { HEARTBEAT_INTERVAL_MS } from "../contract/endpoints.ts";
import { DEFAULT_NAMESPACE, PATHS } from "../contract/paths.ts";
import { type Credentials, requireBasicAuth } from "../kit/basic-auth.ts";
import { guardControl, requireJson } from "../kit/control-guard.ts";
import { registerHistogram, registerTotals } from "../kit/histogram.ts";
import type { Hosts } from "../kit/hosts.ts";
import { createHttpMetrics, type HttpMetrics } from "../kit/http-metrics.ts";
import type { Logger } from "../kit/log.ts";
import { LoginAttempts } from "../kit/login-attempts.ts";
import { createApp, errorResponder, notFoundResponder, rawBody, route } from "../kit/respond.ts";
import type { Backend, ColdStartTallies } from "./backends/backend.ts";
import { postBuild } from "./routes/build.ts";
import { openEndpointSnapshot } from "./routes/endpoint-snapshot.ts";
import { streamEndpoints } from "./routes/endpoints.ts";
import { findGoneEventObjects, reportEventObjects, streamEventObjects } from "./routes/event-objects.ts";
import { proxyFunctions } from "./routes/function-proxy.ts";
import { listRoutes, removeRoutes, setRoutes } from "./routes/function-routes.ts";
import { isFunctionUrl } from "./routes/function-url.ts";
import { createFunction, getFunction, listFunctions, removeFunction, updateFunction } from "./routes/functions.ts";
import { getInfo } from "./routes/info.ts";
import { getLogs } from "./routes/logs.ts";
import {
  createNamespace,
  getNamespace,
  listNamespaces,
  removeNamespace,
  updateNamespace,
} from "./routes/namespaces.ts";
import { type Deploys, OwnedRoutes } from "./routes/owned-routes.ts";
import { pathLabel } from "./routes/path-label.ts";
import { pruneImages } from "./routes/prune.ts";
import { expediteFunction, scaleFunction } from "./routes/scale.ts";
import { createSecret, listSecrets, removeSecret, updateSecret } from "./routes/secrets.ts";
import { addVersionRoutes } from "./routes/versions.ts";
import type { VersionedBackend } from "./versions/versioned-backend.ts";

export interface ProviderOptions {
  readonly backend: VersionedBackend;
  readonly log: Logger;
  /** Demanded by everything under `/system`; nobody is asked when absent. */
  readonly credentials?: Credentials | undefined;
  /** Names that `/system` is called by; any when absent. */
  readonly hosts?: Hosts | undefined;
  readonly defaultNamespace?: string;
  /** Largest body of a control request, in bytes. */
  readonly maxBodyBytes?: number;
  /** Folder for build contexts while they are received. */
  readonly uploadDir?: string;
  /** Largest build context as sent, in bytes. */
  readonly maxUploadBytes?: number;
  /** Build requests at a time, those that wait included. */
  readonly maxBuildRequests?: number;
  /** How long a build may be silent before its answer begins all the same, in milliseconds. */
  readonly buildHeadAfterMs?: number;
  /** Longest stream of logs, in milliseconds. */
  readonly maxLogStreamMs?: number;
  /** Longest wait for the head of a function's answer, in milliseconds. */
  readonly functionTimeoutMs?: number;
  readonly heartbeatMs?: number;
  /** Aborted when the provider closes: streams that would go on for ever end then. */
  readonly closing?: AbortSignal;
  /** Where other servers of the process count too; of {@link createProviderMetrics}. */
  readonly metrics?: HttpMetrics;
}

/** What the provider counts of requests. */
export function createProviderMetrics(): HttpMetrics {
  return createHttpMetrics("provider", pathLabel);
}

/** The provider's HTTP interface around a backend. */
export function buildProvider(options: ProviderOptions): RequestListener {
  const {
    backend,
    log,
    defaultNamespace = DEFAULT_NAMESPACE,
    functionTimeoutMs = 60_000,
    closing = new AbortController().signal,
  } = options;
  const app = buildControl(options, defaultNamespace, closing);
  const proxy = proxyFunctions({
    snapshot: openEndpointSnapshot(backend, functionTimeoutMs, log, closing),
    fallbackNamespace: defaultNamespace,
    log,
    expedite: backend.functions.expedite && ((ref) => backend.functions.expedite?.(ref)),
  });
  return (req, res) => (isFunctionUrl(req.url ?? "") ? proxy(req, res) : app(req, res));
}

function buildControl(options: ProviderOptions, fallback: string, closing: AbortSignal): Express {
  const { backend, log, credentials, heartbeatMs = HEARTBEAT_INTERVAL_MS } = options;
  const { functions, secrets, namespaces } = backend;
  const body = rawBody(options.maxBodyBytes ?? 4 * 1024 ** 2);
  const metrics = options.metrics ?? createProviderMetrics();
  const app = createApp();

  const alive = (_req: Request, res: Response) => void res.end();
  route(app, PATHS.health, { GET: [alive], HEAD: [alive] });
  route(app, "/metrics", { GET: [metrics.expose] });
  if (backend.coldStarts) exposeColdStarts(metrics.registry, backend.coldStarts);

  const login = requireBasicAuth(credentials, new LoginAttempts({ log }));
  app.use("/system", metrics.observe, guardControl(options.hosts), login, requireJson(PATHS.build));
  app.param("name", onlyNames);
  const owned = new OwnedRoutes(backend);
  const deploys = deploysOf(functions, owned);
  route(app, PATHS.functions, {
    GET: [listFunctions(functions, fallback)],
    POST: [body, createFunction(deploys, fallback)],
    PUT: [body, updateFunction(deploys, fallback)],
    DELETE: [body, removeFunction(functions, fallback)],
  });
  route(app, PATHS.routes, {
    GET: [listRoutes(owned)],
    PUT: [body, setRoutes(owned, fallback)],
    DELETE: [body, removeRoutes(owned, fallback)],
  });
  route(app, `${PATHS.function}:name`, { GET: [getFunction(functions, fallback)] });
  addVersionRoutes(app, backend.control, body, fallback);
  route(app, `${PATHS.scale}:name`, { POST: [body, scaleFunction(functions, fallback)] });
  route(app, `${PATHS.expedite}:name`, { POST: [expediteFunction(functions, fallback)] });
  route(app, PATHS.secrets, {
    GET: [listSecrets(secrets, fallback)],
    POST: [body, createSecret(secrets, fallback)],
    PUT: [body, updateSecret(secrets, fallback)],
    DELETE: [body, removeSecret(secrets, fallback)],
  });
  route(app, PATHS.namespaces, { GET: [listNamespaces(namespaces)] });
  // Some documentation writes the plural for one namespace too.
  for (const path of [PATHS.namespace, `${PATHS.namespaces}/`]) {
    route(app, `${path}{:name}`, {
      GET: [getNamespace(namespaces)],
      POST: [body, createNamespace(namespaces)],
      PUT: [body, updateNamespace(namespaces)],
      DELETE: [body, removeNamespace(namespaces)],
    });
  }
  route(app, PATHS.info, { GET: [getInfo(backend)] });
  const logLimits = { fallbackNamespace: fallback, maxStreamMs: options.maxLogStreamMs ?? Infinity, closing };
  route(app, PATHS.logs, { GET: [getLogs(backend, logLimits)] });
  const streams = { heartbeatMs, closing };
  route(app, PATHS.eventObjects, { GET: [streamEventObjects(backend.eventObjects, streams)] });
  route(app, PATHS.eventObjectStatus, { PUT: [body, reportEventObjects(backend.eventObjects)] });
  route(app, PATHS.eventObjectsGone, { POST: [body, findGoneEventObjects(backend.eventObjects)] });
  route(app, PATHS.endpoints, { GET: [streamEndpoints(backend, streams)] });
  const build = {
    uploadDir: options.uploadDir ?? join(tmpdir(), "faaslane-uploads"),
    maxUploadBytes: options.maxUploadBytes ?? 256 * 1024 ** 2,
    maxRequests: options.maxBuildRequests ?? 16,
    heartbeatMs,
    headAfterMs: options.buildHeadAfterMs ?? 10_000,
    log,
    closing,
  };
  route(app, PATHS.build, { POST: [postBuild(backend.builder, build)] });
  route(app, PATHS.prune, { POST: [body, pruneImages(backend.images)] });

  app.use(notFoundResponder());
  app.use(errorResponder(log));
  return app;
}

function exposeColdStarts(registry: Parameters<typeof registerHistogram>[0], coldStarts: ColdStartTallies): void {
  const help = "Time from the creation of a replica until it had reached a phase of its start.";
  registerHistogram(registry, "provider_cold_start_phase_seconds", help, () =>
    [...coldStarts.phases()].map(({ phase, tally }) => ({ labels: { phase }, tally })),
  );
  registerTotals(registry, "provider_cold_start_function_seconds", `${help.slice(0, -1)}, by function.`, () =>
    [...coldStarts.functions()].map(({ function: name, phase, count, seconds }) => ({
      labels: { function_name: name, phase },
      count,
      sum: seconds,
    })),
  );
}

/** Deploys that look at the routes of others first. */
function deploysOf(
  functions: Backend["functions"],
  owned: Deploys,
): Pick<Backend["functions"], "create" | "update" | "warningsFor"> {
  return {
    create: (deployment) => owned.create(deployment),
    update: (deployment) => owned.update(deployment),
    warningsFor: async (deployment) => (await functions.warningsFor?.(deployment)) ?? [],
  };
}

/** Names outside OpenFaaS's set of characters, with a version after an `@` where one is meant, are unknown routes. */
function onlyNames(_req: Request, _res: Response, next: NextFunction, name: string): void {
  if (/^[-a-zA-Z_0-9.]+(@[-a-z0-9]+)?$/.test(name)) next();
  else next("route");
}
