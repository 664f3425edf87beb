import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { ObservedCall } from "../telemetry/call-record.ts";
import type { FunctionMeter } from "./function-meter.ts";
import type { CallHeaders } from "./headers.ts";

/** Pieces of a body as they come, which can be held up. */
export interface Flow {
  pause(): void;
  resume(): void;
  /** Nothing more of it is wanted, for that reason. */
  abort(reason: Error): void;
}

/** The caller's view of a call. */
export interface OpenCall {
  /** The request is there: `null` for no body, otherwise all of it or a stream. */
  send(body: Buffer | NodeJS.ReadableStream | null): void;
  /** Nobody wants the answer any more; may be told at any time, and more than once. */
  leave(): void;
}

/** What the platform answers in place of a function. */
export interface PlatformAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
}

export type AnswerHeaders = Record<string, string | string[]>;

/**
 * Who a call is made for: the request that it has, and where the answer goes. After {@link open} either {@link refuse} is
 * called, or {@link begin}, {@link data} for each piece, and {@link end} or {@link breakOff}; none of them once it has left.
 */
export interface Exchange {
  /** The caller, for the function's policy to check; undefined where that was done when the call was accepted. */
  readonly caller: { readonly req: IncomingMessage; readonly res: ServerResponse } | undefined;
  readonly method: string;
  /** Whether nobody waits for the answer any more. */
  readonly left: boolean;
  /** The protocols that it offers to go on with in the place of HTTP, as a value of `Upgrade`; mostly absent. */
  readonly protocols: string | undefined;
  /** Where it is written down how the call goes; absent where nobody wants to know. */
  readonly record?: ObservedCall | undefined;
  /** Counts the call in the place of its function's own meter; absent but for copies. */
  readonly meter?: FunctionMeter;
  /** What the function gets: names and values in turn. */
  upstreamHeaders(call: CallHeaders): string[];
  /**
   * Reads the request and then lets `call` go on; tells it when whom it is made for leaves before the answer is whole.
   * @param readTimeoutMs how long the function lets a request take; absent when it does not say
   */
  open(call: OpenCall, readTimeoutMs: number | undefined): void;
  /** An interim answer, perhaps one of several, for those who can be sent any. */
  inform(status: number, headers: AnswerHeaders): void;
  /**
   * @param headers by lower-case name; may be kept
   * @throws when the answer cannot be sent as it is; {@link refuse} may follow
   */
  begin(status: number, reason: string | undefined, headers: AnswerHeaders): void;
  /**
   * The function goes on with another protocol, one of those that were offered. May be called instead of {@link begin},
   * and nothing comes after it.
   * @param upstream the connection to the function
   * @param closed called once, when both connections are closed
   * @throws as {@link begin}
   */
  switchProtocols(headers: AnswerHeaders, upstream: Duplex, closed: () => void): void;
  /** Holds up `flow` while it cannot take more. */
  data(piece: Buffer, flow: Flow): void;
  /** @param trailers fields that follow the body */
  end(trailers?: [name: string, value: string][]): void;
  /** The answer breaks off after it has begun. */
  breakOff(): void;
  /** The whole answer is the platform's. May come without {@link open}. */
  refuse(answer: PlatformAnswer): void;
}
