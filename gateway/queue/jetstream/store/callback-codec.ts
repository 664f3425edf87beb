import { newsOf } from "../../outcome.ts";
import type { CallbackEnd, CallbackStatus, PendingCallback, Result } from "../../queue.ts";
import { type BodyRef, decodeBodyRef } from "./bodies.ts";
import {
  at,
  count,
  type Fields,
  flag,
  isCount,
  isObject,
  number,
  object,
  optional,
  pairs,
  text,
  word,
  wrong,
} from "./wire-fields.ts";

/** A callback that waits; its answer may lie elsewhere. */
export interface StoredCallback extends Omit<PendingCallback, "outcome"> {
  /** Sent once more, for a call that has ended: nothing else is to become of that. */
  readonly again?: true;
  readonly outcome: {
    readonly status: number;
    readonly durationMs: number;
    readonly result?: Pick<Result, "headers"> & { readonly body: Uint8Array | BodyRef };
  };
}

/** In the line of JSON of its call's message. */
export interface WireCallback {
  readonly u: string;
  readonly s: PendingCallback["state"];
  readonly r: number;
  readonly m: number;
  readonly d: number;
  readonly n: number;
  readonly t: number;
  readonly f?: string | undefined;
  readonly e?: string | undefined;
  readonly c: number;
  readonly l: number;
  readonly h?: readonly (readonly [string, string])[] | undefined;
  /** Bytes of the answer, at the end of the message. */
  readonly b?: number | undefined;
  readonly x?: BodyRef | undefined;
  readonly g?: 1 | undefined;
}

const STATES: Readonly<Record<PendingCallback["state"], true>> = { done: true, dead: true, expired: true };

export function toWireCallback(stored: StoredCallback): WireCallback {
  const { status, durationMs, result } = stored.outcome;
  const body = result?.body;
  const inline = body instanceof Uint8Array;
  return {
    u: stored.url,
    s: stored.state,
    r: stored.retry,
    m: stored.retryMax,
    d: stored.durationMs,
    n: stored.tries,
    t: stored.since,
    f: stored.failure,
    e: stored.reason,
    c: status,
    l: durationMs,
    h: result?.headers,
    b: inline ? body.byteLength : undefined,
    x: inline ? undefined : body,
    g: stored.again && 1,
  };
}

/** @param data of the message, from behind its line of JSON @throws {UnreadableError} */
export function decodeCallback(value: unknown, data: Uint8Array): StoredCallback {
  if (!isObject(value)) throw wrong("y", "a callback");
  const result = decodeAnswer(value, data);
  const { status, durationMs } = readAnswered(value);
  return { ...readCallback(value), outcome: { status, durationMs, ...(result && { result }) } };
}

const readAnswered = object({ status: at("c", count), durationMs: at("l", number) });
const readCallback = object({
  url: at("u", text),
  state: at("s", word(STATES)),
  retry: at("r", count),
  retryMax: at("m", count),
  durationMs: at("d", number),
  tries: at("n", count),
  since: at("t", number),
  failure: at("f", optional(text)),
  reason: at("e", optional(text)),
  again: at("g", flag),
});

function decodeAnswer(fields: Fields, data: Uint8Array): StoredCallback["outcome"]["result"] {
  const { b, x, h } = fields;
  if (h === undefined) return undefined;
  const headers = pairs(fields, "h");
  if (x !== undefined) return { headers, body: decodeBodyRef(x) };
  if (!isCount(b) || b > data.byteLength) throw wrong("b", "the length of an answer");
  return { headers, body: data.subarray(data.byteLength - b) };
}

/** What of it lies in the message of its call. */
export function inlineAnswer(stored: StoredCallback | undefined): Uint8Array | undefined {
  const body = stored?.outcome.result?.body;
  return body instanceof Uint8Array && body.byteLength > 0 ? body : undefined;
}

/** Where its answer lies, if that is elsewhere. */
export function answerRef(stored: StoredCallback | undefined): BodyRef | undefined {
  const body = stored?.outcome.result?.body;
  return body instanceof Uint8Array ? undefined : body;
}

export function withAnswer<B extends Uint8Array | BodyRef>(stored: StoredCallback, body: B) {
  const { result, ...outcome } = stored.outcome;
  return { ...stored, outcome: { ...outcome, ...(result && { result: { headers: result.headers, body } }) } };
}

/** What is told of a callback that waits. @param dueAt of its next try */
export function waitingStatus(
  { tries, failure }: Pick<PendingCallback, "tries" | "failure">,
  dueAt: number | undefined,
): CallbackStatus {
  return {
    state: "waiting",
    tries,
    ...(dueAt !== undefined && { nextAttemptAt: dueAt }),
    ...(failure !== undefined && { reason: failure }),
  };
}

/** What is told of a callback that is over. */
export function endedStatus({ delivered, tries, failure }: CallbackEnd): CallbackStatus {
  return { state: delivered ? "delivered" : "failed", tries, ...(failure !== undefined && { reason: failure }) };
}

/** Of a callback that nobody has told the end of. */
export function givenUp(stored: StoredCallback): CallbackEnd {
  const { tries, failure } = stored;
  return { ...newsOf(stored), tries, delivered: false, ...(failure !== undefined && { failure }) };
}

/** As it stands in a record. */
export const readCallbackEnd = object({
  url: text,
  state: word(STATES),
  retry: count,
  retryMax: count,
  durationMs: number,
  tries: count,
  delivered: (fields, field) => fields[field] === true,
  failure: optional(text),
});

const STATUS_STATES: Readonly<Record<CallbackStatus["state"], true>> = { waiting: true, delivered: true, failed: true };

/** As it stands in a record. */
export const readCallbackStatus = object({
  state: word(STATUS_STATES),
  tries: count,
  nextAttemptAt: optional(number),
  reason: optional(text),
});
