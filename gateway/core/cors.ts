import type { AllowedOrigins, CorsPolicy } from "../../contract/policies/cors-policy.ts";

/** What a page of another origin asks before it calls. */
export interface Preflight {
  readonly origin: string;
  readonly method: string;
  /** `Access-Control-Request-Headers`. */
  readonly headers: string | undefined;
}

export type PreflightDecision =
  | { readonly kind: "allowed"; readonly headers: Readonly<Record<string, string>> }
  | { readonly kind: "refused"; readonly rule: string; readonly headers: Readonly<Record<string, string>> };

type RequestHeaders = Readonly<Record<string, string | string[] | undefined>>;

/** The question that a request is; undefined for any other. @see https://fetch.spec.whatwg.org/#cors-preflight-request */
export function readPreflight(method: string, headers: RequestHeaders): Preflight | undefined {
  if (method !== "OPTIONS") return undefined;
  const { origin, "access-control-request-method": asked, "access-control-request-headers": names } = headers;
  if (typeof origin !== "string" || typeof asked !== "string") return undefined;
  return { origin, method: asked, headers: names === undefined ? undefined : String(names) };
}

const VARY_OF_PREFLIGHT = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";
/** Longer than anything that a browser sends. */
const MAX_ASKED_CHARS = 4 * 1024;

export function decidePreflight(policy: CorsPolicy, { origin, method, headers }: Preflight): PreflightDecision {
  const vary = { vary: VARY_OF_PREFLIGHT };
  const refused = (rule: string): PreflightDecision => ({ kind: "refused", rule, headers: vary });
  if (!isAllowedOrigin(policy.origins, origin))
    return refused("com.faaslane.cors.allow-origins does not name the origin");
  if (policy.methods !== "*" && !policy.methods.includes(method)) {
    return refused("com.faaslane.cors.allow-methods does not name the method");
  }
  const asked = headers === undefined ? [] : readNames(headers);
  if (asked === undefined) return refused("Access-Control-Request-Headers must be names of headers");
  const { headers: allowed } = policy;
  if (allowed !== "*" && !asked.every((name) => allowed.includes(name))) {
    return refused("com.faaslane.cors.allow-headers does not name all of the headers");
  }
  return {
    kind: "allowed",
    headers: {
      ...vary,
      ...originHeaders(policy, origin),
      // Named one by one: to browsers `*` means neither Authorization nor, with credentials, anything at all.
      "access-control-allow-methods": policy.methods === "*" ? method : policy.methods.join(", "),
      ...(asked.length > 0 && { "access-control-allow-headers": asked.join(", ") }),
      ...(policy.maxAgeSeconds !== undefined && { "access-control-max-age": String(policy.maxAgeSeconds) }),
    },
  };
}

/** Lower-case names that commas separate. */
function readNames(text: string): string[] | undefined {
  if (text.length > MAX_ASKED_CHARS) return undefined;
  const names = text.split(",").map((name) => name.trim().toLowerCase());
  if (names.length === 1 && names[0] === "") return [];
  return names.every((name) => /^[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(name)) ? names : undefined;
}

export type CorsHeaders = Readonly<Record<string, string>>;

/**
 * Headers that say who may read an answer to a page; `vary` has to be added to the answer's own.
 * @param origin of the request
 */
export function corsHeaders(policy: CorsPolicy, origin: string | undefined): CorsHeaders {
  const vary: CorsHeaders = policy.origins === "*" ? {} : { vary: "Origin" };
  if (origin === undefined || !isAllowedOrigin(policy.origins, origin)) return vary;
  return {
    ...vary,
    ...originHeaders(policy, origin),
    ...(policy.exposed.length > 0 && { "access-control-expose-headers": policy.exposed.join(", ") }),
  };
}

function originHeaders({ origins, credentials }: CorsPolicy, origin: string): Record<string, string> {
  return {
    "access-control-allow-origin": origins === "*" ? "*" : origin,
    ...(credentials && { "access-control-allow-credentials": "true" }),
  };
}

const MAX_ORIGIN_CHARS = 300;
/** What may stand for the wildcard: labels of a domain. */
const LABELS = /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/;

export function isAllowedOrigin(allowed: AllowedOrigins, origin: string): boolean {
  if (allowed === "*") return true;
  if (origin.length > MAX_ORIGIN_CHARS) return false;
  return allowed.some(({ start, end, subdomains }) => {
    if (!subdomains) return origin === start;
    if (!origin.startsWith(start) || !origin.endsWith(end)) return false;
    return LABELS.test(origin.slice(start.length, origin.length - end.length));
  });
}

/**
 * Puts the policy's word in the place of the function's, which would contradict it.
 * @param headers of an answer, by lower-case name; changed
 * @param cors of {@link corsHeaders}
 */
export function applyCors(headers: Record<string, string | string[]>, cors: CorsHeaders): void {
  for (const name in headers) if (name.startsWith("access-control-")) delete headers[name];
  for (const name in cors) {
    const value = cors[name] as string;
    headers[name] = name === "vary" ? addToVary(headers.vary, value) : value;
  }
}

function addToVary(vary: string | string[] | undefined, name: string): string {
  if (vary === undefined || vary.length === 0) return name;
  const text = typeof vary === "string" ? vary : vary.join(", ");
  const names = text.toLowerCase().split(",");
  return names.some((one) => one.trim() === name.toLowerCase() || one.trim() === "*") ? text : `${text}, ${name}`;
}
