import { describe, expect, test } from "@jest/globals";
import { DEFAULT_POLICY, longestWait, parseWait, readDeliveryPolicy } from "../../events/delivery/delivery-policy.ts";
import { type DeliveryAttempt, decideNext } from "../../events/delivery/next-attempt.ts";

const fresh = { failures: 0, ageMs: 0 };
const decide = (attempt: DeliveryAttempt, progress = fresh, policy = DEFAULT_POLICY, random = 1) =>
  decideNext(attempt, progress, policy, random);

describe("what follows a try", () => {
  test.each<[DeliveryAttempt, string]>([
    [{ status: 200 }, "done"],
    [{ status: 200, hasBody: true, hasEvent: true }, "reply"],
    [{ status: 200, hasBody: true }, "retry"],
    [{ status: 202, hasBody: true, hasEvent: true }, "done"],
    [{ status: 204 }, "done"],
    [{ status: 100 }, "dead"],
    [{ status: 302 }, "dead"],
    [{ status: 400 }, "dead"],
    [{ status: 401 }, "dead"],
    [{ status: 403 }, "dead"],
    [{ status: 404 }, "retry"],
    [{ status: 408 }, "retry"],
    [{ status: 409 }, "retry"],
    [{ status: 410 }, "disable"],
    [{ status: 413 }, "dead"],
    [{ status: 429 }, "retry"],
    [{ status: 500 }, "retry"],
    [{ status: 503 }, "retry"],
    [{ error: "connect ECONNREFUSED" }, "retry"],
  ])("%j: %s", (attempt, kind) => {
    expect(decide(attempt).kind).toBe(kind);
  });

  test("the last try is followed by none", () => {
    expect(decide({ status: 500 }, { failures: 10, ageMs: 0 })).toEqual({
      kind: "dead",
      reason: "answered 500; that was the last of 11 tries",
    });
    expect(decide({ status: 500 }, { failures: 9, ageMs: 0 }).kind).toBe("retry");
  });

  test("a Retry-After is obeyed, within bounds", () => {
    const waits = (retryAfterMs: number) => decide({ status: 429, retryAfterMs });
    expect(waits(5_000)).toMatchObject({ waitMs: 5_000 });
    expect(waits(1)).toMatchObject({ waitMs: 200 });
    expect(waits(10 ** 12)).toMatchObject({ waitMs: DEFAULT_POLICY.maxDelayMs });
  });

  test("an event that would be too old is given up", () => {
    const old = { failures: 1, ageMs: DEFAULT_POLICY.maxAgeMs - 100 };
    expect(decide({ status: 500 }, old)).toMatchObject({ kind: "dead" });
    expect(decide({ status: 500 }, old, DEFAULT_POLICY, 0.1)).toMatchObject({ kind: "retry", waitMs: 40 });
  });

  test("waits have jitter, but for webhooks", () => {
    expect(decide({ status: 500 }, fresh, DEFAULT_POLICY, 0.5)).toMatchObject({ waitMs: 100 });
    const webhook = { ...DEFAULT_POLICY, backoff: "webhook" } as const;
    expect(decide({ status: 500 }, fresh, webhook, 0.5)).toMatchObject({ waitMs: 5_000 });
  });
});

test.each([
  ["exponential", 100, [100, 200, 400, 800, 1_000, 1_000]],
  ["linear", 300, [300, 600, 900, 1_000, 1_000, 1_000]],
  ["webhook", 1, [5_000, 300_000, 1_800_000, 7_200_000, 18_000_000, 36_000_000]],
] as const)("the waits of %s", (backoff, delayMs, waits) => {
  const policy = { ...DEFAULT_POLICY, backoff, delayMs, maxDelayMs: 1_000 };
  expect(waits.map((_, failures) => longestWait(policy, failures + 1))).toEqual(waits);
});

test.each([
  ["PT0.2S", 200],
  ["PT1M", 60_000],
  ["P1DT2H", 26 * 3600_000],
  ["200ms", 200],
  ["1m30s", 90_000],
  ["P", undefined],
  ["PT", undefined],
  ["P1Y", undefined],
  ["-PT1S", undefined],
  ["", undefined],
])("%j is %s ms", (text, ms) => {
  expect(parseWait(text)).toBe(ms);
});

test("a policy is read with every problem named", () => {
  expect(readDeliveryPolicy({}, "delivery")).toEqual(DEFAULT_POLICY);
  expect(readDeliveryPolicy({ retry: 3, backoffPolicy: "linear", backoffDelay: "PT1S" }, "delivery")).toMatchObject({
    retries: 3,
    backoff: "linear",
    delayMs: 1_000,
  });
  const read = () =>
    readDeliveryPolicy({ retry: -1, backoffPolicy: "odd", timeout: "PT0S", maxAge: "P99D" }, "delivery");
  for (const field of ["retry", "backoffPolicy", "timeout", "maxAge"])
    expect(read).toThrow(`delivery.${field}: must be`);
});
