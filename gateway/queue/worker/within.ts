import { setTimeout as delay } from "node:timers/promises";

/** Waits for `work`, but no longer than so. @throws what `work` throws in this time */
export async function within(timeoutMs: number, work: Promise<unknown>): Promise<void> {
  const timer = new AbortController();
  const timeout = delay(timeoutMs, undefined, { signal: timer.signal }).catch(() => undefined);
  await Promise.race([work, timeout]).finally(() => timer.abort());
}
