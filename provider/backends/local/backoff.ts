/** How long a replica whose process has died waits before the next one. */
export interface BackoffPolicy {
  readonly firstMs: number;
  readonly maxMs: number;
  /** A process that was ready for this long was sound: counting starts anew. */
  readonly stableMs: number;
}

export const DEFAULT_BACKOFF: BackoffPolicy = { firstMs: 100, maxMs: 10_000, stableMs: 10_000 };

export interface RestartDecision {
  /** Ends in a row, this one included. */
  readonly failures: number;
  readonly delayMs: number;
}

/** @param readyMs how long the process had been ready when it ended */
export function decideRestart(failuresBefore: number, readyMs: number, policy: BackoffPolicy): RestartDecision {
  const failures = readyMs >= policy.stableMs ? 1 : failuresBefore + 1;
  return { failures, delayMs: Math.min(policy.maxMs, policy.firstMs * 2 ** Math.min(failures - 1, 30)) };
}
