import { describe, expect, test } from "@jest/globals";
import { Gain } from "../../../../gateway/core/scaling/gain.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;

/** A function whose replicas get through what `rateOf` says, under a load that always asks for `desired`. */
class Simulated {
  readonly gain = new Gain();
  readonly rateOf: (replicas: number) => number;
  concurrencyOf: (replicas: number) => number = () => 64;
  desired: number;
  least = 1;
  now = 1_700_000_000_000;
  replicas: number;
  texts: string[] = [];

  constructor(desired: number, rateOf: (replicas: number) => number) {
    this.desired = desired;
    this.rateOf = rateOf;
    this.replicas = desired;
  }

  /** @returns the replicas after each second */
  run(seconds: number): number[] {
    return Array.from({ length: seconds }, () => {
      this.now += SECOND;
      this.gain.record(this.now, this.replicas, this.rateOf(this.replicas), this.concurrencyOf(this.replicas));
      const useful = this.gain.judge(this.now, this.desired, this.least);
      if (useful && this.texts.at(-1) !== useful.text) this.texts.push(useful.text);
      this.replicas = Math.min(this.desired, useful?.replicas ?? this.desired);
      return this.replicas;
    });
  }
}

describe("replicas that do not help", () => {
  test("are taken back, with what was compared", () => {
    const simulated = new Simulated(2, () => 5000);
    simulated.run(30);
    expect(simulated.replicas).toBe(1);
    expect(simulated.texts).toEqual([
      "2 get 5000 calls/s through; it is tried whether 1 would",
      "more replicas do not help: 2 got 5000 calls/s through, 1 5000",
    ]);
  });

  test("are halved until fewer would be worse", () => {
    const simulated = new Simulated(16, (replicas) => 1000 * Math.min(replicas, 4));
    simulated.run(60);
    expect(simulated.replicas).toBe(4);
  });

  test("are tried again later, and later each time", () => {
    const simulated = new Simulated(2, () => 5000);
    const replicas = simulated.run(2 * 60 * 60);
    const rises = replicas.flatMap((count, i) => (i > 0 && count > (replicas[i - 1] as number) ? [i] : []));
    const gaps = rises.map((at, i) => at - (rises[i - 1] ?? 0));
    expect(gaps.length).toBeGreaterThan(2);
    expect(gaps).toEqual(gaps.toSorted((a, b) => a - b));
  });

  test("are tried again once calls pile up", () => {
    const simulated = new Simulated(2, () => 5000);
    simulated.run(40);
    expect(simulated.replicas).toBe(1);
    simulated.concurrencyOf = () => 200;
    simulated.run(12);
    expect(simulated.replicas).toBe(2);
  });

  test("stay above the least", () => {
    const simulated = new Simulated(4, () => 5000);
    simulated.least = 3;
    expect(Math.min(...simulated.run(120))).toBe(3);
  });
});

describe("replicas that help", () => {
  test("are back after a trial, which is seldom", () => {
    const simulated = new Simulated(2, (replicas) => 1000 * replicas);
    const replicas = simulated.run(60 * 60);
    expect(simulated.replicas).toBe(2);
    const fewer = replicas.filter((count) => count < 2).length;
    expect(fewer).toBeGreaterThan(5);
    expect(fewer).toBeLessThan(100);
  });

  test("are known by calls that pile up though as many get through", () => {
    const simulated = new Simulated(2, () => 500);
    simulated.concurrencyOf = (replicas) => (replicas === 1 ? 100 : 10);
    simulated.run(60);
    expect(simulated.replicas).toBe(2);
  });

  test("are known by a load that asks for fewer only because fewer get through", () => {
    const simulated = new Simulated(8, (replicas) => 50 * replicas);
    simulated.run(12);
    expect(simulated.replicas).toBe(4);
    simulated.desired = 4;
    simulated.run(1);
    simulated.desired = 8;
    expect(Math.min(...simulated.run(100))).toBe(8);
  });
});

test.each([
  ["at a low rate", 8, () => 10],
  ["of one replica", 1, () => 5000],
])("nothing is tried: %s", (_name, desired, rateOf) => {
  const simulated = new Simulated(desired, rateOf);
  expect(simulated.run(5 * 60)).toEqual(new Array(5 * 60).fill(desired));
});

test("nothing is tried while there is less to do than there are replicas for", () => {
  const simulated = new Simulated(2, () => 5000);
  simulated.replicas = 4;
  simulated.gain.record(simulated.now, 4, 5000, 10);
  for (let second = 0; second < (2 * MINUTE) / SECOND; second++) {
    simulated.now += SECOND;
    simulated.gain.record(simulated.now, 4, 5000, 10);
    expect(simulated.gain.judge(simulated.now, 2, 1)).toBeUndefined();
  }
});

test("a trial whose replicas never come is given up", () => {
  const gain = new Gain();
  let now = 0;
  const tried: boolean[] = [];
  for (let second = 0; second < 100; second++) {
    now += SECOND;
    gain.record(now, 2, 5000, 64);
    tried.push(gain.judge(now, 2, 1) !== undefined);
  }
  expect(tried.filter(Boolean).length).toBeGreaterThan(50);
  expect(tried.at(-1)).toBe(false);
});
