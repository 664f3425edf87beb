import { z } from "zod";
import { listProblems } from "../clip.ts";
import { atMost, maybe } from "../decode.ts";
import { FaasError } from "../errors.ts";
import type { FunctionRef } from "../functions.ts";
import { isDnsSubdomain } from "../names.ts";
import { isTag, isVersion } from "../versions/version-name.ts";
import { isBuiltIn, PATH_RULE, parseRoutePath } from "./route-path.ts";

/** Annotation with the domains and paths that lead to a function. */
export const ROUTES = "com.faaslane.routes";
export const MAX_ROUTES = 100;
const MAX_HEADERS = 8;
const MAX_VALUE_CHARS = 256;

const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

const givenRoute = z
  .object({
    host: maybe(z.string()),
    path: maybe(z.string()),
    exact: maybe(z.boolean()),
    methods: maybe(atMost(METHODS.length, z.array(z.string()))),
    headers: maybe(atMost(MAX_HEADERS, z.record(z.string(), z.string()))),
    version: maybe(z.string()),
    rewrite: maybe(z.string()),
    keepPath: maybe(z.boolean()),
    certificate: maybe(z.string()),
    issuer: maybe(z.string()),
  })
  .strict();
export const givenRoutes = atMost(MAX_ROUTES, z.array(givenRoute));
/** A route as somebody wrote it. */
export type GivenRoute = z.output<typeof givenRoute>;

/** Requests that lead to a function, in normal form. */
export interface FunctionRoute {
  /** In lower case; `*.example.com` for all below; absent for any. */
  readonly host?: string;
  /** `/` for all. */
  readonly path: string;
  /** For this path alone; otherwise for all below it too. */
  readonly exact?: boolean;
  /** In order; absent for any. */
  readonly methods?: readonly string[];
  /** By lower-case name, in order; what they have to be. */
  readonly headers?: Readonly<Record<string, string>>;
  /** A version or tag of the function. */
  readonly version?: string;
  /** What the function sees in place of `path`; absent: nothing, as its prefix is cut. */
  readonly rewrite?: string;
  /** The function sees the path as it came. */
  readonly keepPath?: boolean;
  /** Secret of the function's namespace with the host's certificate and key. */
  readonly certificate?: string;
  /** What issues the certificate, on a cluster. */
  readonly issuer?: string;
}

/** A route and whose it is. */
export interface OwnedRoute {
  readonly function: FunctionRef;
  readonly route: FunctionRoute;
}

const HOST_LABEL = /^[a-z0-9_]([-a-z0-9_]{0,61}[a-z0-9_])?$/;
const HEADER_NAME = /^[a-z0-9!#$%&'*+.^_`|~-]{1,64}$/;
const HEADER_VALUE = /^[\x20-\x7e]*$/;
/** What connections and the gateway itself decide, so that no route should. */
const NO_CONDITION: ReadonlySet<string> = new Set(["host", "connection", "content-length", "transfer-encoding"]);

/** @returns the host in its normal form; undefined for what is none */
export function parseRouteHost(text: string): string | undefined {
  const host = text.toLowerCase().replace(/\.$/, "");
  const labels = host.split(".");
  if (host.length > 253 || (labels[0] === "*" && labels.length < 3)) return undefined;
  const named = labels[0] === "*" ? labels.slice(1) : labels;
  return named.every((label) => HOST_LABEL.test(label)) ? host : undefined;
}

/**
 * Brings routes into their normal form.
 * @returns them, and a sentence for each rule that one breaks, which begins with its number
 */
export function normalizeRoutes(given: readonly GivenRoute[]): {
  readonly routes: readonly FunctionRoute[];
  readonly problems: readonly string[];
} {
  const problems: string[] = [];
  const routes = given.map((route, index) =>
    normalize(route, (field, rule) => void problems.push(`route ${index + 1}: ${field}: ${rule}`)),
  );
  if (problems.length === 0) {
    for (const [later, route] of routes.entries()) {
      const earlier = routes.slice(0, later).findIndex((other) => clash(other, route));
      if (earlier >= 0)
        problems.push(`route ${later + 1}: is the same as route ${earlier + 1}: ${describeRoute(route)}`);
    }
  }
  return { routes, problems };
}

type Refuse = (field: string, rule: string) => void;

function normalize(given: GivenRoute, refuse: Refuse): FunctionRoute {
  const methods = given.methods?.map((method) => method.toUpperCase()) ?? [];
  const unknown = methods.find((method) => !METHODS.includes(method));
  if (unknown !== undefined) refuse("methods", `"${unknown}" must be one of ${METHODS.join(", ")}`);
  const headers = normalizeHeaders(given.headers ?? {}, refuse);
  return {
    ...normalizePlace(given, refuse),
    ...(methods.length > 0 && { methods: METHODS.filter((method) => methods.includes(method)) }),
    ...(Object.keys(headers).length > 0 && { headers }),
    ...normalizeAim(given, refuse),
    ...normalizeCertificate(given, refuse),
  };
}

function normalizePlace(given: GivenRoute, refuse: Refuse): Pick<FunctionRoute, "host" | "path" | "exact"> {
  const host = given.host === undefined ? undefined : parseRouteHost(given.host);
  if (given.host !== undefined && host === undefined)
    refuse(
      "host",
      `"${given.host}" must be a host such as shop.example.com or *.example.com, without a port${asciiHint(given.host)}`,
    );
  const exact = given.exact === true;
  const path = parseRoutePath(given.path ?? "/", !exact);
  if (path === undefined) refuse("path", `"${given.path}" ${PATH_RULE}`);
  else if (given.host === undefined && isBuiltIn(path) && (exact || path !== "/"))
    refuse("path", `"${path}" is the gateway's own; give a host with it, or another path`);
  return { ...(host !== undefined && { host }), path: path ?? "/", ...(exact && { exact }) };
}

/** How requests name a host that was given in other letters than theirs. */
function asciiHint(host: string): string {
  const wildcard = host.startsWith("*.") ? "*." : "";
  const url = `http://${host.slice(wildcard.length)}`;
  return /[^ -~]/.test(host) && URL.canParse(url) ? `; requests name it ${wildcard}${new URL(url).hostname}` : "";
}

function normalizeAim(given: GivenRoute, refuse: Refuse): Pick<FunctionRoute, "version" | "rewrite" | "keepPath"> {
  const { version, keepPath } = given;
  const rewrite = given.rewrite === undefined ? "/" : parseRoutePath(given.rewrite, true);
  if (rewrite === undefined) refuse("rewrite", `"${given.rewrite}" ${PATH_RULE}`);
  if (given.rewrite !== undefined && keepPath) refuse("rewrite", "does not go together with keepPath");
  if (version !== undefined && !isVersion(version) && !isTag(version))
    refuse("version", `"${version}" must be a version such as v3, or a tag`);
  return {
    ...(version !== undefined && { version }),
    ...(rewrite !== undefined && rewrite !== "/" && { rewrite }),
    ...(keepPath && { keepPath }),
  };
}

function normalizeCertificate(
  { host, certificate, issuer }: GivenRoute,
  refuse: Refuse,
): Pick<FunctionRoute, "certificate" | "issuer"> {
  if (certificate !== undefined && !isDnsSubdomain(certificate))
    refuse("certificate", `"${certificate}" must be the name of a secret`);
  if (issuer !== undefined && !isDnsSubdomain(issuer))
    refuse("issuer", `"${issuer}" must be the name of an issuer of certificates`);
  if (host === undefined && (certificate ?? issuer) !== undefined) refuse("certificate", "needs a host that it is for");
  return { ...(certificate !== undefined && { certificate }), ...(issuer !== undefined && { issuer }) };
}

function normalizeHeaders(given: Readonly<Record<string, string>>, refuse: Refuse): Record<string, string> {
  const entries = Object.entries(given).map(([name, value]) => [name.toLowerCase(), value] as const);
  for (const [name, value] of entries) {
    if (!HEADER_NAME.test(name) || NO_CONDITION.has(name)) refuse("headers", `"${name}" must be the name of a header`);
    else if (value.length > MAX_VALUE_CHARS || !HEADER_VALUE.test(value))
      refuse("headers", `${name}: must be at most ${MAX_VALUE_CHARS} printable characters`);
  }
  if (new Set(entries.map(([name]) => name)).size < entries.length) refuse("headers", "one is given twice");
  return Object.fromEntries([...entries].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Where a route is, with its conditions, for people: `GET shop.example.com/cart/* header=x-beta:1`. */
export function describeRoute({ host = "", path, exact, methods, headers = {} }: FunctionRoute): string {
  const below = exact ? path : path === "/" ? "/*" : `${path}/*`;
  const conditions = Object.entries(headers).map(([name, value]) => ` header=${name}:${value}`);
  return `${methods ? `${methods.join(",")} ` : ""}${host}${below}${conditions.join("")}`;
}

/** Host, path and headers: what two routes have in common of which one could not be preferred to the other. */
export function spotOf({ host = "", path, exact = false, headers = {} }: FunctionRoute): string {
  return JSON.stringify([host, path, exact, Object.entries(headers)]);
}

/** Whether nothing says which of two routes a request is for that both fit. */
export function clash(a: FunctionRoute, b: FunctionRoute): boolean {
  if (spotOf(a) !== spotOf(b)) return false;
  if (!a.methods || !b.methods) return !a.methods && !b.methods;
  const others = b.methods;
  return a.methods.some((method) => others.includes(method));
}

/**
 * Which of `owned` a function's routes would be the same as.
 * @returns a sentence for each, with the owner's name
 */
export function takenRoutes(
  ref: FunctionRef,
  routes: readonly FunctionRoute[],
  owned: readonly OwnedRoute[],
): string[] {
  const spots = new Map<string, FunctionRoute[]>();
  for (const route of routes) spots.set(spotOf(route), [...(spots.get(spotOf(route)) ?? []), route]);
  return owned.flatMap(({ function: owner, route }) => {
    if (owner.name === ref.name && owner.namespace === ref.namespace) return [];
    const same = spots.get(spotOf(route))?.find((other) => clash(other, route));
    return same ? [`${describeRoute(same)} belongs to ${owner.name}.${owner.namespace}`] : [];
  });
}

export function routesError(problems: readonly string[]): FaasError {
  return new FaasError("invalid", `${ROUTES}: ${listProblems(problems)}`);
}
