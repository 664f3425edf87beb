import { newsOf } from "../../outcome.ts";
import type { CallbackEnd, CallbackRequest, NewCall } from "../../queue.ts";
import { callbackKey } from "../callback-keys.ts";
import type { EmbeddedStore } from "../db/store.ts";
import { functionOf, queueOf, refOf, type StoredOutcome } from "../protocol.ts";
import type { Draft } from "./draft.ts";

interface Asked {
  /** Place of the call that has ended. */
  readonly seq: number;
  /** As its caller knows it. */
  readonly callId: string;
  readonly resultTtlMs: number;
}

/**
 * Makes a call of the callback of one that has ended: it goes the way of every callback that waits. Works inside a transaction.
 * @returns what came of that, and the key of the new call when there is one
 */
export function insertCallbackAgain(
  store: EmbeddedStore,
  { seq, callId, resultTtlMs }: Asked,
  draft: Draft,
): { readonly answer: CallbackRequest; readonly key?: string } {
  const { calls, callbacks, history, batches, dead } = store;
  const before = history.find(seq);
  if (!before) {
    if (calls.find(seq) || batches.findSpread(seq)) return { answer: "open" };
    // What is known of a dead call is forgotten before its letter is.
    return { answer: dead.find(seq) ? "noResult" : "unknown" };
  }
  if (before.callback === undefined) return { answer: "noCallback" };
  const told = JSON.parse(before.callback) as CallbackEnd;
  const kept = draft.sure < before.endedAt + resultTtlMs ? history.outcome(before) : undefined;
  const outcome = told.state === "expired" ? noAnswer(told) : kept;
  if (!outcome || (told.state !== "expired" && !outcome.result)) return { answer: "noResult" };
  if (callbacks.again(seq) !== undefined) return { answer: "queued" };
  const key = callbackKey(before.key);
  const body = new Uint8Array();
  const meta = buildMeta(before.key, callId, told.url);
  const acceptedAt = before.acceptedAt;
  const place = calls.insert({ key, acceptedAt, callId, isBatch: false, meta, body });
  const result = outcome.result ? outcome.result.body.byteLength + outcome.result.headers.length : 0;
  const bytes = meta.length + result;
  const { attempts, startedAt, status, durationMs } = before;
  calls.answered(place, { key, bytes, counted: false, startedAt, status, durationMs });
  calls.setAttempts(place, attempts);
  callbacks.add(place, { callback: { ...newsOf(told), tries: 0, since: draft.now }, outcome, again: seq });
  draft.entered(key, bytes);
  return { answer: "queued", key };
}

function noAnswer({ durationMs }: CallbackEnd): StoredOutcome {
  return { status: 504, durationMs };
}

/** All that a callback says of its call, and no request. */
function buildMeta(key: string, callId: string, callbackUrl: string): string {
  const { name, namespace } = refOf(functionOf(key));
  const meta: Omit<NewCall, "acceptedAt" | "body"> = {
    callId,
    queue: queueOf(key),
    function: name,
    namespace,
    method: "POST",
    path: "/",
    query: "",
    headers: [],
    callbackUrl,
  };
  return JSON.stringify(meta);
}
