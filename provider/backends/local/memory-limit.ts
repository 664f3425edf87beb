import { parseQuantity } from "../quantity.ts";

/** Below this V8 spends its time collecting garbage before it has loaded anything. */
const SMALLEST_HEAP_MIB = 32;

/**
 * Arguments for node that hold a function to its memory limit. Only a handler inside the watchdog's own process can be
 * held without control groups: its heap gets three quarters of the limit, the rest is for the runtime. Functions of
 * other kinds run without a limit.
 */
export function heapArguments(memory: string | undefined, environment: Readonly<Record<string, string>>): string[] {
  const bytes = parseQuantity(memory ?? "") ?? 0;
  if (environment.mode !== "inproc" || bytes <= 0) return [];
  const mebibytes = Math.max(SMALLEST_HEAP_MIB, Math.floor((bytes * 0.75) / 2 ** 20));
  return [`--max-old-space-size=${mebibytes}`];
}
