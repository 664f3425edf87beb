import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { resourceKey } from "../resources.ts";
import { ApiError, noSuchResource } from "../status.ts";
import { contentTypeOf } from "./body.ts";
import { discover } from "./discovery.ts";
import { negotiate } from "./encode.ts";
import type { Faults } from "./faults.ts";
import { type ObjectsDeps, sendJson, serveObjects } from "./objects.ts";
import { type Account, attributesOf, authorise } from "./rbac.ts";
import { type PathParts, parseRoute, type ResourceRoute, readPath } from "./route.ts";

export interface ListenerDeps extends ObjectsDeps {
  readonly faults: Faults;
  /** Who does not bring it as a bearer token is refused; "" lets everybody in. */
  readonly token: string;
  /** Who is held to what it was granted; all others may do everything. */
  readonly account?: Account;
}

/** The whole server, but for the socket. */
export function apiListener(deps: ListenerDeps): RequestListener {
  return (req, res) => {
    // A client that is gone has no use for an answer, and there is nobody else to tell.
    res.on("error", () => {});
    serve(deps, req, res).catch((error: unknown) => sendError(res, error));
  };
}

async function serve(deps: ListenerDeps, req: IncomingMessage, res: ServerResponse): Promise<void> {
  const { faults, api } = deps;
  const method = req.method ?? "GET";
  const url = new URL(req.url ?? "/", "http://server");
  if (faults.delayMs > 0) await new Promise((resolve) => setTimeout(resolve, faults.delayMs));
  const found = findRoute(() => parseRoute(method, url, contentTypeOf(req), api.resources));
  const route = found instanceof ApiError ? undefined : found;
  faults.check({
    method,
    path: url.pathname,
    query: url.searchParams,
    verb: route?.verb,
    resource: route?.resource.key ?? "",
    namespace: route?.namespace ?? "",
    name: route?.name ?? "",
    subresource: route?.subresource ?? "",
    userAgent: req.headers["user-agent"] ?? "",
  });
  if (/^\/(healthz|livez|readyz)$/.test(url.pathname)) {
    res.writeHead(200, { "content-type": "text/plain" }).end("ok");
    return;
  }
  authenticate(deps, req, url);
  if (found instanceof ApiError || found === undefined) {
    const discovered = method === "GET" ? discover(url.pathname.replace(/\/$/, ""), api.resources) : undefined;
    if (discovered === undefined) throw found ?? noSuchResource();
    sendJson(res, 200, JSON.stringify(discovered));
    return;
  }
  const format = route?.subresource === "log" ? "object" : negotiate(req.headers.accept, isRead(route));
  if (format === undefined) {
    throw new ApiError(406, "NotAcceptable", "only the following media types are accepted: application/json");
  }
  await serveObjects(deps, found, format, req, res);
}

/** @throws {ApiError} when the client is unknown, or may not do this */
function authenticate({ token, account, api }: ListenerDeps, req: IncomingMessage, url: URL): void {
  const { authorization } = req.headers;
  if (account !== undefined && authorization === `Bearer ${account.token}`) {
    const exists = ({ group, plural, namespace, name }: PathParts) =>
      api.store.get(resourceKey(group, plural), { namespace, name }) !== undefined;
    const asked = attributesOf(req.method ?? "GET", url, contentTypeOf(req), exists);
    authorise(account, asked, readPath(url.pathname)?.name ?? "");
  } else if (token !== "" && authorization !== `Bearer ${token}`)
    throw new ApiError(401, "Unauthorized", "Unauthorized");
}

/** A route, or why there is none: faults are to see requests that lead nowhere too. */
function findRoute(parse: () => ResourceRoute | undefined): ResourceRoute | ApiError | undefined {
  try {
    return parse();
  } catch (error) {
    if (error instanceof ApiError) return error;
    throw error;
  }
}

/** Tables are for what people look at; a watch of them is not offered. */
function isRead(route: ResourceRoute | undefined): boolean {
  return route?.verb === "list" || (route?.verb === "get" && route.subresource === "");
}

function sendError(res: ServerResponse, error: unknown): void {
  if (res.headersSent) {
    res.destroy();
    return;
  }
  const known =
    error instanceof ApiError
      ? error
      : new ApiError(
          500,
          "InternalError",
          `Internal error occurred: ${error instanceof Error ? error.stack : String(error)}`,
        );
  const retryAfter = known.details?.retryAfterSeconds;
  const headers = retryAfter === undefined ? {} : { "retry-after": String(retryAfter) };
  sendJson(res, known.code, JSON.stringify(known.toStatus()), headers as Record<string, string>);
}
