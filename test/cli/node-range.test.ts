import { expect, test } from "@jest/globals";
import { isInRange } from "../../cli/node-range.ts";

const RANGE = ">=22.22 <23 || >=24.6";

test.each<[version: string, expected: boolean]>([
  ["22.22.0", true],
  ["22.22.1", true],
  ["22.100.0", true],
  ["22.21.9", false],
  ["22.3.0", false],
  ["23.11.0", false],
  ["24.5.9", false],
  ["24.6.0", true],
  ["24.21.0", true],
  ["25.0.0-nightly20260101", true],
  ["100.0.0", true],
  ["8.9.4", false],
])(`Node.js %s is in ${RANGE}: %s`, (version, expected) => {
  expect(isInRange(version, RANGE)).toBe(expected);
});

test.each([
  ["24.6.0", ">=24.6.1", false],
  ["24.6.1", ">=24.6.1", true],
  ["24.0.0", "<24", false],
  ["23.99.99", "<24", true],
])("each part of a version counts: %s %s", (version, range, expected) => {
  expect(isInRange(version, range)).toBe(expected);
});
