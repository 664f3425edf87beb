import { fingerprintWithBody } from "../../../core/request-fingerprint.ts";
import { addLoads, type CallLoad, fullQueue } from "../../call-limits.ts";
import type { CallState, FinalState } from "../../queue.ts";
import { decodeDelivered } from "../call-meta.ts";
import { isCallbackKey, plainKey } from "../callback-keys.ts";
import { isComplete, PHASE } from "../db/batches.ts";
import type { CallbackRow } from "../db/callbacks.ts";
import { bytesOf, type CallFacts, type CallToStore } from "../db/calls.ts";
import type { EmbeddedStore } from "../db/store.ts";
import { type EmbeddedSettings, functionOf, type Refusal } from "../protocol.ts";
import { type CallEnding, endAnswered, failedCallback } from "./callback-endings.ts";
import type { Draft } from "./draft.ts";
import type { EmbeddedForgetting } from "./forgetting.ts";

/** Members of a batch that one transaction ends. */
const MEMBERS_AT_A_TIME = 200;

const OTHER_REQUEST = "X-Idempotency-Key: is the key of another request";

export type Inserted =
  | { readonly kind: "new"; readonly seq: number }
  | { readonly kind: "duplicate"; readonly seq: number; readonly callId: string | undefined }
  | { readonly kind: "refused"; readonly refusal: Refusal };

/** What the file does not know. */
export interface Surroundings {
  /** When a call under way was begun. */
  startedAt(seq: number): number | undefined;
  /** Unfinished calls of a function, by `name.namespace`, before this transaction. */
  loadOf(fn: string): CallLoad;
}

/** What can happen to calls, and all that each of these changes. Works inside a transaction and on its draft. */
export class EmbeddedLedger {
  readonly #store: EmbeddedStore;
  readonly #settings: EmbeddedSettings;
  readonly #around: Surroundings;
  readonly #forgetting: EmbeddedForgetting;

  constructor(store: EmbeddedStore, settings: EmbeddedSettings, forgetting: EmbeddedForgetting, around: Surroundings) {
    this.#store = store;
    this.#settings = settings;
    this.#around = around;
    this.#forgetting = forgetting;
  }

  insert(call: CallToStore, wholeSize: number | undefined, draft: Draft): Inserted {
    const { key, callId, idempotencyKey, print, member } = call;
    const { history, batches, calls } = this.#store;
    const known = this.#known(call) ?? this.#refuse(call, draft);
    if (known) return known;
    const seq = calls.insert(call);
    draft.entered(key, bytesOf(call));
    draft.of(key).accepted++;
    if (member !== undefined) batches.addMember(member.whole, member.index, seq);
    else {
      // A member bears the name of its batch, and is not what is meant by it.
      if (callId !== undefined) history.name(callId, seq);
      if (idempotencyKey !== undefined) history.remember(key, idempotencyKey, seq, print);
      if (wholeSize !== undefined) batches.add(seq, wholeSize);
    }
    return { kind: "new", seq };
  }

  /** The call that there is already in its place, by its key or in its batch. */
  #known({ key, idempotencyKey, print, member }: CallToStore): Inserted | undefined {
    const { history, batches } = this.#store;
    if (member !== undefined) {
      const seq = batches.member(member.whole, member.index);
      return seq === undefined ? undefined : { kind: "duplicate", seq, callId: this.#callIdOf(seq) };
    }
    const known = idempotencyKey === undefined ? undefined : history.known(key, idempotencyKey);
    if (!known) return undefined;
    const { seq } = known;
    // Of a call that an earlier release took and that has ended it cannot be told whether it was the same.
    if (print === undefined || print !== (known.print ?? this.#printOf(seq)))
      return refused("unprocessable", OTHER_REQUEST);
    return { kind: "duplicate", seq, callId: this.#callIdOf(seq) };
  }

  /** Of a call that has not ended. */
  #printOf(seq: number): string | undefined {
    const content = this.#store.calls.content(seq);
    try {
      return (
        content &&
        fingerprintWithBody(decodeDelivered({ ...content, acceptedAt: 0, body: Uint8Array.from(content.body) }, ""))
      );
    } catch {
      return undefined; // what is stored is no call, as will show when its turn comes
    }
  }

  #refuse(call: CallToStore, draft: Draft): Inserted | undefined {
    const fn = functionOf(call.key);
    const own = addLoads(this.#around.loadOf(fn), draft.loadOf(fn));
    const full = fullQueue(this.#settings.limits, bytesOf(call), draft, own);
    if (full !== undefined) return refused("overloaded", full);
    const { member } = call;
    if (member === undefined) return undefined;
    const batch = this.#store.batches.find(member.whole);
    if (!batch || batch.ending || batch.phase === PHASE.told) return refused("conflict", "the batch has ended");
    if (member.index >= batch.progress.size) return refused("conflict", "the batch has no such line");
    return undefined;
  }

  #callIdOf(seq: number): string | undefined {
    return (this.#store.calls.find(seq) ?? this.#store.history.find(seq))?.callId ?? this.#batchName(seq);
  }

  #batchName(seq: number): string | undefined {
    return this.#store.batches.findSpread(seq)?.callId;
  }

  /** Ends a call, and with a batch that has not been made members yet those that there are. */
  end(seq: number, given: CallEnding, draft: Draft): void {
    const { calls, history, batches, callbacks } = this.#store;
    // What is dead is copied before it goes.
    const call = given.state === "dead" ? calls.find(seq) : calls.remove(seq);
    if (!call) return;
    const waiting = isCallbackKey(call.key) ? callbacks.remove(seq) : undefined;
    if (waiting?.again !== undefined) {
      calls.remove(seq);
      draft.left(call.key, call.bytes);
      this.#endAgain(waiting, waiting.again, given, draft);
      return;
    }
    const key = plainKey(call.key);
    const { state, counted, startedAt, outcome, reason, callback } = waiting
      ? endAnswered(given, waiting, call)
      : given;
    const attempts = call.attempts + (counted ? 1 : 0);
    if (state === "dead") {
      this.#deadLetter({ seq, key, attempts, reason, status: outcome?.status }, draft);
      calls.remove(seq);
    }
    const batch = call.whole === undefined ? undefined : batches.find(call.whole);
    const member = batch && batch.phase !== PHASE.told ? batch.seq : undefined;
    draft.finishedBytes += history.add(
      {
        ...call,
        key,
        state,
        attempts,
        startedAt: startedAt ?? call.startedAt,
        endedAt: draft.now,
        status: outcome?.status ?? call.status,
        durationMs: outcome?.durationMs ?? call.durationMs,
        reason,
        whole: member,
        callback: callback && JSON.stringify(callback),
      },
      this.#settings.resultTtlMs > 0 ? outcome?.result : undefined,
    );
    this.#count(call, key, state, draft);
    if (member !== undefined) {
      batches.ended(member, state);
      this.#noteIfComplete(member, draft);
    }
    if (call.isBatch) {
      this.#endMembers(seq, draft);
      batches.told(seq);
    }
    if (state === "dead") this.#limitDead(draft);
  }

  #deadLetter(
    { reason = "", ...call }: Parameters<EmbeddedStore["dead"]["add"]>[0] & { reason?: string | undefined },
    draft: Draft,
  ) {
    draft.deadBytes += this.#store.dead.add(call, reason, draft.now);
    draft.dead++;
  }

  /** The callback of a call that has ended was sent once more. @param of place of that call */
  #endAgain(waiting: CallbackRow, of: number, { state, callback }: CallEnding, draft: Draft): void {
    if (state === "cancelled") return;
    const { history, dead } = this.#store;
    const end = callback ?? failedCallback(waiting);
    const rescued = end.delivered && end.state === "done";
    const before = history.find(of);
    if (before) history.calledBack(of, JSON.stringify(end), rescued && before.state === "dead");
    const letter = rescued ? dead.find(of) : undefined;
    if (letter) this.drop(letter.place, draft);
  }

  /** @param key of its function's calls */
  #count(call: CallFacts, key: string, state: FinalState, draft: Draft): void {
    draft.left(call.key, call.bytes);
    draft.finished++;
    draft.forgetAt ??= draft.now + this.#forgetting.knownMs;
    const delta = draft.of(key);
    delta.finished++;
    if (state === "dead") delta.dead++;
  }

  #limitDead(draft: Draft): void {
    while (draft.dead > this.#settings.maxDead || draft.deadBytes > this.#settings.maxDeadBytes) {
      const letter = this.#store.dead.removeOldest();
      if (letter === undefined) break;
      draft.dead--;
      draft.deadBytes -= letter.bytes;
      draft.of(letter.key).dead--;
      draft.droppedDead++;
    }
  }

  /** A batch's lines are members now. @returns why not, when some are missing */
  spread(seq: number, startedAt: number, draft: Draft): string | undefined {
    const { calls, batches } = this.#store;
    const call = calls.find(seq);
    const batch = batches.find(seq);
    if (!call || !batch) return undefined;
    const { published, progress } = batch;
    if (published < progress.size) return `only ${published} of ${progress.size} lines were queued`;
    batches.spread(call, call.attempts + 1, startedAt, calls.meta(seq) ?? "");
    calls.remove(seq);
    draft.left(call.key, call.bytes);
    this.#noteIfComplete(seq, draft);
    return undefined;
  }

  /** The end of a batch has been told: it is one now. */
  told(seq: number, draft: Draft): void {
    const batch = this.#store.batches.findSpread(seq);
    if (batch?.phase !== PHASE.running) return;
    this.#store.batches.told(seq);
    const state = batch.ending ? "cancelled" : "done";
    this.#store.history.add({ ...batch, state, endedAt: draft.now }, undefined);
    draft.finished++;
    draft.forgetAt ??= draft.now + this.#forgetting.knownMs;
    draft.of(batch.key).finished++;
    draft.told.push(seq);
  }

  /** @returns its state before, undefined when it is not known */
  cancel(seq: number, draft: Draft): CallState | undefined {
    const { calls, history, batches, dead } = this.#store;
    if (calls.find(seq)) {
      const since = this.#around.startedAt(seq);
      if (since !== undefined) draft.cancelled.push(seq);
      this.end(seq, { state: "cancelled", counted: false, startedAt: since }, draft);
      return since === undefined ? "waiting" : "running";
    }
    if (batches.find(seq)?.phase === PHASE.running) {
      this.#endMembers(seq, draft);
      this.#noteIfComplete(seq, draft);
      return "running";
    }
    this.#cancelAgain(seq, draft);
    return history.find(seq)?.state ?? (dead.find(seq) && "dead");
  }

  /** The callback of a call that has ended is not sent once more after all. */
  #cancelAgain(seq: number, draft: Draft): void {
    const again = this.#store.callbacks.again(seq);
    if (again !== undefined) this.cancel(again, draft);
  }

  #endMembers(whole: number, draft: Draft): void {
    this.#store.batches.end(whole);
    this.endSome(whole, -1, draft);
  }

  /**
   * Ends some of the calls of a batch that is ending, after a line. There may be thousands, and others would wait for all
   * of them: where to go on, if there are more, is in `draft.ending`.
   */
  endSome(whole: number, after: number, draft: Draft): void {
    const { batches } = this.#store;
    draft.ending.delete(whole);
    // Not one that has been replayed meanwhile.
    if (!batches.find(whole)?.ending) return;
    const some = batches.openMembers(whole, after, MEMBERS_AT_A_TIME);
    for (const { seq } of some) this.cancel(seq, draft);
    const last = some.at(-1);
    if (last && some.length === MEMBERS_AT_A_TIME) draft.ending.set(whole, last.index);
  }

  #noteIfComplete(whole: number, draft: Draft): void {
    const batch = this.#store.batches.find(whole);
    if (batch && isComplete(batch)) draft.complete.push(whole);
  }

  /** Makes a dead letter a call again. @returns its key */
  revive(place: number, draft: Draft): string | undefined {
    const { dead, calls, history, batches } = this.#store;
    const size = dead.batchSize(place);
    const [letter] = dead.list({}, place - 1, place, 1);
    if (!letter) return undefined;
    this.#cancelAgain(letter.seq, draft);
    // Before the call comes back: forgetting it takes its names along.
    const before = history.find(letter.seq);
    const key = before?.idempotencyKey;
    const print = before && key !== undefined ? history.known(before.key, key)?.print : undefined;
    if (before?.whole === undefined) {
      for (let whole = draft.ending.get(letter.seq) ?? -1; size !== undefined; ) {
        this.endSome(letter.seq, whole, draft);
        const next = draft.ending.get(letter.seq);
        if (next === undefined) break;
        whole = next;
      }
      this.#forgetting.forgetOne(letter.seq, Number.MAX_SAFE_INTEGER, draft);
    }
    const seq = dead.revive(place, draft.now);
    const call = seq === undefined ? undefined : calls.find(seq);
    if (!call) return undefined;
    if (call.callId !== undefined && !this.#namesBatch(call.callId)) history.name(call.callId, call.seq);
    if (call.idempotencyKey !== undefined) {
      history.remember(call.key, call.idempotencyKey, call.seq, print ?? this.#printOf(call.seq));
    }
    if (size !== undefined) batches.add(call.seq, size);
    draft.entered(call.key, call.bytes);
    this.drop(place, draft);
    return call.key;
  }

  /** Its members bear its name, also those that go on by themselves. */
  #namesBatch(callId: string): boolean {
    const bearer = this.#store.history.named(callId);
    return bearer !== undefined && this.#store.batches.find(bearer) !== undefined;
  }

  drop(place: number, draft: Draft): void {
    const letter = this.#store.dead.remove(place);
    if (!letter) return;
    draft.dead--;
    draft.deadBytes -= letter.bytes;
    draft.of(letter.key).dead--;
  }
}

function refused(kind: Refusal["kind"], message: string): Inserted {
  return { kind: "refused", refusal: { kind, message } };
}
