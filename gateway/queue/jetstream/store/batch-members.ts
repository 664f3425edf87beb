import type { FinalState, FinishedMember, Outcome } from "../../queue.ts";
import { type CallRecord, FINAL_STATES } from "./record.ts";
import { number, object, optional, pairs, parseObject, text, UnreadableError, word } from "./wire-fields.ts";

/** What became of a member, without its result's body. */
export interface MemberEnd {
  readonly state: FinalState;
  readonly reason?: string;
  readonly status?: number;
  readonly durationMs?: number;
  /** Headers of the result; its body is stored beside. */
  readonly headers?: readonly (readonly [string, string])[];
  /** Its result is too large to be kept for the batch; the record of this call has it, for as long as it lasts. */
  readonly large?: string;
}

/**
 * @param maxBytes of a message
 * @returns the end, to be counted, and the result's body if there is one
 */
export function encodeMemberEnd(
  record: CallRecord,
  maxBytes: number,
): { readonly small: Buffer; readonly result?: Uint8Array } {
  const { id, state, reason, outcome } = record;
  const result = outcome?.result;
  const fits = result !== undefined && result.body.byteLength <= maxBytes;
  const end: MemberEnd = {
    state: state as FinalState,
    ...(reason !== undefined && { reason }),
    ...(outcome && { status: outcome.status, durationMs: outcome.durationMs }),
    ...(fits && { headers: result.headers }),
    ...(result && !fits && { large: id }),
  };
  return { small: Buffer.from(JSON.stringify(end)), ...(fits && { result: result.body }) };
}

/** What cannot be read is an end all the same, or its batch would have none. */
export function decodeMemberEnd(data: Uint8Array): MemberEnd {
  try {
    return readMemberEnd(parseObject(Buffer.from(data).toString()));
  } catch (error) {
    if (!(error instanceof UnreadableError)) throw error;
    return { state: "dead", reason: `what became of it cannot be read: ${error.message}` };
  }
}

const readMemberEnd = object({
  state: word(FINAL_STATES),
  reason: optional(text),
  status: optional(number),
  durationMs: optional(number),
  headers: optional(pairs),
  large: optional(text),
});

export function finishedMember(index: number, end: MemberEnd, body: Uint8Array | undefined): FinishedMember {
  const { state, reason, status, durationMs, headers } = end;
  const outcome: Outcome | undefined =
    status === undefined || durationMs === undefined
      ? undefined
      : { status, durationMs, ...(headers && body && { result: { headers, body } }) };
  return { index, state, ...(reason !== undefined && { reason }), ...(outcome && { outcome }) };
}
