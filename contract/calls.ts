import { z } from "zod";
import { decode, maybe } from "./decode.ts";

/** `waiting` until its turn, its first one or the next; the last four are final. */
export const CALL_STATES = ["waiting", "running", "done", "dead", "cancelled", "expired"] as const;

const count = z.number();
/** RFC 3339, UTC. */
const time = z.string();

const callStatus = z.object({
  /** Of the queue; its holder may read and cancel the call. */
  id: z.string(),
  /** `X-Call-Id`: the caller's own, else equal to `id`. */
  callId: z.string(),
  function: z.string(),
  namespace: z.string(),
  queue: z.string(),
  /** Of a function with several: which has answered, or else the one that the call is for. */
  version: maybe(z.string()),
  state: z.enum(CALL_STATES),
  /** Attempts that have ended. */
  attempts: count,
  acceptedAt: time,
  /** Of the last attempt. */
  startedAt: maybe(time),
  finishedAt: maybe(time),
  nextAttemptAt: maybe(time),
  /** When it expires. */
  notAfter: maybe(time),
  /** HTTP status of the last attempt that has ended. */
  status: maybe(count),
  /** Milliseconds that it took. */
  durationMs: maybe(count),
  /** Why it is dead. */
  reason: maybe(z.string()),
  /** Until when the result can be had; absent when there is none. */
  resultUntil: maybe(time),
  /** Of a batch: its size, and members by what became of them so far. */
  batch: maybe(z.object({ size: count, done: count, dead: count, cancelled: count, expired: count })),
  /** Of a call with one that waits for its next try, or has been made or given up. */
  callback: maybe(
    z.object({
      state: z.enum(["waiting", "delivered", "failed"]),
      /** That have ended. */
      tries: count,
      nextAttemptAt: maybe(time),
      /** Why the last try failed. */
      reason: maybe(z.string()),
    }),
  ),
});
/** What `GET /async-function/<call-id>` answers. */
export type CallReport = z.output<typeof callStatus>;

/** @throws {FaasError} `invalid` */
export function decodeCallReport(value: unknown): CallReport {
  return decode(callStatus, value, "call status");
}

const listedCall = callStatus.extend({
  bodyBytes: count,
  /** Its place in a batch: the id of that, and the line, from 0. */
  member: maybe(z.object({ of: z.string(), index: count })),
});
/** A call that has not ended. */
export type ListedCallReport = z.output<typeof listedCall>;

const callList = z.object({
  /** Oldest first. */
  items: z.array(listedCall),
  /** `after` of the page that follows, if there is one. */
  next: maybe(z.string()),
});
/** What `GET /system/queue/calls` answers. */
export type CallList = z.output<typeof callList>;

/** @throws {FaasError} `invalid` */
export function decodeCallList(value: unknown): CallList {
  return decode(callList, value, "calls");
}

const callDetails = callStatus.extend({
  /** What was sent, with secrets hidden; absent when it is not kept (any more). */
  request: maybe(
    z.object({
      method: z.string(),
      /** Behind the function's name. */
      path: z.string(),
      /** Without `?`. */
      query: z.string(),
      headers: z.array(z.tuple([z.string(), z.string()])),
      callbackUrl: maybe(z.string()),
      bodyBytes: count,
    }),
  ),
});
/** What `GET /system/queue/call` answers. */
export type CallDetails = z.output<typeof callDetails>;

/** @throws {FaasError} `invalid` */
export function decodeCallDetails(value: unknown): CallDetails {
  return decode(callDetails, value, "call");
}

const functionQueue = z.object({
  name: z.string(),
  namespace: z.string(),
  queue: z.string(),
  waiting: count,
  inFlight: count,
  dead: count,
  oldestMs: count,
  /** That its unfinished calls take, where that is known. */
  bytes: maybe(count),
  acceptedPerSecond: count,
  finishedPerSecond: count,
});

const queueReport = z.object({
  /** Calls waiting, those whose time or retry is not due among them. */
  waiting: count,
  inFlight: count,
  dead: count,
  /** Milliseconds since the oldest call that waits was accepted; 0 when none does. */
  oldestMs: count,
  /** That unfinished calls take. */
  bytes: maybe(count),
  /** How many unfinished calls are taken, and how many bytes of them; in all and of a function. */
  limits: maybe(z.object({ calls: count, bytes: count, functionCalls: count, functionBytes: count })),
  /** Those with anything to tell; rates are over the last minute. */
  functions: z.array(functionQueue),
});
/** What `GET /system/queue` answers. */
export type QueueReport = z.output<typeof queueReport>;

/** @throws {FaasError} `invalid` */
export function decodeQueueReport(value: unknown): QueueReport {
  return decode(queueReport, value, "queue status");
}

const deadLetterReport = z.object({
  id: z.string(),
  callId: z.string(),
  function: z.string(),
  namespace: z.string(),
  queue: z.string(),
  reason: z.string(),
  attempts: count,
  /** HTTP status of the last attempt, if there was one. */
  status: maybe(count),
  acceptedAt: time,
  diedAt: time,
  bodyBytes: count,
});
/** A call that is not tried any more by itself. */
export type DeadLetterReport = z.output<typeof deadLetterReport>;

const deadLetterList = z.object({
  /** Oldest first. */
  items: z.array(deadLetterReport),
  /** `after` of the page that follows, if there is one. */
  next: maybe(z.string()),
});
/** What `GET /system/queue/dead-letters` answers. */
export type DeadLetterList = z.output<typeof deadLetterList>;

/** @throws {FaasError} `invalid` */
export function decodeDeadLetterList(value: unknown): DeadLetterList {
  return decode(deadLetterList, value, "dead letters");
}

const changeCount = z.object({ count });

/** How many calls or dead letters a `POST` or a `DELETE` has changed. @throws {FaasError} `invalid` */
export function decodeChangeCount(value: unknown): number {
  return decode(changeCount, value, "the number of calls").count;
}
