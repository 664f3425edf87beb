import { expect, test } from "@jest/globals";
import type { ScaleWindow } from "../../../../contract/scale-policy.ts";
import { scheduledBounds } from "../../../../gateway/core/scaling/schedule.ts";

const HOUR = 3600_000;
const office: ScaleWindow = {
  schedule: "0 8 * * 1-5",
  durationMs: 10 * HOUR,
  min: 5,
  max: 40,
  timeZone: "Europe/Berlin",
};

test.each<[when: string, time: string, min: number | undefined]>([
  ["before it opens", "2026-03-27T06:59:59Z", undefined],
  ["as it opens", "2026-03-27T07:00:00Z", 5],
  ["at its end", "2026-03-27T16:59:59Z", 5],
  ["after its end", "2026-03-27T17:00:00Z", undefined],
  ["on a Sunday", "2026-03-29T10:00:00Z", undefined],
  ["after clocks went forward", "2026-03-30T06:00:00Z", 5],
  ["an hour earlier in UTC", "2026-03-30T05:59:59Z", undefined],
  ["after clocks went back", "2026-10-26T06:59:59Z", undefined],
])("a window %s (%s)", (_when, time, min) => {
  expect(scheduledBounds([office], Date.parse(time))?.min).toBe(min);
});

test("a window over the change of clocks lasts as long as it says", () => {
  const night: ScaleWindow = { ...office, schedule: "0 1 * * *", durationMs: 3 * HOUR };
  // 2026-03-29 01:00 in Berlin is 00:00 UTC; two hours later the clock says 04:00.
  expect(scheduledBounds([night], Date.parse("2026-03-29T02:59:59Z"))).toBeDefined();
  expect(scheduledBounds([night], Date.parse("2026-03-29T03:00:00Z"))).toBeUndefined();
});

test("of open windows the widest bounds count", () => {
  const lunch: ScaleWindow = { schedule: "0 12 * * *", durationMs: HOUR, min: 9, timeZone: "UTC" };
  expect(scheduledBounds([office, lunch], Date.parse("2026-03-27T12:30:00Z"))).toEqual({ min: 9, max: 40 });
  expect(scheduledBounds([], Date.now())).toBeUndefined();
});
