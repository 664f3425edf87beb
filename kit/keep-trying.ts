import { sleep } from "./sleep.ts";

/**
 * Tries until an attempt says that it is over, or `signal` aborts. Pauses double, and vary, so that many processes that
 * lost the same server do not come back as one.
 * @param attempt gets the number of attempts before it
 * @param waitMs the shortest and the longest pause
 * @throws what an attempt throws
 */
export async function keepTrying(
  attempt: (before: number) => Promise<boolean>,
  [minMs, maxMs]: readonly [minMs: number, maxMs: number],
  signal: AbortSignal,
): Promise<void> {
  let waitMs = minMs;
  for (let before = 0; !signal.aborted && !(await attempt(before)); before++) {
    await sleep(waitMs * (0.5 + Math.random() / 2), signal);
    waitMs = Math.min(waitMs * 2, maxMs);
  }
}
