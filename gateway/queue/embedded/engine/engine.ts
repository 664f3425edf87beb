import { isDamage } from "../../../../kit/embedded-database.ts";
import type { FreeSpace } from "../../../../kit/free-space.ts";
import { PersistentClock } from "../../../../kit/persistent-clock.ts";
import type { SpareSpace } from "../../../../kit/spare-space.ts";
import type { EmbeddedStore } from "../db/store.ts";
import type { EmbeddedSettings, FromWorker, Refusal, SettlementMessage, ToWorker } from "../protocol.ts";
import { BatchEnds } from "./batch-ends.ts";
import { EmbeddedChanges, refuseAll } from "./changes.ts";
import { countOnDisk } from "./count-stored.ts";
import { KeyCounters } from "./counts.ts";
import { EmbeddedDispatch } from "./dispatch.ts";
import { Draft, type Totals } from "./draft.ts";
import { ExpiryWatch } from "./expiry.ts";
import { EmbeddedForgetting } from "./forgetting.ts";
import { type Inbox, type Order, sortInbox } from "./inbox.ts";
import { EmbeddedLedger } from "./ledger.ts";
import { EmbeddedReader } from "./reader.ts";

/** What one transaction is to do, beside settling what is to be settled. */
type Work = Pick<Inbox, "batches" | "changes">;

/** Longest sleep: a clock that is set is noticed after this time. */
const MAX_SLEEP_MS = 60_000;
/** Pause before the next try while the disk refuses to store. */
const STORAGE_RETRY_MS = 1000;
/** Ended calls forgotten in a transaction, beside two for each that ends in it, so that it keeps pace. */
const FORGOTTEN_AT_LEAST = 100;
/** What a call takes on the disk beside its body, about. */
const HEAD_BYTES = 1024;
/** Pause between transactions that only forget. */
const FORGET_PAUSE_MS = 20;
/** Results that one transaction gives up while the disk is full. */
const RESULTS_DROPPED_WHEN_FULL = 100;

/**
 * The embedded queue without its thread: takes what has arrived since the last time, makes all of it one transaction,
 * and tells the results. What is on disk is the truth; memory holds who is under way and whose turn it is.
 */
export class EmbeddedEngine {
  readonly #store: EmbeddedStore;
  readonly #spare: Pick<SpareSpace, "held" | "release">;
  readonly #settings: EmbeddedSettings;
  readonly #clock: PersistentClock;
  readonly #post: (message: FromWorker) => void;
  readonly #space: Pick<FreeSpace, "take">;
  readonly #counters: KeyCounters;
  readonly #ends = new BatchEnds();
  /** Batches whose calls are being ended, and the line to go on after. */
  readonly #ending = new Map<number, number>();
  readonly #dispatch: EmbeddedDispatch;
  readonly #expiry: ExpiryWatch;
  readonly #ledger: EmbeddedLedger;
  readonly #forgetting: EmbeddedForgetting;
  readonly #reader: EmbeddedReader;
  readonly #changes: EmbeddedChanges;
  #totals: Totals;
  #pausing = false;
  /** New calls were refused as too little of the disk is free. */
  #short = false;
  /** New calls were refused by the disk, and none has been stored since. */
  #failing = false;
  /** Not even the old calls can be settled or given out; to be tried again. */
  #stuck = false;
  /** Settlements that are not on disk yet. Their calls keep their places, which bounds the list. */
  #unsettled: SettlementMessage[] = [];
  /** By how much the clock has been set, and what waits has not been adapted to. */
  #jumped = 0;
  #forgetAt: number | undefined = 0;

  constructor(
    store: EmbeddedStore,
    spare: Pick<SpareSpace, "held" | "release">,
    settings: EmbeddedSettings,
    now: () => number,
    post: (message: FromWorker) => void,
    space: Pick<FreeSpace, "take"> = { take: () => undefined },
    steady: () => number = now,
  ) {
    this.#store = store;
    this.#spare = spare;
    this.#settings = settings;
    this.#post = post;
    this.#space = space;
    const dispatch = new EmbeddedDispatch(store);
    this.#dispatch = dispatch;
    this.#forgetting = new EmbeddedForgetting(store, settings);
    this.#clock = new PersistentClock(now, steady, this.#forgetting.knownMs);
    this.#counters = new KeyCounters(steady);
    this.#ledger = new EmbeddedLedger(store, settings, this.#forgetting, {
      startedAt: (seq) => dispatch.startedAt(seq),
      loadOf: (fn) => this.#counters.loadOf(fn),
    });
    this.#reader = new EmbeddedReader(store, dispatch, this.#counters, settings);
    const stored = countOnDisk(store, this.#clock, dispatch.underWay);
    this.#counters.apply(stored.deltas);
    for (const key of stored.waiting) dispatch.wake(key);
    this.#totals = stored.totals;
    this.#recover();
    for (const seq of store.batches.complete()) this.#ends.add(seq);
    for (const seq of store.batches.ending()) this.#ending.set(seq, -1);
    dispatch.look();
    this.#expiry = new ExpiryWatch(store.calls);
    this.#changes = new EmbeddedChanges(
      store,
      this.#ledger,
      dispatch,
      this.#expiry,
      this.#reader,
      this.#counters,
      settings.resultTtlMs,
    );
  }

  #recover(): void {
    const { maxInterruptions } = this.#settings;
    const reason = `under way ${maxInterruptions} times when the platform died`;
    let hopeless = 0;
    this.#withSpare(() => {
      const draft = this.#draft();
      hopeless = this.#store.transaction(() => {
        const found = this.#store.calls.recoverInterrupted(maxInterruptions);
        const ending = { state: "dead", counted: false, startedAt: undefined, reason } as const;
        for (const seq of found) this.#ledger.end(seq, ending, draft);
        return found.length;
      });
      this.#adopt(draft);
    });
    if (hopeless > 0) {
      this.#log("warn", "calls were under way too often when the platform died; they are dead", { calls: hopeless });
    }
  }

  /** Does everything `inbox` asks for in one commit, then delivers what there is room for. */
  handle(inbox: readonly ToWorker[]): void {
    const { orders, batches, settlements, changes, questions } = sortInbox(inbox);
    for (const settlement of settlements) this.#unsettled.push(settlement);
    for (const order of orders) this.#obey(order);
    this.#jumped += this.#clock.takeJump();
    for (const reply of this.#commit({ batches, changes })) this.#post(reply);
    const { sure } = this.#clock;
    for (const { question, ask } of questions) {
      this.#post({ kind: "answer", question, value: this.#reader.answer(ask, sure) });
    }
    this.#tell();
    if (this.#pausing && this.#dispatch.underWay.size + this.#ends.out + this.#unsettled.length === 0) {
      this.#pausing = false;
      this.#post({ kind: "idle" });
    }
  }

  #obey(order: Order): void {
    switch (order.kind) {
      case "consume":
        this.#dispatch.start(this.#counters.all().map(({ key }) => key));
        break;
      case "claim":
        this.#dispatch.claim(order.claims);
        break;
      case "pause":
        this.#dispatch.stop();
        this.#pausing = true;
        break;
    }
  }

  /** Milliseconds until {@link handle} is to be called without a message; undefined while nothing is to come. */
  get sleepMs(): number | undefined {
    if (this.#stuck) return STORAGE_RETRY_MS;
    if (this.#ending.size > 0 || this.#dispatch.owing) return 0;
    const { now, sure, steady } = this.#clock;
    const waits = [left(this.#expiry.nextAt, now), left(this.#dispatch.nextDue, now)];
    waits.push(this.#forgetAt === undefined ? undefined : Math.max(FORGET_PAUSE_MS, this.#forgetAt - sure));
    if (this.#dispatch.consuming) waits.push(left(this.#ends.nextDue, steady));
    const next = waits.reduce((a, b) => (a === undefined || (b !== undefined && b < a) ? b : a), undefined);
    return next === undefined ? undefined : Math.min(MAX_SLEEP_MS, Math.max(0, Math.ceil(next)));
  }

  #commit(work: Work): FromWorker[] {
    if (!this.#spare.held) {
      // What little room there is belongs to the calls that are there already.
      return [...refuseAll(work.batches, "the disk is full"), ...this.#attemptWithoutNew(work.changes)];
    }
    const shortage = this.#shortage(work.batches);
    if (shortage !== undefined) return [...refuseAll(work.batches, shortage), ...this.#attemptWithoutNew(work.changes)];
    try {
      return this.#attempt(work);
    } catch (error) {
      this.#noteFailure(error);
      // Where there is no room for new calls, old ones can often still go, which makes room.
      return [...refuseAll(work.batches, reasonOf(error)), ...this.#attemptWithoutNew(work.changes)];
    }
  }

  #shortage(batches: Work["batches"]): string | undefined {
    if (batches.length === 0) return undefined;
    const bytes = batches.reduce((sum, { bodies, calls }) => sum + bodies.byteLength + calls.length * HEAD_BYTES, 0);
    const shortage = this.#space.take(bytes, this.#clock.steady);
    if (shortage !== undefined && !this.#short)
      this.#log("error", "the queue takes no new calls", { reason: shortage });
    this.#short = shortage !== undefined;
    return shortage;
  }

  #attemptWithoutNew(changes: Work["changes"]): FromWorker[] {
    try {
      return this.#withSpare(() => this.#attempt({ batches: [], changes }));
    } catch (error) {
      this.#noteFailure(error);
      this.#stuck = true;
      const refusal: Refusal = { kind: "unavailable", message: `the queue cannot store: ${reasonOf(error)}` };
      return changes.map(({ question }) => ({ kind: "noAnswer", question, refusal }));
    }
  }

  /** Does `work`, and if that fails once more with the spare space given up. */
  #withSpare<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (isDamage(error)) throw error;
      if (this.#spare.release())
        this.#log("error", "the disk is full; the queue lives on its reserve and takes no new calls", {});
      // At once, before others have taken what was given up; and the log then begins anew in the room that it has.
      this.#emptyLog();
      return work();
    }
  }

  #emptyLog(): void {
    try {
      this.#store.checkpoint();
    } catch (error) {
      if (isDamage(error)) throw error;
    }
  }

  #draft(): Draft {
    return new Draft(this.#clock, this.#totals, this.#forgetAt, this.#dispatch.underWay);
  }

  /** @throws what the store threw, with everything left as it was */
  #attempt({ batches, changes }: Work): FromWorker[] {
    const draft = this.#draft();
    const replies: FromWorker[] = [];
    const [next] = this.#ending;
    // What somebody waits for must not be undone. What calls came to may be: they would be made again, as after any other
    // sudden end. To wait for the disk there would leave replicas idle.
    const flush = batches.length > 0 || changes.length > 0;
    try {
      this.#store.transaction(() => {
        if (this.#jumped !== 0) this.#adaptWaits(this.#jumped);
        for (const settlement of this.#unsettled) this.#changes.settle(settlement, draft);
        for (const batch of batches) replies.push(this.#changes.insertAll(batch, draft));
        for (const { question, ask } of changes) {
          replies.push({ kind: "answer", question, value: this.#changes.change(ask, draft) });
        }
        const expire = (seq: number) =>
          this.#ledger.end(seq, { state: "expired", counted: false, startedAt: undefined }, draft);
        this.#expiry.expire(draft.now, expire);
        if (next) this.#ledger.endSome(...next, draft);
        this.#dispatch.take(draft, { expire, cancel: (seq) => this.#cancelIfEnding(seq, draft) });
        this.#forgetting.forget(FORGOTTEN_AT_LEAST + 2 * draft.ended.length, draft);
        if (!this.#spare.held) this.#forgetting.dropResults(RESULTS_DROPPED_WHEN_FULL, draft);
      }, flush);
    } catch (error) {
      draft.undo();
      this.#expiry.look();
      throw error;
    }
    this.#unsettled = [];
    this.#jumped = 0;
    this.#stuck = false;
    this.#adopt(draft, next);
    if (this.#failing && batches.length > 0) {
      this.#failing = false;
      this.#log("info", "the queue can store calls again", {});
    }
    const found = this.#dispatch.takeFound();
    const answers = draft.answers.filter(({ calls, missed }) => calls.length + missed > 0);
    if (found.length + answers.length > 0) replies.push({ kind: "deliver", found, answers });
    if (draft.cancelled.length > 0) replies.push({ kind: "abort", calls: draft.cancelled });
    return replies;
  }

  #cancelIfEnding(seq: number, draft: Draft): boolean {
    if (this.#ending.size + draft.ending.size === 0) return false;
    const whole = this.#store.calls.find(seq)?.whole;
    if (whole === undefined || !(this.#ending.has(whole) || draft.ending.has(whole))) return false;
    this.#ledger.cancel(seq, draft);
    return true;
  }

  #adaptWaits(jump: number): void {
    this.#store.calls.shiftRetries(jump);
    this.#store.callbacks.shift(jump);
    this.#dispatch.look();
  }

  /** What has been committed counts. */
  #adopt(draft: Draft, ended?: readonly [whole: number, after: number]): void {
    // Each in its turn.
    if (ended) this.#ending.delete(ended[0]);
    for (const [whole, after] of draft.ending) this.#ending.set(whole, after);
    this.#totals = draft;
    this.#forgetAt = draft.forgetAt;
    this.#counters.apply(draft.deltas);
    this.#dispatch.adopt(draft);
    for (const seq of draft.complete) this.#ends.add(seq);
    for (const seq of draft.told) this.#ends.told(seq);
    for (const { seq, due } of draft.untold) this.#ends.untold(seq, due);
    if (draft.droppedDead > 0) {
      this.#log("warn", "dropped the oldest dead calls", { calls: draft.droppedDead, kept: draft.dead });
    }
  }

  #tell(): void {
    if (!this.#dispatch.consuming) return;
    const batches = this.#ends.take(this.#clock.steady).flatMap((seq) => {
      const batch = this.#store.batches.findSpread(seq);
      if (!batch) return [];
      const { acceptedAt, meta, failures, progress } = batch;
      return [{ seq, acceptedAt, meta, failures, progress }];
    });
    if (batches.length > 0) this.#post({ kind: "tell", batches });
  }

  /** @throws the error itself when the database is damaged: nothing more can be promised then */
  #noteFailure(error: unknown): void {
    if (isDamage(error)) throw error;
    if (!this.#failing) this.#log("error", "the queue cannot store", { reason: reasonOf(error) });
    this.#failing = true;
  }

  #log(level: "info" | "warn" | "error", message: string, facts: object): void {
    this.#post({ kind: "log", level, message, facts });
  }
}

function left(at: number | undefined, now: number): number | undefined {
  return at === undefined ? undefined : at - now;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
