import { expect, test } from "@jest/globals";
import { Bench, SETTINGS } from "./bench.ts";

/** The system's clock is set while calls are in the embedded queue. */
const HOUR = 3_600_000;

class Clocks extends Bench {
  override now = Date.UTC(2026, 0, 15, 12);
  override steady = this.now;

  pass(ms: number): void {
    this.steady += ms;
    this.now += ms;
  }

  set(byMs: number): void {
    this.now += byMs;
  }
}

/** Lets time pass as the queue's thread does: it sleeps for as long as the engine says. @returns who was delivered when */
function run(clocks: Clocks, forMs: number): [at: number, seq: number][] {
  const began = clocks.steady;
  const seen: [number, number][] = [];
  for (;;) {
    clocks.handle();
    for (const { seq } of clocks.delivered()) seen.push([clocks.steady - began, seq]);
    const left = began + forMs - clocks.steady;
    if (left <= 0) return seen;
    clocks.pass(Math.max(1, Math.min(left, clocks.engine.sleepMs ?? left)));
  }
}

/** A call that has been tried once, and is to be tried again. */
function retried(clocks: Clocks, id: string, afterMs: number): number {
  const seq = clocks.publish(id) as number;
  clocks.delivered();
  clocks.settle({ seq, kind: "retry", afterMs });
  return seq;
}

test.each<[what: string, jumps: number[]]>([
  ["back", [-HOUR]],
  ["forward", [HOUR]],
  ["back and forth", [-HOUR, 2 * HOUR, -HOUR]],
])("retries wait as long as they had to when it is set %s", (_what, jumps) => {
  const clocks = new Clocks();
  clocks.consume();
  const soon = retried(clocks, "soon", 10_000);
  const late = retried(clocks, "late", 100_000);
  for (const byMs of jumps) {
    clocks.set(byMs);
    expect(run(clocks, 1_000)).toEqual([]);
  }
  const again = retried(clocks, "again", 20_000);
  const passed = 1_000 * jumps.length;
  expect(run(clocks, 200_000)).toEqual([
    [10_000 - passed, soon],
    [20_000, again],
    [100_000 - passed, late],
  ]);
});

test("a delay until a time of day follows it either way, within a minute", () => {
  const clocks = new Clocks();
  clocks.consume();
  const seq = clocks.publish("noon", "fn", { notBefore: clocks.now + HOUR }) as number;
  expect(run(clocks, 10_000)).toEqual([]);
  clocks.set(-HOUR);
  expect(run(clocks, 60_000)).toEqual([]);
  clocks.set(2 * HOUR);
  const [[at = Number.NaN, first] = []] = run(clocks, 120_000);
  expect([first, at <= 60_000]).toEqual([seq, true]);
});

test.each([-HOUR, HOUR])("results are kept as long as they had to be, when it is set by %d ms", (byMs) => {
  const clocks = new Clocks();
  clocks.consume();
  const seq = clocks.publish("done") as number;
  const outcome = { status: 200, durationMs: 1, result: { headers: "[]", body: new Uint8Array(3) } };
  clocks.settle({ seq, kind: "done", outcome });
  clocks.set(byMs);
  run(clocks, SETTINGS.resultTtlMs - 5_000);
  expect(clocks.ask({ kind: "find", of: { seq } })).toMatchObject({ state: "done" });
  // Not for ever: what ended since may be kept for as long as the clock was set forward, but no more.
  run(clocks, 2 * HOUR);
  expect(clocks.ask({ kind: "find", of: { seq } })).toBeUndefined();
});

test.each([-HOUR, HOUR])("how fast calls come is told rightly when it is set by %d ms", (byMs) => {
  const clocks = new Clocks();
  const publish = () => {
    for (let i = 0; i < 60; i++) clocks.publish(`call-${clocks.steady}-${i}`);
  };
  publish();
  clocks.set(byMs);
  run(clocks, 1_000);
  expect(clocks.ask({ kind: "stats" }).functions[0]?.acceptedPerSecond).toBe(1);
  run(clocks, 70_000);
  expect(clocks.ask({ kind: "stats" }).functions[0]?.acceptedPerSecond).toBe(0);
  publish();
  expect(clocks.ask({ kind: "stats" }).functions[0]?.acceptedPerSecond).toBe(1);
});
