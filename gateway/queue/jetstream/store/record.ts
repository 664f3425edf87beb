import type { BatchProgress, CallbackEnd, CallState, CallStatus, FinalState, Outcome } from "../../queue.ts";
import { type BodyRef, decodeBodyRef } from "./bodies.ts";
import type { StoredCall } from "./call-codec.ts";
import { decodeCallbackEnd, decodeCallbackStatus, endedStatus, waitingStatus } from "./callback-codec.ts";
import {
  count,
  type Fields,
  FORM_FIELD,
  number,
  optionalCount,
  optionalObject,
  optionalText,
  pairs,
  readHead,
  text,
  word,
} from "./wire-fields.ts";

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
  const record = readRecord(fields);
  const { status, durationMs } = record;
  if (status === undefined || durationMs === undefined) return { record };
  const result = optionalObject(fields, "result");
  const outcome: Outcome = {
    status,
    durationMs,
    ...(result && { result: { headers: pairs(result, "headers"), body: Uint8Array.from(data.subarray(bodyAt)) } }),
  };
  const large = result?.body === undefined ? undefined : decodeBodyRef(result.body);
  return { record: { ...record, outcome }, ...(large && { large }) };
}

const TIMES = ["startedAt", "finishedAt", "nextAttemptAt", "notAfter", "status", "durationMs", "resultUntil"] as const;

function readRecord(fields: Fields): CallRecord {
  const times: Partial<Record<(typeof TIMES)[number], number>> = {};
  for (const field of TIMES) if (fields[field] !== undefined) times[field] = number(fields, field);
  const reason = optionalText(fields, "reason");
  const batch = optionalObject(fields, "batch");
  const handBacks = optionalObject(fields, "handBacks");
  const location = optionalObject(fields, "location");
  const callback = optionalObject(fields, "callback");
  const told = optionalObject(fields, "told");
  const failures = optionalCount(fields, "failures");
  return {
    id: text(fields, "id"),
    callId: text(fields, "callId"),
    queue: text(fields, "queue"),
    function: text(fields, "function"),
    namespace: text(fields, "namespace"),
    state: word(fields, "state", STATES),
    attempts: count(fields, "attempts"),
    acceptedAt: number(fields, "acceptedAt"),
    ...times,
    ...(reason !== undefined && { reason }),
    ...(batch && { batch: readProgress(batch) }),
    ...(callback && { callback: decodeCallbackStatus(callback) }),
    ...(told && { told: decodeCallbackEnd(told) }),
    ...(failures !== undefined && { failures }),
    ...(handBacks && { handBacks: { seq: count(handBacks, "seq"), times: count(handBacks, "times") } }),
    ...(location && {
      location: {
        stream: text(location, "stream"),
        seq: count(location, "seq"),
        moves: optionalCount(location, "moves") ?? 0,
      },
    }),
  };
}

function readProgress(fields: Fields): BatchProgress {
  return {
    size: count(fields, "size"),
    done: count(fields, "done"),
    dead: count(fields, "dead"),
    cancelled: count(fields, "cancelled"),
    expired: count(fields, "expired"),
  };
}

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
