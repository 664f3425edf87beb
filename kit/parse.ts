import { parseGoDuration } from "../contract/duration.ts";

/** Parsers for settings. Each throws an `Error` whose message is the rule that was broken. */

/** A duration as in Go (`1m30s`, `250ms`) or bare seconds, in whole milliseconds, rounded up. Negative ones are refused. */
export function parseDuration(text: string): number {
  const exact = /^\d+$/.test(text) ? Number(text) * 1000 : parseGoDuration(text);
  if (exact === undefined) throw new Error("must be a duration such as 30, 1m30s or 250ms");
  const ms = Math.ceil(exact);
  // Timers take a signed 32-bit number; beyond it they would ring at once.
  if (ms > MAX_TIMER_MS) throw new Error("must be at most 596h");
  return ms;
}

/** How long something may be idle, as {@link parseDuration}; 0 is for ever. */
export function parseIdle(text: string): number {
  return parseDuration(text) || Number.POSITIVE_INFINITY;
}

const MAX_TIMER_MS = 596 * 3600e3;

/** A TCP port; 0 lets the system choose one. */
export function parsePort(text: string): number {
  const port = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(port <= 65535)) throw new Error("must be a port from 0 to 65535");
  return port;
}

/** `true` or `false`, nothing else: a typo must not switch a guard off. */
export function parseBoolean(text: string): boolean {
  if (text !== "true" && text !== "false") throw new Error("must be true or false");
  return text === "true";
}

/** An absolute http or https URL. Its path ends in `/`, so that relative paths resolve below it. */
export function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== "http:" && url?.protocol !== "https:") throw new Error("must be an http or https URL");
  if (!url.pathname.endsWith("/")) url.pathname += "/";
  return url;
}

/** A whole number of at least `min`. */
export function integerFrom(min: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (!Number.isSafeInteger(value) || value < min) throw new Error(`must be a whole number of at least ${min}`);
    return value;
  };
}

const BYTE_UNIT: Record<string, number> = { "": 1, k: 1e3, M: 1e6, G: 1e9, Ki: 1024, Mi: 1024 ** 2, Gi: 1024 ** 3 };

/** A size in bytes, with a Kubernetes suffix if any: `1048576`, `1Mi`, `500k`. */
export function parseBytes(text: string): number {
  const match = /^(\d+)(k|M|G|Ki|Mi|Gi)?$/.exec(text);
  if (!match) throw new Error("must be a size such as 1048576, 1Mi or 500k");
  return Number(match[1]) * (BYTE_UNIT[match[2] ?? ""] as number);
}

/** One of `values`. */
export function oneOf<T extends string>(...values: readonly T[]): (text: string) => T {
  return (text) => {
    const value = values.find((v) => v === text);
    if (value === undefined) throw new Error(`must be one of ${values.join(", ")}`);
    return value;
  };
}

/** Text that is not empty. */
export function parseText(text: string): string {
  if (text === "") throw new Error("must not be empty");
  return text;
}
