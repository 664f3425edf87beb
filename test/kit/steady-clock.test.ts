import { expect, test } from "@jest/globals";
import { ClockJumps, steadyNow } from "../../kit/steady-clock.ts";

test("the steady clock goes with the system's, in whole milliseconds, and never back", () => {
  const before = steadyNow();
  expect(Number.isInteger(before)).toBe(true);
  expect(Math.abs(before - Date.now())).toBeLessThan(60_000);
  for (let i = 0; i < 1000; i++) expect(steadyNow()).toBeGreaterThanOrEqual(before);
});

test("a jump is told once, either way, and a drift is none", () => {
  let [wall, steady] = [1_000_000, 0];
  const pass = (ms: number, setBy = 0) => {
    steady += ms;
    wall += ms + setBy;
  };
  const jumps = new ClockJumps(
    () => wall,
    () => steady,
  );
  const seen: number[] = [];
  for (const setBy of [0, 5, -5, 3_600_000, 0, -3_600_000, -3_600_000, 0, 3_600_000]) {
    pass(1_000, setBy);
    seen.push(jumps.take());
  }
  expect(seen).toEqual([0, 0, 0, 3_600_000, 0, -3_600_000, -3_600_000, 0, 3_600_000]);
});

test("a clock that is slewed is told of when it has gone far enough", () => {
  let wall = 0;
  const jumps = new ClockJumps(
    () => wall,
    () => 0,
  );
  const seen: number[] = [];
  for (let i = 0; i < 9; i++) {
    wall += 300;
    seen.push(jumps.take());
  }
  expect(seen).toEqual([0, 0, 0, 1_200, 0, 0, 0, 1_200, 0]);
});
