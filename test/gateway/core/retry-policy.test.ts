import { expect, test } from "@jest/globals";
import fc from "fast-check";
import {
  type AttemptOutcome,
  decideRetry,
  parseRetryPolicy,
  type RetryDecision,
  type RetryPolicy,
} from "../../../gateway/core/retry-policy.ts";
import { parseRetryAfter } from "../../../http/retry-after.ts";
import { parseDuration } from "../../../kit/parse.ts";

const defaults: RetryPolicy = {
  attempts: 10,
  codes: [408, 429, 500, 502, 503, 504],
  minWaitMs: 10_000,
  maxWaitMs: 120_000,
};
const NOW = Date.UTC(2026, 0, 2, 3, 4, 5);

test.each<[rule: string, annotations: Record<string, string> | undefined, expected: Partial<RetryPolicy>]>([
  ["nothing said is the default", undefined, {}],
  ["other annotations do not matter", { "com.openfaas.retry": "1" }, {}],
  ["attempts", { "com.openfaas.retry.attempts": "30" }, { attempts: 30 }],
  ["no retries", { "com.openfaas.retry.attempts": "0" }, { attempts: 0 }],
  ["codes replace the list", { "com.openfaas.retry.codes": "429, 404" }, { codes: [429, 404] }],
  [
    "waits",
    { "com.openfaas.retry.min_wait": "5s", "com.openfaas.retry.max_wait": "1m" },
    { minWaitMs: 5000, maxWaitMs: 60_000 },
  ],
  [
    "a short longest wait shortens the first",
    { "com.openfaas.retry.max_wait": "2s" },
    { minWaitMs: 2000, maxWaitMs: 2000 },
  ],
  [
    "a long first wait lengthens the longest",
    { "com.openfaas.retry.min_wait": "5m" },
    { minWaitMs: 300_000, maxWaitMs: 300_000 },
  ],
])("policy: %s", (_rule, annotations, expected) => {
  expect(parseRetryPolicy(annotations, defaults, parseDuration)).toEqual({
    policy: { ...defaults, ...expected },
    problems: [],
  });
});

test.each<[annotation: string, value: string]>([
  ["attempts", "-1"],
  ["attempts", "many"],
  ["attempts", "1.5"],
  ["attempts", "99999999999"],
  ["attempts", ""],
  ["codes", ""],
  ["codes", "429;503"],
  ["codes", "429,"],
  ["codes", "200"],
  ["codes", "4290"],
  ["min_wait", "soon"],
  ["min_wait", "-5s"],
  ["max_wait", "48h"],
  ["max_wait", ""],
])("policy: retry.%s of %j is the default, with the reason", (annotation, value) => {
  const name = `com.openfaas.retry.${annotation}`;
  const { policy, problems } = parseRetryPolicy({ [name]: value }, defaults, parseDuration);
  expect(policy).toEqual(defaults);
  expect(problems).toHaveLength(1);
  expect(problems[0]).toMatch(new RegExp(`^${name}: must be `));
});

test("policy: a first wait longer than the longest makes both the default", () => {
  const annotations = { "com.openfaas.retry.min_wait": "1m", "com.openfaas.retry.max_wait": "1s" };
  const { policy, problems } = parseRetryPolicy(annotations, defaults, parseDuration);
  expect(policy).toEqual(defaults);
  expect(problems).toEqual(["com.openfaas.retry.min_wait: must not be longer than com.openfaas.retry.max_wait"]);
});

const outcome = (given: Partial<AttemptOutcome>): AttemptOutcome => ({
  status: 200,
  internal: false,
  known: true,
  attempt: 1,
  now: NOW,
  random: 0.5,
  ...given,
});

const SUCCEEDED: RetryDecision = { kind: "done", reason: "succeeded" };
const ANSWERED: RetryDecision = { kind: "done", reason: "answered" };
const GONE: RetryDecision = { kind: "dead", reason: "the function does not exist" };
const retry = (afterMs: number, reason: "platform" | "status" = "status"): RetryDecision => ({
  kind: "retry",
  afterMs,
  reason,
});

test.each<[rule: string, given: Partial<AttemptOutcome>, expected: RetryDecision]>([
  ["200 is done", {}, SUCCEEDED],
  ["202 is done", { status: 202 }, SUCCEEDED],
  ["302 is done", { status: 302 }, SUCCEEDED],
  ["a success marked internal is done", { internal: true }, SUCCEEDED],
  ["400 of the function is its answer", { status: 400 }, ANSWERED],
  ["404 of the function is its answer", { status: 404 }, ANSWERED],
  ["413 of the function is its answer", { status: 413 }, ANSWERED],
  ["501 of the function is its answer", { status: 501 }, ANSWERED],
  ["500 of the function is tried again", { status: 500 }, retry(5000)],
  ["the second wait is twice the first", { status: 500, attempt: 2 }, retry(10_000)],
  ["the fourth eight times", { status: 500, attempt: 4 }, retry(40_000)],
  ["waits are capped", { status: 500, attempt: 9 }, retry(60_000)],
  ["the jitter spans all of the wait", { status: 500, attempt: 2, random: 0 }, retry(0)],
  ["501 of the platform is tried again", { status: 501, internal: true }, retry(5000, "platform")],
  ["400 of the platform is tried again", { status: 400, internal: true }, retry(5000, "platform")],
  ["404 of the platform means gone", { status: 404, internal: true }, GONE],
  ["404 for an unknown function means gone", { status: 404, known: false }, GONE],
  ["503 for an unknown function may pass", { status: 503, known: false }, retry(5000)],
  [
    "401 of the platform is final",
    { status: 401, internal: true },
    { kind: "dead", reason: "the platform refused the call with status 401" },
  ],
  [
    "403 of the platform is final",
    { status: 403, internal: true },
    { kind: "dead", reason: "the platform refused the call with status 403" },
  ],
  [
    "413 of the platform is final",
    { status: 413, internal: true },
    { kind: "dead", reason: "the platform refused the call with status 413" },
  ],
  ["the last retry but none", { status: 500, attempt: 10, random: 0.25 }, retry(30_000)],
  [
    "after the last retry it is dead",
    { status: 500, attempt: 11 },
    { kind: "dead", reason: "gave up after attempt 11, which ended with status 500" },
  ],
  [
    "platform errors end too",
    { status: 502, internal: true, attempt: 11 },
    { kind: "dead", reason: "gave up after attempt 11, which ended with status 502" },
  ],
  ["success on the last attempt is done", { attempt: 11 }, SUCCEEDED],
  ["Retry-After in seconds", { status: 429, retryAfter: "30" }, retry(30_000)],
  ["Retry-After on 503", { status: 503, retryAfter: " 30 " }, retry(30_000)],
  ["Retry-After as a date", { status: 429, retryAfter: "Fri, 02 Jan 2026 03:04:35 GMT" }, retry(30_000)],
  ["Retry-After is at least the first wait", { status: 429, retryAfter: "1" }, retry(10_000)],
  [
    "a date that is past means the first wait",
    { status: 429, retryAfter: "Thu, 01 Jan 2026 00:00:00 GMT" },
    retry(10_000),
  ],
  ["Retry-After is at most an hour", { status: 429, retryAfter: "999999999999" }, retry(3600_000)],
  ["Retry-After on 500 does not count", { status: 500, retryAfter: "30" }, retry(5000)],
  ["what is no Retry-After does not count", { status: 429, retryAfter: "30 seconds" }, retry(5000)],
  ["nor a negative one", { status: 429, retryAfter: "-30" }, retry(5000)],
])("%s", (_rule, given, expected) => {
  expect(decideRetry(outcome(given), defaults)).toEqual(expected);
});

test("codes that the function lists win over the platform's final ones", () => {
  const policy = { ...defaults, codes: [413] };
  expect(decideRetry(outcome({ status: 413, internal: true }), policy)).toEqual(retry(5000));
});

test("a policy may allow longer waits than an hour", () => {
  const policy = { ...defaults, maxWaitMs: 7200_000 };
  expect(decideRetry(outcome({ status: 429, retryAfter: "86400" }), policy)).toEqual(retry(7200_000));
});

const anyPolicy = fc.record({
  attempts: fc.nat(200),
  codes: fc.array(fc.integer({ min: 400, max: 599 })),
  minWaitMs: fc.nat(200_000),
  maxWaitMs: fc.nat(7200_000),
});
const anyOutcome = fc.record({
  status: fc.integer({ min: 200, max: 599 }),
  internal: fc.boolean(),
  known: fc.boolean(),
  retryAfter: fc.option(
    fc.oneof(
      fc.string(),
      fc.nat().map(String),
      fc.date().map((d) => String(d)),
    ),
    { nil: undefined },
  ),
  attempt: fc.integer({ min: 1, max: 5000 }),
  now: fc.nat(),
  random: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
});

test("any wait is finite, not negative and within the policy's or the header's cap", () => {
  fc.assert(
    fc.property(anyOutcome, anyPolicy, (given, policy) => {
      const decision = decideRetry(given, policy);
      if (decision.kind !== "retry") return;
      expect(Number.isFinite(decision.afterMs)).toBe(true);
      expect(decision.afterMs).toBeGreaterThanOrEqual(0);
      expect(decision.afterMs).toBeLessThanOrEqual(Math.max(policy.maxWaitMs, 3600_000));
    }),
  );
});

test("no call is tried for ever, and none that succeeded is tried again", () => {
  fc.assert(
    fc.property(anyOutcome, anyPolicy, (given, policy) => {
      const { kind } = decideRetry(given, policy);
      if (given.attempt > policy.attempts || given.status < 400) expect(kind).not.toBe("retry");
      if (given.status < 400) expect(kind).toBe("done");
    }),
  );
});

test("any annotations give a usable policy", () => {
  const keys = fc.constantFrom("attempts", "codes", "min_wait", "max_wait").map((key) => `com.openfaas.retry.${key}`);
  const values = fc.oneof(
    fc.string(),
    fc.nat().map(String),
    fc.nat(100).map((n) => `${n}s`),
  );
  fc.assert(
    fc.property(fc.dictionary(keys, values), (annotations) => {
      const { policy } = parseRetryPolicy(annotations, defaults, parseDuration);
      expect(Number.isSafeInteger(policy.attempts)).toBe(true);
      expect(policy.minWaitMs).toBeLessThanOrEqual(policy.maxWaitMs);
      expect(policy.codes.every((code) => code >= 400 && code <= 599)).toBe(true);
    }),
  );
});

test("a Retry-After that is neither seconds nor a date is none", () => {
  for (const text of [undefined, "", "1.5", "1e3", "2026-01-02", "Jan 2 2026", "Fri, 99 Jan 2026 03:04:35 GMT"]) {
    expect(parseRetryAfter(text, NOW)).toBeUndefined();
  }
});
