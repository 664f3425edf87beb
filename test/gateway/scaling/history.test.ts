import { expect, test } from "@jest/globals";
import type { Sample } from "../../../gateway/core/scaling/sample.ts";
import { everySecond } from "../../../gateway/core/scaling/simulate.ts";
import { SampleHistory } from "../../../gateway/scaling/history.ts";

const START = 1_700_000_000_000;
const sample = (second: number, started: number): Sample => ({
  t: START + second * 1000,
  concurrency: started,
  started,
  inFlight: 0,
  held: 0,
  queued: 0,
  replicas: 1,
  ready: 1,
});

function record(loads: readonly number[]): SampleHistory {
  const history = new SampleHistory();
  for (const [second, load] of loads.entries()) history.add(sample(second, load));
  return history;
}
const seconds = (samples: Iterable<Sample>) => [...samples].map(({ t, started }) => [(t - START) / 1000, started]);

test("a fact that stood is told at its beginning and its end", () => {
  expect(seconds(record([0, 0, 0, 0, 5, 6, 6, 0]).read())).toEqual([
    [0, 0],
    [3, 0],
    [4, 5],
    [5, 6],
    [6, 6],
    [7, 0],
  ]);
});

test("filled in, it is what was recorded", () => {
  const loads = Array.from({ length: 2000 }, (_, second) => (second % 700 < 600 ? 0 : second % 3));
  expect(seconds(everySecond([...record(loads).read()]))).toEqual(loads.map((load, second) => [second, load]));
});

test("a day of rest costs two lines", () => {
  expect([...record(new Array<number>(86_400).fill(0)).read()]).toHaveLength(2);
});

test("from a moment on, what stood then is first", () => {
  const history = record([0, 0, 0, 0, 5, 6]);
  expect(seconds(history.read(START + 2000))).toEqual([
    [2, 0],
    [3, 0],
    [4, 5],
    [5, 6],
  ]);
  expect(seconds(history.read(START + 4000))[0]).toEqual([4, 5]);
  expect(seconds(history.read(START + 6000))).toEqual([]);
});

test("seconds that come a little late are none more", () => {
  const history = new SampleHistory();
  const times = [0, 1003, 2005, 3100, 4101];
  for (const [i, t] of times.entries()) history.add({ ...sample(0, i), t: START + t });
  expect([...everySecond([...history.read()])].map(({ t }) => t - START)).toEqual(times);
});

test("the oldest are forgotten after an hour of changes", () => {
  const count = 10_000;
  const told = [...record(Array.from({ length: count }, (_, second) => second)).read()];
  expect(told.length).toBeGreaterThanOrEqual(3600);
  expect(told.length).toBeLessThanOrEqual(4500);
  expect(told.at(-1)?.started).toBe(count - 1);
});
