import type { BatchPlace, NewCall, QueuedCall, RefusalStreak } from "../../queue.ts";
import type { Lane } from "../client/names.ts";
import type { BodyRef } from "./bodies.ts";
import type { CallIds } from "./call-id.ts";

/** A call as it travels in a message: a line of JSON, then the body. */
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
  readonly body: Uint8Array | BodyRef;
}

/** Names are short as every message holds them. */
interface Meta {
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
  readonly r?: BodyRef | undefined;
}

const NEWLINE = 10;
/** Id, attempts and time of a call that moves. */
const GROWTH_BYTES = 4096;

export function encodeCall(stored: StoredCall): Buffer {
  const { call, nonce, hidden, id, moves, attempts, dueAt, refused, body } = stored;
  const inline = body instanceof Uint8Array;
  const meta: Meta = {
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
    r: inline ? undefined : body,
  };
  const head = Buffer.from(`${JSON.stringify(meta)}\n`);
  return inline && body.byteLength > 0 ? Buffer.concat([head, body]) : head;
}

/** @returns undefined when it is larger than `maxBytes`, with some room for what it gathers on its way */
export function encodeSmall(stored: StoredCall, maxBytes: number): Buffer | undefined {
  const roomBytes = maxBytes - GROWTH_BYTES;
  if (stored.body instanceof Uint8Array && stored.body.byteLength > roomBytes) return undefined;
  const payload = encodeCall(stored);
  return payload.byteLength > roomBytes ? undefined : payload;
}

/** @throws {Error} for what is no call */
export function decodeCall(data: Uint8Array): StoredCall {
  const end = data.indexOf(NEWLINE);
  if (end < 0) throw new Error("no line of JSON");
  const meta = JSON.parse(Buffer.from(data.buffer, data.byteOffset, end).toString()) as Meta;
  if (typeof meta.n !== "string" || typeof meta.q !== "string" || typeof meta.f !== "string") {
    throw new Error("fields of a call are missing");
  }
  return {
    nonce: meta.n,
    ...(meta.v === 1 && { hidden: true }),
    ...(meta.i !== undefined && { id: meta.i }),
    moves: meta.o ?? 0,
    attempts: meta.a ?? 0,
    ...(meta.d !== undefined && { dueAt: meta.d }),
    ...(meta.x !== undefined && { refused: { times: meta.x[0], since: meta.x[1] } }),
    body: meta.r ?? data.subarray(end + 1),
    call: {
      ...(meta.c !== undefined && { callId: meta.c }),
      ...(meta.k !== undefined && { idempotencyKey: meta.k }),
      ...(meta.w !== undefined && { requestPrint: meta.w }),
      queue: meta.q,
      function: meta.f,
      namespace: meta.ns,
      method: meta.m,
      path: meta.p,
      query: meta.s ?? "",
      headers: meta.h,
      ...(meta.u !== undefined && { callbackUrl: meta.u }),
      acceptedAt: meta.t,
      ...(meta.nb !== undefined && { notBefore: meta.nb }),
      ...(meta.na !== undefined && { notAfter: meta.na }),
      ...(meta.b !== undefined && { batch: meta.b }),
    },
  };
}

/** @param seq of the message */
export function idOf(
  { id, nonce, hidden }: Pick<StoredCall, "id" | "nonce" | "hidden">,
  seq: number,
  ids: Pick<CallIds, "encode">,
): string {
  return id ?? ids.encode({ seq, nonce, hidden: hidden === true });
}

export function queuedCall({ call, refused }: StoredCall, id: string, body: Uint8Array): QueuedCall {
  const { requestPrint: _, ...asked } = call;
  return { ...asked, id, callId: call.callId ?? id, body, ...(refused && { refused }) };
}

export function laneOf({ queue, namespace, function: name }: Pick<NewCall, "queue" | "namespace" | "function">): Lane {
  return { queue, namespace, name };
}
