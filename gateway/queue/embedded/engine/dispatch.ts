import { isCallbackKey } from "../callback-keys.ts";
import type { Begun } from "../db/calls.ts";
import type { EmbeddedStore } from "../db/store.ts";
import type { Answered, KeyClaim } from "../protocol.ts";
import type { Draft } from "./draft.ts";
import { CallsUnderWay, type UnderWay } from "./under-way.ts";

/** Calls that come to their turn too late and are ended in one commit; others wait meanwhile. */
const ENDED_AT_A_TIME = 200;

/** Calls that come to their turn and must not begin. */
export interface Stale {
  /** Ends a call whose time has passed. */
  expire(seq: number): void;
  /** Ends a call of a batch that has been cancelled. @returns false for any other */
  cancel(seq: number): boolean;
}

/** Gives claimed calls to the consumer: knows who is under way, who may have a call to give, and what is due. */
export class EmbeddedDispatch {
  readonly underWay = new CallsUnderWay();
  readonly #store: EmbeddedStore;
  #consuming = false;
  /** Calls that are claimed and have not been given yet, by key. */
  readonly #claims = new Map<string, number>();
  /** Keys that the consumer takes to have calls. */
  readonly #known = new Set<string>();
  /** Keys that had no call until one arrived just now. */
  readonly #arrived = new Set<string>();
  /** Known keys that it is still to be told of. */
  #found: string[] = [];
  /** Under way, and batches: to be settled as such. */
  readonly #batches = new Set<number>();
  /** Cancelled, while what tries them has not ended yet. */
  readonly #cancelled = new Set<number>();
  /** Keys with a call due until this time have been woken. */
  #wokenUntil = 0;
  #nextDue: number | undefined;

  constructor(store: EmbeddedStore) {
    this.#store = store;
  }

  /** To be called once the store is as it is to be, with no call under way, and when what is due has changed by itself. */
  look(): void {
    this.#wokenUntil = 0;
    this.#nextDue = this.#store.calls.nextDue(0);
  }

  get consuming(): boolean {
    return this.#consuming;
  }

  /** When a call comes due, while somebody is there to take it. */
  get nextDue(): number | undefined {
    return this.#consuming ? this.#nextDue : undefined;
  }

  /** Some of what is claimed is still to be answered. */
  get owing(): boolean {
    return this.#claims.size > 0;
  }

  start(keys: Iterable<string>): void {
    this.stop();
    this.#consuming = true;
    for (const key of keys) this.wake(key);
  }

  stop(): void {
    this.#consuming = false;
    this.#claims.clear();
    this.#known.clear();
    this.#arrived.clear();
    this.#found = [];
  }

  claim(claims: readonly KeyClaim[]): void {
    // What a consumer that stops has asked for before.
    if (!this.#consuming) return;
    for (const [key, count] of claims) this.#claims.set(key, (this.#claims.get(key) ?? 0) + count);
  }

  /** Keys that the consumer is to be told of. */
  takeFound(): readonly string[] {
    return this.#found.splice(0);
  }

  /** The call may come to its turn at `due`, if given, else at any time. */
  wake(key: string, due?: number): void {
    // Due before all who were due were woken last: nothing else would come to it.
    if (due !== undefined && due > this.#wokenUntil) this.#nextDue = Math.min(due, this.#nextDue ?? due);
    else if (this.#consuming && !this.#known.has(key)) {
      this.#known.add(key);
      this.#found.push(key);
    }
  }

  /** A new call. The first of its key is given out without being asked for: most calls find an idle function. */
  arrive(key: string, due?: number): void {
    if (due === undefined && this.#consuming && !this.#known.has(key) && !this.#claims.has(key)) this.#arrived.add(key);
    else this.wake(key, due);
  }

  find(seq: number): UnderWay | undefined {
    return this.underWay.find(seq);
  }

  isCancelled(seq: number): boolean {
    return this.#cancelled.has(seq);
  }

  isBatch(seq: number): boolean {
    return this.#batches.has(seq);
  }

  /** When the attempt of a call under way was begun. */
  startedAt(seq: number): number | undefined {
    return this.#cancelled.has(seq) ? undefined : this.underWay.find(seq)?.since;
  }

  runningByKey(): Map<string, number> {
    const running = new Map<string, number>();
    for (const [seq, { key }] of this.underWay.all()) {
      if (!this.#cancelled.has(seq)) running.set(key, (running.get(key) ?? 0) + 1);
    }
    return running;
  }

  adopt(draft: Draft): void {
    for (const { seq, call } of draft.ended) {
      this.#cancelled.delete(seq);
      this.#batches.delete(seq);
      if (!this.#known.has(call.key)) this.underWay.forgetIfIdle(call.key);
    }
    for (const seq of draft.cancelled) this.#cancelled.add(seq);
    // Last: a batch may have ended its attempt and begun another one in the same commit.
    for (const seq of draft.begunBatches) this.#batches.add(seq);
    for (const { key, calls, missed, isOffer } of draft.answers) {
      if (isOffer) continue;
      const left = (this.#claims.get(key) ?? 0) - calls.length - missed;
      if (left > 0) this.#claims.set(key, left);
      else this.#claims.delete(key);
      if (missed === 0) continue;
      this.#known.delete(key);
      this.underWay.forgetIfIdle(key);
    }
  }

  /**
   * Begins the calls that are claimed, fewer when it comes upon many whose time has passed.
   * @param stale ends calls that are not to begin
   */
  take(draft: Draft, stale: Stale): void {
    if (!this.#consuming) return;
    this.#wakeDue(draft.now);
    let ended = 0;
    const arrived = [...this.#arrived];
    this.#arrived.clear();
    for (const key of arrived) this.#offer(key, draft, stale);
    for (const [key, count] of this.#claims) {
      const answer: Answered = { key, calls: [], missed: 0, isOffer: false };
      draft.answers.push(answer);
      while (answer.calls.length < count) {
        const seq = this.#takeOne(key, draft.now);
        if (seq === undefined) {
          answer.missed = count - answer.calls.length;
          break;
        }
        const begun = stale.cancel(seq) ? undefined : this.#begin(key, seq, draft.now, stale);
        if (begun) {
          draft.begin(key, seq, begun.isBatch);
          answer.calls.push(begun.delivery);
        } else if (++ended === ENDED_AT_A_TIME) return; // There may be a great many; the next commit goes on at once.
      }
    }
  }

  #offer(key: string, draft: Draft, stale: Stale): void {
    const seq = this.#takeOne(key, draft.now);
    const begun = seq === undefined || stale.cancel(seq) ? undefined : this.#begin(key, seq, draft.now, stale);
    if (seq !== undefined && begun) {
      draft.begin(key, seq, begun.isBatch);
      draft.answers.push({ key, calls: [begun.delivery], missed: 0, isOffer: true });
    }
    if (!begun || this.#hasMore(key)) this.wake(key);
  }

  #begin(key: string, seq: number, now: number, { expire }: Stale): Begun | undefined {
    const callbacks = isCallbackKey(key);
    const begun = this.#store.calls.begin(seq, now, !callbacks);
    if (!begun) expire(seq);
    if (!begun || !callbacks) return begun;
    const stored = this.#store.callbacks.find(seq);
    if (!stored) throw new Error(`the callback of the call in place ${seq} is not there`);
    const { callback: waiting, outcome } = stored;
    return { ...begun, delivery: { ...begun.delivery, callback: { waiting, outcome } } };
  }

  #hasMore(key: string): boolean {
    return this.#store.calls.nextFresh(key, this.underWay.takenUpTo(key)) !== undefined;
  }

  /** What is due first, else the call accepted first. */
  #takeOne(key: string, now: number): number | undefined {
    const due = this.#store.calls.takeDue(key, now);
    if (due !== undefined) return due;
    for (;;) {
      const seq = this.#store.calls.nextFresh(key, this.underWay.takenUpTo(key));
      if (seq === undefined) return undefined;
      this.underWay.skipTo(key, seq);
      if (this.underWay.find(seq) === undefined) return seq;
    }
  }

  #wakeDue(now: number): void {
    if (now < this.#wokenUntil) {
      // The clock was set back: what was woken as due may have gone to sleep as not due.
      this.#wokenUntil = now;
      this.#nextDue = this.#store.calls.nextDue(now);
    }
    if (this.#nextDue === undefined || this.#nextDue > now) return;
    for (const key of this.#store.calls.keysDue(this.#wokenUntil, now)) this.wake(key);
    this.#wokenUntil = now;
    this.#nextDue = this.#store.calls.nextDue(now);
  }
}
