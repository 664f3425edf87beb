import { STARTUP_PHASES } from "../../../contract/endpoints.ts";
import { redactText } from "../../../contract/redaction.ts";
import type { CallDetail, CallRow } from "../../../contract/ui/series.ts";
import { DELIVERY } from "../../policies/identity-headers.ts";
import type { CallMarks } from "../../telemetry/call-choice.ts";
import type { ObservedCall } from "../../telemetry/call-record.ts";
import { MAX_PATH_CHARS } from "../../telemetry/call-spans.ts";
import { readTraceContext } from "../../telemetry/trace-context.ts";
import { type KeptHeaders, shownHeaders } from "./kept-headers.ts";

/** A call that is kept. */
export interface KeptCall {
  readonly id: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly marks: CallMarks;
  readonly record: ObservedCall;
  readonly requestHeaders: KeptHeaders;
  readonly answerHeaders: KeptHeaders | undefined;
  /** What it takes, roughly. */
  readonly bytes: number;
}

/** A call as a list shows it. What is in it of its caller's is cut off and without what anybody is known by. */
export function buildCallRow({ id, at, record, requestHeaders }: KeptCall): CallRow {
  const { functionName = "", functionVersion, replica, status, errorCode, broken, arrivedAt, endedAt } = record;
  const dot = functionName.lastIndexOf(".");
  const error = errorCode ?? (broken ? "broken_off" : undefined);
  return {
    id,
    ...(record.callId !== undefined && record.callId !== id && { callId: record.callId.slice(0, MAX_ID_CHARS) }),
    function: functionName.slice(0, dot),
    namespace: functionName.slice(dot + 1),
    ...(functionVersion !== undefined && { version: functionVersion }),
    ...(replica !== undefined && { replica }),
    at,
    method: record.method.slice(0, 32),
    path: redactText(record.path.slice(0, MAX_PATH_CHARS)),
    status,
    durationMs: milliseconds((endedAt ?? arrivedAt) - arrivedAt),
    cold: record.cold,
    asynchronous: record.kind === "stored" || hasHeader(requestHeaders, DELIVERY),
    ...(hasHeader(requestHeaders, "ce-id") && { event: true }),
    phases: phasesOf(record),
    requestBytes: record.bytesIn,
    responseBytes: record.bytesOut,
    ...(error !== undefined && { error }),
  };
}

export function buildCallDetail(kept: KeptCall): CallDetail {
  const { record, requestHeaders, answerHeaders } = kept;
  const traceId = record.trace?.traceId ?? readTraceContext(record.traceparent, undefined)?.traceId;
  return {
    ...buildCallRow(kept),
    requestHeaders: shownHeaders(requestHeaders),
    ...(answerHeaders && { responseHeaders: shownHeaders(answerHeaders) }),
    ...(record.startup && { startup: startupOf(record.startup) }),
    ...(traceId !== undefined && { traceId }),
  };
}

export const MAX_ID_CHARS = 256;

/** Where its time went, as far as it came: together as long as the call. */
function phasesOf({
  arrivedAt,
  sentAt,
  connectedAt,
  firstByteAt,
  endedAt = arrivedAt,
}: ObservedCall): CallRow["phases"] {
  const moments = [
    ["wait", sentAt],
    ["connect", connectedAt],
    ["function", firstByteAt],
    ["answer", endedAt],
  ] as const;
  const phases: { name: string; ms: number }[] = [];
  let from = arrivedAt;
  for (const [place, [name, until]] of moments.entries()) {
    const isLast = until === undefined || moments.slice(place + 1).every(([, later]) => later === undefined);
    phases.push({ name, ms: milliseconds((until ?? endedAt) - from) });
    if (isLast) break;
    from = until;
  }
  return phases;
}

/** From one to the next of what was seen of a replica on its way. */
function startupOf(startup: NonNullable<ObservedCall["startup"]>): NonNullable<CallDetail["startup"]> {
  let before = 0;
  return STARTUP_PHASES.flatMap((name) => {
    const reached = startup[name];
    if (reached === undefined) return [];
    const ms = milliseconds(reached - before);
    before = Math.max(before, reached);
    return [{ name, ms }];
  });
}

function hasHeader(headers: KeptHeaders, wanted: string): boolean {
  if (!Array.isArray(headers)) return Object.hasOwn(headers, wanted);
  return headers.some(
    (name: string, place) => place % 2 === 0 && name.length === wanted.length && name.toLowerCase() === wanted,
  );
}

function milliseconds(ms: number): number {
  return Math.round(Math.max(0, ms) * 1000) / 1000;
}
