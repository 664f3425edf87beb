import type { DeadLetter, Outcome } from "../../queue.ts";
import { deadSubject } from "../client/names.ts";
import type { Context } from "../store/context.ts";
import type { HeldCall } from "../store/held-call.ts";
import { moveId, nextMove } from "../store/record.ts";
import { count, number, object, optional, parseObject, text } from "../store/wire-fields.ts";

/** Holds what there is to tell of a dead letter, so that listing them needs no bodies. */
export const LETTER_HEADER = "Faaslane-Letter";
const MAX_REASON = 1000;

/** Keeps the call for a person to look at. */
export async function deadLetterCall(
  context: Context,
  { stored, id, functionQueue, delivery, open }: HeldCall,
  reason: string,
  attempts: number,
  outcome: Outcome | undefined,
): Promise<void> {
  const { call, body } = stored;
  const letter: DeadLetter = {
    id,
    callId: call.callId ?? id,
    queue: call.queue,
    function: call.function,
    namespace: call.namespace,
    reason: reason.slice(0, MAX_REASON),
    attempts,
    ...(outcome && { status: outcome.status }),
    acceptedAt: call.acceptedAt,
    diedAt: Date.now(),
    bodyBytes: body instanceof Uint8Array ? body.byteLength : body.bytes,
  };
  // To be replayed, the function has to run again.
  const { dueAt: _, callback: _c, ...rest } = stored;
  const headers = letterHeaders(letter);
  const letterCall = { ...rest, id, moves: nextMove(stored, open), attempts: 0 };
  const payload = await context.encodeFitting(letterCall, headers[0][1].length);
  await context.publisher.publish(deadSubject(functionQueue, id), payload, {
    id: moveId(id, delivery),
    headers,
  });
}

export function letterHeaders(letter: DeadLetter): readonly [readonly [name: string, value: string]] {
  // Headers are one line; beyond ASCII, JSON can escape everything.
  const line = JSON.stringify(letter).replace(
    /[\u007f-\uffff]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return [[LETTER_HEADER, line]];
}

/** @throws {UnreadableError} for what is no letter */
export function decodeLetter(line: string): DeadLetter {
  return readLetter(parseObject(line));
}

const readLetter = object({
  id: text,
  callId: text,
  queue: text,
  function: text,
  namespace: text,
  reason: text,
  attempts: count,
  status: optional(number),
  acceptedAt: number,
  diedAt: number,
  bodyBytes: count,
});
