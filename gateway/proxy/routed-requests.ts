import type { IncomingMessage, ServerResponse } from "node:http";
import { versionedName } from "../../contract/versions/version-name.ts";
import { cleanLocation } from "../core/function-path.ts";
import { type PathPrefix, prefixOf } from "../core/path-prefix.ts";
import { isUnclean, readRequestTarget } from "../core/routes/request-target.ts";
import type { RouteMatch, RouteTable } from "../core/routes/route-table.ts";
import { FUNCTION_PREFIX } from "./function-proxy.ts";
import type { FunctionRoutes } from "./function-routes.ts";

const PREFIX_HEADER = "x-forwarded-prefix";

/** `none`: it is for no route. `call`: it is a call of a function now. `answered`: there is nothing more to do. */
export type Taken = "none" | "call" | "answered";

interface Original {
  readonly url: string;
  readonly rawHeaders: readonly string[];
  readonly prefix: string | string[] | undefined;
}

const originals = new WeakMap<IncomingMessage, Original>();

/** Whether a route was taken for a request: its caller does not know the path that it has now. */
export function isRouted(req: IncomingMessage): boolean {
  return originals.has(req);
}

/** Makes a request again what it was before a route was taken for it, for those who look for one themselves. */
export function undoRoute(req: IncomingMessage): void {
  const original = originals.get(req);
  if (!original) return;
  originals.delete(req);
  req.url = original.url;
  req.rawHeaders.splice(0, req.rawHeaders.length, ...original.rawHeaders);
  if (original.prefix === undefined) delete req.headers[PREFIX_HEADER];
  else req.headers[PREFIX_HEADER] = original.prefix;
}

/** Takes requests whose host and path lead to a function, before it is looked at whether their paths are the gateway's. */
export class RoutedRequests {
  readonly #routes: Pick<FunctionRoutes, "table">;
  readonly #pathPrefix: PathPrefix;

  constructor(routes: Pick<FunctionRoutes, "table">, pathPrefix: PathPrefix) {
    this.#routes = routes;
    this.#pathPrefix = pathPrefix;
  }

  /** Whether there is any route; a gateway without one has nothing of this on its way. */
  get any(): boolean {
    return this.#routes.table.size > 0;
  }

  /** Whether functions have said that the host is theirs. */
  isOwnHost({ headers }: Pick<IncomingMessage, "headers">): boolean {
    return this.#routes.table.names(headers.host);
  }

  /** Whether a request that has not been looked at yet leads to a function. @param url of it, without what proxies put before */
  leads(req: IncomingMessage, url: string): boolean {
    const { table } = this.#routes;
    if (table.size === 0) return false;
    const target = readRequestTarget(url);
    return !isUnclean(target) && find(table, req, target) !== undefined;
  }

  /** @param req its URL is without what proxies put before */
  take(req: IncomingMessage, res: ServerResponse): Taken {
    const { table } = this.#routes;
    const target = readRequestTarget(req.url as string);
    if (isUnclean(target)) {
      // Below a host of its own it is not the gateway's, whatever its path.
      if (!table.names(req.headers.host)) return "none";
      const clean = cleanLocation(target.path + target.url.slice(target.pathEnd));
      if (clean === undefined) return "none";
      const { location, vary } = this.#pathPrefix.locate(clean, req.headers);
      res.writeHead(301, { Location: location, ...(vary !== undefined && { Vary: vary }) }).end();
      return "answered";
    }
    const match = find(table, req, target);
    if (!match) return "none";
    follow(req, match);
    return "call";
  }
}

function find(table: RouteTable, req: IncomingMessage, target: ReturnType<typeof readRequestTarget>) {
  const { method = "", headers } = req;
  return table.find({ method, host: headers.host, target, headers });
}

function follow(req: IncomingMessage, { function: { name, namespace }, version, url, prefix }: RouteMatch): void {
  const { rawHeaders, headers } = req;
  originals.set(req, { url: req.url as string, rawHeaders: [...rawHeaders], prefix: headers[PREFIX_HEADER] });
  const target = version === undefined ? name : versionedName(name, version);
  req.url = `${FUNCTION_PREFIX}${target}.${namespace}${url}`;
  if (prefix === "" || prefix === "/") return;
  const whole = prefixOf(headers) + prefix;
  for (let i = rawHeaders.length - 2; i >= 0; i -= 2) {
    if ((rawHeaders[i] as string).toLowerCase() === PREFIX_HEADER) rawHeaders.splice(i, 2);
  }
  rawHeaders.push("X-Forwarded-Prefix", whole);
  headers[PREFIX_HEADER] = whole;
}
