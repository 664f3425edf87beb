import type { CallLimits } from "./stats.ts";

const MAX_CALLS = 1_000_000;
const MAX_BYTES = 8 * 1024 ** 3;
/** Of what all may have, one function may have half, so that none can fill a queue by itself. */
const PER_FUNCTION = 1 / 2;
/** Of what a disk has free, calls may take half. */
const PER_DISK = 1 / 2;

/**
 * Limits with every default filled in: 1,000,000 calls and 8 GiB in all, less where the disk has not twice that, and half
 * of either for a function.
 * @param usableBytes of the disk that calls lie on, if that is known
 */
export function completeLimits(given: Partial<CallLimits>, usableBytes = Number.POSITIVE_INFINITY): CallLimits {
  const calls = given.calls ?? MAX_CALLS;
  const bytes = given.bytes ?? Math.min(MAX_BYTES, Math.floor(usableBytes * PER_DISK));
  return {
    calls,
    bytes,
    functionCalls: Math.min(calls, given.functionCalls ?? Math.ceil(calls * PER_FUNCTION)),
    functionBytes: Math.min(bytes, given.functionBytes ?? Math.ceil(bytes * PER_FUNCTION)),
  };
}
