import type { RetryDecision } from "../core/retry-policy.ts";
import type { FinalState, QueuedCall } from "../queue/queue.ts";

/** The call that an event is about. */
export interface CallOrigin {
  readonly function: string;
  readonly namespace: string;
  readonly queue: string;
}

/** How a delivery ended: as the queue records it (`callback` when that is tried again), or `handedBack` when it was not tried or not to its end. */
export type DeliveryEnd = Exclude<FinalState, "cancelled"> | "retry" | "callback" | "handedBack";

/** Told what happens, for metrics. Each `delivered` is followed by one `ended`; between them the call is under way. */
export interface QueueWorkerEvents {
  delivered?(call: CallOrigin): void;
  /** The function, or the platform in its place, has answered; `decision` says what follows. */
  attempted?(
    attempt: CallOrigin & { readonly status: number; readonly durationMs: number; readonly decision: RetryDecision },
  ): void;
  /** The platform had no room for the call, which goes back without having been tried. */
  refused?(call: CallOrigin): void;
  ended?(call: CallOrigin & { readonly end: DeliveryEnd }): void;
  /** A callback has failed, and is tried again later. */
  callbackRetried?(call: CallOrigin): void;
  /** A callback has been made, or given up. Of a batch: perhaps for the time being only. */
  calledBack?(
    callback: CallOrigin & { readonly outcome: "delivered" | "failed" | "refused"; readonly tries: number },
  ): void;
}

export function placeOf({ function: name, namespace, queue }: QueuedCall): CallOrigin {
  return { function: name, namespace, queue };
}
