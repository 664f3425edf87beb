/** How long a replica whose process has died waits before the next one. */
export interface BackoffPolicy {
  readonly firstMs: number;
  readonly maxMs: number;
  /** A process that was ready for this long, and for as long as it had been waited for, was sound: counting starts anew. */
  readonly stableMs: number;
}

export const DEFAULT_BACKOFF: BackoffPolicy = { firstMs: 100, maxMs: 10_000, stableMs: 1_000 };

export interface RestartDecision {
  /** Ends in a row, this one included. */
  readonly failures: number;
  readonly delayMs: number;
}

/** @param readyMs how long the process had been ready when it ended */
export function decideRestart(failuresBefore: number, readyMs: number, policy: BackoffPolicy): RestartDecision {
  // Replicas that are killed now and then must not wait longer than they serve.
  const sound = readyMs >= Math.max(policy.stableMs, delayAfter(failuresBefore, policy));
  const failures = sound ? 1 : failuresBefore + 1;
  return { failures, delayMs: delayAfter(failures, policy) };
}

function delayAfter(failures: number, { firstMs, maxMs }: BackoffPolicy): number {
  return failures === 0 ? 0 : Math.min(maxMs, firstMs * 2 ** Math.min(failures - 1, 30));
}

/**
 * So many starts in a row that failed are no mishap: those who call are told, until one succeeds. Before that they wait
 * for the next start, which is due soon.
 */
export const HOPELESS_STARTS = 3;
