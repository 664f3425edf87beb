import { expect, jest, test } from "@jest/globals";
import { ClockJumps, earliestNow, latestNow, steadyNow } from "../../kit/steady-clock.ts";

test("the steady clock goes with the system's, in whole milliseconds, and never back", () => {
  const before = steadyNow();
  expect(Number.isInteger(before)).toBe(true);
  expect(Math.abs(before - Date.now())).toBeLessThan(60_000);
  for (let i = 0; i < 1000; i++) expect(steadyNow()).toBeGreaterThanOrEqual(before);
});

test.each([-3_600_000, 0, 3_600_000])(
  "what is kept for a while is neither over early nor for ever with a clock set by %d ms",
  (by) => {
    const until = latestNow() + 60_000;
    const clock = jest.spyOn(Date, "now").mockImplementation(() => steadyNow() + by);
    try {
      // In this order: time goes on between two looks.
      const [earliest, steady] = [earliestNow(), steadyNow()];
      const latest = latestNow();
      expect(earliest).toBeLessThan(until);
      expect(latest - earliest).toBeGreaterThanOrEqual(Math.abs(by));
      expect(latest).toBeGreaterThanOrEqual(steady);
    } finally {
      clock.mockRestore();
    }
  },
);

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
