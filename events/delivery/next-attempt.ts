import { type DeliveryPolicy, longestWait } from "./delivery-policy.ts";

/** What came of one try. */
export interface DeliveryAttempt {
  /** Status of the answer; absent where there was none. */
  readonly status?: number | undefined;
  /** Milliseconds that a `Retry-After` asks for. */
  readonly retryAfterMs?: number | undefined;
  /** It carries an event. */
  readonly hasEvent?: boolean | undefined;
  /** Its body is not empty. */
  readonly hasBody?: boolean | undefined;
  /** Why there was no answer. */
  readonly error?: string | undefined;
}

/** How far an event's delivery has come. */
export interface DeliveryProgress {
  /** Tries that have failed, this one not among them. */
  readonly failures: number;
  /** Milliseconds since the event arrived. */
  readonly ageMs: number;
}

export type NextAttempt =
  | { readonly kind: "done" }
  /** Its answer is an event of its own, which goes back to the broker. */
  | { readonly kind: "reply" }
  | { readonly kind: "retry"; readonly waitMs: number; readonly reason: string }
  | { readonly kind: "dead"; readonly reason: string }
  /** The receiver is gone for good: nothing is sent to it any more. */
  | { readonly kind: "disable"; readonly reason: string };

/** Statuses of the data plane that are worth another try. */
const AGAIN = new Set([404, 408, 409, 429]);
const GONE = 410;

/**
 * What follows a try, as the data plane of Knative has it: only an answer of 200 can be a reply, 202 never is.
 * @param random from 0 to 1, for the jitter
 */
export function decideNext(
  attempt: DeliveryAttempt,
  progress: DeliveryProgress,
  policy: DeliveryPolicy,
  random: number,
): NextAttempt {
  const { status, hasEvent = false, hasBody = false } = attempt;
  if (status !== undefined && status >= 200 && status < 300) {
    if (status !== 200) return { kind: "done" };
    if (hasEvent) return { kind: "reply" };
    // A body that is no event is a reply gone wrong.
    return hasBody
      ? again("the answer has a body that is no event", attempt, progress, policy, random)
      : { kind: "done" };
  }
  if (status === GONE) return { kind: "disable", reason: "answered 410" };
  if (status === undefined) return again(attempt.error ?? "no answer", attempt, progress, policy, random);
  if (AGAIN.has(status) || status >= 500) return again(`answered ${status}`, attempt, progress, policy, random);
  return { kind: "dead", reason: `answered ${status}` };
}

/** With full jitter, but for the ladder of webhooks, whose steps are promised. */
function again(
  reason: string,
  { retryAfterMs }: DeliveryAttempt,
  { failures, ageMs }: DeliveryProgress,
  policy: DeliveryPolicy,
  random: number,
): NextAttempt {
  if (failures >= policy.retries)
    return { kind: "dead", reason: `${reason}; that was the last of ${failures + 1} tries` };
  const longest = longestWait(policy, failures + 1);
  const own = policy.backoff === "webhook" ? longest : longest * random;
  const asked = Math.min(retryAfterMs ?? 0, policy.maxDelayMs);
  const waitMs = Math.max(own, asked);
  if (ageMs + waitMs > policy.maxAgeMs) return { kind: "dead", reason: `${reason}; the event is older than it may be` };
  return { kind: "retry", waitMs, reason };
}
