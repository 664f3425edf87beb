import { parseRetryAfter } from "../../http/retry-after.ts";
/** When an asynchronous call is tried again. */
export interface RetryPolicy {
  /** How often it is tried again after the first time; 0 never. The value of `X-Retry-Max`. */
  readonly attempts: number;
  /** Statuses that are worth another try. */
  readonly codes: readonly number[];
  /** Upper end of the first wait; each further one doubles it. */
  readonly minWaitMs: number;
  readonly maxWaitMs: number;
}

export interface ParsedRetryPolicy {
  readonly policy: RetryPolicy;
  /** Annotations that were left out of account, one sentence each with name and rule. */
  readonly problems: readonly string[];
}

const ATTEMPTS = "com.openfaas.retry.attempts";
const CODES = "com.openfaas.retry.codes";
const MIN_WAIT = "com.openfaas.retry.min_wait";
const MAX_WAIT = "com.openfaas.retry.max_wait";

const MAX_ATTEMPTS = 10_000;
/** The longest wait a policy or a `Retry-After` may ask for, unless the policy says more. */
const LONGEST_RETRY_AFTER_MS = 3600_000;
const LONGEST_WAIT_MS = 24 * 3600_000;
/** Longer than any sensible value of an annotation. */
const MAX_CHARS = 1000;

/**
 * A function's own retry policy: what its annotations say, and `defaults` where they say nothing or nothing valid.
 * @param parseDuration text such as `5s` to milliseconds; throws on anything else
 * @see docs/async.md for the annotations
 */
export function parseRetryPolicy(
  annotations: Readonly<Record<string, string>> | undefined,
  defaults: RetryPolicy,
  parseDuration: (text: string) => number,
): ParsedRetryPolicy {
  const problems: string[] = [];
  const read = <T>(name: string, parse: (text: string) => T): T | undefined => {
    const text = annotations?.[name];
    if (text === undefined) return undefined;
    try {
      if (text.length > MAX_CHARS) throw new Error(`must have at most ${MAX_CHARS} characters`);
      return parse(text.trim());
    } catch (error) {
      problems.push(`${name}: ${(error as Error).message}`);
      return undefined;
    }
  };
  const parseWait = (text: string) => {
    const waitMs = parseDuration(text);
    if (!(waitMs <= LONGEST_WAIT_MS)) throw new Error("must be at most 24h");
    return waitMs;
  };
  const attempts = read(ATTEMPTS, parseAttempts) ?? defaults.attempts;
  const codes = read(CODES, parseCodes) ?? defaults.codes;
  let min = read(MIN_WAIT, parseWait);
  let max = read(MAX_WAIT, parseWait);
  if (min !== undefined && max !== undefined && min > max) {
    problems.push(`${MIN_WAIT}: must not be longer than ${MAX_WAIT}`);
    min = undefined;
    max = undefined;
  }
  // Where only one of them is given, the other gives way.
  const minWaitMs = min ?? Math.min(defaults.minWaitMs, max ?? defaults.minWaitMs);
  const maxWaitMs = max ?? Math.max(defaults.maxWaitMs, minWaitMs);
  return { policy: { attempts, codes, minWaitMs, maxWaitMs }, problems };
}

function parseAttempts(text: string): number {
  const attempts = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(attempts <= MAX_ATTEMPTS)) throw new Error(`must be a whole number from 0 to ${MAX_ATTEMPTS}`);
  return attempts;
}

function parseCodes(text: string): number[] {
  const codes = text.split(",").map((code) => (/^\s*\d{3}\s*$/.test(code) ? Number(code) : Number.NaN));
  if (!codes.every((code) => code >= 400 && code <= 599)) {
    throw new Error("must be HTTP status codes from 400 to 599, separated by commas");
  }
  return codes;
}

/** How an attempt ended. */
export interface AttemptOutcome {
  /** 504 when the answer took too long, 502 when the connection broke: both made by the platform. */
  readonly status: number;
  /** The platform made the answer, not the function: `X-OpenFaaS-Internal` was there. */
  readonly internal: boolean;
  /** Whether the function is known to exist just now. */
  readonly known: boolean;
  /** The `Retry-After` header. */
  readonly retryAfter?: string | undefined;
  /** Counts from 1. */
  readonly attempt: number;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** From 0 up to but not including 1. */
  readonly random: number;
}

/** What follows from an attempt. `reason` is for logs, metrics and readers of dead letters. */
export type RetryDecision =
  | { readonly kind: "done"; readonly reason: "succeeded" | "answered" }
  | { readonly kind: "retry"; readonly afterMs: number; readonly reason: "platform" | "status" }
  | { readonly kind: "dead"; readonly reason: string };

/** Platform errors that another try would only repeat. */
const FINAL_PLATFORM_ERRORS = new Set([401, 403, 404, 413]);

/**
 * Whether and when a call is tried again. Platform errors are, and the policy's codes; a function's other answers are
 * its result, errors too.
 */
export function decideRetry(outcome: AttemptOutcome, policy: RetryPolicy): RetryDecision {
  const { status, internal, attempt } = outcome;
  if (status < 400) return { kind: "done", reason: "succeeded" };
  if (status === 404 && (internal || !outcome.known)) return { kind: "dead", reason: "the function does not exist" };

  const byPlatform = internal && !FINAL_PLATFORM_ERRORS.has(status);
  if (!byPlatform && !policy.codes.includes(status)) {
    return internal
      ? { kind: "dead", reason: `the platform refused the call with status ${status}` }
      : { kind: "done", reason: "answered" };
  }
  if (attempt > policy.attempts) {
    return { kind: "dead", reason: `gave up after attempt ${attempt}, which ended with status ${status}` };
  }
  return { kind: "retry", afterMs: retryWait(outcome, policy), reason: byPlatform ? "platform" : "status" };
}

function retryWait({ status, retryAfter, attempt, now, random }: AttemptOutcome, policy: RetryPolicy): number {
  const asked = status === 429 || status === 503 ? parseRetryAfter(retryAfter, now) : undefined;
  if (asked !== undefined) {
    const longest = Math.max(policy.maxWaitMs, LONGEST_RETRY_AFTER_MS);
    return Math.min(longest, Math.max(policy.minWaitMs, asked));
  }
  return fullJitterBackoff(attempt, policy.minWaitMs, policy.maxWaitMs, random);
}

/**
 * A random wait up to `minWaitMs` doubled with each attempt, at most `maxWaitMs`. Anywhere in that span: calls that
 * failed together must not come back together.
 */
export function fullJitterBackoff(attempt: number, minWaitMs: number, maxWaitMs: number, random: number): number {
  // The exponent is bounded, since 0 times Infinity is not a number.
  const longest = Math.min(maxWaitMs, minWaitMs * 2 ** Math.min(attempt - 1, 60));
  return Math.round(longest * random);
}
