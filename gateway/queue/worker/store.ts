import type { FunctionRef } from "../../../contract/functions.ts";
import type { ConsumeOptions, Disposition, QueuedCall } from "../queue.ts";

/** The calls of one function in one queue. */
export interface FunctionQueue {
  /** Names it to the store. */
  readonly key: string;
  readonly ref: FunctionRef;
  /** Of these only callbacks are left: they wait neither for the function's limit nor behind its other calls. */
  readonly callbacks?: boolean;
}

/** Calls of one function at a time that have only their callback left: its receiver is not the function. */
const CALLBACK_LIMIT = 256;

/** Calls of a function queue that may be under way at a time. */
export function limitOf(
  { ref, callbacks }: Pick<FunctionQueue, "ref" | "callbacks">,
  options: Pick<ConsumeOptions, "limitOf">,
): number {
  return callbacks ? CALLBACK_LIMIT : options.limitOf(ref);
}

/** What becomes of a claimed call. A cancelled one has ended already, and only what the claim takes is left of it. */
export type Ending = Disposition | { readonly kind: "cancelled" };

/** A claimed call that is to be tried. */
export interface Attempt {
  readonly call: QueuedCall;
  /** Counts from 1. */
  readonly number: number;
}

/**
 * Where calls lie, as a worker sees it. It tells the worker which function queues have some, gives out as many as it is asked for,
 * in the order in which they are to start, and stores what becomes of them. Whose turn it is, how many may be under way
 * and when to stop waiting is not its business.
 *
 * A claim is held from {@link Claims.delivered} to one of {@link settle} and {@link release}; a store that gives claims
 * for a time extends it meanwhile by itself. When the process dies, claims are void and the calls wait again.
 *
 * None of these throw.
 */
export interface ClaimStore<C> {
  /**
   * Asks for calls of a function queue. Each is answered, by {@link Claims.delivered} or {@link Claims.missed}. What is asked for
   * in one turn of the worker is asked for together.
   */
  claim(functionQueue: FunctionQueue, count: number): void;
  /** Part of a function's limit that this process keeps to, where others take calls of it as well. */
  share(functionQueue: FunctionQueue, limit: number): number;
  /** Readies a claimed call. @returns undefined when it is not to be tried: the store has seen to it */
  open(claim: C): Attempt | undefined | Promise<Attempt | undefined>;
  /** The call is under way still, and its function's limit counts it no more. */
  freed(claim: C): void;
  /** @param over resolves when the attempt has come to its end, which can be later, and never rejects */
  settle(claim: C, ending: Ending, over: Promise<unknown>): void;
  /** Hands the call back, as if it had not been claimed. */
  release(claim: C): void;
  /** Is to give out no more. What it gives out nevertheless is released. */
  stop(): void;
  /** Every claim is settled or released by now. @returns when that is stored, or takes too long */
  flush(): Promise<void>;
}

/** What a store tells its worker. */
export interface Claims<C> {
  /**
   * As many calls of a function queue can be claimed now; `Infinity` when that is not known, until a claim is missed. Takes the
   * place of what was told before.
   */
  ready(functionQueue: FunctionQueue, count: number): void;
  /** Claimed calls, those asked for first; more than that wait in the worker until there is a slot. */
  delivered(functionQueue: FunctionQueue, claims: readonly C[]): void;
  /** So many of the calls that were asked for do not come. */
  missed(functionQueue: FunctionQueue, count: number): void;
  /** The call has been cancelled. It is aborted, and settled as such. */
  cancel(claim: C): void;
  /** All claims are void, whatever becomes of them. @returns when nothing is under way any more, or heeds no abort */
  lost(): Promise<unknown>;
}
