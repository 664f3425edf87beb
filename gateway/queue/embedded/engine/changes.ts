import type { CallbackRequest } from "../../queue.ts";
import type { EmbeddedStore } from "../db/store.ts";
import {
  type Answers,
  type AskOf,
  type Change,
  type FromWorker,
  functionOf,
  type Moved,
  type Purged,
  type Refusal,
  type SettlementMessage,
  type WireCall,
} from "../protocol.ts";
import { insertCallbackAgain } from "./callback-again.ts";
import type { KeyCounters } from "./counts.ts";
import type { EmbeddedDispatch } from "./dispatch.ts";
import type { Draft } from "./draft.ts";
import type { ExpiryWatch } from "./expiry.ts";
import type { Batch } from "./inbox.ts";
import type { EmbeddedLedger, Inserted } from "./ledger.ts";
import type { EmbeddedReader } from "./reader.ts";
import { putOffCallback } from "./waiting-callbacks.ts";

type StoredReply = Extract<FromWorker, { kind: "stored" }>;

/** Dead letters that one transaction moves. */
const LETTERS_AT_A_TIME = 200;
/** Calls that one transaction cancels. */
const PURGED_AT_A_TIME = 200;

/** What the main thread asks to be changed, done inside a transaction and on its draft. */
export class EmbeddedChanges {
  readonly #store: EmbeddedStore;
  readonly #ledger: EmbeddedLedger;
  readonly #dispatch: EmbeddedDispatch;
  readonly #expiry: ExpiryWatch;
  readonly #reader: Pick<EmbeddedReader, "seqOf">;
  readonly #counters: Pick<KeyCounters, "all">;
  readonly #resultTtlMs: number;

  constructor(
    store: EmbeddedStore,
    ledger: EmbeddedLedger,
    dispatch: EmbeddedDispatch,
    expiry: ExpiryWatch,
    reader: Pick<EmbeddedReader, "seqOf">,
    counters: Pick<KeyCounters, "all">,
    resultTtlMs: number,
  ) {
    this.#resultTtlMs = resultTtlMs;
    this.#store = store;
    this.#ledger = ledger;
    this.#dispatch = dispatch;
    this.#expiry = expiry;
    this.#reader = reader;
    this.#counters = counters;
  }

  settle(settlement: SettlementMessage, draft: Draft): void {
    const { seq } = settlement;
    if (settlement.kind === "told") {
      this.#ledger.told(seq, draft);
      return;
    }
    if (settlement.kind === "untold") {
      if (settlement.counted) this.#store.batches.failed(seq);
      draft.untold.push({ seq, due: draft.steady + settlement.afterMs });
      return;
    }
    const call = this.#dispatch.find(seq);
    if (call === undefined) return;
    const cancelled = this.#dispatch.isCancelled(seq);
    draft.end(seq, call, settlement.kind === "back" && !cancelled);
    if (cancelled) return; // it has ended already, and only its place was kept
    const startedAt = call.since;
    switch (settlement.kind) {
      case "back":
        this.#store.calls.handBack(seq);
        this.#dispatch.wake(call.key);
        this.#expiry.look();
        break;
      case "done": {
        const { outcome } = settlement;
        const { callback } = settlement;
        if (this.#dispatch.isBatch(seq)) this.#spread(seq, startedAt, draft);
        else this.#ledger.end(seq, { state: "done", counted: true, startedAt, outcome, callback }, draft);
        break;
      }
      case "retry": {
        const due = draft.now + Math.ceil(settlement.afterMs);
        const { status, durationMs } = settlement.outcome ?? {};
        const { refused = false } = settlement;
        const counted = settlement.counted !== false;
        this.#store.calls.retryAt(seq, due, { counted, refused, startedAt, status, durationMs }, draft.now);
        this.#dispatch.wake(call.key, due);
        this.#expiry.look();
        break;
      }
      case "dead": {
        const { reason, outcome, callback } = settlement;
        this.#ledger.end(seq, { state: "dead", counted: true, startedAt, reason, outcome, callback }, draft);
        break;
      }
      case "expired":
        this.#ledger.end(seq, { state: "expired", counted: false, startedAt, callback: settlement.callback }, draft);
        break;
      case "callback": {
        const due = draft.now + Math.ceil(settlement.afterMs);
        const key = putOffCallback(this.#store, settlement, due, startedAt, draft);
        if (key !== undefined) this.#dispatch.wake(key, due);
        break;
      }
    }
  }

  #spread(seq: number, startedAt: number, draft: Draft): void {
    const reason = this.#ledger.spread(seq, startedAt, draft);
    if (reason !== undefined) this.#ledger.end(seq, { state: "dead", counted: true, startedAt, reason }, draft);
  }

  insertAll({ batch, calls, bodies }: Batch, draft: Draft): StoredReply {
    const places: number[] = [];
    const refused: [number, Refusal][] = [];
    const duplicates: [number, string | undefined][] = [];
    calls.forEach((call, i) => {
      const inserted = this.#insert(call, bodies, draft);
      places.push(inserted.kind === "refused" ? 0 : inserted.seq);
      if (inserted.kind === "refused") refused.push([i, inserted.refusal]);
      if (inserted.kind === "duplicate") duplicates.push([i, inserted.callId]);
    });
    return { kind: "stored", batch, places, refused, duplicates };
  }

  #insert({ bodyAt, bodyBytes, wholeSize, ...call }: WireCall, bodies: ArrayBuffer, draft: Draft): Inserted {
    const { key, notBefore, notAfter } = call;
    const expires = notAfter !== undefined && !call.tellExpiry ? { expires: notAfter } : {};
    const isBatch = wholeSize !== undefined;
    const body = new Uint8Array(bodies, bodyAt, bodyBytes);
    const inserted = this.#ledger.insert({ ...call, ...expires, isBatch, body }, wholeSize, draft);
    if (inserted.kind !== "new") return inserted;
    this.#dispatch.arrive(key, notBefore === undefined ? undefined : Math.max(1, Math.ceil(notBefore)));
    if (expires.expires !== undefined) this.#expiry.note(expires.expires);
    return inserted;
  }

  change(ask: Change, draft: Draft): Answers[Change["kind"]] {
    if (ask.kind === "purge") return this.#purge(ask, draft);
    if (ask.kind === "callBack") return this.#callBack(ask, draft);
    if (ask.kind !== "cancel") return this.#moveLetters(ask, draft);
    const seq = this.#reader.seqOf(ask.of);
    return seq === undefined ? undefined : this.#ledger.cancel(seq, draft);
  }

  #callBack({ of, callId }: AskOf<"callBack">, draft: Draft): CallbackRequest {
    const seq = this.#reader.seqOf(of);
    if (seq === undefined) return "unknown";
    const known = this.#store.history.find(seq)?.callId ?? callId;
    const asked = { seq, callId: known, resultTtlMs: this.#resultTtlMs };
    const { answer, key } = insertCallbackAgain(this.#store, asked, draft);
    if (key !== undefined) this.#dispatch.wake(key);
    return answer;
  }

  #purge({ fn, upTo = this.#store.calls.lastPlace() }: AskOf<"purge">, draft: Draft): Purged {
    const before = draft.finished;
    let count = 0;
    // A function's calls may lie in several queues.
    for (const { key } of this.#counters.all()) {
      if (functionOf(key) !== fn) continue;
      for (const seq of this.#store.calls.waiting(key, upTo, PURGED_AT_A_TIME - count)) {
        // A batch may have brought some others along.
        if (count > 0 && draft.finished - before >= PURGED_AT_A_TIME) break;
        if (this.#ledger.cancel(seq, draft) === "waiting") count++;
      }
    }
    return { count, upTo };
  }

  #moveLetters(ask: AskOf<"replay"> | AskOf<"drop">, draft: Draft): Moved {
    const upTo = ask.upTo ?? this.#store.dead.lastPlace();
    const letters = this.#store.dead.list(ask.filter, ask.after, upTo, LETTERS_AT_A_TIME);
    for (const { place } of letters) {
      if (ask.kind === "drop") this.#ledger.drop(place, draft);
      else {
        const key = this.#ledger.revive(place, draft);
        if (key !== undefined) this.#dispatch.wake(key);
      }
    }
    const after = letters.length < LETTERS_AT_A_TIME ? undefined : letters.at(-1)?.place;
    return { count: letters.length, upTo, ...(after !== undefined && { after }) };
  }
}

/** Refuses everything that is to be stored. @param reason why, for callers to read */
export function refuseAll(batches: readonly Batch[], reason: string): StoredReply[] {
  const refusal: Refusal = { kind: "unavailable", message: `the queue cannot store calls: ${reason}` };
  return batches.map(({ batch, calls }) => ({
    kind: "stored",
    batch,
    places: [],
    refused: calls.map((_, i) => [i, refusal]),
    duplicates: [],
  }));
}
