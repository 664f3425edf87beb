import { expect, test } from "@jest/globals";
import { RateLimit } from "../../provider/routes/rate-limit.ts";

test("so many from each caller and so many in all, a second", () => {
  let now = 0;
  const limit = new RateLimit({ perCaller: 2, total: 3, now: () => now });
  expect(["a", "a", "a", "b", "b"].map((caller) => limit.take(caller))).toEqual([true, true, false, true, false]);
  now = 999;
  expect(limit.take("c")).toBe(false);
  now = 1_000;
  expect(["c", "a"].map((caller) => limit.take(caller))).toEqual([true, true]);
});
