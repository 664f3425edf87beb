import type { FunctionRef } from "../../contract/functions.ts";

export interface QueueStats {
  /** Calls waiting, those whose time or retry is not due among them. */
  readonly waiting: number;
  readonly inFlight: number;
  readonly dead: number;
  /** Milliseconds since the oldest call that waits was accepted; 0 when none does. */
  readonly oldestMs: number;
  /** That unfinished calls take. */
  readonly bytes: number;
  readonly limits: CallLimits;
  /** Those with anything to tell. */
  readonly functions: readonly FunctionQueueStats[];
}

/** Unfinished calls that a queue takes, and their bytes: headers, bodies and what else is stored of them. */
export interface CallLimits {
  readonly calls: number;
  readonly bytes: number;
  readonly functionCalls: number;
  readonly functionBytes: number;
}

export interface FunctionQueueStats extends FunctionRef {
  readonly queue: string;
  readonly waiting: number;
  readonly inFlight: number;
  readonly dead: number;
  readonly oldestMs: number;
  /** That its unfinished calls take; absent where that is not known. */
  readonly bytes?: number;
  /** Over the last minute, by all processes. */
  readonly acceptedPerSecond: number;
  readonly finishedPerSecond: number;
}
