import type {
  DeliveredCall,
  EmbeddedSettings,
  FromWorker,
  Refusal,
  Settlement,
  ToWorker,
  WireCall,
} from "./embedded-protocol.ts";
import { type EmbeddedStore, isDamage } from "./embedded-store.ts";
import { FunctionTurns } from "./embedded-turns.ts";
import type { ConsumeOptions } from "./queue.ts";
import type { SpareSpace } from "./spare-space.ts";

type Batch = Extract<ToWorker, { kind: "batch" }>;
type StoredReply = Extract<FromWorker, { kind: "stored" }>;

/** Longest sleep: a clock that is set forward is noticed after this time. */
const MAX_SLEEP_MS = 60_000;
/** Pause before the next try while the disk refuses to store. */
const STORAGE_RETRY_MS = 1000;

/** What one transaction does to the counters; it counts only once that is committed. */
class Draft {
  calls: number;
  dead: number;
  deadBytes: number;
  droppedDead = 0;
  readonly ended: { readonly seq: number; readonly key: string }[] = [];
  readonly begun: number[] = [];
  readonly deliveries: DeliveredCall[] = [];

  constructor(now: Pick<Draft, "calls" | "dead" | "deadBytes">) {
    this.calls = now.calls;
    this.dead = now.dead;
    this.deadBytes = now.deadBytes;
  }
}

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
  #counters: Pick<Draft, "calls" | "dead" | "deadBytes">;
  #limits: ConsumeOptions | undefined;
  #pausing = false;
  /** New calls were refused by the disk, and none has been stored since. */
  #failing = false;
  /** Not even the old calls can be settled or given out; to be tried again. */
  #stuck = false;
  /** Settlements that are not on disk yet. Their calls keep their places, which bounds the list. */
  #unsettled: Settlement[] = [];
  /** Functions with a retry due until this time have been woken. */
  #wokenUntil = 0;
  #nextDue: number | undefined;

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
    const dead = store.countDead();
    this.#counters = { calls: store.countCalls(), dead: dead.count, deadBytes: dead.bytes };
    this.#recover();
    for (const key of store.functions()) this.#turns.wake(key);
    this.#nextDue = store.nextDue(0);
  }

  #recover(): void {
    const { maxInterruptions } = this.#settings;
    const { draft, hopeless } = this.#withSpare(() => {
      const draft = new Draft(this.#counters);
      const hopeless = this.#store.transaction(() => {
        const found = this.#store.recoverInterrupted(maxInterruptions);
        for (const seq of found) this.#bury(seq, `under way ${maxInterruptions} times when the platform died`, draft);
        return found.length;
      });
      return { draft, hopeless };
    });
    this.#counters = draft;
    if (hopeless > 0) {
      this.#log("warn", "calls were under way too often when the platform died; they are dead", { calls: hopeless });
    }
  }

  /** Does everything `inbox` asks for in one commit, then delivers what there is room for. */
  handle(inbox: readonly ToWorker[]): void {
    const batches: Batch[] = [];
    const questions: number[] = [];
    for (const message of inbox) {
      switch (message.kind) {
        case "batch":
          batches.push(message);
          this.#unsettled.push(...message.settlements);
          break;
        case "consume":
          this.#limits = message;
          break;
        case "pause":
          this.#limits = undefined;
          this.#pausing = true;
          break;
        case "stats":
          questions.push(message.question);
          break;
        case "close":
          break; // the thread's business
        default:
          throw new Error(`unknown message ${(message satisfies never as ToWorker).kind}`);
      }
    }
    for (const reply of this.#commit(batches)) this.#post(reply);
    for (const question of questions) this.#answer(question);
    if (this.#pausing && this.#turns.inFlight === 0 && this.#unsettled.length === 0) {
      this.#pausing = false;
      this.#post({ kind: "idle" });
    }
  }

  /** Milliseconds until {@link handle} is to be called without a message; undefined while nothing is to come. */
  get sleepMs(): number | undefined {
    if (this.#stuck && (this.#limits || this.#unsettled.length > 0)) return STORAGE_RETRY_MS;
    if (!this.#limits || this.#nextDue === undefined) return undefined;
    return Math.min(MAX_SLEEP_MS, Math.max(0, this.#nextDue - this.#now()));
  }

  #commit(batches: readonly Batch[]): FromWorker[] {
    if (!this.#spare.held) {
      // What little room there is belongs to the calls that are there already.
      return [...refuseAll(batches, "the disk is full"), ...this.#attemptWithoutNew()];
    }
    try {
      return this.#attempt(batches);
    } catch (error) {
      this.#noteFailure(error);
      // Where there is no room for new calls, old ones can often still go, which makes room.
      return [...refuseAll(batches, reasonOf(error)), ...this.#attemptWithoutNew()];
    }
  }

  #attemptWithoutNew(): FromWorker[] {
    try {
      return this.#withSpare(() => this.#attempt([]));
    } catch (error) {
      this.#noteFailure(error);
      this.#stuck = true;
      return [];
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

  /** @throws what the store threw, with everything left as it was */
  #attempt(batches: readonly Batch[]): FromWorker[] {
    const now = this.#now();
    const draft = new Draft(this.#counters);
    let stored: StoredReply[];
    try {
      stored = this.#store.transaction(() => {
        for (const settlement of this.#unsettled) this.#settle(settlement, now, draft);
        const replies = batches.filter(({ calls }) => calls.length > 0).map((batch) => this.#insertAll(batch, draft));
        this.#take(now, draft);
        return replies;
      });
    } catch (error) {
      for (const seq of draft.begun) this.#turns.handBack(seq);
      for (const { seq, key } of draft.ended) this.#turns.begin(key, seq);
      throw error;
    }
    this.#counters = draft;
    this.#unsettled = [];
    this.#stuck = false;
    if (this.#failing && stored.length > 0) {
      this.#failing = false;
      this.#log("info", "the queue can store calls again", {});
    }
    if (draft.droppedDead > 0) {
      this.#log("warn", "dropped the oldest dead calls", { calls: draft.droppedDead, kept: draft.dead });
    }
    return draft.begun.length > 0 ? [...stored, { kind: "deliver", calls: draft.deliveries }] : stored;
  }

  #settle(settlement: Settlement, now: number, draft: Draft): void {
    const { seq } = settlement;
    const key = this.#turns.functionOf(seq);
    if (key === undefined) return;
    draft.ended.push({ seq, key });
    if (settlement.kind === "back") {
      this.#store.handBack(seq);
      this.#turns.handBack(seq);
      return;
    }
    this.#turns.end(seq);
    switch (settlement.kind) {
      case "done":
        this.#store.finish(seq);
        draft.calls--;
        break;
      case "retry": {
        const due = now + Math.ceil(settlement.afterMs);
        this.#store.retryAt(seq, due);
        this.#nextDue = Math.min(due, this.#nextDue ?? due);
        break;
      }
      case "dead":
        this.#bury(seq, settlement.reason, draft);
        break;
    }
  }

  #bury(seq: number, reason: string, draft: Draft): void {
    draft.calls--;
    draft.dead++;
    draft.deadBytes += this.#store.bury(seq, reason, this.#now());
    while (draft.dead > this.#settings.maxDead || draft.deadBytes > this.#settings.maxDeadBytes) {
      const bytes = this.#store.dropOldestDead();
      if (bytes === undefined) break;
      draft.dead--;
      draft.deadBytes -= bytes;
      draft.droppedDead++;
    }
  }

  #insertAll({ batch, calls, bodies }: Batch, draft: Draft): StoredReply {
    const refused: [number, Refusal][] = [];
    calls.forEach((call, i) => {
      if (draft.calls < this.#settings.maxWaiting) this.#insert(call, bodies, draft);
      else refused.push([i, { kind: "overloaded", message: `the queue is full: ${draft.calls} calls are waiting` }]);
    });
    return { kind: "stored", batch, refused };
  }

  #insert({ bodyAt, bodyBytes, ...call }: WireCall, bodies: ArrayBuffer, draft: Draft): void {
    if (!this.#store.insert({ ...call, body: new Uint8Array(bodies, bodyAt, bodyBytes) })) return;
    draft.calls++;
    this.#turns.wake(call.key);
  }

  #take(now: number, draft: Draft): void {
    if (!this.#limits) return;
    this.#wakeDue(now);
    const { concurrency, perFunction } = this.#limits;
    while (this.#turns.inFlight < concurrency) {
      const key = this.#turns.next(perFunction);
      if (key === undefined) return;
      const seq = this.#takeOne(key, now);
      if (seq === undefined) {
        this.#turns.sleep(key);
        continue;
      }
      this.#turns.begin(key, seq);
      draft.begun.push(seq);
      draft.deliveries.push(this.#store.begin(seq));
    }
  }

  /** Retries that are due first, else the call accepted first. */
  #takeOne(key: string, now: number): number | undefined {
    const retry = this.#store.takeRetry(key, now);
    if (retry !== undefined) return retry;
    for (;;) {
      const seq = this.#store.nextFresh(key, this.#turns.takenUpTo(key));
      if (seq === undefined) return undefined;
      this.#turns.skipTo(key, seq);
      if (this.#turns.functionOf(seq) === undefined) return seq;
    }
  }

  #wakeDue(now: number): void {
    if (now < this.#wokenUntil) {
      // The clock was set back: what was woken as due may have gone to sleep as not due.
      this.#wokenUntil = now;
      this.#nextDue = this.#store.nextDue(now);
    }
    if (this.#nextDue === undefined || this.#nextDue > now) return;
    for (const key of this.#store.functionsDue(this.#wokenUntil, now)) this.#turns.wake(key);
    this.#wokenUntil = now;
    this.#nextDue = this.#store.nextDue(now);
  }

  #answer(question: number): void {
    const { calls, dead } = this.#counters;
    const inFlight = this.#turns.inFlight;
    const oldest = calls > inFlight ? this.#store.oldestAccepted() : undefined;
    const oldestMs = oldest === undefined ? 0 : Math.max(0, this.#now() - oldest);
    this.#post({ kind: "stats", question, stats: { waiting: calls - inFlight, inFlight, dead, oldestMs } });
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

function refuseAll(batches: readonly Batch[], reason: string): StoredReply[] {
  const refusal: Refusal = { kind: "unavailable", message: `the queue cannot store calls: ${reason}` };
  return batches
    .filter(({ calls }) => calls.length > 0)
    .map(({ batch, calls }) => ({ kind: "stored", batch, refused: calls.map((_, i) => [i, refusal]) }));
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
