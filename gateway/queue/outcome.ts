/** How an attempt ended. */
export interface Outcome {
  /** HTTP status that the gateway answered. */
  readonly status: number;
  readonly durationMs: number;
  /** Absent when it is not kept, or larger than a queue keeps. */
  readonly result?: Result;
}

/** What a function answered. */
export interface Result {
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array;
}

/** What a callback tells of a call, beside its {@link Outcome}. */
export interface CallbackNews {
  readonly url: string;
  /** How the call ended, or will have when the callback is over. */
  readonly state: "done" | "dead" | "expired";
  /** Retries of the call so far and at most. */
  readonly retry: number;
  readonly retryMax: number;
  /** Milliseconds with fractions: of the last attempt; of an expired call, since it was accepted. */
  readonly durationMs: number;
}

/** How far the tries of a callback have got. */
export interface CallbackTries {
  /** That have ended. */
  readonly tries: number;
  /** Why the last of them failed. */
  readonly failure?: string;
}

/** A callback that is still to be made. The function has answered, and is not to run again for it. */
export interface PendingCallback extends CallbackNews, CallbackTries {
  readonly outcome: Outcome;
  /** When the first try began, in milliseconds since the epoch. */
  readonly since: number;
  /** Why the call is dead, whatever becomes of its callback. */
  readonly reason?: string;
}

/** A callback that is over. */
export interface CallbackEnd extends CallbackNews, CallbackTries {
  readonly delivered: boolean;
}

/** What is told of the callback of a call. */
export interface CallbackStatus {
  /** `waiting` for its next try, which may be under way. */
  readonly state: "waiting" | "delivered" | "failed";
  /** That have ended. */
  readonly tries: number;
  readonly nextAttemptAt?: number;
  /** Why the last try failed. */
  readonly reason?: string;
}

/**
 * What came of asking for a callback once more: it is queued; nobody knows such a call; it has not ended; it has none, was
 * cancelled, or is a batch; what it told is not kept any more.
 */
export type CallbackRequest = "queued" | "unknown" | "open" | "noCallback" | "noResult";

export function newsOf({ url, state, retry, retryMax, durationMs }: CallbackNews): CallbackNews {
  return { url, state, retry, retryMax, durationMs };
}
