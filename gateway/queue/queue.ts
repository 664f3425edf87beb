/** An asynchronous call as it waits in a queue. */
export interface QueuedCall {
  /** Identity in the queue: two calls of a function with one id are one call. Never chosen by a caller. */
  readonly id: string;
  /** `X-Call-Id` of the answer, the call and the callback. Callers may choose it, so many calls can have the same. */
  readonly callId: string;
  readonly function: string;
  readonly namespace: string;
  readonly method: string;
  /** Path after the function's name, raw, starting with `/`. */
  readonly path: string;
  /** Raw, without `?`; empty when there is none. */
  readonly query: string;
  /** In the order and spelling of arrival, hop-by-hop headers left out. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array;
  readonly callbackUrl?: string;
  /** Milliseconds since the epoch. */
  readonly acceptedAt: number;
}

/** What becomes of a call after an attempt. */
export type Disposition =
  | { readonly kind: "done" }
  /** Try again after `afterMs`. */
  | { readonly kind: "retry"; readonly afterMs: number }
  /** Keep it for a person to look at; it is not tried again by itself. */
  | { readonly kind: "dead"; readonly reason: string };

/**
 * Tries a call.
 * @param attempt counts from 1, over restarts too
 * @param signal aborts when the consumer must stop at once; the call is then handed back as if never tried
 */
export type Deliver = (call: QueuedCall, attempt: number, signal: AbortSignal) => Promise<Disposition>;

export interface Consumer {
  /** Takes no more calls, waits up to `drainTimeoutMs` for those under way, aborts and hands back the rest. */
  close(drainTimeoutMs: number): Promise<void>;
}

export interface ConsumeOptions {
  /** Calls under way at a time, over all functions. */
  readonly concurrency: number;
  /** Calls under way at a time for one function, so that a slow one cannot take every place. */
  readonly perFunction: number;
}

export interface QueueStats {
  /** Calls waiting, those whose retry is not due among them. */
  readonly waiting: number;
  readonly inFlight: number;
  readonly dead: number;
  /** Milliseconds since the oldest call that waits was accepted; 0 when none does. */
  readonly oldestMs: number;
}

/**
 * Holds accepted calls until they are done: each is delivered at least once, whatever dies in between. Calls of one
 * function start in the order of acceptance, retries apart.
 */
export interface Queue {
  /** Largest body it takes. */
  readonly maxBodyBytes: number;
  /**
   * Resolves once the call is durable. A second call with the id of one still known is ignored.
   * @throws {FaasError} `tooLarge`; `overloaded` when full; `unavailable` when it cannot store
   */
  publish(call: QueuedCall): Promise<void>;
  /** Starts delivering. A `deliver` that throws counts as a retry with the queue's own backoff. */
  consume(deliver: Deliver, options: ConsumeOptions): Promise<Consumer>;
  stats(): Promise<QueueStats>;
  /** May be called twice. Consumers are to be closed before. */
  close(): Promise<void>;
}
