import { type PolicySettings, parseList, parseToken } from "./policy-settings.ts";

/** Which pages of other origins may call a function. */
export interface CorsPolicy {
  readonly origins: AllowedOrigins;
  /** Methods that a page may use. */
  readonly methods: readonly string[] | "*";
  /** Headers that a page may send beside the safe ones, in lower case. */
  readonly headers: readonly string[] | "*";
  /** Headers of answers that a page may read, as they are sent. */
  readonly exposed: readonly string[];
  /** Whether a page may send cookies and other credentials. */
  readonly credentials: boolean;
  /** For how long a browser may keep what it was told, in seconds; absent for its own default. */
  readonly maxAgeSeconds?: number;
}

export type AllowedOrigins = "*" | readonly OriginPattern[];

/** One origin, or with `subdomains` all those below a domain. */
export interface OriginPattern {
  /** `https://app.example.com`; with `subdomains` the part before the wildcard: `https://`. */
  readonly start: string;
  /** With `subdomains` what follows the wildcard: `.example.com` and the port, if any. */
  readonly end: string;
  readonly subdomains: boolean;
}

const PREFIX = "com.faaslane.cors.";
const ORIGINS = `${PREFIX}allow-origins`;
const METHODS = `${PREFIX}allow-methods`;
const HEADERS = `${PREFIX}allow-headers`;
const EXPOSED = `${PREFIX}expose-headers`;
const CREDENTIALS = `${PREFIX}allow-credentials`;
const MAX_AGE = `${PREFIX}max-age`;
export const CORS_SETTINGS = [ORIGINS, METHODS, HEADERS, EXPOSED, CREDENTIALS, MAX_AGE] as const;

const MOST = 100;
/** What a browser may use without asking. */
const SAFE_METHODS = ["GET", "HEAD", "POST"] as const;

/** @returns undefined without any of its settings, or when they are wrong */
export function readCorsPolicy(read: PolicySettings): CorsPolicy | undefined {
  if (!CORS_SETTINGS.some((name) => read.text(name) !== undefined)) return undefined;
  const rule = `must be * or at most ${MOST} origins such as https://app.example.com or https://*.example.com, separated by commas`;
  const origins = read.required(ORIGINS, rule, parseOrigins);
  const credentials = read.boolean(CREDENTIALS);
  if (credentials && origins === "*") {
    read.refuse(ORIGINS, `must name the origins when ${CREDENTIALS} is true: any page could act for its visitors`);
  }
  const names = (what: string) => `must be * or at most ${MOST} ${what}, separated by commas`;
  const methods = read.read(METHODS, names("methods"), anyOr(parseMethod)) ?? SAFE_METHODS;
  const headers = read.read(HEADERS, names("names of headers"), anyOr(parseHeader)) ?? [];
  const exposed = read.read(EXPOSED, names("names of headers"), anyOr(parseToken)) ?? [];
  if (credentials && exposed === "*") {
    read.refuse(EXPOSED, `must name the headers when ${CREDENTIALS} is true: browsers take * for a name then`);
  }
  const maxAgeMs = read.duration(MAX_AGE, "24h");
  if (origins === undefined) return undefined;
  return {
    origins,
    methods,
    headers,
    exposed: exposed === "*" ? ["*"] : exposed,
    credentials,
    ...(maxAgeMs !== undefined && { maxAgeSeconds: Math.floor(maxAgeMs / 1000) }),
  };
}

function anyOr(parse: (item: string) => string | undefined): (text: string) => readonly string[] | "*" | undefined {
  return (text) => (text === "*" ? "*" : parseList(text, MOST, parse));
}

/** Methods are case-sensitive; one in lower case is a mistake. */
function parseMethod(text: string): string | undefined {
  return /^[A-Z]{1,20}$/.test(text) ? text : undefined;
}

function parseHeader(text: string): string | undefined {
  return text === "*" ? undefined : parseToken(text)?.toLowerCase();
}

function parseOrigins(text: string): AllowedOrigins | undefined {
  return text === "*" ? "*" : parseList(text, MOST, parseOrigin);
}

/** As browsers write it: scheme, host and a port that is not the scheme's own, in lower case, and nothing behind. */
function parseOrigin(text: string): OriginPattern | undefined {
  const [, scheme, wildcard, host] = /^([a-z][a-z0-9+.-]*):\/\/(\*\.)?([^/?#@*\\\s]+)$/i.exec(text) ?? [];
  if (scheme === undefined || host === undefined) return undefined;
  const plain = `${scheme}://${host}`.toLowerCase();
  // Other schemes, of extensions and apps, have no rules that are known here.
  const isWeb = /^https?:/.test(plain);
  const origin = isWeb ? (URL.canParse(plain) ? new URL(plain).origin : undefined) : plain;
  if (origin === undefined) return undefined;
  if (wildcard === undefined) return { start: origin, end: "", subdomains: false };
  // A wildcard below one label would be for a whole top-level domain.
  if (!isWeb || !/^[^.]+\.[^.]/.test(host)) return undefined;
  const start = origin.slice(0, origin.indexOf("//") + 2);
  return { start, end: `.${origin.slice(start.length)}`, subdomains: true };
}
