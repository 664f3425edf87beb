import { BatchEnds } from "./embedded-batch-ends.ts";
import { KeyCounters } from "./embedded-counts.ts";
import { isDamage } from "./embedded-database.ts";
import { Draft, type Totals } from "./embedded-draft.ts";
import { EmbeddedLedger } from "./embedded-ledger.ts";
import type {
  Answers,
  AskOf,
  Change,
  EmbeddedSettings,
  FromWorker,
  Moved,
  Refusal,
  Settlement,
  ToWorker,
  WireCall,
} from "./embedded-protocol.ts";
import { functionOf, queueOf } from "./embedded-protocol.ts";
import { EmbeddedReader } from "./embedded-reader.ts";
import type { EmbeddedStore } from "./embedded-store.ts";
import { FunctionTurns } from "./embedded-turns.ts";
import type { SpareSpace } from "./spare-space.ts";

type Batch = Extract<ToWorker, { kind: "batch" }>;
type Consume = Extract<ToWorker, { kind: "consume" }>;
type StoredReply = Extract<FromWorker, { kind: "stored" }>;

/** What one transaction is to do. */
interface Work {
  readonly batches: readonly Batch[];
  readonly changes: readonly { readonly question: number; readonly ask: Change }[];
}

/** Longest sleep: a clock that is set forward is noticed after this time. */
const MAX_SLEEP_MS = 60_000;
/** Pause before the next try while the disk refuses to store. */
const STORAGE_RETRY_MS = 1000;
/** Ended calls forgotten in a transaction, beside two for each that ends in it, so that it keeps pace. */
const FORGOTTEN_AT_LEAST = 100;
/** Pause between transactions that only forget. */
const FORGET_PAUSE_MS = 20;
/** Calls whose time has passed that one transaction ends, and dead letters that it moves. */
const EXPIRED_AT_A_TIME = 500;
const LETTERS_AT_A_TIME = 200;
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
  readonly #now: () => number;
  readonly #post: (message: FromWorker) => void;
  readonly #turns = new FunctionTurns();
  readonly #counters = new KeyCounters();
  readonly #ends = new BatchEnds();
  readonly #ledger: EmbeddedLedger;
  readonly #reader: EmbeddedReader;
  #totals: Totals;
  #consume: Consume | undefined;
  #queues: ReadonlySet<string> | undefined;
  /** What the consumer said of each function since it is there. */
  readonly #limits = new Map<string, number>();
  /** Functions whose limit is asked for; those still to be asked. */
  readonly #asked = new Set<string>();
  #wanted: string[] = [];
  #pausing = false;
  /** New calls were refused by the disk, and none has been stored since. */
  #failing = false;
  /** Not even the old calls can be settled or given out; to be tried again. */
  #stuck = false;
  /** Settlements that are not on disk yet. Their calls keep their places, which bounds the list. */
  #unsettled: Settlement[] = [];
  /** Under way, and batches: to be settled as such. */
  readonly #spreading = new Set<number>();
  /** Cancelled, while what tries them has not ended yet. */
  readonly #cancelled = new Set<number>();
  /** Keys with a call due until this time have been woken. */
  #wokenUntil = 0;
  #nextDue: number | undefined;
  /** Some call has a time after which the queue ends it; when the first of those that wait is to be ended. */
  #anyExpiry: boolean;
  #nextExpiry: number | undefined;
  #forgetAt: number | undefined = 0;

  constructor(
    store: EmbeddedStore,
    spare: Pick<SpareSpace, "held" | "release">,
    settings: EmbeddedSettings,
    now: () => number,
    post: (message: FromWorker) => void,
  ) {
    this.#store = store;
    this.#spare = spare;
    this.#settings = settings;
    this.#now = now;
    this.#post = post;
    const startedAt = (seq: number) => (this.#cancelled.has(seq) ? undefined : this.#turns.find(seq)?.since);
    this.#ledger = new EmbeddedLedger(store, settings, startedAt);
    const running = { startedAt, byKey: () => this.#runningByKey() };
    this.#reader = new EmbeddedReader(store, running, this.#counters, settings.resultTtlMs);
    this.#totals = this.#count();
    this.#recover();
    for (const seq of store.batches.complete()) this.#ends.add(seq);
    this.#nextDue = store.calls.nextDue(0);
    this.#nextExpiry = store.calls.nextExpiry();
    this.#anyExpiry = this.#nextExpiry !== undefined;
  }

  #count(): Totals {
    const draft = new Draft(
      this.#now(),
      { calls: 0, dead: 0, deadBytes: 0, finished: 0, finishedBytes: 0 },
      0,
      this.#turns,
    );
    for (const [key, calls] of this.#store.calls.countByKey()) {
      draft.calls += calls;
      draft.of(key).calls = calls;
      this.#turns.wake(key);
    }
    for (const { key, count, bytes } of this.#store.dead.countByKey()) {
      draft.dead += count;
      draft.deadBytes += bytes;
      draft.of(key).dead = count;
    }
    ({ count: draft.finished, bytes: draft.finishedBytes } = this.#store.history.count());
    this.#counters.apply(draft.deltas, draft.now);
    return draft;
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
    const batches: Batch[] = [];
    const questions: { question: number; ask: Parameters<EmbeddedReader["answer"]>[0] }[] = [];
    const changes: { question: number; ask: Change }[] = [];
    for (const message of inbox) {
      switch (message.kind) {
        case "batch":
          batches.push(message);
          for (const wire of message.settlements) this.#unsettled.push(unpack(wire, message.bodies));
          break;
        case "consume":
          this.#start(message);
          break;
        case "limits":
          for (const [fn, limit] of message.limits) this.#setLimit(fn, limit);
          break;
        case "pause":
          this.#consume = undefined;
          this.#pausing = true;
          break;
        case "ask": {
          const { question, ask } = message;
          if (ask.kind === "cancel" || ask.kind === "replay" || ask.kind === "drop") changes.push({ question, ask });
          else questions.push({ question, ask });
          break;
        }
        case "close":
          break; // the thread's business
        default:
          throw new Error(`unknown message ${(message satisfies never as ToWorker).kind}`);
      }
    }
    for (const reply of this.#commit({ batches, changes })) this.#post(reply);
    const now = this.#now();
    for (const { question, ask } of questions) {
      this.#post({ kind: "answer", question, value: this.#reader.answer(ask, now) });
    }
    this.#tell(now);
    if (this.#pausing && this.#turns.inFlight + this.#ends.out + this.#unsettled.length === 0) {
      this.#pausing = false;
      this.#post({ kind: "idle" });
    }
  }

  #start(consume: Consume): void {
    this.#consume = consume;
    this.#queues = consume.queues && new Set(consume.queues);
    this.#limits.clear();
    this.#asked.clear();
    for (const { key } of this.#counters.all(this.#now())) {
      this.#turns.unblock(functionOf(key));
      this.#turns.wake(key);
    }
  }

  #setLimit(fn: string, limit: number | null): void {
    this.#asked.delete(fn);
    if (limit === null) this.#limits.delete(fn);
    else this.#limits.set(fn, limit);
    this.#turns.unblock(fn);
  }

  /** Milliseconds until {@link handle} is to be called without a message; undefined while nothing is to come. */
  get sleepMs(): number | undefined {
    if (this.#stuck) return STORAGE_RETRY_MS;
    const now = this.#now();
    // After it, not at it.
    const times = [this.#nextExpiry === undefined ? undefined : this.#nextExpiry + 1];
    if (this.#forgetAt !== undefined) times.push(Math.max(this.#forgetAt, now + FORGET_PAUSE_MS));
    if (this.#consume) times.push(this.#nextDue, this.#ends.nextDue);
    const next = times.reduce((a, b) => (a === undefined || (b !== undefined && b < a) ? b : a), undefined);
    return next === undefined ? undefined : Math.min(MAX_SLEEP_MS, Math.max(0, Math.ceil(next - now)));
  }

  #commit(work: Work): FromWorker[] {
    if (!this.#spare.held) {
      // What little room there is belongs to the calls that are there already.
      return [...refuseAll(work.batches, "the disk is full"), ...this.#attemptWithoutNew(work.changes)];
    }
    try {
      return this.#attempt(work);
    } catch (error) {
      this.#noteFailure(error);
      // Where there is no room for new calls, old ones can often still go, which makes room.
      return [...refuseAll(work.batches, reasonOf(error)), ...this.#attemptWithoutNew(work.changes)];
    }
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
      if (isDamage(error) || !this.#spare.release()) throw error;
      this.#log("error", "the disk is full; the queue lives on its reserve and takes no new calls", {});
      return work();
    }
  }

  #draft(): Draft {
    return new Draft(this.#now(), this.#totals, this.#forgetAt, this.#turns);
  }

  /** @throws what the store threw, with everything left as it was */
  #attempt({ batches, changes }: Work): FromWorker[] {
    const draft = this.#draft();
    const replies: FromWorker[] = [];
    let storedAny = false;
    try {
      this.#store.transaction(() => {
        for (const settlement of this.#unsettled) this.#settle(settlement, draft);
        for (const batch of batches) {
          if (batch.calls.length === 0) continue;
          storedAny = true;
          replies.push(this.#insertAll(batch, draft));
        }
        for (const { question, ask } of changes) {
          replies.push({ kind: "answer", question, value: this.#change(ask, draft) });
        }
        this.#expire(draft);
        this.#take(draft);
        this.#ledger.forget(FORGOTTEN_AT_LEAST + 2 * draft.ended.length, draft);
        if (!this.#spare.held) this.#ledger.dropResults(RESULTS_DROPPED_WHEN_FULL, draft);
      });
    } catch (error) {
      draft.undo();
      this.#lookForExpiry();
      throw error;
    }
    this.#unsettled = [];
    this.#stuck = false;
    this.#adopt(draft);
    if (this.#failing && storedAny) {
      this.#failing = false;
      this.#log("info", "the queue can store calls again", {});
    }
    if (draft.began) replies.push({ kind: "deliver", calls: draft.deliveries });
    if (draft.cancelled.length > 0) replies.push({ kind: "abort", calls: draft.cancelled });
    if (this.#wanted.length > 0) replies.push({ kind: "limitsWanted", functions: this.#wanted.splice(0) });
    return replies;
  }

  /** What has been committed counts. */
  #adopt(draft: Draft): void {
    this.#totals = draft;
    this.#forgetAt = draft.forgetAt;
    this.#counters.apply(draft.deltas, draft.now);
    for (const { seq } of draft.ended) {
      this.#cancelled.delete(seq);
      this.#spreading.delete(seq);
    }
    for (const seq of draft.cancelled) this.#cancelled.add(seq);
    for (const seq of draft.complete) this.#ends.add(seq);
    for (const seq of draft.told) this.#ends.told(seq);
    for (const { seq, due } of draft.untold) this.#ends.untold(seq, due);
    if (draft.droppedDead > 0) {
      this.#log("warn", "dropped the oldest dead calls", { calls: draft.droppedDead, kept: draft.dead });
    }
  }

  #settle(settlement: Settlement, draft: Draft): void {
    const { seq } = settlement;
    if (settlement.kind === "told") {
      this.#ledger.told(seq, draft);
      return;
    }
    if (settlement.kind === "untold") {
      draft.untold.push({ seq, due: draft.now + settlement.afterMs });
      return;
    }
    const call = this.#turns.find(seq);
    if (call === undefined) return;
    const cancelled = this.#cancelled.has(seq);
    draft.end(seq, call, settlement.kind === "back" && !cancelled);
    if (cancelled) return; // it has ended already, and only its place was kept
    const startedAt = call.since;
    switch (settlement.kind) {
      case "back":
        this.#store.calls.handBack(seq);
        this.#lookForExpiry();
        break;
      case "done": {
        const { outcome } = settlement;
        if (!this.#spreading.has(seq)) {
          this.#ledger.end(seq, { state: "done", counted: true, startedAt, outcome }, draft);
          break;
        }
        const reason = this.#ledger.spread(seq, startedAt, draft);
        if (reason !== undefined) this.#ledger.end(seq, { state: "dead", counted: true, startedAt, reason }, draft);
        break;
      }
      case "retry": {
        const due = draft.now + Math.ceil(settlement.afterMs);
        const { status, durationMs } = settlement.outcome ?? {};
        this.#store.calls.retryAt(seq, due, { counted: settlement.counted !== false, startedAt, status, durationMs });
        this.#nextDue = Math.min(due, this.#nextDue ?? due);
        this.#lookForExpiry();
        break;
      }
      case "dead": {
        const { reason, outcome } = settlement;
        this.#ledger.end(seq, { state: "dead", counted: true, startedAt, reason, outcome }, draft);
        break;
      }
      case "expired":
        this.#ledger.end(seq, { state: "expired", counted: false, startedAt }, draft);
        break;
    }
  }

  #insertAll({ batch, calls, bodies }: Batch, draft: Draft): StoredReply {
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

  #insert({ bodyAt, bodyBytes, wholeSize, ...call }: WireCall, bodies: ArrayBuffer, draft: Draft) {
    const { key, notBefore, notAfter } = call;
    const expires = notAfter !== undefined && !call.tellExpiry ? { expires: notAfter } : {};
    const isBatch = wholeSize !== undefined;
    const body = new Uint8Array(bodies, bodyAt, bodyBytes);
    const inserted = this.#ledger.insert({ ...call, ...expires, isBatch, body }, wholeSize, draft);
    if (inserted.kind !== "new") return inserted;
    if (notBefore === undefined) this.#turns.wake(key);
    else this.#nextDue = Math.min(Math.max(1, Math.ceil(notBefore)), this.#nextDue ?? Number.POSITIVE_INFINITY);
    if (expires.expires !== undefined) {
      this.#anyExpiry = true;
      this.#nextExpiry = Math.min(expires.expires, this.#nextExpiry ?? expires.expires);
    }
    return inserted;
  }

  #change(ask: Change, draft: Draft): Answers[Change["kind"]] {
    if (ask.kind !== "cancel") return this.#moveLetters(ask, draft);
    // Of many with one name the last is meant.
    const seq = this.#reader.seqOf(ask.of);
    return seq === undefined ? undefined : this.#ledger.cancel(seq, draft);
  }

  #moveLetters(ask: AskOf<"replay"> | AskOf<"drop">, draft: Draft): Moved {
    const upTo = ask.upTo ?? this.#store.dead.lastPlace();
    const letters = this.#store.dead.list(ask.filter, ask.after, upTo, LETTERS_AT_A_TIME);
    for (const { place } of letters) {
      if (ask.kind === "drop") this.#ledger.drop(place, draft);
      else {
        const key = this.#ledger.revive(place, draft);
        if (key !== undefined) this.#turns.wake(key);
      }
    }
    const after = letters.length < LETTERS_AT_A_TIME ? undefined : letters.at(-1)?.place;
    return { count: letters.length, upTo, ...(after !== undefined && { after }) };
  }

  #take(draft: Draft): void {
    if (!this.#consume) return;
    this.#wakeDue(draft.now);
    const { concurrency } = this.#consume;
    while (this.#turns.inFlight < concurrency) {
      const key = this.#turns.next(this.#hasRoom);
      if (key === undefined) return;
      if (this.#queues && !this.#queues.has(queueOf(key))) {
        this.#turns.sleep(key);
        continue;
      }
      const seq = this.#takeOne(key, draft.now);
      if (seq === undefined) {
        this.#turns.sleep(key);
        continue;
      }
      const begun = this.#store.calls.begin(seq, draft.now);
      if (!begun) {
        this.#ledger.end(seq, { state: "expired", counted: false, startedAt: undefined }, draft);
        continue;
      }
      if (begun.isBatch) this.#spreading.add(seq);
      draft.begin(key, seq);
      draft.deliveries.push(begun.delivery);
    }
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
      const seq = this.#store.calls.nextFresh(key, this.#turns.takenUpTo(key));
      if (seq === undefined) return undefined;
      this.#turns.skipTo(key, seq);
      if (this.#turns.find(seq) === undefined) return seq;
    }
  }

  #wakeDue(now: number): void {
    if (now < this.#wokenUntil) {
      // The clock was set back: what was woken as due may have gone to sleep as not due.
      this.#wokenUntil = now;
      this.#nextDue = this.#store.calls.nextDue(now);
    }
    if (this.#nextDue === undefined || this.#nextDue > now) return;
    for (const key of this.#store.calls.keysDue(this.#wokenUntil, now)) this.#turns.wake(key);
    this.#wokenUntil = now;
    this.#nextDue = this.#store.calls.nextDue(now);
  }

  /** A call that waits again may be the next to expire. */
  #lookForExpiry(): void {
    if (this.#anyExpiry) this.#nextExpiry = 0;
  }

  #expire(draft: Draft): void {
    if (this.#nextExpiry === undefined || this.#nextExpiry >= draft.now) return;
    for (const seq of this.#store.calls.expired(draft.now, EXPIRED_AT_A_TIME)) {
      this.#ledger.end(seq, { state: "expired", counted: false, startedAt: undefined }, draft);
    }
    this.#nextExpiry = this.#store.calls.nextExpiry();
  }

  #tell(now: number): void {
    if (!this.#consume) return;
    const batches = this.#ends.take(now).flatMap(({ seq, tries }) => {
      const batch = this.#store.batches.findSpread(seq);
      return batch ? [{ seq, acceptedAt: batch.acceptedAt, meta: batch.meta, tries, progress: batch.progress }] : [];
    });
    if (batches.length > 0) this.#post({ kind: "tell", batches });
  }

  #runningByKey(): Map<string, number> {
    const running = new Map<string, number>();
    for (const [seq, { key }] of this.#turns.all()) {
      if (!this.#cancelled.has(seq)) running.set(key, (running.get(key) ?? 0) + 1);
    }
    return running;
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

function unpack({ settlement, result }: Batch["settlements"][number], bodies: ArrayBuffer): Settlement {
  if (!result || !("outcome" in settlement) || !settlement.outcome) return settlement;
  const { headers, bodyAt, bodyBytes } = result;
  const body = new Uint8Array(bodies, bodyAt, bodyBytes);
  return { ...settlement, outcome: { ...settlement.outcome, result: { headers, body } } };
}

function refuseAll(batches: readonly Batch[], reason: string): StoredReply[] {
  const refusal: Refusal = { kind: "unavailable", message: `the queue cannot store calls: ${reason}` };
  return batches
    .filter(({ calls }) => calls.length > 0)
    .map(({ batch, calls }) => ({
      kind: "stored",
      batch,
      places: [],
      refused: calls.map((_, i) => [i, refusal]),
      duplicates: [],
    }));
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
