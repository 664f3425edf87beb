import { expect, test } from "@jest/globals";
import { DailyPattern } from "../../../../gateway/core/scaling/daily-pattern.ts";

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const FIRST_DAY = Date.parse("2026-05-04T00:00:00Z");
const at = (day: number, time: string) =>
  FIRST_DAY + day * DAY + (Number(time.slice(0, 2)) * 60 + Number(time.slice(3))) * MINUTE;

/** Called every day at nine, for `days` days. */
function calledAtNine(days: number): DailyPattern {
  const pattern = new DailyPattern(FIRST_DAY);
  for (let day = 0; day < days; day++) pattern.called(at(day, "09:03"));
  return pattern;
}

test.each<[time: string, likely: boolean]>([
  ["08:58", false],
  ["08:59", true],
  ["09:00", true],
  ["09:09", true],
  ["09:10", false],
  ["21:00", false],
])("after three days at nine, %s is likely: %j", (time, likely) => {
  expect(calledAtNine(3).likely(at(3, time))).toBe(likely);
});

test("one day is not a pattern, and a day out of three is none either", () => {
  expect(calledAtNine(1).likely(at(1, "09:00"))).toBe(false);
  expect(calledAtNine(1).likely(at(3, "09:00"))).toBe(false);
});

test("it forgets what is a week ago", () => {
  expect(calledAtNine(7).likely(at(10, "09:00"))).toBe(true); // four of the last seven days
  expect(calledAtNine(7).likely(at(11, "09:00"))).toBe(false);
});

test("it keeps the score of what it predicted", () => {
  const pattern = calledAtNine(3);
  pattern.likely(at(3, "09:00"));
  pattern.called(at(3, "09:01"));
  pattern.likely(at(3, "09:30"));
  expect(pattern.score).toEqual({ hits: 1, misses: 0 });
  pattern.likely(at(4, "09:05"));
  pattern.likely(at(4, "09:10"));
  expect(pattern.score).toEqual({ hits: 1, misses: 1 });
});

test("it goes on from where it was stored", () => {
  const stored = JSON.parse(JSON.stringify(calledAtNine(3).store()));
  expect(new DailyPattern(at(3, "08:00"), stored).likely(at(3, "09:00"))).toBe(true);
});
