import type { QueuedCall } from "../queue/queue.ts";
import { NO_RESULT, type ResultLimits, type StoredAnswer } from "./result.ts";

/** By lower-case name. */
export type ResponseHeaders = Readonly<Record<string, string | string[] | undefined>>;

export interface AnsweredCall {
  readonly kind: "answered";
  /** 502 and 504 with `internal` also stand for an answer that broke off and one that took too long. */
  readonly status: number;
  /** Whether the platform has answered in the function's place. */
  readonly internal: boolean;
  readonly headers: ResponseHeaders;
  /** Empty unless it was to be kept. */
  readonly result: StoredAnswer;
}

/** How a call ended. */
export type CallAnswer =
  | AnsweredCall
  /** Nobody was there to make it: the function has not seen it. */
  | { readonly kind: "unreachable"; readonly error: unknown }
  /** The stored call cannot be made into a request. */
  | { readonly kind: "unsendable"; readonly reason: string };

/**
 * How long `call` may take from its start, in milliseconds.
 * @param begun whether its answer has begun, and it is the end of that which is waited for
 */
export type CallTimeLimit = (call: QueuedCall, begun: boolean) => number;

/** Makes stored calls, each to its end. */
export interface FunctionCaller {
  /**
   * @param keep how much of the response body is wanted; undefined for nothing
   * @param attempt which try it is, from 1
   * @throws the reason of `signal` when that aborts; the function's connection is closed then
   */
  call(call: QueuedCall, keep: ResultLimits | undefined, signal: AbortSignal, attempt?: number): Promise<CallAnswer>;
  /** Cuts what is under way. May be called twice. */
  close(): Promise<void>;
}

/** How a queue worker names itself to functions and callbacks. */
export function workerAgent(release: string): string {
  return `faaslane-queue-worker/${release}`;
}

export function platformAnswer(status: 502 | 504): AnsweredCall {
  return { kind: "answered", status, internal: true, headers: {}, result: NO_RESULT };
}
