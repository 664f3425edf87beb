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

/** Unfinished calls, and what is stored of them. */
export interface CallLoad {
  readonly calls: number;
  readonly bytes: number;
}

export const NO_LOAD: CallLoad = { calls: 0, bytes: 0 };

export function addLoads(a: CallLoad, b: CallLoad): CallLoad {
  return { calls: a.calls + b.calls, bytes: a.bytes + b.bytes };
}

/**
 * Which limit one more call would pass, for callers to read.
 * @param bytes of the call
 * @param own the load of its function
 */
export function fullQueue(limits: CallLimits, bytes: number, all: CallLoad, own: CallLoad): string | undefined {
  if (all.calls >= limits.calls) return `the queue is full: it takes ${limits.calls} calls (async_max_calls)`;
  if (all.bytes + bytes > limits.bytes) {
    return `the queue is full: its calls may take ${limits.bytes} bytes (async_max_bytes)`;
  }
  if (own.calls >= limits.functionCalls) {
    return `the function has ${limits.functionCalls} calls in the queue, which is as many as it may have (async_function_max_calls)`;
  }
  if (own.bytes + bytes > limits.functionBytes) {
    return `the function's calls in the queue may take ${limits.functionBytes} bytes (async_function_max_bytes)`;
  }
  return undefined;
}
