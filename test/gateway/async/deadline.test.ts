import { expect, test } from "@jest/globals";
import { Deadline } from "../../../gateway/async/deadline.ts";
import { eventually } from "../../support/eventually.ts";

const never = new AbortController().signal;

test("aborts when the time is over", async () => {
  const deadline = new Deadline(never, 20);
  await eventually("it aborts", () => deadline.signal.aborted);
  expect(deadline.expired).toBe(true);
});

test("aborts with its parent, without having expired", () => {
  const parent = new AbortController();
  const deadline = new Deadline(parent.signal, 10_000);
  parent.abort(new Error("enough"));
  expect(deadline.signal.reason).toEqual(new Error("enough"));
  expect(deadline.expired).toBe(false);
  deadline.clear();
});

test("progress extends it up to the longest time", async () => {
  const start = performance.now();
  const deadline = new Deadline(never, 300, 900);
  await eventually("it aborts in spite of progress", () => {
    deadline.extend();
    return deadline.signal.aborted;
  });
  const tookMs = performance.now() - start;
  expect(tookMs).toBeGreaterThanOrEqual(595);
});

test("without room for it there is no extension", async () => {
  const deadline = new Deadline(never, 100);
  await eventually("it aborts in spite of progress", () => {
    deadline.extend();
    return deadline.signal.aborted;
  });
});
