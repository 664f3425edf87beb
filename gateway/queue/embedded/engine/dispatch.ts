import type { Begun } from "../db/calls.ts";
import type { EmbeddedStore } from "../db/store.ts";
import { functionOf, queueOf, type ToWorker } from "../protocol.ts";
import type { Draft } from "./draft.ts";
import { FunctionTurns, type UnderWay } from "./turns.ts";

type Consume = Extract<ToWorker, { kind: "consume" }>;

/** Calls that come to their turn too late and are ended in one commit; others wait meanwhile. */
const ENDED_AT_A_TIME = 200;

/** Calls that come to their turn and must not begin. */
export interface Stale {
  /** Ends a call whose time has passed. */
  expire(seq: number): void;
  /** Ends a call of a batch that has been cancelled. @returns false for any other */
  cancel(seq: number): boolean;
}

/** Gives calls to the consumer: knows who is under way, whose turn it is and what is due. */
export class EmbeddedDispatch {
  readonly turns = new FunctionTurns();
  readonly #store: EmbeddedStore;
  #consume: Consume | undefined;
  #queues: ReadonlySet<string> | undefined;
  /** What the consumer said of each function since it is there. */
  readonly #limits = new Map<string, number>();
  /** Functions whose limit is asked for; those still to be asked. */
  readonly #asked = new Set<string>();
  #wanted: string[] = [];
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
    return this.#consume !== undefined;
  }

  /** When a call comes due, while somebody is there to take it. */
  get nextDue(): number | undefined {
    return this.#consume && this.#nextDue;
  }

  start(consume: Consume, keys: Iterable<string>): void {
    this.#consume = consume;
    this.#queues = consume.queues && new Set(consume.queues);
    this.#limits.clear();
    this.#asked.clear();
    for (const key of keys) {
      this.turns.unblock(functionOf(key));
      this.turns.wake(key);
    }
  }

  stop(): void {
    this.#consume = undefined;
  }

  setLimit(fn: string, limit: number | null): void {
    this.#asked.delete(fn);
    if (limit === null) this.#limits.delete(fn);
    else this.#limits.set(fn, limit);
    this.turns.unblock(fn);
  }

  /** Functions whose limit is to be asked for. */
  takeWanted(): readonly string[] {
    return this.#wanted.splice(0);
  }

  /** The call may come to its turn at `due`, if given, else at any time. */
  wake(key: string, due?: number): void {
    // Due before all who were due were woken last: nothing else would come to it.
    if (due === undefined || due <= this.#wokenUntil) this.turns.wake(key);
    else this.#nextDue = Math.min(due, this.#nextDue ?? due);
  }

  find(seq: number): UnderWay | undefined {
    return this.turns.find(seq);
  }

  isCancelled(seq: number): boolean {
    return this.#cancelled.has(seq);
  }

  isBatch(seq: number): boolean {
    return this.#batches.has(seq);
  }

  /** When the attempt of a call under way was begun. */
  startedAt(seq: number): number | undefined {
    return this.#cancelled.has(seq) ? undefined : this.turns.find(seq)?.since;
  }

  runningByKey(): Map<string, number> {
    const running = new Map<string, number>();
    for (const [seq, { key }] of this.turns.all()) {
      if (!this.#cancelled.has(seq)) running.set(key, (running.get(key) ?? 0) + 1);
    }
    return running;
  }

  adopt(draft: Draft): void {
    for (const { seq } of draft.ended) {
      this.#cancelled.delete(seq);
      this.#batches.delete(seq);
    }
    for (const seq of draft.cancelled) this.#cancelled.add(seq);
    // Last: a batch may have ended its attempt and begun another one in the same commit.
    for (const seq of draft.begunBatches) this.#batches.add(seq);
  }

  /**
   * Begins as many calls as there is room for, fewer when it comes upon many whose time has passed.
   * @param stale ends calls that are not to begin
   */
  take(draft: Draft, stale: Stale): void {
    if (!this.#consume) return;
    this.#wakeDue(draft.now);
    const { concurrency } = this.#consume;
    let ended = 0;
    while (this.turns.taken < concurrency) {
      const key = this.turns.next(this.#hasRoom, concurrency);
      if (key === undefined) return;
      const wanted = this.#queues?.has(queueOf(key)) ?? true;
      const seq = wanted ? this.#takeOne(key, draft.now) : undefined;
      if (seq === undefined) {
        this.turns.sleep(key);
        continue;
      }
      const begun = stale.cancel(seq) ? undefined : this.#begin(seq, draft.now, stale);
      if (!begun) {
        // There may be a great many; the next commit goes on at once.
        if (++ended === ENDED_AT_A_TIME) return;
        continue;
      }
      draft.begin(key, seq, begun.isBatch);
      draft.deliveries.push(begun.delivery);
    }
  }

  #begin(seq: number, now: number, { expire }: Stale): Begun | undefined {
    const begun = this.#store.calls.begin(seq, now);
    if (!begun) expire(seq);
    return begun;
  }

  readonly #hasRoom = (fn: string, underWay: number): boolean => {
    const limit = this.#limits.get(fn);
    if (limit !== undefined) return underWay < limit;
    if (!this.#asked.has(fn)) {
      this.#asked.add(fn);
      this.#wanted.push(fn);
    }
    return false;
  };

  /** What is due first, else the call accepted first. */
  #takeOne(key: string, now: number): number | undefined {
    const due = this.#store.calls.takeDue(key, now);
    if (due !== undefined) return due;
    for (;;) {
      const seq = this.#store.calls.nextFresh(key, this.turns.takenUpTo(key));
      if (seq === undefined) return undefined;
      this.turns.skipTo(key, seq);
      if (this.turns.find(seq) === undefined) return seq;
    }
  }

  #wakeDue(now: number): void {
    if (now < this.#wokenUntil) {
      // The clock was set back: what was woken as due may have gone to sleep as not due.
      this.#wokenUntil = now;
      this.#nextDue = this.#store.calls.nextDue(now);
    }
    if (this.#nextDue === undefined || this.#nextDue > now) return;
    for (const key of this.#store.calls.keysDue(this.#wokenUntil, now)) this.turns.wake(key);
    this.#wokenUntil = now;
    this.#nextDue = this.#store.calls.nextDue(now);
  }
}
