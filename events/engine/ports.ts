import type { FunctionRef } from "../../contract/functions.ts";
import type { CloudEvent } from "../codec/cloud-event.ts";
import type { DeliveryAttempt } from "../delivery/next-attempt.ts";
import type { HeaderList } from "../store/event-store.ts";

/** A call of a function that delivers an event. */
export interface EventCall {
  readonly function: FunctionRef;
  /** `v3` or a tag; what has the function's calls when absent. */
  readonly version?: string;
  /** After the function's name, from `/` on. */
  readonly path: string;
  readonly headers: HeaderList;
  readonly body: Buffer;
  /** The same for every try of one delivery. */
  readonly callId: string;
  /** When the event arrived, in milliseconds since the epoch. */
  readonly arrivedAt: number;
  /** Which try it is, from 1. */
  readonly attempt: number;
  /** Larger answers are not wanted. */
  readonly maxAnswerBytes: number;
}

/** What a subscriber answered. */
export interface EventAnswer {
  /** Absent when there was no answer. */
  readonly status?: number;
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: Buffer;
  /** The platform has answered in its place. */
  readonly internal?: boolean;
  /** Why there is no answer, or no body although there was one. */
  readonly error?: string;
  /** It will go no better another time. */
  readonly final?: boolean;
  readonly version?: string;
  readonly replica?: string;
}

/**
 * Calls a function as any caller does: it is woken, and its traffic settings decide which version has the call. What goes wrong is
 * in the answer.
 * @throws the reason of `signal` when that aborts
 */
export type CallFunction = (call: EventCall, signal: AbortSignal) => Promise<EventAnswer>;

/** How many calls of a function may be under way: as its replicas allow, fewer while the platform refuses some. */
export interface FunctionCapacity {
  limitOf(ref: FunctionRef): number;
  /** The platform had no room for a call. @param startedAt when it was sent, by `performance.now` */
  refused(ref: FunctionRef, startedAt: number): void;
  /** A call has been taken. */
  accepted(ref: FunctionRef, startedAt: number): void;
  close(): void;
}

/** Sends an event to a declared sink. @throws the reason of `signal` when that aborts */
export type SendToSink = (
  sink: { readonly namespace: string; readonly name: string },
  event: CloudEvent,
  signal: AbortSignal,
) => Promise<DeliveryAttempt>;

/** Applies JSONata to an event. @throws {FaasError} when it cannot; `unavailable` when another time it may */
export type TransformEvent = (expression: string, event: CloudEvent) => Promise<CloudEvent>;

/** What the platform's counters are told of each try. */
export interface DeliverySeen {
  readonly trigger: string;
  readonly outcome: "delivered" | "retried" | "dead" | "back";
  readonly durationMs: number;
  readonly status?: number | undefined;
}
