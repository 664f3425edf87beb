import type { CallLimits } from "../../stats.ts";
import { bytesOf, type CallToStore } from "../db/calls.ts";
import { functionOf } from "../protocol.ts";
import type { Load } from "./counts.ts";
import type { Draft } from "./draft.ts";

/**
 * @param loadOf unfinished calls of a function, by `name.namespace`, before this transaction
 * @returns which limit one more call would pass, for callers to read
 */
export function fullQueue(
  call: CallToStore,
  draft: Draft,
  loadOf: (fn: string) => Load,
  limits: CallLimits,
): string | undefined {
  const bytes = bytesOf(call);
  if (draft.calls >= limits.calls) return `the queue is full: it takes ${limits.calls} calls (async_max_calls)`;
  if (draft.bytes + bytes > limits.bytes) {
    return `the queue is full: its calls may take ${limits.bytes} bytes (async_max_bytes)`;
  }
  const fn = functionOf(call.key);
  const [before, now] = [loadOf(fn), draft.loadOf(fn)];
  if (before.calls + now.calls >= limits.functionCalls) {
    return `the function has ${limits.functionCalls} calls in the queue, which is as many as it may have (async_function_max_calls)`;
  }
  if (before.bytes + now.bytes + bytes > limits.functionBytes) {
    return `the function's calls in the queue may take ${limits.functionBytes} bytes (async_function_max_bytes)`;
  }
  return undefined;
}
