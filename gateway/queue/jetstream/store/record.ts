import type { BatchProgress, CallbackEnd, CallState, CallStatus, FinalState, Outcome } from "../../queue.ts";
import { type BodyRef, decodeBodyRef } from "./bodies.ts";
import type { StoredCall } from "./call-codec.ts";
import { endedStatus, readCallbackEnd, readCallbackStatus, waitingStatus } from "./callback-codec.ts";
import { count, FORM_FIELD, inner, number, object, optional, or, pairs, readHead, text, word } from "./wire-fields.ts";

export interface MessagePosition {
  readonly stream: string;
  readonly seq: number;
}

/** Where the message of a call lies that is not where its id says. */
export interface Location extends MessagePosition {
  /** How often it has moved to get there. */
  readonly moves: number;
}

/** What is written down of a call, beside the message that holds it. */
export interface CallRecord extends CallStatus {
  /** How often closing workers have handed its message back. */
  readonly handBacks?: { readonly seq: number; readonly times: number };
  readonly location?: Location;
  /** Answer of the last attempt. */
  readonly outcome?: Outcome;
  /** How its callback ended. */
  readonly told?: CallbackEnd;
  /** Of a batch: times that its end was told in vain. */
  readonly failures?: number;
}

type Wire = Omit<CallRecord, "outcome"> & {
  readonly z: number;
  readonly result?: { readonly headers: readonly (readonly [string, string])[]; readonly body?: BodyRef };
};

export const FINAL_STATES: Readonly<Record<FinalState, true>> = {
  done: true,
  dead: true,
  cancelled: true,
  expired: true,
};
const STATES: Readonly<Record<CallState, true>> = { waiting: true, running: true, ...FINAL_STATES };

/** As {@link CALL_FORM}, of records. */
const RECORD_FORM = 1;

export function isFinal(state: CallStatus["state"]): state is FinalState {
  return Object.hasOwn(FINAL_STATES, state);
}

/** @param large the result's body, when it is stored elsewhere */
export function encodeRecord({ outcome, ...record }: CallRecord, large?: BodyRef): Buffer {
  const { result } = outcome ?? {};
  const wire: Wire = {
    [FORM_FIELD]: RECORD_FORM,
    ...record,
    ...(outcome && { status: outcome.status, durationMs: outcome.durationMs }),
    ...(result && { result: { headers: result.headers, ...(large && { body: large }) } }),
  };
  const head = Buffer.from(`${JSON.stringify(wire)}\n`);
  return result && !large ? Buffer.concat([head, result.body]) : head;
}

export interface ReadRecord {
  readonly record: CallRecord;
  /** The body of the outcome's result lies there. */
  readonly large?: BodyRef;
}

/** @throws {UnreadableError} @throws {NewerFormError} */
export function decodeRecord(data: Uint8Array): ReadRecord {
  const { fields, bodyAt } = readHead(data, RECORD_FORM);
  const record: CallRecord = readRecord(fields);
  const { status, durationMs } = record;
  if (status === undefined || durationMs === undefined) return { record };
  const result = readResult(fields, "result");
  const outcome: Outcome = {
    status,
    durationMs,
    ...(result && { result: { headers: result.headers, body: Uint8Array.from(data.subarray(bodyAt)) } }),
  };
  return { record: { ...record, outcome }, ...(result?.body && { large: result.body }) };
}

const readResult = optional(
  inner(object({ headers: pairs, body: optional((fields, field) => decodeBodyRef(fields[field])) })),
);

const readRecord = object({
  id: text,
  callId: text,
  queue: text,
  function: text,
  namespace: text,
  state: word(STATES),
  attempts: count,
  acceptedAt: number,
  startedAt: optional(number),
  finishedAt: optional(number),
  nextAttemptAt: optional(number),
  notAfter: optional(number),
  status: optional(number),
  durationMs: optional(number),
  resultUntil: optional(number),
  reason: optional(text),
  batch: optional(inner(object({ size: count, done: count, dead: count, cancelled: count, expired: count }))),
  callback: optional(inner(readCallbackStatus)),
  told: optional(inner(readCallbackEnd)),
  failures: optional(count),
  handBacks: optional(inner(object({ seq: count, times: count }))),
  location: optional(inner(object({ stream: text, seq: count, moves: or(count, 0) }))),
});

/** What callers are told. */
export function statusOf(record: CallRecord, now: number): CallStatus {
  const { handBacks: _h, location: _l, outcome: _o, failures: _f, told, resultUntil, ...status } = record;
  return {
    ...(told && { callback: endedStatus(told) }),
    ...status,
    ...(resultUntil !== undefined && resultUntil > now && { resultUntil }),
  };
}

/** Without a result whose time is over. */
export function outcomeOf({ outcome, resultUntil }: CallRecord, now: number): Outcome | undefined {
  if (!outcome || (resultUntil !== undefined && resultUntil > now)) return outcome;
  const { status, durationMs } = outcome;
  return { status, durationMs };
}

/** Of a call of which nothing is known but that it waits. */
export function waitingRecord({ call, attempts, dueAt, callback }: StoredCall, id: string): CallRecord {
  return {
    id,
    callId: call.callId ?? id,
    queue: call.queue,
    function: call.function,
    namespace: call.namespace,
    state: "waiting",
    attempts,
    acceptedAt: call.acceptedAt,
    ...(callback && { callback: waitingStatus(callback, dueAt) }),
    ...(dueAt !== undefined && !callback && { nextAttemptAt: dueAt }),
    ...(call.notAfter !== undefined && { notAfter: call.notAfter }),
    ...(call.batch?.kind === "whole" && { batch: emptyProgress(call.batch.size) }),
  };
}

export function emptyProgress(size: number): BatchProgress {
  return { size, done: 0, dead: 0, cancelled: 0, expired: 0 };
}

/** Of the message that takes the place of this one. */
export function nextMove({ moves }: Pick<StoredCall, "moves">, open: CallRecord | undefined): number {
  return Math.max(moves, open?.location?.moves ?? 0) + 1;
}

/** A message whose call lies elsewhere by now: a server that is killed can forget that it has deleted it. */
export function isLeftBehind(
  place: MessagePosition,
  { moves }: Pick<StoredCall, "moves">,
  location: Location | undefined,
) {
  if (!location || moves > location.moves) return false; // it has just moved here, which is yet to be written down
  return moves < location.moves || place.stream !== location.stream || place.seq !== location.seq;
}

/** Of the message that takes the place of another one: stored once, however often that is tried. */
export function moveId(id: string, from: MessagePosition): string {
  return `${id}>${from.stream}:${from.seq}`;
}
