import type { CallbackEnd, CallbackStatus, UnfinishedState } from "../../queue.ts";
import type { CallLimits, FunctionQueueStats, QueueStats } from "../../stats.ts";
import type { CallScan, StoredRequest } from "../call-scan.ts";
import { isCallbackKey, plainKey } from "../callback-keys.ts";
import type { CallFacts } from "../db/calls.ts";
import type { EmbeddedStore } from "../db/store.ts";
import type {
  Answers,
  Ask,
  AskKind,
  CallName,
  Change,
  EmbeddedSettings,
  LetterFilter,
  ListedWaitingCall,
  StoredMember,
  StoredOutcome,
  StoredStatus,
} from "../protocol.ts";
import { functionOf, queueOf, refOf } from "../protocol.ts";
import type { KeyCounters } from "./counts.ts";
import { CallLister } from "./lister.ts";

/** Members read at a time, each perhaps with a large result. */
const MEMBERS_AT_A_TIME = 32;
const MEMBERS_BYTES_AT_A_TIME = 4 * 1024 ** 2;

export interface Running {
  /** When the call under way was begun; undefined when it is not. */
  startedAt(seq: number): number | undefined;
  /** Calls under way by key. */
  runningByKey(): ReadonlyMap<string, number>;
}

type History = NonNullable<ReturnType<EmbeddedStore["history"]["find"]>>;

/** Answers questions that change nothing. */
export class EmbeddedReader {
  readonly #store: EmbeddedStore;
  readonly #running: Running;
  readonly #counters: KeyCounters;
  readonly #lister: CallLister;
  readonly #resultTtlMs: number;
  readonly #limits: CallLimits;

  constructor(
    store: EmbeddedStore,
    running: Running,
    counters: KeyCounters,
    { resultTtlMs, limits }: Pick<EmbeddedSettings, "resultTtlMs" | "limits">,
  ) {
    this.#store = store;
    this.#running = running;
    this.#counters = counters;
    this.#lister = new CallLister(store.listing, counters);
    this.#resultTtlMs = resultTtlMs;
    this.#limits = limits;
  }

  answer(ask: Exclude<Ask, Change>, now: number): Answers[AskKind] {
    switch (ask.kind) {
      case "find":
        return this.#find(ask.of, now);
      case "result":
        return this.#result(ask.of, now);
      case "stats":
        return this.#stats(now);
      case "letters":
        return this.#letters(ask.filter, ask.after, ask.limit);
      case "members":
        return this.#members(ask.whole, ask.after);
      case "calls":
        return this.#calls(ask);
      case "request":
        return this.#request(ask.of, ask.bodyBytes);
      default:
        throw new Error(`unknown question ${(ask satisfies never as Ask).kind}`);
    }
  }

  seqOf(name: CallName): number | undefined {
    return "seq" in name ? name.seq : this.#store.history.named(name.callId);
  }

  #find(name: CallName, now: number): StoredStatus | undefined {
    const seq = this.seqOf(name);
    if (seq === undefined) return undefined;
    const call = this.#store.calls.find(seq);
    if (call) return this.#unfinished(call);
    const finished = this.#store.history.find(seq);
    if (finished) return this.#finished(finished, now);
    const batch = this.#store.batches.findSpread(seq);
    if (batch) {
      const { key, attempts, acceptedAt, startedAt, notAfter, callId, progress } = batch;
      return defined({
        seq,
        key,
        callId,
        state: "running",
        attempts,
        acceptedAt,
        startedAt,
        notAfter,
        batch: progress,
      });
    }
    const letter = this.#store.dead.find(seq);
    if (!letter) return undefined;
    const { key, callId, attempts, acceptedAt, diedAt, status, reason } = letter;
    return defined({ seq, key, callId, state: "dead", attempts, acceptedAt, finishedAt: diedAt, status, reason });
  }

  #unfinished(call: CallFacts): StoredStatus & { readonly state: UnfinishedState } {
    const { seq, key, callId, attempts, acceptedAt, notAfter, status, durationMs } = call;
    const since = this.#running.startedAt(seq);
    const due = since === undefined ? call.due : 0;
    const callback = isCallbackKey(key) ? this.#store.callbacks.status(seq, due) : undefined;
    return defined({
      seq,
      key,
      callId,
      state: since === undefined ? ("waiting" as const) : ("running" as const),
      attempts,
      acceptedAt,
      startedAt: callback ? call.startedAt : (since ?? call.startedAt),
      nextAttemptAt: !callback && due > 0 ? due : undefined,
      notAfter,
      status,
      durationMs,
      batch: call.isBatch ? this.#store.batches.find(seq)?.progress : undefined,
      callback,
    });
  }

  #finished(call: History, now: number): StoredStatus {
    const { seq, key, callId, state, attempts, acceptedAt, startedAt, notAfter, status, durationMs, reason } = call;
    const until = call.endedAt + this.#resultTtlMs;
    return defined({
      seq,
      key,
      callId,
      state,
      attempts,
      acceptedAt,
      startedAt,
      finishedAt: call.endedAt,
      notAfter,
      status,
      durationMs,
      reason,
      resultUntil: call.hasResult && now < until ? until : undefined,
      batch: this.#store.batches.find(seq)?.progress,
      callback: this.#callbackOf(call),
    });
  }

  /** Of a call that has ended. */
  #callbackOf({ seq, callback }: History): CallbackStatus | undefined {
    if (callback === undefined) return undefined;
    const { callbacks, calls } = this.#store;
    const again = callbacks.again(seq);
    if (again !== undefined) return callbacks.status(again, calls.find(again)?.due ?? 0);
    const { delivered, tries, failure } = JSON.parse(callback) as CallbackEnd;
    return { state: delivered ? "delivered" : "failed", tries, ...(failure !== undefined && { reason: failure }) };
  }

  #result(name: CallName, now: number): StoredOutcome | undefined {
    const seq = this.seqOf(name);
    if (seq === undefined) return undefined;
    const finished = this.#store.history.find(seq);
    if (finished) {
      const inTime = now < finished.endedAt + this.#resultTtlMs;
      return this.#store.history.outcome({ ...finished, hasResult: finished.hasResult && inTime });
    }
    const call = this.#store.calls.find(seq);
    return call?.status === undefined ? undefined : { status: call.status, durationMs: call.durationMs ?? 0 };
  }

  #stats(now: number): QueueStats {
    const running = this.#running.runningByKey();
    let waiting = 0;
    let inFlight = 0;
    let dead = 0;
    let bytes = 0;
    const functions = new Map<string, FunctionQueueStats>();
    for (const counts of this.#counters.all()) {
      const { key, acceptedPerSecond, finishedPerSecond } = counts;
      const underWay = running.get(key) ?? 0;
      const left = counts.calls - underWay;
      waiting += left;
      inFlight += underWay;
      dead += counts.dead;
      bytes += counts.bytes;
      const plain = plainKey(key);
      functions.set(
        plain,
        plus(functions.get(plain), {
          ...refOf(functionOf(key)),
          queue: queueOf(key),
          waiting: left,
          inFlight: underWay,
          dead: counts.dead,
          oldestMs: left > 0 ? ageOf(this.#store.calls.oldestAcceptedOf(key), now) : 0,
          bytes: counts.bytes,
          acceptedPerSecond,
          finishedPerSecond,
        }),
      );
    }
    const oldestMs = waiting > 0 ? ageOf(this.#store.calls.oldestAccepted(), now) : 0;
    return { waiting, inFlight, dead, oldestMs, bytes, limits: this.#limits, functions: [...functions.values()] };
  }

  #letters(filter: LetterFilter, after: number, limit: number): Answers["letters"] {
    const letters = this.#store.dead.list(filter, after, undefined, limit + 1);
    const more = letters.length > limit;
    if (more) letters.pop();
    const next = more ? letters.at(-1)?.place : undefined;
    return { letters, ...(next !== undefined && { next }) };
  }

  #calls(scan: CallScan): Answers["calls"] {
    const { places, next } = this.#lister.find(scan);
    const calls = places.flatMap((seq): ListedWaitingCall[] => {
      const call = this.#store.calls.find(seq);
      const content = this.#store.listing.content(seq);
      if (!call || !content) return [];
      const { bodyBytes, index } = content;
      const member = index === undefined || call.whole === undefined ? undefined : { whole: call.whole, index };
      const { state, ...status } = this.#unfinished(call);
      // A callback that is sent once more goes by the call that it is of.
      const of = isCallbackKey(call.key) ? this.#store.callbacks.sentFor(seq) : undefined;
      return [{ ...status, seq: of ?? seq, state, bodyBytes, ...(member && { member }) }];
    });
    return { calls, ...(next !== undefined && { next }) };
  }

  #request(name: CallName, bodyBytes: number): StoredRequest | undefined {
    const seq = this.seqOf(name);
    return seq === undefined ? undefined : this.#store.listing.request(seq, bodyBytes);
  }

  #members(whole: number, after: number): StoredMember[] {
    const { batches, history } = this.#store;
    const members: StoredMember[] = [];
    let bytes = 0;
    for (const { index, seq } of batches.members(whole, after, MEMBERS_AT_A_TIME)) {
      const call = history.find(seq);
      const outcome = call && history.outcome(call);
      members.push(defined({ index, state: call?.state ?? ("cancelled" as const), reason: call?.reason, outcome }));
      bytes += outcome?.result?.body.byteLength ?? 0;
      if (bytes > MEMBERS_BYTES_AT_A_TIME) break;
    }
    return members;
  }
}

/** Of a function's calls, and those that have only their callback left. */
function plus(a: FunctionQueueStats | undefined, b: FunctionQueueStats): FunctionQueueStats {
  if (!a) return b;
  return {
    ...b,
    waiting: a.waiting + b.waiting,
    inFlight: a.inFlight + b.inFlight,
    dead: a.dead + b.dead,
    oldestMs: Math.max(a.oldestMs, b.oldestMs),
    bytes: (a.bytes ?? 0) + (b.bytes ?? 0),
    acceptedPerSecond: a.acceptedPerSecond + b.acceptedPerSecond,
    finishedPerSecond: a.finishedPerSecond + b.finishedPerSecond,
  };
}

type Defined<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

/** Without what is undefined. */
function defined<const T extends object>(given: T): Defined<T> {
  const entries = Object.entries(given).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as Defined<T>;
}

function ageOf(acceptedAt: number | undefined, now: number): number {
  return acceptedAt === undefined ? 0 : Math.max(0, now - acceptedAt);
}
