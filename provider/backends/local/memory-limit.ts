import { parseQuantity } from "../quantity.ts";

/** Below this a limit of memory is taken for a slip, and holds nobody to anything. */
export const SMALLEST_MEMORY_LIMIT = 2 ** 20;
/** What a watchdog may take: limits are written for what functions need, and for watchdogs smaller than ours. */
const WATCHDOG_BYTES = 64 * 2 ** 20;
/** Below this V8 spends its time collecting garbage before it has loaded anything. */
const SMALLEST_HEAP_MIB = 32;

/** The limit in bytes; undefined where there is none, or none that could be meant. */
function limitBytes(memory: string | undefined): number | undefined {
  const bytes = parseQuantity(memory ?? "") ?? 0;
  return bytes >= SMALLEST_MEMORY_LIMIT ? bytes : undefined;
}

/** Most memory of all processes of a replica together, its watchdog included; undefined without a limit. */
export function enforcedMemory(memory: string | undefined): number | undefined {
  const bytes = limitBytes(memory);
  return bytes && bytes + WATCHDOG_BYTES;
}

/**
 * Arguments for node that make a handler inside the watchdog's own process collect its garbage before it is over the
 * limit: its heap gets three quarters of it, the rest is for the runtime.
 */
export function heapArguments(memory: string | undefined, environment: Readonly<Record<string, string>>): string[] {
  const bytes = limitBytes(memory);
  if (environment.mode !== "inproc" || bytes === undefined) return [];
  const mebibytes = Math.max(SMALLEST_HEAP_MIB, Math.floor((bytes * 0.75) / 2 ** 20));
  return [`--max-old-space-size=${mebibytes}`];
}
