import type { CallDetails, CallList, CallReport, DeadLetterList, DeadLetterReport } from "../../contract/calls.ts";
import { redactRequest } from "../core/redaction.ts";
import type { CallbackStatus, CallPage, CallRequest, CallStatus, DeadLetter, DeadLetterPage } from "../queue/queue.ts";

const iso = (ms: number) => new Date(ms).toISOString();

/** The fields that have a value: absent ones are not on the wire. */
function given<T extends object>(fields: T): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}

const optionalIso = (ms: number | undefined) => (ms === undefined ? undefined : iso(ms));

/** A call's status as clients get it. */
export function buildCallReport(status: CallStatus): CallReport {
  const { id, callId, function: name, namespace, queue, state, attempts } = status;
  return given({
    id,
    callId,
    function: name,
    namespace,
    queue,
    state,
    attempts,
    acceptedAt: iso(status.acceptedAt),
    startedAt: optionalIso(status.startedAt),
    finishedAt: optionalIso(status.finishedAt),
    nextAttemptAt: optionalIso(status.nextAttemptAt),
    notAfter: optionalIso(status.notAfter),
    status: status.status,
    durationMs: status.durationMs,
    reason: status.reason,
    resultUntil: optionalIso(status.resultUntil),
    batch: status.batch && { ...status.batch },
    callback: status.callback && buildCallbackReport(status.callback),
  });
}

/** What there is to tell of calls that have not ended; nothing of what was sent but how much. */
export function buildCallList({ items, next }: CallPage): CallList {
  return given({
    items: items.map((call) => given({ ...buildCallReport(call), bodyBytes: call.bodyBytes, member: call.member })),
    next,
  });
}

/** A call and its request, without secrets and body. */
export function buildCallDetails(status: CallStatus, request: CallRequest | undefined): CallDetails {
  const shown = request && redactRequest(request);
  return given({
    ...buildCallReport(status),
    request:
      shown &&
      given({
        method: shown.method,
        path: shown.path,
        query: shown.query,
        headers: shown.headers.map(([name, value]): [string, string] => [name, value]),
        callbackUrl: shown.callbackUrl,
        bodyBytes: shown.bodyBytes,
      }),
  });
}

function buildCallbackReport({ state, tries, nextAttemptAt, reason }: CallbackStatus): CallReport["callback"] {
  return given({ state, tries, nextAttemptAt: optionalIso(nextAttemptAt), reason });
}

export function buildDeadLetterList({ items, next }: DeadLetterPage): DeadLetterList {
  return given({ items: items.map(buildDeadLetterReport), next });
}

function buildDeadLetterReport(letter: DeadLetter): DeadLetterReport {
  const {
    id,
    callId,
    function: name,
    namespace,
    queue,
    reason,
    attempts,
    status,
    acceptedAt,
    diedAt,
    bodyBytes,
  } = letter;
  return given({
    id,
    callId,
    function: name,
    namespace,
    queue,
    reason,
    attempts,
    status,
    acceptedAt: iso(acceptedAt),
    diedAt: iso(diedAt),
    bodyBytes,
  });
}
