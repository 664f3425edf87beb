import type { DeadLetter, Outcome } from "../../queue.ts";
import { deadSubject } from "../client/names.ts";
import type { Context } from "../store/context.ts";
import type { HeldCall } from "../store/held-call.ts";
import { moveId, nextMove } from "../store/record.ts";
import { count, number, optionalNumber, parseObject, text } from "../store/wire-fields.ts";

/** Holds what there is to tell of a dead letter, so that listing them needs no bodies. */
export const LETTER_HEADER = "Faaslane-Letter";
const MAX_REASON = 1000;

/** Keeps the call for a person to look at. */
export async function buryCall(
  context: Context,
  { stored, id, lane, delivery, open }: HeldCall,
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
  await context.publisher.publish(deadSubject(lane, id), payload, {
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
  const fields = parseObject(line);
  const status = optionalNumber(fields, "status");
  return {
    id: text(fields, "id"),
    callId: text(fields, "callId"),
    queue: text(fields, "queue"),
    function: text(fields, "function"),
    namespace: text(fields, "namespace"),
    reason: text(fields, "reason"),
    attempts: count(fields, "attempts"),
    ...(status !== undefined && { status }),
    acceptedAt: number(fields, "acceptedAt"),
    diedAt: number(fields, "diedAt"),
    bodyBytes: count(fields, "bodyBytes"),
  };
}
