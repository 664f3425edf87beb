import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { Bench, nameOf, SETTINGS } from "./bench.ts";

/** Others must not wait while thousands of calls come to their end together. */
const SIZE = 950;
const MOST_AT_A_TIME = 450;

let bench: Bench;
let whole: number;

beforeEach(() => {
  bench = new Bench({ ...SETTINGS, maxFinished: 10_000 });
  bench.consume(1, 1);
  const meta = JSON.stringify({ name: "whole", batch: { kind: "whole", size: SIZE } });
  whole = bench.publish("whole", "fn", { wholeSize: SIZE, meta }) as number;
  for (let index = 0; index < SIZE; index++) bench.publish(`m${index}`, "fn", { member: { whole, index } });
});
afterEach(() => bench.store.close());

/** Not by asking: with each question the engine goes on. */
const waiting = () => bench.store.calls.countByKey().reduce((sum, { calls }) => sum + calls, 0);

/** Lets the engine go on until it has nothing to do, looking after each of its commits. */
function goOn(look: () => void): number {
  let commits = 0;
  for (; bench.engine.sleepMs === 0; commits++) {
    bench.engine.handle([]);
    look();
  }
  return commits;
}

const spread = () => {
  expect(bench.delivered().map(nameOf)).toEqual(["whole"]);
  bench.settle({ seq: whole, kind: "done" });
};

test("the calls of a large batch that is cancelled end some at a time, and none of them begins", () => {
  spread();
  const [first] = bench.delivered();
  expect(first && nameOf(first)).toBe("m0");
  const more = () => bench.engine.sleepMs === 0;
  let before = waiting();
  expect(bench.cancel(whole)).toBe("running");
  const look = () => {
    const now = waiting();
    expect(before - now).toBeLessThanOrEqual(MOST_AT_A_TIME);
    before = now;
  };
  look();
  expect(more()).toBe(true);
  bench.settle({ seq: first?.seq as number, kind: "done" });
  look();
  goOn(look);
  expect([waiting(), bench.delivered()]).toEqual([0, []]);
  const ask = bench.ask({ kind: "find", of: { seq: whole } });
  expect(ask?.batch).toEqual({ size: SIZE, done: 0, dead: 0, cancelled: SIZE, expired: 0 });
});

test("goes on with that after a crash", () => {
  spread();
  bench.cancel(whole);
  expect(waiting()).toBeGreaterThan(0);
  bench.restart();
  bench.consume(1, 1);
  goOn(() => undefined);
  expect([waiting(), bench.delivered()]).toEqual([0, []]);
});

test.each<[how: string, end: () => void]>([
  ["is cancelled before all are there", () => bench.cancel(whole)],
  ["has died", () => bench.settle({ seq: whole, kind: "dead", reason: "no use" })],
])("the calls of a batch that %s end in the same way", (_how, end) => {
  bench.delivered();
  end();
  expect(waiting()).toBeGreaterThan(SIZE - MOST_AT_A_TIME);
  goOn(() => undefined);
  expect([waiting(), bench.delivered()]).toEqual([0, []]);
});

test("a disk that refuses in the middle of it leaves nothing out", () => {
  spread();
  bench.cancel(whole);
  for (let i = 0; i < 3; i++) {
    bench.store.refusals = 2;
    bench.handle();
    bench.now += 2000;
  }
  bench.spare.held = true;
  bench.handle();
  goOn(() => undefined);
  expect(waiting()).toBe(0);
});

test("a dead batch that is replayed meanwhile begins anew", () => {
  bench.delivered();
  bench.settle({ seq: whole, kind: "dead", reason: "no use" });
  expect(waiting()).toBeGreaterThan(0);
  bench.handle({ kind: "ask", question: 7, ask: { kind: "replay", filter: { seq: whole }, after: 0 } });
  goOn(() => undefined);
  expect(bench.delivered().map(nameOf)).toEqual(["whole"]);
  expect(waiting()).toBe(1);
});

test("is forgotten some at a time, and itself last", () => {
  spread();
  bench.cancel(whole);
  for (const { seq } of bench.delivered()) bench.settle({ seq, kind: "back" });
  goOn(() => undefined);
  bench.settle({ seq: whole, kind: "told" });
  bench.now += 3_600_000;
  let left = bench.store.history.count().count;
  expect(left).toBe(SIZE + 1);
  while (left > 0) {
    bench.handle();
    const now = bench.store.history.count().count;
    expect(left - now).toBeGreaterThan(0);
    expect(left - now).toBeLessThanOrEqual(MOST_AT_A_TIME);
    left = now;
    expect(bench.store.history.find(whole) === undefined).toBe(left === 0);
  }
});
