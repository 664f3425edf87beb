import type { RefusedToOpen } from "../../../kit/database-thread.ts";
import type {
  BatchProgress,
  CallbackEnd,
  CallbackRequest,
  CallState,
  CallStatus,
  DeadLetter,
  FinalState,
  NewCall,
  PendingCallback,
  RefusalStreak,
  UnfinishedState,
} from "../queue.ts";
import { DEFAULT_QUEUE } from "../queue.ts";
import type { CallLimits, QueueStats } from "../stats.ts";
import type { IdKey } from "./call-ids.ts";
import type { CallScan, StoredRequest } from "./call-scan.ts";

/** What main thread and worker thread of the embedded queue say to each other. The frequent ones carry many at once. */

/** A call to store. Its body lies in the batch's `bodies`, so that one buffer is transferred, not one per call. */
export interface WireCall {
  /** Calls with one `key` keep their order: {@link keyOf}. */
  readonly key: string;
  readonly acceptedAt: number;
  /** Absent unless the caller chose it. */
  readonly callId?: string;
  readonly idempotencyKey?: string;
  /** Of the request that the key stands for. */
  readonly print?: string;
  readonly notBefore?: number;
  readonly notAfter?: number;
  /** Somebody is to be told when it expires, so that it has to be delivered all the same. */
  readonly tellExpiry?: true;
  readonly wholeSize?: number;
  readonly member?: { readonly whole: number; readonly index: number };
  /** JSON text of `encodeMeta`; the worker never looks inside. */
  readonly meta: string;
  readonly bodyAt: number;
  readonly bodyBytes: number;
}

/** A stored call on its way to the consumer. */
export interface DeliveredCall {
  /** Place in the order of acceptance; names the call everywhere in the file. */
  readonly seq: number;
  readonly attempt: number;
  readonly acceptedAt: number;
  readonly refused?: RefusalStreak;
  readonly meta: string;
  readonly body: Uint8Array<ArrayBuffer>;
  /** Only this is to be made. */
  readonly callback?: { readonly waiting: WaitingCallback; readonly outcome: StoredOutcome };
}

/** Without the answer, which is stored once. */
export type WaitingCallback = Omit<PendingCallback, "outcome">;

/** So many calls of a key are asked for. */
export type KeyClaim = readonly [key: string, count: number];

/** What comes of claims of a key; what is missed is not to be waited for. */
export interface Answered {
  readonly key: string;
  readonly calls: DeliveredCall[];
  missed: number;
  /** Nobody has asked: it is the first call of a key that had none, to be tried at once or handed back. */
  readonly isOffer: boolean;
}

/** `headers` is JSON text. */
export interface StoredResult {
  readonly headers: string;
  readonly body: Uint8Array;
}

export interface StoredOutcome {
  readonly status: number;
  readonly durationMs: number;
  readonly result?: StoredResult;
}

/** What became of a delivered call, or of a batch whose end was to be told. */
export type SettlementMessage =
  | { readonly seq: number; readonly kind: "done"; readonly outcome?: StoredOutcome; readonly callback?: CallbackEnd }
  | {
      readonly seq: number;
      readonly kind: "retry";
      readonly afterMs: number;
      readonly counted?: false;
      readonly refused?: true;
      readonly outcome?: StoredOutcome;
    }
  | {
      readonly seq: number;
      readonly kind: "dead";
      readonly reason: string;
      readonly outcome?: StoredOutcome;
      readonly callback?: CallbackEnd;
    }
  | { readonly seq: number; readonly kind: "expired"; readonly callback?: CallbackEnd }
  /** The outcome is absent where it is stored already. */
  | {
      readonly seq: number;
      readonly kind: "callback";
      readonly afterMs: number;
      readonly waiting: WaitingCallback;
      readonly outcome?: StoredOutcome;
    }
  /** Hands it back as if never tried. */
  | { readonly seq: number; readonly kind: "back" }
  | { readonly seq: number; readonly kind: "told" }
  /** `counted` unless it was cut off. */
  | { readonly seq: number; readonly kind: "untold"; readonly afterMs: number; readonly counted: boolean };

/** A settlement on its way: the result's body lies in `bodies`. */
export interface WireSettlement {
  readonly settlement: SettlementMessage;
  readonly result?: { readonly headers: string; readonly bodyAt: number; readonly bodyBytes: number };
}

export interface Refusal {
  readonly kind: "overloaded" | "unavailable" | "conflict" | "unprocessable";
  readonly message: string;
}

/** A call by its place, or by the id that its caller chose. */
export type CallName = { readonly seq: number } | { readonly callId: string };

export interface LetterFilter {
  readonly seq?: number;
  /** `name.namespace` */
  readonly fn?: string;
  readonly since?: number;
  readonly until?: number;
}

interface Move {
  readonly filter: LetterFilter;
  readonly after: number;
  /** Bounds it to those that were there at first. */
  readonly upTo?: number;
}

interface Asks {
  readonly find: { readonly of: CallName };
  readonly result: { readonly of: CallName };
  readonly cancel: { readonly of: CallName };
  readonly stats: object;
  readonly letters: { readonly filter: LetterFilter; readonly after: number; readonly limit: number };
  /** Some of them at a time. */
  readonly replay: Move;
  readonly drop: Move;
  /** Some of them at a time, up to the place that the first answer names. */
  readonly purge: { readonly fn: string; readonly upTo?: number };
  readonly members: { readonly whole: number; readonly after: number };
  /** `callId` is for a call whose caller chose none. */
  readonly callBack: { readonly of: CallName; readonly callId: string };
  readonly calls: CallScan;
  readonly request: { readonly of: CallName; readonly bodyBytes: number };
}

export type AskKind = keyof Asks;
export type AskOf<K extends AskKind> = { readonly kind: K } & Asks[K];
export type Ask = { readonly [K in AskKind]: AskOf<K> }[AskKind];
/** Changes something. */
export type Change = AskOf<"cancel"> | AskOf<"callBack"> | AskOf<"replay"> | AskOf<"drop"> | AskOf<"purge">;

export interface Answers {
  readonly find: StoredStatus | undefined;
  readonly result: StoredOutcome | undefined;
  readonly cancel: CallState | undefined;
  readonly stats: QueueStats;
  readonly letters: { readonly letters: readonly StoredLetter[]; readonly next?: number };
  readonly replay: Moved;
  readonly drop: Moved;
  /** None when all have been. */
  readonly purge: Purged;
  /** An empty page is the last. */
  readonly members: readonly StoredMember[];
  readonly callBack: CallbackRequest;
  readonly calls: { readonly calls: readonly ListedWaitingCall[]; readonly next?: number };
  readonly request: StoredRequest | undefined;
}

export type ListedWaitingCall = StoredStatus & {
  readonly state: UnfinishedState;
  readonly bodyBytes: number;
  readonly member?: { readonly whole: number; readonly index: number };
};

export interface Purged {
  readonly count: number;
  readonly upTo: number;
}

/** `after` is where to go on; absent at the end. */
export interface Moved {
  readonly count: number;
  readonly upTo: number;
  readonly after?: number;
}

export type StoredStatus = Omit<CallStatus, "id" | "callId" | "queue" | "function" | "namespace"> & {
  readonly seq: number;
  readonly key: string;
  readonly callId?: string;
};

export type StoredLetter = Omit<DeadLetter, "id" | "callId" | "queue" | "function" | "namespace"> & {
  readonly place: number;
  readonly seq: number;
  readonly key: string;
  readonly callId?: string;
};

export interface StoredMember {
  readonly index: number;
  readonly state: FinalState;
  readonly reason?: string;
  readonly outcome?: StoredOutcome;
}

/** A batch all of whose members have ended. */
export interface EndedBatch {
  readonly seq: number;
  readonly acceptedAt: number;
  readonly meta: string;
  /** Times that this was told in vain. */
  readonly failures: number;
  readonly progress: BatchProgress;
}

export type ToWorker =
  | {
      readonly kind: "batch";
      /** Names the batch in its {@link FromWorker} `stored`; 0 when it holds no calls. */
      readonly batch: number;
      readonly calls: readonly WireCall[];
      readonly bodies: ArrayBuffer;
      readonly settlements: readonly WireSettlement[];
      readonly claims: readonly KeyClaim[];
    }
  /** Somebody is there to claim calls. */
  | { readonly kind: "consume" }
  /** Deliver no more; answered by `idle` once every delivered call is settled. */
  | { readonly kind: "pause" }
  | { readonly kind: "ask"; readonly question: number; readonly ask: Ask }
  | { readonly kind: "close" };

export type FromWorker =
  | { readonly kind: "opened"; readonly key: IdKey }
  | RefusedToOpen
  /** The batch is durable but for its refused calls; places of all, refused and duplicates are listed by position. */
  | {
      readonly kind: "stored";
      readonly batch: number;
      readonly places: readonly number[];
      readonly refused: readonly (readonly [number, Refusal])[];
      /** With the call id of the first, if its caller chose one. */
      readonly duplicates: readonly (readonly [number, string | undefined])[];
    }
  /** Keys that may have calls, until a claim of them is missed; answers to claims. */
  | { readonly kind: "deliver"; readonly found: readonly string[]; readonly answers: readonly Answered[] }
  /** These have been cancelled. */
  | { readonly kind: "abort"; readonly calls: readonly number[] }
  | { readonly kind: "tell"; readonly batches: readonly EndedBatch[] }
  | { readonly kind: "idle" }
  | { readonly kind: "answer"; readonly question: number; readonly value: Answers[AskKind] }
  | { readonly kind: "noAnswer"; readonly question: number; readonly refusal: Refusal }
  | {
      readonly kind: "log";
      readonly level: "info" | "warn" | "error";
      readonly message: string;
      readonly facts: object;
    };

/** What opening needs; handed over as `workerData`. */
export interface EmbeddedSettings {
  readonly path: string;
  /** Unfinished calls that it takes at most. */
  readonly limits: CallLimits;
  /** While less of the disk is free, new calls are `unavailable`. Default 5 % of it, at most 1 GiB. */
  readonly minFreeBytes: number;
  /**
   * Size the file may reach, beside a log of some 64 MiB; more is `unavailable`. Default 16 GiB, and always enough for
   * all that the other limits allow.
   */
  readonly maxBytes: number;
  /** Dead calls kept, in number and bytes; the oldest go first. Default 10,000 and 256 MiB. */
  readonly maxDead: number;
  readonly maxDeadBytes: number;
  /** How often a call may be under way when the process dies before it is dead. Default 10. */
  readonly maxInterruptions: number;
  /** How long results are kept; 0 keeps none. What became of a call is known for a minute at least. Default 15 min. */
  readonly resultTtlMs: number;
  /** Ended calls known, and bytes of their results; the oldest go first. Default 1,000,000 and 1 GiB. */
  readonly maxFinished: number;
  readonly maxFinishedBytes: number;
}

/** `name.namespace`, and behind `@` the queue if it is not the default one. None of these holds an `@`. */
export function keyOf({ function: name, namespace, queue }: Pick<NewCall, "function" | "namespace" | "queue">): string {
  return queue === DEFAULT_QUEUE ? `${name}.${namespace}` : `${name}.${namespace}@${queue}`;
}

/** `name.namespace` of a key. */
export function functionOf(key: string): string {
  const at = key.indexOf("@");
  return at < 0 ? key : key.slice(0, at);
}

/** Ends the keys of calls that have only their callback left. */
export const CALLBACKS = "!";

export function queueOf(key: string): string {
  const at = key.indexOf("@");
  if (at < 0) return DEFAULT_QUEUE;
  return key.slice(at + 1, key.endsWith(CALLBACKS) ? -1 : undefined);
}

/** @param fn `name.namespace` */
export function refOf(fn: string): { readonly name: string; readonly namespace: string } {
  const dot = fn.lastIndexOf(".");
  return { name: fn.slice(0, dot), namespace: fn.slice(dot + 1) };
}
