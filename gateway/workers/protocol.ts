import type { ErrorCode } from "../../contract/error-codes.ts";
import type { ErrorKind } from "../../contract/errors.ts";
import type { KnownFunction } from "../core/known-function.ts";
import type { LoadReading } from "../core/scaling/load-meter.ts";
import type { MeterReport } from "../proxy/function-meter.ts";
import type { StartupReport } from "../proxy/startup-tallies.ts";
import type { ObservedCall } from "../telemetry/call-record.ts";
import type { FunctionCounters } from "./shared-counters.ts";

/** What the main thread tells those that take calls. Functions are written `name.namespace`. */
export type ToThread =
  /** @property claim whether nobody else may have the port yet */
  | { readonly kind: "listen"; readonly port: number; readonly claim: boolean }
  | { readonly kind: "function"; readonly function: KnownFunction; readonly counters: FunctionCounters }
  | { readonly kind: "removed"; readonly function: KnownFunction }
  /** All functions have been told. */
  | { readonly kind: "synced" }
  /** The provider answers again, after it did not. */
  | { readonly kind: "retryProvider" }
  /** Calls that wait for the function are not going to get a replica. */
  | { readonly kind: "fail"; readonly name: string; readonly error: ToldError }
  | TurnOffer
  /** Which calls are kept for those who look. */
  | { readonly kind: "keepCalls"; readonly on: boolean; readonly slowFrom: ReadonlyMap<string, number> }
  /** What was counted is wanted now. */
  | { readonly kind: "report"; readonly number: number }
  | { readonly kind: "stop"; readonly timeoutMs: number };

/** A place may be free for calls that wait: those of this thread are next. @property left threads that may be asked after it */
export interface TurnOffer {
  readonly kind: "turn";
  readonly name: string;
  readonly left: number;
}

export interface ToldError {
  readonly kind: ErrorKind;
  readonly message: string;
  readonly code?: ErrorCode;
}

export interface FunctionReport {
  readonly name: string;
  /** As of its counters. */
  readonly id: number;
  /** Since the last one; absent when there is nothing new. */
  readonly meter?: MeterReport;
  /** Over the time since the last one. */
  readonly load: LoadReading;
}

/** What threads that take calls tell the main one. */
export type FromThread =
  | { readonly kind: "listening"; readonly port: number; readonly url: string }
  /** It could not listen. */
  | { readonly kind: "failed"; readonly error: StartFailure }
  | { readonly kind: "wake"; readonly name: string }
  | { readonly kind: "doubt"; readonly name: string; readonly replaced: boolean }
  /** A replica lets calls wait. */
  | { readonly kind: "expedite"; readonly name: string; readonly namespace: string }
  /** Or a place is free, and calls of several threads wait for it. */
  | TurnOffer
  | {
      readonly kind: "report";
      readonly functions: readonly FunctionReport[];
      readonly startups?: StartupReport;
      /** Present in those that were asked for. */
      readonly number?: number;
    }
  /** Calls have ended; their times are by the clock of the main thread. Only those that are wanted. */
  | {
      readonly kind: "calls";
      readonly records: readonly ObservedCall[];
      /** How many more there were, by function. */
      readonly leftOut?: ReadonlyMap<string, number> | undefined;
    }
  | { readonly kind: "log"; readonly line: string }
  | { readonly kind: "stopped" };

/** An error as it crosses from one thread to another. */
export interface StartFailure {
  readonly message: string;
  /** Whether the message says all that people need. */
  readonly explained: boolean;
  readonly code?: string;
  readonly port?: number;
  readonly syscall?: string;
}
