import type { Logger } from "../../../kit/log.ts";

/** The platform itself comes first: it is to listen before anything else takes its time. */
const FIRST_AFTER_MS = 1_000;
/** With less memory left, only functions that are called are started. */
const LEAST_FREE_BYTES = 256 * 1024 ** 2;

/**
 * Whether functions that nobody calls may be started now.
 * @param freeBytes memory that may still be taken
 */
export function idleStarts(
  log: Pick<Logger, "info" | "warn">,
  freeBytes: () => number = () => process.availableMemory(),
): () => boolean {
  const openedAt = performance.now();
  let short = false;
  return () => {
    if (performance.now() - openedAt < FIRST_AFTER_MS) return false;
    const free = freeBytes();
    const isShort = free < LEAST_FREE_BYTES;
    if (isShort && !short) log.warn({ freeBytes: free }, "memory is low: starting only functions that are called");
    if (!isShort && short) log.info({ freeBytes: free }, "memory is available again: starting all functions");
    short = isShort;
    return !short;
  };
}
