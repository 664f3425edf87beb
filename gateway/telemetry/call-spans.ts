import { STARTUP_PHASES } from "../../contract/endpoints.ts";
import type { CallKind, CallTrace, ObservedCall } from "./call-record.ts";
import { type Attributes, SPAN_KIND, type Span, type SpanEvent, type WallClock } from "./span.ts";

/** As much of a path as is told. */
export const MAX_PATH_CHARS = 2_048;
export const MAX_CALL_ID_CHARS = 256;

const METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);
const ROUTES: Readonly<Record<CallKind, string>> = {
  call: "/function/",
  stored: "/function/",
  intake: "/async-function/",
  event: "/broker/",
};

/** Whether it is exported however few are: it has failed, or waited for a replica to come up. */
export function isRemarkable(record: ObservedCall): boolean {
  return record.status >= 500 || record.broken || record.cold;
}

/**
 * The spans of a call that has ended: the whole, its wait for a replica, and its time at the replica.
 * @param newSpanId for the wait
 */
export function buildCallSpans(
  record: ObservedCall,
  trace: CallTrace,
  clock: WallClock,
  newSpanId: () => string,
): Span[] {
  const { traceId, spanId, parentId, state, upstreamId } = trace;
  const { kind, arrivedAt, heldAt, sentAt, endedAt = arrivedAt } = record;
  const inTrace = { traceId, state };
  const start = clock.of(arrivedAt);
  const at = (moment: number) => start + moment - arrivedAt;
  const failed = record.status >= 500 || record.broken;
  const method = METHODS.has(record.method) ? record.method : "HTTP";
  const spans: Span[] = [
    {
      ...inTrace,
      spanId,
      parentId,
      // A name that no function has may be anything, and as many.
      name: `${method} ${ROUTES[kind]}${record.functionName ?? ""}`,
      kind: kind === "stored" ? SPAN_KIND.internal : SPAN_KIND.server,
      start,
      end: at(endedAt),
      attributes: callAttributes(record),
      failed,
    },
  ];
  if (heldAt !== undefined) {
    const events = startupEvents(record, (ms) => at(heldAt) + ms);
    spans.push({
      ...inTrace,
      spanId: newSpanId(),
      parentId: spanId,
      name: "wait for a replica",
      kind: SPAN_KIND.internal,
      start: at(heldAt),
      end: at(sentAt !== undefined && sentAt >= heldAt ? sentAt : endedAt),
      attributes: { "faas.coldstart": record.cold },
      ...(events.length > 0 && { events }),
      failed: sentAt === undefined && failed,
    });
  }
  if (sentAt !== undefined) {
    spans.push({
      ...inTrace,
      spanId: upstreamId,
      parentId: spanId,
      name: `${method} ${record.functionName ?? ""}`,
      kind: SPAN_KIND.client,
      start: at(sentAt),
      end: at(endedAt),
      attributes: upstreamAttributes(record),
      ...(record.firstByteAt !== undefined && { events: [{ name: "first byte", at: at(record.firstByteAt) }] }),
      failed,
    });
  }
  return spans;
}

function callAttributes(record: ObservedCall): Attributes {
  const { kind, method, functionName } = record;
  return {
    "http.request.method": METHODS.has(method) ? method : "_OTHER",
    "http.request.method_original": METHODS.has(method) ? undefined : method.slice(0, 32),
    "http.route": `${ROUTES[kind]}{name}`,
    "url.scheme": kind === "stored" ? undefined : record.scheme,
    "url.path": record.path.slice(0, MAX_PATH_CHARS),
    ...answerAttributes(record),
    "client.address": record.client,
    "faas.trigger": kind === "stored" ? "pubsub" : "http",
    "faas.name": functionName,
    "faas.version": record.functionVersion,
    "faas.coldstart": record.cold,
    "faas.invocation_id": record.callId?.slice(0, MAX_CALL_ID_CHARS),
    "http.request.body.size": record.bytesIn,
    "http.response.body.size": record.bytesOut,
  };
}

function upstreamAttributes(record: ObservedCall): Attributes {
  const { replica = "", method } = record;
  const colon = replica.lastIndexOf(":");
  const port = colon < 0 ? Number.NaN : Number(replica.slice(colon + 1));
  return {
    "http.request.method": METHODS.has(method) ? method : "_OTHER",
    "server.address": Number.isNaN(port) ? replica : replica.slice(0, colon),
    "server.port": Number.isNaN(port) ? undefined : port,
    "http.request.resend_count": record.attempts > 1 ? record.attempts - 1 : undefined,
    "faas.invoked_name": record.functionName,
    "faas.invoked_provider": "faaslane",
    ...answerAttributes(record),
  };
}

/** `error.type` is the platform's own code where it has answered in the function's place. */
function answerAttributes({ status, broken, errorCode }: ObservedCall): Attributes {
  const failure = broken ? "broken_off" : status >= 500 ? String(status) : undefined;
  return { "http.response.status_code": status || undefined, "error.type": errorCode ?? failure };
}

/** Phases are counted from the replica's creation, which is a little after the call began to wait. */
function startupEvents({ startup }: ObservedCall, at: (ms: number) => number): SpanEvent[] {
  if (!startup) return [];
  return STARTUP_PHASES.flatMap((phase) => {
    const ms = startup[phase];
    return ms === undefined ? [] : [{ name: phase, at: at(ms) }];
  });
}
