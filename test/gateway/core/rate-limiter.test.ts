import { expect, test } from "@jest/globals";
import type { RateLimitPolicy } from "../../../contract/policies/rate-limit-policy.ts";
import { RateLimiter, rateHeaders } from "../../../gateway/core/rate-limiter.ts";

const policy = (given: Partial<RateLimitPolicy> = {}): RateLimitPolicy => ({
  calls: 10,
  periodMs: 1000,
  burst: 3,
  by: "client",
  ...given,
});

test("a burst is let through, then one call for each interval", () => {
  const limiter = new RateLimiter(policy());
  expect([0, 0, 0, 0].map((now) => limiter.take("a", now).admitted)).toEqual([true, true, true, false]);
  expect(limiter.take("a", 50)).toMatchObject({ admitted: false, retryAfterMs: 50 });
  expect(limiter.take("a", 100).admitted).toBe(true);
  expect(limiter.take("a", 150).admitted).toBe(false);
});

test("calls that are refused do not put the next one off", () => {
  const limiter = new RateLimiter(policy({ burst: 1 }));
  limiter.take("a", 0);
  for (let now = 1; now < 100; now++) expect(limiter.take("a", now).admitted).toBe(false);
  expect(limiter.take("a", 100).admitted).toBe(true);
});

test("a pause fills the bucket, and no more than that", () => {
  const limiter = new RateLimiter(policy());
  for (let i = 0; i < 3; i++) limiter.take("a", 0);
  const admitted = Array.from({ length: 10 }, () => limiter.take("a", 60_000).admitted);
  expect(admitted.filter(Boolean).length).toBe(3);
});

test("over a long time the rate holds, whatever the pace of those who ask", () => {
  const limiter = new RateLimiter(policy({ calls: 7, burst: 7 }));
  let admitted = 0;
  for (let now = 0; now < 60_000; now += 13) admitted += limiter.take("a", now).admitted ? 1 : 0;
  expect(admitted).toBeGreaterThanOrEqual(7 * 60 - 1);
  expect(admitted).toBeLessThanOrEqual(7 * 60 + 7);
});

test("each key has a bucket of its own", () => {
  const limiter = new RateLimiter(policy({ burst: 1 }));
  expect(["a", "b", "a", "c"].map((key) => limiter.take(key, 0).admitted)).toEqual([true, true, false, true]);
});

test("keys without end take no more room than is meant for them, and the busy ones stay", () => {
  const limiter = new RateLimiter(policy({ burst: 1 }), 100);
  for (let i = 0; i < 10_000; i++) {
    limiter.take(`stranger ${i}`, 0);
    if (i % 50 === 0) limiter.take("busy", 0);
    expect(limiter.size).toBeLessThanOrEqual(100);
  }
});

test("keys whose bucket is full again are forgotten while others come", () => {
  const limiter = new RateLimiter(policy());
  for (let i = 0; i < 1000; i++) limiter.take(`old ${i}`, 0);
  for (let i = 0; i < 1000; i++) limiter.take(`new ${i}`, 10_000 + i);
  expect(limiter.size).toBeLessThan(200);
});

test("answers say what is left, and when to come again", () => {
  const rule = policy({ calls: 10, periodMs: 60_000, burst: 2 });
  const limiter = new RateLimiter(rule);
  expect(rateHeaders(rule, limiter.take("a", 0))).toEqual({
    "ratelimit-policy": '"calls";q=10;w=60',
    ratelimit: '"calls";r=1;t=6',
  });
  limiter.take("a", 0);
  expect(rateHeaders(rule, limiter.take("a", 500))).toEqual({
    "ratelimit-policy": '"calls";q=10;w=60',
    ratelimit: '"calls";r=0;t=12',
    "retry-after": "6",
  });
});
