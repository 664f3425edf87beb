import { isQueueName } from "../../../../contract/names.ts";
import type { BatchPlace, NewCall, PendingCallback, QueuedCall, RefusalStreak } from "../../queue.ts";
import type { FunctionQueueRef } from "../client/names.ts";
import { type BodyRef, decodeBodyRef } from "./bodies.ts";
import { isCallId, type MaskedCallIds } from "./call-id.ts";
import {
  decodeCallback,
  inlineAnswer,
  type StoredCallback,
  toWireCallback,
  type WireCallback,
} from "./callback-codec.ts";
import {
  at,
  count,
  FORM_FIELD,
  flag,
  isCount,
  isObject,
  NewerFormError,
  number,
  object,
  optional,
  or,
  pairs,
  type Reader,
  readHead,
  text,
  textThat,
  UnreadableError,
  wrong,
} from "./wire-fields.ts";

/** A call as it travels in a message: a line of JSON, then the body, then the answer of one that has a callback left. */
export interface StoredCall {
  readonly call: Omit<NewCall, "body">;
  readonly nonce: string;
  /** Its id does not tell the number of its message; absent for calls of an earlier release. */
  readonly hidden?: true;
  /** Of a call that has moved to another message since it was accepted. */
  readonly id?: string;
  /** How often it has moved; 0 in the message that it was accepted as. */
  readonly moves: number;
  /** That have ended. */
  readonly attempts: number;
  /** Not before this, in milliseconds since the epoch: of a call put off. */
  readonly dueAt?: number;
  /** Attempts in a row that the platform refused. */
  readonly refused?: RefusalStreak;
  /** The function has answered, and only this is left to do. */
  readonly callback?: StoredCallback;
  readonly body: Uint8Array | BodyRef;
}

/** Names are short as every message holds them. */
interface Meta {
  readonly z: number;
  readonly n: string;
  readonly v?: 1 | undefined;
  readonly i?: string | undefined;
  readonly o?: number | undefined;
  readonly a?: number | undefined;
  readonly d?: number | undefined;
  readonly x?: readonly [times: number, since: number] | undefined;
  readonly c?: string | undefined;
  readonly k?: string | undefined;
  readonly w?: string | undefined;
  readonly q: string;
  readonly f: string;
  readonly ns: string;
  readonly m: string;
  readonly p: string;
  readonly s?: string | undefined;
  readonly h: readonly (readonly [string, string])[];
  readonly u?: string | undefined;
  readonly t: number;
  readonly nb?: number | undefined;
  readonly na?: number | undefined;
  readonly b?: BatchPlace | undefined;
  readonly y?: WireCallback | undefined;
  readonly r?: BodyRef | undefined;
}

/**
 * Of what is written. A release that writes what an earlier one would take for something else, or lose, counts on: workers of
 * earlier ones leave such calls to it. A field that they may pass over needs no new number.
 */
export const CALL_FORM = 2;
/** Of a call whose function is still to run: all that an earlier release needs to know. */
const PLAIN_FORM = 1;

/** Id, attempts and time of a call that moves. */
const GROWTH_BYTES = 4096;

export function encodeCall(stored: StoredCall): Buffer {
  const { call, nonce, hidden, id, moves, attempts, dueAt, refused, callback, body } = stored;
  const inline = body instanceof Uint8Array;
  const meta: Meta = {
    [FORM_FIELD]: callback ? CALL_FORM : PLAIN_FORM,
    n: nonce,
    v: hidden && 1,
    i: id,
    o: moves === 0 ? undefined : moves,
    a: attempts === 0 ? undefined : attempts,
    d: dueAt,
    x: refused && [refused.times, refused.since],
    c: call.callId,
    k: call.idempotencyKey,
    w: call.requestPrint,
    q: call.queue,
    f: call.function,
    ns: call.namespace,
    m: call.method,
    p: call.path,
    s: call.query === "" ? undefined : call.query,
    h: call.headers,
    u: call.callbackUrl,
    t: call.acceptedAt,
    nb: call.notBefore,
    na: call.notAfter,
    b: call.batch,
    y: callback && toWireCallback(callback),
    r: inline ? undefined : body,
  };
  const head = Buffer.from(`${JSON.stringify(meta)}\n`);
  const answer = inlineAnswer(callback);
  if (answer) return Buffer.concat(inline ? [head, body, answer] : [head, answer]);
  return inline && body.byteLength > 0 ? Buffer.concat([head, body]) : head;
}

/** @returns undefined when it is larger than `maxBytes`, with some room for what it gathers on its way */
export function encodeSmall(stored: StoredCall, maxBytes: number): Buffer | undefined {
  const roomBytes = maxBytes - GROWTH_BYTES;
  if (stored.body instanceof Uint8Array && stored.body.byteLength > roomBytes) return undefined;
  const payload = encodeCall(stored);
  return payload.byteLength > roomBytes ? undefined : payload;
}

/**
 * Reads what this release or an earlier one has written.
 * @throws {UnreadableError} naming the field and what is wrong with it
 * @throws {NewerFormError}
 */
export function decodeCall(data: Uint8Array): StoredCall {
  const { fields, bodyAt } = readHead(data, CALL_FORM);
  const { r, y } = fields;
  const content = data.subarray(bodyAt);
  const callback = y === undefined ? undefined : decodeCallback(y, content);
  return {
    ...readFacts(fields),
    ...(callback && { callback }),
    body: r === undefined ? withoutAnswer(content, callback) : decodeBodyRef(r),
    call: readCall(fields),
  };
}

function withoutAnswer(content: Uint8Array, callback: StoredCallback | undefined): Uint8Array {
  const answer = inlineAnswer(callback);
  return answer ? content.subarray(0, content.byteLength - answer.byteLength) : content;
}

const NONCE = /^[0-9a-f]{3}[0-3][0-9a-f]{15}$/;

const readStreak: Reader<RefusalStreak> = (fields, field) => {
  const value = fields[field];
  if (!Array.isArray(value) || !isCount(value[0]) || !Number.isFinite(value[1]))
    throw wrong(field, "a count and a time");
  return { times: value[0], since: value[1] as number };
};

const readPlace: Reader<BatchPlace> = (fields, field) => {
  const value = fields[field];
  if (!isObject(value)) throw wrong(field, "a place in a batch");
  const { kind, of, index, size } = value;
  if (isCount(size) && kind === "whole") return { kind, size };
  const isMember = kind === "member" && typeof of === "string" && isCallId(of) && isCount(index) && isCount(size);
  if (!isMember || index >= size) throw wrong(field, "a place in a batch");
  return { kind, of, index, size };
};

const readFacts = object({
  nonce: at(
    "n",
    textThat((value) => NONCE.test(value), "the random part of an id"),
  ),
  hidden: at("v", flag),
  id: at("i", optional(textThat(isCallId, "an id"))),
  moves: at("o", or(count, 0)),
  attempts: at("a", or(count, 0)),
  dueAt: at("d", optional(number)),
  refused: at("x", optional(readStreak)),
});

const readCall = object({
  callId: at("c", optional(text)),
  idempotencyKey: at("k", optional(text)),
  requestPrint: at("w", optional(text)),
  queue: at("q", textThat(isQueueName, "a queue's name")),
  function: at("f", text),
  namespace: at("ns", text),
  method: at("m", text),
  path: at("p", text),
  query: at("s", or(text, "")),
  headers: at("h", pairs),
  callbackUrl: at("u", optional(text)),
  acceptedAt: at("t", number),
  notBefore: at("nb", optional(number)),
  notAfter: at("na", optional(number)),
  batch: at("b", optional(readPlace)),
});

/** What can be told of a call that cannot be read as a whole. */
export interface Remains {
  readonly id?: string;
  readonly nonce?: string;
  readonly callId?: string;
  readonly acceptedAt?: number;
  readonly batch?: BatchPlace;
  readonly body?: BodyRef;
}

export function remainsOf(data: Uint8Array): Remains {
  const fields = attempt(() => readHead(data, Number.MAX_SAFE_INTEGER).fields) ?? {};
  const { i, n, c, t, b, r } = fields;
  const batch = attempt(() => (b === undefined ? undefined : readPlace(fields, "b")));
  const body = attempt(() => (r === undefined ? undefined : decodeBodyRef(r)));
  return {
    ...(typeof i === "string" && isCallId(i) && { id: i }),
    ...(typeof n === "string" && NONCE.test(n) && { nonce: n }),
    ...(typeof c === "string" && { callId: c }),
    ...(typeof t === "number" && { acceptedAt: t }),
    ...(batch && { batch }),
    ...(body && { body }),
  };
}

/** Undefined for what cannot be read. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof UnreadableError || error instanceof NewerFormError) return undefined;
    throw error;
  }
}

/** Of a message that is looked at only to see whether it is the one asked for. */
export function decodeIfReadable(data: Uint8Array): StoredCall | undefined {
  return attempt(() => decodeCall(data));
}

/** @param seq of the message */
export function idOf(
  { id, nonce, hidden }: Pick<StoredCall, "id" | "nonce" | "hidden">,
  seq: number,
  ids: Pick<MaskedCallIds, "encode">,
): string {
  return id ?? ids.encode({ seq, nonce, hidden: hidden === true });
}

/** @param callback when only that is to be made */
export function queuedCall(
  { call, refused }: StoredCall,
  id: string,
  body: Uint8Array,
  callback?: PendingCallback,
): QueuedCall {
  const { requestPrint: _, ...asked } = call;
  return { ...asked, id, callId: call.callId ?? id, body, ...(refused && { refused }), ...(callback && { callback }) };
}

/** Where a stored call is to wait for its turn. */
export function functionQueueOfStored({ call, callback }: Pick<StoredCall, "call" | "callback">): FunctionQueueRef {
  return callback ? { ...functionQueueOf(call), callbacks: true } : functionQueueOf(call);
}

export function functionQueueOf({
  queue,
  namespace,
  function: name,
}: Pick<NewCall, "queue" | "namespace" | "function">): FunctionQueueRef {
  return { queue, namespace, name };
}
