import type { FunctionRef } from "../../contract/functions.ts";
import type { CallbackEnd, CallbackRequest, CallbackStatus, Outcome, PendingCallback } from "./outcome.ts";
import type { QueueStats } from "./stats.ts";

export type {
  CallbackEnd,
  CallbackNews,
  CallbackRequest,
  CallbackStatus,
  Outcome,
  PendingCallback,
  Result,
} from "./outcome.ts";

/** Queue of functions that name none. */
export const DEFAULT_QUEUE = "faas-request";

/** An asynchronous call as it is accepted. */
export interface NewCall {
  /** `X-Call-Id` as the caller chose it; many calls can have the same. The queue chooses one when absent. */
  readonly callId?: string;
  /**
   * Calls of one function with one key are one call, for as long as the first of them is known: requests of which all is
   * the same. Others with that key are refused.
   */
  readonly idempotencyKey?: string;
  /** As `printRequest` makes it of this call, whose key it is for; made by the queue when absent. */
  readonly requestPrint?: string;
  /** Lower-case letters, digits, `-` and `_`. */
  readonly queue: string;
  readonly function: string;
  readonly namespace: string;
  readonly method: string;
  /** Path after the function's name, raw, starting with `/`. */
  readonly path: string;
  /** Raw, without `?`; empty when there is none. */
  readonly query: string;
  /** In the order and spelling of arrival, hop-by-hop headers and `X-Call-Id` left out. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array;
  readonly callbackUrl?: string;
  /** Milliseconds since the epoch, as the other times here. */
  readonly acceptedAt: number;
  /** Not delivered before. */
  readonly notBefore?: number;
  /**
   * Not delivered any more after it: the call has then expired. Only those with a callback URL are: whoever gets them
   * tells the caller, and answers `expired`.
   */
  readonly notAfter?: number;
  readonly batch?: BatchPlace;
}

/**
 * A batch is accepted as one call, `whole`, whose body holds a call per line. Who gets it delivered publishes the
 * lines as members, whose `index` counts from 0; a member published twice is one call.
 */
export type BatchPlace =
  | { readonly kind: "whole"; readonly size: number }
  | { readonly kind: "member"; readonly of: string; readonly index: number; readonly size: number };

/** A call as it waits in a queue. */
export interface QueuedCall extends NewCall {
  /** Identity in the queue. Never chosen by a caller, and not to be guessed. */
  readonly id: string;
  /** The caller's own, else equal to `id`. */
  readonly callId: string;
  /** Attempts in a row, up to now, that the platform refused. */
  readonly refused?: RefusalStreak;
  /** The function has answered: only the callback is to be made. The body is empty then. */
  readonly callback?: PendingCallback;
}

export interface RefusalStreak {
  readonly times: number;
  /** When the first of them ended. */
  readonly since: number;
}

export interface Receipt {
  readonly id: string;
  readonly callId: string;
  /** Whether it was known already: by its idempotency key, or as a member of its batch. */
  readonly duplicate: boolean;
}

/** What becomes of a call after an attempt. */
export type Disposition =
  | { readonly kind: "done"; readonly outcome?: Outcome; readonly callback?: CallbackEnd }
  /**
   * Try again after `afterMs`; as the same attempt when `counted` is false, since the function has not seen it. `refused`
   * when the platform had no room for it: how often in a row is for the queue to count, see {@link QueuedCall.refused}.
   */
  | {
      readonly kind: "retry";
      readonly afterMs: number;
      readonly outcome?: Outcome;
      readonly counted?: false;
      readonly refused?: true;
    }
  /** Keep it for a person to look at; it is not tried again by itself. */
  | { readonly kind: "dead"; readonly reason: string; readonly outcome?: Outcome; readonly callback?: CallbackEnd }
  /** Its time had passed; it was not tried. */
  | { readonly kind: "expired"; readonly callback?: CallbackEnd }
  /**
   * Try its callback again after `afterMs`: the answer is stored, and the call comes back with it as
   * {@link QueuedCall.callback}, whatever limit and backlog its function has. The first of these counts as the attempt.
   */
  | { readonly kind: "callback"; readonly afterMs: number; readonly callback: PendingCallback };

/**
 * What a call under way takes of others, to be given up while it only waits. Nothing of it has an effect once the
 * attempt has ended, nor while too many calls of this process have left their slots already: it keeps its own then.
 */
export interface CallPermit {
  /** Leaves the process's slot to others: the call waits for its function to wake. The function's limit counts it still. */
  lendSlot(): void;
  /** Gives up all slots: the function has answered, and only the callback is left. */
  release(): void;
}

/**
 * Tries a call.
 * @param attempt counts from 1, over restarts too
 * @param signal aborts when the consumer must stop at once (the call is then handed back as if never tried, unless it is
 *   done all the same, or only its callback is left), and when the call is cancelled; what is returned after that changes nothing
 * @param permit what the call takes of others meanwhile
 */
export type Deliver = (
  call: QueuedCall,
  attempt: number,
  signal: AbortSignal,
  permit: CallPermit,
) => Promise<Disposition>;

export interface Consumer {
  /** To be told when what `limitOf` answers may have changed for a function; looked up now and then anyway. */
  limitChanged(ref: FunctionRef): void;
  /** Takes no more calls, waits up to `drainTimeoutMs` for those under way, aborts and hands back the rest. */
  close(drainTimeoutMs: number): Promise<void>;
}

export interface ConsumeOptions {
  /**
   * Calls under way at a time in this process, over all functions, beside those that have left their {@link CallPermit}. From
   * 16 on, the last quarter of them is for functions that have few under way.
   */
  readonly concurrency: number;
  /**
   * Calls of a function that may be under way at a time, over all processes, beside those that have {@link CallPermit.release}d
   * their slots; 0 holds them back. Cheap: asked before each delivery.
   */
  limitOf(ref: FunctionRef): number;
  /** Queues to take from; default all. */
  readonly queues?: readonly string[];
  /**
   * Called when the last member of a batch has come to its end, before that is durable: once at least, not always
   * once. When it throws it is called again later.
   */
  finishBatch?(batch: FinishedBatch): Promise<void>;
}

export interface FinishedBatch {
  /** The call that was accepted; its body is empty by now. */
  readonly whole: QueuedCall;
  readonly progress: BatchProgress;
  /** Times that this was called before and has thrown, over restarts too. */
  readonly failures: number;
  /** In the order of the lines. */
  members(): AsyncIterable<FinishedMember>;
}

export interface FinishedMember {
  readonly index: number;
  readonly state: FinalState;
  readonly reason?: string;
  readonly outcome?: Outcome;
}

export type FinalState = "done" | "dead" | "cancelled" | "expired";

/** `waiting` until its turn, its first one or the next; `running` may show a little late, after a few 100 ms. */
export type CallState = "waiting" | "running" | FinalState;

/** What is known of a call, while it is unfinished and for the result time after. */
export interface CallStatus {
  readonly id: string;
  readonly callId: string;
  readonly queue: string;
  readonly function: string;
  readonly namespace: string;
  readonly state: CallState;
  /** Attempts that have ended. */
  readonly attempts: number;
  readonly acceptedAt: number;
  /** Of the last attempt. */
  readonly startedAt?: number;
  readonly finishedAt?: number;
  /** Not before this; in state `waiting` only. */
  readonly nextAttemptAt?: number;
  readonly notAfter?: number;
  /** Of the last attempt that has ended. */
  readonly status?: number;
  readonly durationMs?: number;
  /** Why it is dead. */
  readonly reason?: string;
  /** Until when its result can be had; absent when there is none. */
  readonly resultUntil?: number;
  /** Of a batch as a whole, whose state is `running` until all of its members have ended. */
  readonly batch?: BatchProgress;
  /** Of a call whose callback waits, or has been made or given up. */
  readonly callback?: CallbackStatus;
}

/** Members of a batch by what became of them so far. */
export interface BatchProgress extends Readonly<Record<FinalState, number>> {
  readonly size: number;
}

/** What all of its fields match. */
export interface CallFilter {
  readonly function?: FunctionRef;
  readonly queue?: string;
  readonly state?: UnfinishedState;
}

export type UnfinishedState = Exclude<CallState, FinalState>;

/** A call that has not ended, as lists show it. */
export interface ListedCall extends CallStatus {
  readonly state: UnfinishedState;
  readonly bodyBytes: number;
  /** Its place in a batch: the id of that, and the line. */
  readonly member?: { readonly of: string; readonly index: number };
}

export interface CallPage {
  /** Fewer than asked for, even none, when looking for more would take too long. */
  readonly items: readonly ListedCall[];
  /** For the page that follows, if there is one. */
  readonly next?: string;
}

/** What the caller has sent. */
export interface CallRequest extends Pick<NewCall, "method" | "path" | "query" | "headers" | "callbackUrl"> {
  readonly bodyBytes: number;
  /** As much of its beginning as was asked for. */
  readonly body: Uint8Array;
}

export interface DeadLetter {
  readonly id: string;
  readonly callId: string;
  readonly queue: string;
  readonly function: string;
  readonly namespace: string;
  readonly reason: string;
  readonly attempts: number;
  /** HTTP status of the last attempt, if there was one. */
  readonly status?: number;
  readonly acceptedAt: number;
  readonly diedAt: number;
  readonly bodyBytes: number;
}

/** What all of its fields match. */
export interface DeadLetterFilter {
  readonly id?: string;
  readonly function?: FunctionRef;
  /** Died at or after, and before. */
  readonly since?: number;
  readonly until?: number;
}

export interface DeadLetterPage {
  /** Oldest first. */
  readonly items: readonly DeadLetter[];
  /** For the page that follows, if there is one. */
  readonly next?: string;
}

/** Calls that are not tried any more by themselves. Queues limit how many they keep; the oldest go first. */
export interface DeadLetters {
  /** @throws {FaasError} `invalid` for an `after` that is not one of its own */
  list(filter: DeadLetterFilter, page: { readonly limit: number; readonly after?: string }): Promise<DeadLetterPage>;
  /** Queues them anew, with all of their attempts. @returns how many */
  replay(filter: DeadLetterFilter): Promise<number>;
  /** @returns how many */
  drop(filter: DeadLetterFilter): Promise<number>;
}

/**
 * Holds accepted calls until they are done: each is delivered at least once, whatever dies in between. Calls of one
 * function start in the order of acceptance, retries and delays apart, and wait for no other function's.
 */
export interface Queue {
  /** Largest body it takes. */
  readonly maxBodyBytes: number;
  /** Largest result it keeps; larger ones are to be left out of an outcome. */
  readonly maxResultBytes: number;
  /**
   * Resolves once the call is durable.
   * @throws {FaasError} `tooLarge`; `overloaded` when full; `unavailable` when it cannot store; `unprocessable` when its
   *   key stands for another request
   */
  publish(call: NewCall): Promise<Receipt>;
  /** Starts delivering. A `deliver` that throws counts as a retry with the queue's own backoff. */
  consume(deliver: Deliver, options: ConsumeOptions): Promise<Consumer>;
  /** @param id of the call, else a caller's own call id: then of the last call that has it */
  find(id: string): Promise<CallStatus | undefined>;
  /** What the last attempt of a call answered. @param id as of {@link find} */
  result(id: string): Promise<Outcome | undefined>;
  /**
   * Ends a call, wherever it is; of a batch, all members that have not ended.
   * @param id as of {@link find}
   * @returns its state before, undefined when it is not known
   */
  cancel(id: string): Promise<CallState | undefined>;
  /**
   * Cancels all calls of a function that wait, for their turn or their time; of a batch, its calls one by one. Those under
   * way go on, dead letters stay.
   * @returns how many
   */
  purge(ref: FunctionRef): Promise<number>;
  /**
   * Calls that have not ended, oldest first; a store may list one queue after the other. Who waits all the while is in one
   * page at least. A batch is listed until its calls are, which are listed one by one; a callback that is sent once more,
   * under the id of its call. Takes nothing away.
   * @throws {FaasError} `invalid` for an `after` that is not one of its own
   */
  list(filter: CallFilter, page: { readonly limit: number; readonly after?: string }): Promise<CallPage>;
  /**
   * @param id as of {@link find}
   * @param bodyBytes how much of its body is wanted at most
   * @returns undefined when it is not kept: of calls that have ended, but for dead letters, and of a batch whose calls are queued
   */
  request(id: string, bodyBytes: number): Promise<CallRequest | undefined>;
  /**
   * Sends the callback of a call that has ended once more, tried again as the first time. The call stays as it is, but
   * for one that is dead for nothing but its callback: that is done, and no dead letter, once it has been delivered.
   * @param id as of {@link find}
   */
  callBack(id: string): Promise<CallbackRequest>;
  readonly deadLetters: DeadLetters;
  stats(): Promise<QueueStats>;
  /** May be called twice. Consumers are to be closed before. */
  close(): Promise<void>;
}
