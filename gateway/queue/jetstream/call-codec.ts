import type { BatchPlace, NewCall, QueuedCall } from "../queue.ts";
import type { BodyRef } from "./bodies.ts";
import { encodeCallId } from "./call-id.ts";
import type { Lane } from "./names.ts";

/** A call as it travels in a message: a line of JSON, then the body. */
export interface StoredCall {
  readonly call: Omit<NewCall, "body">;
  readonly nonce: string;
  /** Of a call that has moved to another message since it was accepted. */
  readonly id?: string;
  /** How often it has moved; 0 in the message that it was accepted as. */
  readonly moves: number;
  /** That have ended. */
  readonly attempts: number;
  /** Not before this, in milliseconds since the epoch: of a call put off. */
  readonly dueAt?: number;
  readonly body: Uint8Array | BodyRef;
}

/** Names are short as every message holds them. */
interface Meta {
  readonly n: string;
  readonly i?: string | undefined;
  readonly o?: number | undefined;
  readonly a?: number | undefined;
  readonly d?: number | undefined;
  readonly c?: string | undefined;
  readonly k?: string | undefined;
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

export function encodeCall({ call, nonce, id, moves, attempts, dueAt, body }: StoredCall): Buffer {
  const inline = body instanceof Uint8Array;
  const meta: Meta = {
    n: nonce,
    i: id,
    o: moves === 0 ? undefined : moves,
    a: attempts === 0 ? undefined : attempts,
    d: dueAt,
    c: call.callId,
    k: call.idempotencyKey,
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
    ...(meta.i !== undefined && { id: meta.i }),
    moves: meta.o ?? 0,
    attempts: meta.a ?? 0,
    ...(meta.d !== undefined && { dueAt: meta.d }),
    body: meta.r ?? data.subarray(end + 1),
    call: {
      ...(meta.c !== undefined && { callId: meta.c }),
      ...(meta.k !== undefined && { idempotencyKey: meta.k }),
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
export function idOf({ id, nonce }: Pick<StoredCall, "id" | "nonce">, seq: number): string {
  return id ?? encodeCallId({ seq, nonce });
}

export function queuedCall({ call }: StoredCall, id: string, body: Uint8Array): QueuedCall {
  return { ...call, id, callId: call.callId ?? id, body };
}

export function laneOf({ queue, namespace, function: name }: Pick<NewCall, "queue" | "namespace" | "function">): Lane {
  return { queue, namespace, name };
}
