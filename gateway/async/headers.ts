import { connectionNames, isHopByHop } from "../../http/forwarding.ts";
import type { BatchProgress, CallbackNews, QueuedCall } from "../queue/queue.ts";
import type { ResponseHeaders } from "./function-caller.ts";

/** The HTTP client sets its own. */
const SET_ANEW: ReadonlySet<string> = new Set(["content-length", "expect", "host"]);

const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

type Pair = readonly [name: string, value: string];

/** Whether a header must not or cannot be sent on. @param named what `Connection` lists */
function isDropped(name: string, lower: string, value: string, named: ReadonlySet<string> | undefined): boolean {
  if (isHopByHop(lower) || SET_ANEW.has(lower) || named?.has(lower)) return true;
  // A stored header that would break the message open is dropped, not sent.
  return !NAME.test(name) || !VALUE.test(value);
}

/** What `Connection` lists. Most messages have no such header. */
function namedByConnection(pairs: readonly Pair[]): ReadonlySet<string> | undefined {
  let connection: string | undefined;
  for (const [name, value] of pairs) {
    if (name.length !== 10 || name.toLowerCase() !== "connection") continue;
    connection = connection === undefined ? value : `${connection},${value}`;
  }
  return connectionNames(connection);
}

/** What the gateway gets with the call: what the caller sent, in its order, and the call's id. */
export function buildCallHeaders(call: Pick<QueuedCall, "callId" | "headers">, userAgent: string): string[] {
  const named = namedByConnection(call.headers);
  const headers: string[] = [];
  let hasUserAgent = false;
  for (const [name, value] of call.headers) {
    const lower = name.toLowerCase();
    if (lower === "user-agent") hasUserAgent = true;
    if (lower !== "x-call-id" && !isDropped(name, lower, value, named)) headers.push(name, value);
  }
  headers.push("X-Call-Id", call.callId);
  if (!hasUserAgent) headers.push("User-Agent", userAgent);
  return headers;
}

/** A function's response headers as they are kept and passed on. @param response by lower-case name */
export function resultHeaders(response: ResponseHeaders): [name: string, value: string][] {
  const pairs = pairsOf(response);
  const named = namedByConnection(pairs);
  return pairs.filter(([name, value]) => !isDropped(name, name.toLowerCase(), value, named));
}

function pairsOf(response: ResponseHeaders): [name: string, value: string][] {
  const pairs: [string, string][] = [];
  for (const name in response) {
    const value = response[name];
    if (typeof value === "string") pairs.push([name, value]);
    else if (value !== undefined) for (const one of value) pairs.push([name, one]);
  }
  return pairs;
}

/** Kept headers by lower-case name again. */
export function groupHeaders(pairs: readonly Pair[]): ResponseHeaders {
  const grouped: Record<string, string | string[]> = Object.create(null);
  for (const [name, value] of pairs) {
    const lower = name.toLowerCase();
    const before = grouped[lower];
    grouped[lower] = before === undefined ? value : [before, value].flat();
  }
  return grouped;
}

/** What a callback tells about a call. */
export interface CallbackFacts {
  readonly callId: string;
  /** When the call was accepted, in milliseconds since the epoch. */
  readonly acceptedAt: number;
  /** As `X-Function-Name` has it. */
  readonly functionName: string;
  /** How the call ended, as `X-Call-State` says. */
  readonly state: CallbackNews["state"];
  /** The function's status, or the one that the platform gave in its place. */
  readonly status: number;
  readonly durationMs: number;
  /** Retries so far and at most; equal on the final attempt. */
  readonly retry: number;
  readonly retryMax: number;
  /** Why the body is empty although the function sent one. */
  readonly omitted?: string | undefined;
  readonly userAgent: string;
}

/** Says on a callback that the result could not be sent along, and why. An addition of ours. */
export const RESULT_OMITTED_HEADER = "X-Function-Result-Omitted";

/**
 * The function's response headers and what the queue worker adds.
 * @param response by lower-case name
 */
export function buildCallbackHeaders(response: ResponseHeaders, facts: CallbackFacts): string[] {
  const own: Pair[] = [
    ["X-Call-Id", facts.callId],
    ["X-Call-State", facts.state],
    ["X-Duration-Seconds", seconds(facts.durationMs)],
    ["X-Function-Status", String(facts.status)],
    ["X-Function-Name", facts.functionName],
    ["X-Retry", String(facts.retry)],
    ["X-Retry-Max", String(facts.retryMax)],
    ["User-Agent", facts.userAgent],
  ];
  // Answers that came through the gateway have one already.
  if (response["x-start-time"] === undefined) own.push(startTime(facts.acceptedAt));
  if (facts.omitted !== undefined) own.push([RESULT_OMITTED_HEADER, facts.omitted]);
  const replaced = new Set([...own.map(([name]) => name.toLowerCase()), RESULT_OMITTED_HEADER.toLowerCase()]);
  const theirs = resultHeaders(response).filter(([name]) => !replaced.has(name));
  return [...theirs, ...own].flat();
}

/** In nanoseconds, as OpenFaaS has it. */
function startTime(ms: number): Pair {
  return ["X-Start-Time", `${ms}000000`];
}

function seconds(durationMs: number): string {
  return (durationMs / 1000).toFixed(6);
}

/** What the callback of a batch tells. */
export interface BatchFacts {
  readonly callId: string;
  readonly batchId: string;
  readonly acceptedAt: number;
  readonly functionName: string;
  readonly progress: BatchProgress;
  /** From its acceptance to its end. */
  readonly durationMs: number;
  readonly userAgent: string;
}

/** Status 200 says that every call got an answer from the function, 207 that some did not. */
export function buildBatchHeaders({ progress, ...facts }: BatchFacts): string[] {
  return [
    ["Content-Type", "application/x-ndjson"],
    ["X-Call-Id", facts.callId],
    ["X-Call-State", "done"],
    ["X-Batch-Id", facts.batchId],
    ["X-Batch-Size", String(progress.size)],
    ["X-Batch-Done", String(progress.done)],
    ["X-Batch-Dead", String(progress.dead)],
    ["X-Batch-Cancelled", String(progress.cancelled)],
    ["X-Batch-Expired", String(progress.expired)],
    startTime(facts.acceptedAt),
    ["X-Duration-Seconds", seconds(facts.durationMs)],
    ["X-Function-Status", progress.done === progress.size ? "200" : "207"],
    ["X-Function-Name", facts.functionName],
    ["User-Agent", facts.userAgent],
  ].flat();
}
