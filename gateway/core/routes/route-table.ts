import { type FunctionRef, qualifiedName } from "../../../contract/functions.ts";
import { clash, describeRoute, type FunctionRoute, type OwnedRoute, spotOf } from "../../../contract/routes/route.ts";
import { isBuiltIn } from "../../../contract/routes/route-path.ts";
import { hostOf, type RequestTarget, restAfter } from "./request-target.ts";

/** What routes look at in a request. */
export interface RoutedRequest {
  readonly method: string;
  /** `Host` as it came. */
  readonly host: string | undefined;
  readonly target: RequestTarget;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

export interface RouteMatch {
  readonly function: FunctionRef;
  /** A version or tag. */
  readonly version?: string;
  /** What the function sees: raw path and query, starting with `/`. */
  readonly url: string;
  /** What of the path was taken away; "" for nothing. */
  readonly prefix: string;
}

/** A route that is not served, as somebody else has the same. */
export interface RouteConflict extends OwnedRoute {
  readonly owner: FunctionRef;
}

interface Entry extends OwnedRoute {
  readonly segments: number;
}

/** Routes of one host. */
interface HostRoutes {
  readonly exact: Map<string, Entry[]>;
  readonly prefixes: Map<string, Entry[]>;
  /** Of its longest prefix. */
  depth: number;
}

/** Which function a request is for by its host and path. The most specific route wins, whatever the order of their making. */
export class RouteTable {
  static readonly EMPTY = new RouteTable([]);
  readonly #byHost = new Map<string, HostRoutes>();
  /** By what follows the star, the dot included. */
  readonly #bySuffix = new Map<string, HostRoutes>();
  readonly #anyHost: HostRoutes = { exact: new Map(), prefixes: new Map(), depth: 0 };
  /** Those that are not served. */
  readonly conflicts: readonly RouteConflict[];
  /** All others. */
  readonly served: readonly OwnedRoute[];

  /** @param owned of two that are the same, the one counts whose function's name comes first */
  constructor(owned: readonly OwnedRoute[]) {
    const conflicts: RouteConflict[] = [];
    const served: OwnedRoute[] = [];
    const bySpot = new Map<string, OwnedRoute[]>();
    const sorted = [...owned].sort((a, b) => compareNames(qualifiedName(a.function), qualifiedName(b.function)));
    for (const one of sorted) {
      const spot = spotOf(one.route);
      const others = bySpot.get(spot) ?? [];
      const taken = others.find(({ route }) => clash(route, one.route));
      if (taken) {
        conflicts.push({ ...one, owner: taken.function });
        continue;
      }
      bySpot.set(spot, [...others, one]);
      served.push(one);
      this.#add(one);
    }
    this.conflicts = conflicts;
    this.served = served;
  }

  get size(): number {
    return this.served.length;
  }

  #add(owned: OwnedRoute): void {
    const { host, path, exact } = owned.route;
    const routes = this.#routesAt(host);
    const segments = path === "/" ? 0 : path.split("/").length - 1;
    if (!exact) routes.depth = Math.max(routes.depth, segments);
    const paths = exact ? routes.exact : routes.prefixes;
    paths.set(path, [...(paths.get(path) ?? []), { ...owned, segments }].sort(bySpecificity));
  }

  #routesAt(host: string | undefined): HostRoutes {
    if (host === undefined) return this.#anyHost;
    const [hosts, key] = host.startsWith("*") ? [this.#bySuffix, host.slice(1)] : [this.#byHost, host];
    const known = hosts.get(key);
    if (known) return known;
    const made: HostRoutes = { exact: new Map(), prefixes: new Map(), depth: 0 };
    hosts.set(key, made);
    return made;
  }

  /** Whether routes name the host, so that the paths below it are theirs before they are the gateway's. */
  names(host: string | undefined): boolean {
    return this.#hostRoutes(hostOf(host)).length > 0;
  }

  /** Undefined where no route fits. */
  find(request: RoutedRequest): RouteMatch | undefined {
    if (this.size === 0) return undefined;
    for (const routes of this.#hostRoutes(hostOf(request.host))) {
      const found = findIn(routes, request);
      if (found) return matchOf(found, request.target);
    }
    if (this.#anyHost.exact.size + this.#anyHost.prefixes.size === 0 || isBuiltIn(request.target.path))
      return undefined;
    const found = findIn(this.#anyHost, request);
    return found && matchOf(found, request.target);
  }

  /** The exact one, then wildcards from the longest on. */
  #hostRoutes(host: string): HostRoutes[] {
    const found: HostRoutes[] = [];
    if (host === "") return found;
    const exact = this.#byHost.get(host);
    if (exact) found.push(exact);
    if (this.#bySuffix.size === 0) return found;
    for (let dot = host.indexOf(".", 1); dot > 0; dot = host.indexOf(".", dot + 1)) {
      const routes = this.#bySuffix.get(host.slice(dot));
      if (routes) found.push(routes);
    }
    return found;
  }
}

function findIn({ exact, prefixes, depth }: HostRoutes, request: RoutedRequest): Entry | undefined {
  const { path } = request.target;
  const whole = exact.get(path)?.find(({ route }) => fits(route, request));
  if (whole || prefixes.size === 0) return whole;
  // Ends of the first segments, as far as any prefix goes.
  const ends: number[] = [];
  for (let at = path.indexOf("/", 1); ends.length < depth; at = path.indexOf("/", at + 1)) {
    ends.push(at < 0 ? path.length : at);
    if (at < 0) break;
  }
  for (const end of ends.reverse()) {
    const found = prefixes.get(path.slice(0, end))?.find(({ route }) => fits(route, request));
    if (found) return found;
  }
  return prefixes.get("/")?.find(({ route }) => fits(route, request));
}

function fits({ methods, headers }: FunctionRoute, { method, headers: given }: RoutedRequest): boolean {
  if (methods && !methods.includes(method)) return false;
  if (!headers) return true;
  for (const name in headers) if (given[name] !== headers[name]) return false;
  return true;
}

/** At the same place the one with more conditions comes first. */
function bySpecificity({ route: a }: Entry, { route: b }: Entry): number {
  const headers = ({ headers: all = {} }: FunctionRoute) => Object.keys(all).length;
  const methods = ({ methods: all }: FunctionRoute) => all?.length ?? Number.POSITIVE_INFINITY;
  if (headers(a) !== headers(b)) return headers(b) - headers(a);
  if (methods(a) !== methods(b)) return methods(a) - methods(b);
  return compareNames(describeRoute(a), describeRoute(b));
}

function compareNames(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function matchOf({ function: ref, route, segments }: Entry, target: RequestTarget): RouteMatch {
  const { version, keepPath, rewrite = "" } = route;
  const found = { function: ref, ...(version !== undefined && { version }) };
  if (keepPath) return { ...found, url: target.url, prefix: "" };
  const end = route.exact ? target.pathEnd : restAfter(target, segments);
  const rest = rewrite + target.url.slice(end);
  return { ...found, url: rest.startsWith("/") ? rest : `/${rest}`, prefix: target.url.slice(0, end) };
}
