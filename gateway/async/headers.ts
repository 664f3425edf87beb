import type { QueuedCall } from "../queue/queue.ts";

/**
 * Headers that speak of one connection or one message's framing; the HTTP client sets its own.
 * @see RFC 9110 §7.6.1
 */
const NOT_FORWARDED = new Set([
  "connection",
  "content-length",
  "expect",
  "host",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

type Pair = readonly [name: string, value: string];

/** `pairs` without those that must not or cannot be sent on, as a flat list of names and values. */
function forwarded(pairs: readonly Pair[], replaced: ReadonlySet<string>): string[] {
  const hop = new Set(
    pairs
      .filter(([name]) => name.toLowerCase() === "connection")
      .flatMap(([, value]) => value.split(","))
      .map((name) => name.trim().toLowerCase()),
  );
  return pairs
    .filter(([name, value]) => {
      const lower = name.toLowerCase();
      if (NOT_FORWARDED.has(lower) || hop.has(lower) || replaced.has(lower)) return false;
      // A stored header that would break the message open is dropped, not sent.
      return NAME.test(name) && VALUE.test(value);
    })
    .flat();
}

const SET_ON_CALL = new Set(["x-call-id"]);

/** What the gateway gets with the call: what the caller sent, in its order, and the call's id. */
export function buildCallHeaders(call: Pick<QueuedCall, "callId" | "headers">, userAgent: string): string[] {
  const headers = forwarded(call.headers, SET_ON_CALL);
  headers.push("X-Call-Id", call.callId);
  if (!call.headers.some(([name]) => name.toLowerCase() === "user-agent")) headers.push("User-Agent", userAgent);
  return headers;
}

/** What a callback tells about a call. */
export interface CallbackFacts {
  readonly callId: string;
  /** As `X-Function-Name` has it. */
  readonly functionName: string;
  /** The function's status, or the one that the platform gave in its place. */
  readonly status: number;
  readonly durationMs: number;
  /** Retries so far and at most; equal on the final attempt. */
  readonly retry: number;
  readonly retryMax: number;
  readonly resultBytes: number;
  /** Why the body is empty although the function sent one. */
  readonly omitted?: string | undefined;
  readonly userAgent: string;
  /** Credentials of the callback URL. */
  readonly authorization?: string | undefined;
}

/** Says on a callback that the result could not be sent along, and why. An addition of ours. */
export const RESULT_OMITTED_HEADER = "X-Function-Result-Omitted";

/**
 * The function's response headers and what the queue worker adds.
 * @param response by lower-case name
 */
export function buildCallbackHeaders(
  response: Readonly<Record<string, string | readonly string[] | undefined>>,
  facts: CallbackFacts,
): string[] {
  const own: Pair[] = [
    ["X-Call-Id", facts.callId],
    ["X-Duration-Seconds", (facts.durationMs / 1000).toFixed(6)],
    ["X-Function-Status", String(facts.status)],
    ["X-Function-Name", facts.functionName],
    ["X-Retry", String(facts.retry)],
    ["X-Retry-Max", String(facts.retryMax)],
    ["User-Agent", facts.userAgent],
  ];
  if (facts.omitted !== undefined) own.push([RESULT_OMITTED_HEADER, facts.omitted]);
  if (facts.authorization !== undefined) own.push(["Authorization", facts.authorization]);
  const replaced = new Set([...own.map(([name]) => name.toLowerCase()), RESULT_OMITTED_HEADER.toLowerCase()]);
  const pairs = Object.entries(response).flatMap(([name, value = []]): Pair[] =>
    (typeof value === "string" ? [value] : value).map((one) => [name, one]),
  );
  return [...forwarded(pairs, replaced), ...own.flat(), "Content-Length", String(facts.resultBytes)];
}
