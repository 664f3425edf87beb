import { expect, test } from "@jest/globals";
import { parseMoment, parseSpan } from "../../contract/instants.ts";

test.each<[text: string, iso: string]>([
  ["2030-01-31T12:00:00Z", "2030-01-31T12:00:00.000Z"],
  ["2030-01-31t12:00:00.25z", "2030-01-31T12:00:00.250Z"],
  ["2030-01-31 12:00:00+02:00", "2030-01-31T10:00:00.000Z"],
  // The day is the one that is written, whatever it is in UTC.
  ["2028-02-29T23:30:00-05:00", "2028-03-01T04:30:00.000Z"],
  ["Thu, 31 Jan 2030 12:00:00 GMT", "2030-01-31T12:00:00.000Z"],
  ["1900000000", "2030-03-17T17:46:40.000Z"],
  ["1900000000.5", "2030-03-17T17:46:40.500Z"],
])("%s is a moment", (text, iso) => {
  expect(new Date(parseMoment(text) as number).toISOString()).toBe(iso);
});

test.each([
  "",
  "tomorrow",
  "2030-01-31",
  "2030-01-31T12:00:00",
  "2030-13-01T12:00:00Z",
  "2030-02-30T12:00:00Z",
  "2030-02-29T12:00:00+02:00",
  "2030-04-31T12:00:00Z",
  "Sat, 30 Feb 2030 12:00:00 GMT",
  "999999999",
  "-1900000000",
  "1e10",
])("%j is none", (text) => {
  expect(parseMoment(text)).toBeUndefined();
});

test.each<[text: string, ms: number | undefined]>([
  ["30", 30_000],
  ["0.5", 500],
  ["1m30s", 90_000],
  ["250ms", 250],
  // Never sooner than was asked for.
  ["1us", 1],
  ["0", 0],
  ["", undefined],
  ["-1", undefined],
  ["1,5", undefined],
  ["1 h", undefined],
])("the span %j is %j ms", (text, ms) => {
  expect(parseSpan(text)).toBe(ms);
});
