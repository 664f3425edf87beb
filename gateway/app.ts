import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import type { RequestHandler } from "express";
import type { Registry } from "prom-client";
import { FaasError } from "../contract/errors.ts";
import type { VersionInfo } from "../contract/info.ts";
import { PATHS } from "../contract/paths.ts";
import { isBuiltIn } from "../contract/routes/route-path.ts";
import { answerError } from "../kit/answer-error.ts";
import { type Credentials, requireBasicAuth } from "../kit/basic-auth.ts";
import { guardControl, requireJson } from "../kit/control-guard.ts";
import type { Hosts } from "../kit/hosts.ts";
import type { Logger } from "../kit/log.ts";
import { LoginAttempts } from "../kit/login-attempts.ts";
import { asksForJson, createApp, errorResponder, notFoundResponder, rawBody, route, sendJson } from "../kit/respond.ts";
import type { Handler } from "../kit/server.ts";
import { within } from "../kit/within.ts";
import { isFormOfOtherSite, isWorkerScript } from "./core/browser-requests.ts";
import { cleanLocation } from "./core/function-path.ts";
import { PathPrefix } from "./core/path-prefix.ts";
import { readRequestTarget } from "./core/routes/request-target.ts";
import type { ProviderClient } from "./provider-client.ts";
import { FUNCTION_PREFIX, type FunctionProxy } from "./proxy/function-proxy.ts";
import type { FunctionTable } from "./proxy/function-table.ts";
import { confineAnswer } from "./proxy/http-exchange.ts";
import type { ProviderConnection } from "./proxy/provider-connection.ts";
import type { RoutedRequests } from "./proxy/routed-requests.ts";
import { type AlertDeps, alertRoute } from "./routes/alert.ts";
import { ASYNC_PREFIX, type AsyncIntake } from "./routes/async-intake.ts";
import type { CallRoutes } from "./routes/call-routes.ts";
import { functionListRoute } from "./routes/function-list.ts";
import { infoRoute } from "./routes/info.ts";
import { openapiRoute } from "./routes/openapi.ts";
import { addQueueAdmin, type QueueAdminDeps } from "./routes/queue-admin.ts";
import { addRolloutEvents, type RolloutEventsDeps } from "./routes/rollout-events.ts";
import { scaleByHand } from "./routes/scale-by-hand.ts";
import { addScalingRoutes } from "./routes/scaling.ts";
import type { Autoscaler } from "./scaling/autoscaler.ts";
import type { Dashboard } from "./ui/dashboard.ts";

export interface GatewayDeps {
  readonly proxy: FunctionProxy;
  readonly table: FunctionTable;
  readonly connection: ProviderConnection;
  readonly provider: ProviderClient;
  /** Domains and paths that lead to functions; there are none when absent. */
  readonly routes?: RoutedRequests;
  /** Absent when there is no queue; asynchronous calls are then an unknown route, as in OpenFaaS. */
  readonly async?: AsyncParts;
  /** Absent where there are no events; their routes are then unknown. */
  readonly events?: EventsParts;
  /** Absent where functions are not scaled here; the provider then answers for these routes. */
  readonly scaling?: ScalingApi;
  /** Whom followers of rollouts are told by; the provider answers them when absent. */
  readonly rollouts?: RolloutEventsDeps["watch"];
  /** Namespace of names written without one. */
  readonly defaultNamespace: string;
  /** What `/system/*` and `/ui/` want; absent when authentication is off. */
  readonly credentials?: Credentials;
  /** Shared with whoever else asks for the credentials; of its own when absent. */
  readonly attempts?: LoginAttempts;
  /** The page at `/ui/`; there is none when absent. */
  readonly dashboard?: Dashboard | undefined;
  /** Names that `/system/*` and `/ui/` are called by; any when absent. */
  readonly hosts?: Hosts | undefined;
  /** What callers put before our paths; whatever their proxies say when absent. */
  readonly pathPrefix?: PathPrefix;
  /** Calls that ended of the function `name.namespace`; those since the start when absent. */
  readonly callsOf?: (name: string) => number;
  /** Afterwards {@link callsOf} knows of all calls that ended before; they are known at once when absent. */
  readonly settle?: () => Promise<void>;
  /** Counts requests for `/system` and `/ui`; nobody does when absent. */
  readonly countControl?: RequestHandler;
  readonly version: VersionInfo;
  /** Whether it is about to stop, which those who ask for its health should know first. */
  readonly stopping?: () => boolean;
  readonly log: Logger;
}

const MAX_ALERT_BYTES = 4 * 1024 ** 2;

export interface ScalingApi {
  readonly autoscaler: Autoscaler;
  readonly alerts: AlertDeps;
}

export interface AsyncParts {
  readonly intake: Pick<AsyncIntake, "handle" | "answerPreflight">;
  readonly calls: Pick<CallRoutes, "handle">;
  readonly queue: QueueAdminDeps["queue"];
}

export interface EventsParts {
  /** Answers requests below {@link BROKER_PREFIX} and {@link WEBHOOK_PREFIX}. */
  handle(req: IncomingMessage, res: ServerResponse): Promise<void>;
  /** Answers those below {@link EVENT_PATHS}, and passes on what it has no route for. */
  readonly control: RequestHandler;
}

const BROKER_PREFIX = "/broker/";
const WEBHOOK_PREFIX = "/webhook/";
const EVENT_PATHS = [
  ...[PATHS.brokers, PATHS.triggers, PATHS.sources, PATHS.sinks, PATHS.flows, PATHS.flowRuns],
  ...[PATHS.events, PATHS.replays],
];

/** A gateway that has just begun learns in a moment which paths lead to functions; longer nobody waits for that. */
const FIRST_ROUTES_MS = 1_000;

/** Function calls bypass Express: they are most of the traffic, and need nothing of it. */
export function buildGateway(deps: GatewayDeps): Handler {
  const { proxy, async, events, routes, table, dashboard, pathPrefix = new PathPrefix() } = deps;
  const control = buildControlRoutes(deps);
  const serve: Handler = (req, res) => {
    const url = req.url as string;
    if (dashboard && keepFromDashboard(req, res, routes)) return undefined;
    if (routes?.any) {
      const taken = routes.take(req, res);
      if (taken !== "none") return taken === "call" ? proxy.handle(req, res) : undefined;
    }
    if (url.startsWith(FUNCTION_PREFIX)) return proxy.handle(req, res);
    if (events && (url.startsWith(BROKER_PREFIX) || url.startsWith(WEBHOOK_PREFIX))) return events.handle(req, res);
    if (!async || !url.startsWith(ASYNC_PREFIX)) return control(req, res);
    if (req.method === "POST") return async.intake.handle(req, res);
    if (req.method === "OPTIONS" && async.intake.answerPreflight(req, res)) return undefined;
    return async.calls.handle(req, res);
  };
  return (req, res) => {
    const url = pathPrefix.strip(req.url as string);
    req.url = url;
    if (!routes || table.synced || isBuiltIn(readRequestTarget(url).path)) return serve(req, res);
    return within(FIRST_ROUTES_MS, table.whenSynced).then(() => serve(req, res));
  };
}

/** The dashboard and what it needs, at an address where no function answers. */
export function buildDashboardSite(deps: GatewayDeps): Handler {
  const { pathPrefix = new PathPrefix() } = deps;
  const control = buildControlRoutes(deps);
  return (req, res) => {
    req.url = pathPrefix.strip(req.url as string);
    return control(req, res);
  };
}

function buildControlRoutes(deps: GatewayDeps): RequestListener {
  const { async, scaling, credentials, connection, defaultNamespace, provider, table, version, log } = deps;
  const callsOf = deps.callsOf ?? ((name: string) => table.find(name)?.wholeMeter.ended ?? 0);
  const app = createApp();
  const pathPrefix = deps.pathPrefix ?? new PathPrefix();
  app.use(redirectToClean(pathPrefix));
  const forward = (path?: string) => async (req: IncomingMessage, res: ServerResponse) =>
    await connection.forward(req, res, path ?? (req.url as string), { user: credentials?.user });

  const health = forward(PATHS.health);
  route(app, PATHS.health, {
    GET: [(req, res) => (deps.stopping?.() ? Promise.reject(stoppingError()) : health(req, res))],
  });
  const root = rootRoute(pathPrefix);
  route(app, "/", { GET: [root], HEAD: [root] });

  if (deps.countControl) app.use(["/system", "/ui"], deps.countControl);
  app.use(["/system", "/ui"], guardControl(deps.hosts));
  const { dashboard } = deps;
  const password = requireBasicAuth(credentials, deps.attempts ?? new LoginAttempts({ log }));
  const login = dashboard?.authorize(password) ?? password;
  const json = requireJson(PATHS.build);
  const authorized: RequestHandler = (req, res, next) =>
    login(req, res, (error?: unknown) => (error === undefined ? json(req, res, next) : next(error)));
  dashboard?.addRoutes(app, authorized);
  app.get(
    PATHS.functions,
    authorized,
    functionListRoute({ provider, callsOf, ...(deps.settle && { settle: deps.settle }) }),
  );
  route(app, PATHS.info, { GET: [authorized, infoRoute({ provider, version, log })] });
  route(app, PATHS.openapi, { GET: [authorized, openapiRoute()] });
  if (async) addQueueAdmin(app, { queue: async.queue, authorized, defaultNamespace });
  if (deps.events) {
    app.all(
      EVENT_PATHS.flatMap((path) => [path, `${path}/{*rest}`]),
      authorized,
      deps.events.control,
    );
  }
  if (scaling) {
    const { alerts, autoscaler } = scaling;
    route(app, PATHS.alert, { POST: [authorized, rawBody(MAX_ALERT_BYTES), alertRoute(alerts)] });
    const byHand = scaleByHand({ autoscaler, connection, find: (target) => table.find(target), defaultNamespace });
    app.post(`${PATHS.scale}:name`, authorized, byHand);
    addScalingRoutes(app, { autoscaler, find: (target) => table.find(target), authorized, defaultNamespace });
  }
  if (deps.rollouts) addRolloutEvents(app, { watch: deps.rollouts, authorized, defaultNamespace });
  app.all("/system/{*rest}", authorized, forward());
  dashboard?.addPages(app, authorized);
  app.all("/ui/{*rest}", authorized);

  app.use(notFoundResponder());
  app.use(errorResponder(log));
  return app;
}

/**
 * Where functions share the origin of the dashboard, none is to stand before it or beside its tab.
 * @returns whether the request is answered with that
 */
function keepFromDashboard(req: IncomingMessage, res: ServerResponse, routes: RoutedRequests | undefined): boolean {
  const isWorker = isWorkerScript(req);
  if (!(isWorker || isFormOfOtherSite(req)) || routes?.isOwnHost(req)) return false;
  if (isWorker) answerError(res, workerError(), {});
  else confineAnswer(req);
  return isWorker;
}

function workerError(): FaasError {
  const why =
    "a service worker could answer in the place of the dashboard, which has this origin unless ui_port is set";
  return new FaasError("forbidden", why, { code: "forbidden" });
}

/** What callers learn for whom there is no time left. */
export function stoppingError(): FaasError {
  return new FaasError("unavailable", "the gateway is stopping", { code: "stopping" });
}

/** What this server is and where to go on. Nothing of its release: it answers strangers, and the way to that has a login. */
const LINKS = {
  functions: PATHS.functions,
  call: `${FUNCTION_PREFIX}{name}`,
  health: PATHS.health,
  info: PATHS.info,
} as const;

/** Sends people to the pages, as OpenFaaS does; tells programs that ask for JSON what there is. */
function rootRoute(pathPrefix: PathPrefix): RequestHandler {
  const pages = redirectToUi(pathPrefix);
  return (req, res, next) => {
    res.vary("Accept");
    if (!asksForJson(req.headers.accept)) return pages(req, res, next);
    const links = Object.entries(LINKS).map(([name, path]) => [name, pathPrefix.locate(path, req.headers).location]);
    const { vary } = pathPrefix.locate("/", req.headers);
    if (vary !== undefined) res.vary(vary);
    return sendJson(res, { name: "faaslane", links: Object.fromEntries(links) });
  };
}

/** Sends clients to the path without `//`, `.` and `..`. */
function redirectToClean(pathPrefix: PathPrefix): RequestHandler {
  return (req, res, next) => {
    const clean = cleanLocation(req.url);
    if (clean === undefined) return next();
    const { location, vary } = pathPrefix.locate(clean, req.headers);
    if (vary !== undefined) res.vary(vary);
    return res.status(301).set("Location", location).end();
  };
}

/** As Go redirects: with a small page for those who do not follow. */
function redirectToUi(pathPrefix: PathPrefix): RequestHandler {
  return (req, res) => {
    const to = pathPrefix.locate("/ui/", req.headers);
    const href = to.location.replaceAll("&", "&amp;").replaceAll("'", "&#39;");
    if (to.vary !== undefined) res.vary(to.vary);
    res.status(307).set("Location", to.location).type("html").send(`<a href="${href}">Temporary Redirect</a>.\n\n`);
  };
}

/**
 * `/metrics` and `/healthz` of the metrics port, which nobody needs to log in to.
 * @param problem why this process will never be well again, undefined while it is
 * @param settle afterwards all that was counted before is in the registry
 */
export function buildMetricsApp(
  registry: Registry,
  problem: () => string | undefined,
  log: Logger,
  settle: () => Promise<void> = async () => {},
): RequestListener {
  const app = createApp();
  app.all("/metrics", async (_req, res) => {
    await settle();
    res.set("Content-Type", registry.contentType).send(await registry.metrics());
  });
  const health: RequestHandler = (_req, res) => {
    const why = problem();
    res
      .status(why === undefined ? 200 : 503)
      .type("text/plain")
      .send(why ?? "OK");
  };
  route(app, PATHS.health, { GET: [health] });
  app.use(notFoundResponder());
  app.use(errorResponder(log));
  return app;
}
