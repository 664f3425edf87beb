import { parseRetryAfter } from "../../../../http/retry-after.ts";

/** A request that the API server has answered with a failure that may pass. */
export interface FailedRequest {
  readonly method: string;
  /** HTTP status. */
  readonly status: number;
  /** What the answer asked for; absent when it did not. */
  readonly retryAfterMs?: number;
  /** How often it has been sent. */
  readonly attempts: number;
  /** Since it was sent first. */
  readonly elapsedMs: number;
}

/** No caller waits longer than this for an API server that is busy, the time of its answers apart. */
export const RETRY_WITHIN_MS = 10_000;
const BUSY_MS = 1_000;
const READS = 3;
const LEAST_PAUSE_MS = 100;

/**
 * Milliseconds until a request is sent again; undefined when its failure is for the caller.
 * @param random from 0 up to, not including, 1: the longer end of a pause, so that not all come back at once
 */
export function decideResend(failed: FailedRequest, random: number): number | undefined {
  const { method, status, retryAfterMs, attempts, elapsedMs } = failed;
  const within = (waitMs: number) => {
    const spread = Math.max(waitMs, LEAST_PAUSE_MS) * (1 + random / 4);
    return elapsedMs + spread <= RETRY_WITHIN_MS ? spread : undefined;
  };
  // Turned away before anything was done, so that writes can be sent again too.
  if (status === 429) return within(retryAfterMs ?? BUSY_MS);
  if (status < 500) return undefined;
  if (retryAfterMs !== undefined) return within(retryAfterMs);
  // A write may have been done all the same; to read twice does no harm.
  return method === "GET" && attempts < READS ? within(LEAST_PAUSE_MS * 2 ** (attempts - 1)) : undefined;
}

/** Longer waits cannot be meant, nor fit into a timer. */
const MAX_ASKED_MS = 1_000_000_000;

/** How long an answer asks to be left alone, in milliseconds; undefined when it does not say, or not sensibly. */
export function readRetryAfter(header: string | undefined, now = Date.now()): number | undefined {
  const askedMs = parseRetryAfter(header, now);
  return askedMs !== undefined && askedMs < MAX_ASKED_MS ? askedMs : undefined;
}
