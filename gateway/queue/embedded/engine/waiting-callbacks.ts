import { callbackKey, isCallbackKey } from "../callback-keys.ts";
import type { EmbeddedStore } from "../db/store.ts";
import type { SettlementMessage } from "../protocol.ts";
import type { Draft } from "./draft.ts";

type PutOff = Extract<SettlementMessage, { kind: "callback" }>;

/**
 * The function of a call has answered, and its callback is to be tried again at `due`. Works inside a transaction.
 * @returns the key that the call has from here on, if it is there
 */
export function putOffCallback(
  { calls, callbacks }: Pick<EmbeddedStore, "calls" | "callbacks">,
  { seq, waiting, outcome }: PutOff,
  due: number,
  startedAt: number,
  draft: Draft,
): string | undefined {
  const call = calls.find(seq);
  if (!call) return undefined;
  calls.wait(seq, due);
  if (isCallbackKey(call.key)) {
    callbacks.tried(seq, waiting);
    return call.key;
  }
  const answer = outcome ?? { status: 504, durationMs: waiting.durationMs };
  callbacks.add(seq, { callback: waiting, outcome: answer, again: undefined });
  const key = callbackKey(call.key);
  const { status, durationMs, result } = answer;
  const bytes = call.bytes + (result ? result.body.byteLength + result.headers.length : 0);
  // What has expired was not tried.
  const tried = waiting.state === "expired" ? NOT_TRIED : { counted: true, startedAt, status, durationMs };
  calls.answered(seq, { key, bytes, ...tried });
  draft.left(call.key, call.bytes);
  draft.entered(key, bytes);
  return key;
}

const NOT_TRIED = { counted: false, startedAt: undefined, status: undefined, durationMs: undefined } as const;
