/** Parsers of single settings. Each throws an `Error` whose message is the rule that was broken. */

const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};
const DURATION_PART = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)/y;
/** Node's timers overflow above this many milliseconds and would fire at once. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * A duration as OpenFaaS writes it: bare seconds (`30`) or Go's notation (`1m30s`, `1.5h`).
 * @returns milliseconds, not necessarily whole
 */
export function parseDuration(text: string): number {
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : goDurationMs(text);
  if (ms > LONGEST_TIMER_MS) throw new Error(`must be at most ${Math.floor(LONGEST_TIMER_MS / 3_600_000)}h`);
  return ms;
}

/**
 * A duration as OpenFaaS's watchdogs read it: one below zero is no limit, as zero is, and no limit is longer than timers go.
 * @returns milliseconds
 */
export function parseLimit(text: string): number {
  if (/^-\d+$/.test(text)) throw new Error(DURATION_RULE); // bare seconds have no sign
  const unsigned = text.replace(/^[+-]/, "");
  const ms = /^\d+$/.test(unsigned) ? Number(unsigned) * 1000 : goDurationMs(unsigned);
  return text.startsWith("-") ? 0 : Math.min(ms, LONGEST_TIMER_MS);
}

const DURATION_RULE = 'must be a duration such as "30s", "1m30s" or a number of seconds';

function goDurationMs(text: string): number {
  if (text === "0") return 0;
  let ms = 0;
  DURATION_PART.lastIndex = 0;
  while (DURATION_PART.lastIndex < text.length || text === "") {
    const part = DURATION_PART.exec(text);
    if (part === null) throw new Error(DURATION_RULE);
    ms += Number(part[1]) * (UNIT_MS[part[2] as string] as number);
  }
  return ms;
}

const TRUE = new Set(["1", "t", "T", "TRUE", "true", "True"]);
const FALSE = new Set(["0", "f", "F", "FALSE", "false", "False"]);

export function parseBool(text: string): boolean {
  if (TRUE.has(text)) return true;
  if (FALSE.has(text)) return false;
  throw new Error('must be "true" or "false"');
}

/** OpenFaaS's first watchdog knows one word for yes; whatever else is set is no. */
export function parseTrue(text: string): boolean {
  if (text === "true") return true;
  if (FALSE.has(text)) return false;
  throw new Error('must be "true" or "false"');
}

/** Its second watchdog knows two. */
export function parseTrueOr1(text: string): boolean {
  return text === "1" || parseTrue(text);
}

/** A whole number ≥ 0. */
export function parseCount(text: string): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(count)) throw new Error("must be a whole number, 0 or more");
  return count;
}

/** A TCP port; 0 asks the system for a free one. */
export function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port > 65_535) throw new Error("must be a port number, 0 to 65535");
  return port;
}

/** A path as it stands in a request line. */
export function parsePath(text: string): string {
  if (!/^\/[\x21-\x7e]*$/.test(text)) throw new Error('must be a path that begins with "/", percent-encoded');
  return text;
}

/** The words of a command line, split at single spaces: OpenFaaS knows no quoting here, and two spaces hold an empty word. */
export function parseCommand(text: string): readonly [program: string, ...args: string[]] {
  const [program, ...args] = text.split(" ");
  if (program === undefined || program === "") throw new Error("must begin with the name of a program");
  return [program, ...args];
}

/** Where the function's own server listens. */
export interface Upstream {
  readonly host: string;
  /** 0: the watchdog picks a free port and tells the child in `http_port`. */
  readonly port: number;
  /** Put before each request path; "" or a path without a trailing slash. */
  readonly prefix: string;
}

/** Without the slashes that end it. */
function withoutSlashes(path: string): string {
  let end = path.length;
  while (end > 0 && path[end - 1] === "/") end -= 1;
  return path.slice(0, end);
}

export function parseUpstream(text: string): Upstream {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== "http:" || url.username !== "" || url.search !== "" || url.hash !== "") {
    throw new Error('must be a URL such as "http://127.0.0.1:8082"');
  }
  return {
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port: url.port === "" ? 80 : Number(url.port),
    prefix: withoutSlashes(url.pathname),
  };
}
