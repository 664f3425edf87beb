import type { IncomingHttpHeaders } from "node:http";

/** One segment or more, without what a browser could take for another host. */
const PREFIX = /^(?:\/(?:[\w.~!$&'()*+;=:@-]|%[\da-f]{2})+)+$/i;
const DOTS = /(?:^|\/)(?:\.|%2e){1,2}(?:\/|$)/i;
const MAX_PREFIX_CHARS = 256;
/** What our own paths begin with: below one of these nobody could tell whether a proxy has taken it away. */
const OWN = /^\/(?:function|async-function|system|ui|healthz)(?:\/|$)/;

/**
 * A path such as `/faas` that everything is below for callers, without a slash at its end; empty for `/`.
 * @throws when it is none
 */
export function parsePathPrefix(text: string): string {
  const prefix = readPrefix(text);
  if (prefix === undefined) throw new Error(`must be a path such as /faas, of at most ${MAX_PREFIX_CHARS} characters`);
  if (OWN.test(prefix)) throw new Error("must be a path such as /faas, and none that the gateway itself has");
  return prefix;
}

function readPrefix(text: string): string | undefined {
  if (text.length > MAX_PREFIX_CHARS) return undefined;
  const prefix = text.endsWith("/") ? text.slice(0, -1) : text;
  if (prefix === "") return text === "/" ? "" : undefined;
  return PREFIX.test(prefix) && !DOTS.test(prefix) ? prefix : undefined;
}

/** What a request says that callers put before its path, as far as that is one; "" otherwise. */
export function prefixOf({ "x-forwarded-prefix": given }: IncomingHttpHeaders): string {
  return typeof given === "string" ? (readPrefix(given) ?? "") : "";
}

/** Headers of an answer that sends its caller somewhere. */
export interface LocationHeaders {
  readonly location: string;
  /** There where the request's own headers had a say, so that no cache gives it to others. */
  readonly vary?: string;
}

/** What callers put before our paths. */
export class PathPrefix {
  readonly #set: string | undefined;

  /** @param set holds for all requests; undefined takes what `X-Forwarded-Prefix` of each says, as far as that is a path */
  constructor(set?: string) {
    this.#set = set;
  }

  /**
   * The path as ours, whether a proxy has taken the prefix away or not.
   * @param url of a request
   */
  strip(url: string): string {
    const set = this.#set;
    if (!set || !url.startsWith(set)) return url;
    const next = url.charAt(set.length);
    if (next === "/") return url.slice(set.length);
    return next === "" || next === "?" ? `/${url.slice(set.length)}` : url;
  }

  /** @param path ours, with its query */
  locate(path: string, headers: IncomingHttpHeaders): LocationHeaders {
    if (this.#set !== undefined) return { location: this.#set + path };
    const given = headers["x-forwarded-prefix"];
    const prefix = typeof given === "string" ? readPrefix(given) : undefined;
    return prefix === undefined ? { location: path } : { location: prefix + path, vary: "X-Forwarded-Prefix" };
  }
}
