import { expect, test } from "@jest/globals";
import { alone, isEmpty, lastAndTrend, rowsOf } from "../../../gateway/ui/browser/components/chart-words.ts";

const ramp = (from: number, to: number, count = 100) =>
  Array.from({ length: count }, (_, at) => from + ((to - from) * at) / (count - 1));

test.each([
  ["rising", ramp(0, 100), 100],
  ["falling", ramp(100, 0), 0],
  ["steady", ramp(100, 105), 105],
  ["steady", ramp(0, 0), 0],
  ["steady", [7], 7],
  ["rising", [...ramp(1, 10, 50), null, null], 10],
  ["steady", [null, null, 3], 3],
])("a line is %s: %j", (trend, values, last) => {
  expect(lastAndTrend(values)).toEqual({ last, trend });
});

test("a line without values has no trend, and alone there is nothing to draw", () => {
  expect(lastAndTrend([])).toBeUndefined();
  expect(lastAndTrend([null, null])).toBeUndefined();
  expect(isEmpty([{ values: [null] }, { values: [] }])).toBe(true);
  expect(isEmpty([{ values: [null] }, { values: [0] }])).toBe(false);
});

test("values without neighbours are found, as no line goes to them", () => {
  expect(alone([1, null, 2, 3, null, 0, null])).toEqual([0, 5]);
  expect(alone([null])).toEqual([]);
});

test("the table behind a chart has all of it, newest first, in rows that can be read", () => {
  const lines = [{ values: ramp(0, 9, 10) }, { values: [null, null, 2, null, 4, 4, null, null, null, null] }];
  expect(rowsOf({ from: 1_000, stepSeconds: 10 }, lines, 4)).toEqual({
    seconds: 30,
    rows: [
      { at: 71_000, values: [8, undefined] },
      { at: 41_000, values: [5, 4] },
      { at: 11_000, values: [2, 2] },
      { at: 1_000, values: [0, undefined] },
    ],
  });
  expect(rowsOf({ from: 0, stepSeconds: 60 }, [{ values: ramp(0, 1, 10_080) }], 60).rows).toHaveLength(60);
  expect(rowsOf({ from: 0, stepSeconds: 1 }, [], 60).rows).toEqual([]);
});
