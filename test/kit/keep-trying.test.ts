import { expect, test } from "@jest/globals";
import { keepTrying } from "../../kit/keep-trying.ts";

const never = new AbortController().signal;

test("an attempt is made until one is the last", async () => {
  const made: number[] = [];
  await keepTrying(async (before) => made.push(before) === 3, [1, 2], never);
  expect(made).toEqual([0, 1, 2]);
});

test("an abort ends the pause and the trying", async () => {
  const stop = new AbortController();
  let attempts = 0;
  const trying = keepTrying(
    async () => {
      attempts++;
      setImmediate(() => stop.abort());
      return false;
    },
    [3_600_000, 3_600_000],
    stop.signal,
  );
  await trying;
  expect(attempts).toBe(1);
  await keepTrying(async () => attempts++ > 100, [1, 1], stop.signal);
  expect(attempts).toBe(1);
});

test("what an attempt throws is not swallowed", async () => {
  await expect(keepTrying(async () => Promise.reject(new Error("broken")), [1, 1], never)).rejects.toThrow("broken");
});
