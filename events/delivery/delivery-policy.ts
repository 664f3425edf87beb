import { parseGoDuration } from "../../contract/duration.ts";
import { FaasError } from "../../contract/errors.ts";

export const BACKOFFS = ["linear", "exponential", "webhook"] as const;
export type Backoff = (typeof BACKOFFS)[number];

/** How an event is tried again. */
export interface DeliveryPolicy {
  /** After the first try. */
  readonly retries: number;
  readonly backoff: Backoff;
  /** What the waits are multiples of, in milliseconds. */
  readonly delayMs: number;
  /** The longest wait, one that the receiver asks for included, in milliseconds. */
  readonly maxDelayMs: number;
  /** For one try, in milliseconds. */
  readonly timeoutMs: number;
  /** From its arrival on, in milliseconds; an older event is given up. */
  readonly maxAgeMs: number;
}

/** As a broker of Knative has it, but for the limits. */
export const DEFAULT_POLICY: DeliveryPolicy = {
  retries: 10,
  backoff: "exponential",
  delayMs: 200,
  maxDelayMs: 600_000,
  timeoutMs: 60_000,
  maxAgeMs: 6 * 3600_000,
};

const MAX_RETRIES = 1_000;
const MAX_WAIT_MS = 24 * 3600_000;
const MAX_AGE_MS = 30 * 24 * 3600_000;
/** After which the ladder of webhooks goes on; the last step is repeated. */
const WEBHOOK_STEPS_MS = [5_000, 300_000, 1_800_000, 7_200_000, 18_000_000, 36_000_000];

const ISO_DURATION = /^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?$/;

/** Milliseconds of `PT0.2S` or `200ms`; undefined for anything else. @see ISO 8601 */
export function parseWait(text: string): number | undefined {
  const match = text.length <= 50 ? ISO_DURATION.exec(text) : null;
  if (!match) return parseGoDuration(text);
  const [, days, hours, minutes, seconds] = match;
  if (text === "P" || text.endsWith("T")) return undefined;
  return (
    ((Number(days ?? 0) * 24 + Number(hours ?? 0)) * 60 + Number(minutes ?? 0)) * 60_000 + Number(seconds ?? 0) * 1000
  );
}

/** A policy as Knative's `delivery` writes it, with our `maxDelay` and `maxAge` besides. */
export interface DeliverySpec {
  readonly retry?: number | undefined;
  readonly backoffPolicy?: string | undefined;
  readonly backoffDelay?: string | undefined;
  readonly retryAfterMax?: string | undefined;
  readonly timeout?: string | undefined;
  readonly maxDelay?: string | undefined;
  readonly maxAge?: string | undefined;
}

/**
 * Reads a policy; what it does not say is as in {@link DEFAULT_POLICY}.
 * @param field it is read from, for errors
 * @throws {FaasError} `invalid` with every rule that it breaks
 */
export function readDeliveryPolicy(spec: DeliverySpec, field: string): DeliveryPolicy {
  const problems: string[] = [];
  const wait = (name: keyof DeliverySpec, otherwise: number, least: number, most = MAX_WAIT_MS): number => {
    const text = spec[name];
    if (text === undefined) return otherwise;
    const ms = parseWait(String(text));
    if (ms !== undefined && ms >= least && ms <= most) return ms;
    problems.push(`${field}.${name}: must be a duration such as PT1S or 1s, from ${least} ms to ${most / 3600_000} h`);
    return otherwise;
  };
  const { retry = DEFAULT_POLICY.retries, backoffPolicy = DEFAULT_POLICY.backoff } = spec;
  if (!Number.isInteger(retry) || retry < 0 || retry > MAX_RETRIES) {
    problems.push(`${field}.retry: must be a whole number from 0 to ${MAX_RETRIES}`);
  }
  const backoff = BACKOFFS.find((each) => each === backoffPolicy);
  if (!backoff) problems.push(`${field}.backoffPolicy: must be one of ${BACKOFFS.join(", ")}`);
  const policy: DeliveryPolicy = {
    retries: retry,
    backoff: backoff ?? DEFAULT_POLICY.backoff,
    delayMs: wait("backoffDelay", DEFAULT_POLICY.delayMs, 0),
    maxDelayMs: wait("maxDelay", wait("retryAfterMax", DEFAULT_POLICY.maxDelayMs, 0), 0),
    timeoutMs: wait("timeout", DEFAULT_POLICY.timeoutMs, 1),
    maxAgeMs: wait("maxAge", DEFAULT_POLICY.maxAgeMs, 1, MAX_AGE_MS),
  };
  if (problems.length > 0) throw new FaasError("invalid", problems.join("; "));
  return policy;
}

/**
 * The longest wait before a further try.
 * @param failures so far, at least 1
 */
export function longestWait({ backoff, delayMs, maxDelayMs }: DeliveryPolicy, failures: number): number {
  const steps = WEBHOOK_STEPS_MS;
  const wait =
    backoff === "webhook"
      ? (steps[Math.min(failures, steps.length) - 1] as number)
      : backoff === "linear"
        ? delayMs * failures
        : delayMs * 2 ** Math.min(failures - 1, 40);
  return backoff === "webhook" ? wait : Math.min(wait, maxDelayMs);
}
