/** Bounds on builds. */
export interface BuildLimits {
  /** Bytes of a build context once unpacked. */
  readonly maxContextBytes: number;
  /** Files and folders of a build context. */
  readonly maxEntries: number;
  /** Bytes of output that one install step may show; the rest is left out. */
  readonly maxOutputBytes: number;
  /** Longest install step, in milliseconds. */
  readonly timeoutMs: number;
  /** Builds at a time; others wait. */
  readonly concurrency: number;
  /** Builds that may wait. */
  readonly maxWaiting: number;
}

export const DEFAULT_BUILD_LIMITS: BuildLimits = {
  maxContextBytes: 256 * 1024 ** 2,
  maxEntries: 50_000,
  maxOutputBytes: 4 * 1024 ** 2,
  timeoutMs: 600_000,
  concurrency: 2,
  maxWaiting: 8,
};
