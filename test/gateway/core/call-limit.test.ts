import { expect, test } from "@jest/globals";
import fc from "fast-check";
import {
  afterRefusal,
  afterSuccess,
  type BackOff,
  fullLimit,
  isExcusable,
  isUnlimited,
  type LimitSnapshot,
  limitNow,
  NO_BACK_OFF,
  refusalWait,
} from "../../../gateway/core/call-limit.ts";

const MAX_PAUSE_MS = 2000;

test.each<[rule: string, snapshot: LimitSnapshot | undefined, expected: number]>([
  ["replicas that say how many they take", { readyReplicas: 3, maxInflight: 5 }, 15],
  ["replicas that do not say", { readyReplicas: 3 }, 48],
  ["a max_inflight of 0 says nothing", { readyReplicas: 2, maxInflight: 0 }, 32],
  ["asleep: one call wakes it", { readyReplicas: 0, maxInflight: 5 }, 1],
  ["not known", undefined, 16],
])("full limit: %s", (_rule, snapshot, expected) => {
  expect(fullLimit(snapshot, 16)).toBe(expected);
});

const refuse = (backOff: BackOff, full: number, at: number, startedAt = at) =>
  afterRefusal(backOff, { full, startedAt, now: at, random: 0.5 });

test("a refusal halves the limit", () => {
  const backOff = refuse(NO_BACK_OFF, 16, 1000);
  expect(limitNow(16, backOff, 1000)).toBe(8);
  expect(limitNow(16, refuse(backOff, 16, 1100), 1100)).toBe(4);
});

test("calls that were refused together halve it once", () => {
  let backOff = refuse(NO_BACK_OFF, 16, 1000, 900);
  for (let i = 0; i < 15; i++) backOff = refuse(backOff, 16, 1001 + i, 901 + i);
  expect(limitNow(16, backOff, 1020)).toBe(8);
});

test("refused one at a time, the function is left alone for longer and longer", () => {
  let now = 1000;
  let backOff = NO_BACK_OFF;
  const pauses: number[] = [];
  for (let i = 0; i < 10; i++) {
    backOff = refuse(backOff, 1, now);
    expect(limitNow(1, backOff, now)).toBe(0);
    pauses.push(backOff.pausedUntil - now);
    now = backOff.pausedUntil;
    expect(limitNow(1, backOff, now)).toBe(1);
  }
  expect(pauses.slice(0, 4)).toEqual([75, 100, 150, 250]);
  expect(pauses).toEqual(pauses.toSorted((a, b) => a - b));
  expect(Math.max(...pauses)).toBeLessThanOrEqual(MAX_PAUSE_MS);
});

test("ten rounds of successes bring it back from the floor", () => {
  const full = 50;
  let now = 1000;
  let backOff = NO_BACK_OFF;
  for (let i = 0; i < 10; i++) backOff = refuse(backOff, full, now++);
  now = Math.max(now, backOff.pausedUntil) + 1;
  expect(limitNow(full, backOff, now)).toBe(1);
  let rounds = 0;
  for (; limitNow(full, backOff, now) < full && rounds < 100; rounds++) {
    const calls = limitNow(full, backOff, now);
    for (let i = 0; i < calls; i++) backOff = afterSuccess(backOff, { full, startedAt: now });
    now += 10;
  }
  expect(rounds).toBeGreaterThanOrEqual(8);
  expect(rounds).toBeLessThanOrEqual(15);
});

test("a call that began before the cut says nothing about it when it succeeds", () => {
  const backOff = refuse(NO_BACK_OFF, 16, 1000);
  expect(afterSuccess(backOff, { full: 16, startedAt: 999 })).toEqual(backOff);
  expect(afterSuccess(backOff, { full: 16, startedAt: 1000 }).share).toBeGreaterThan(backOff.share);
});

test("a minute without refusals makes it as good as new", () => {
  const backOff = refuse(NO_BACK_OFF, 16, 1000);
  expect(isUnlimited(backOff, 60_000)).toBe(false);
  expect(isUnlimited(backOff, 61_001)).toBe(true);
  expect(isUnlimited(NO_BACK_OFF, 0)).toBe(true);
});

const history = fc.array(
  fc.record({
    refused: fc.boolean(),
    full: fc.integer({ min: 1, max: 2000 }),
    ageMs: fc.integer({ min: 0, max: 10_000 }),
    stepMs: fc.integer({ min: 0, max: 5000 }),
    random: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  }),
  { maxLength: 200 },
);

test("whatever happens: from 1 to the full limit, or 0 for two seconds at most", () => {
  fc.assert(
    fc.property(history, (steps) => {
      let now = 1_000_000;
      let backOff = NO_BACK_OFF;
      for (const { refused, full, ageMs, stepMs, random } of steps) {
        now += stepMs;
        const before = limitNow(full, backOff, now);
        const startedAt = now - ageMs;
        backOff = refused
          ? afterRefusal(backOff, { full, startedAt, now, random })
          : afterSuccess(backOff, { full, startedAt });
        const after = limitNow(full, backOff, now);
        expect(Number.isInteger(after)).toBe(true);
        expect(after).toBeGreaterThanOrEqual(0);
        expect(after).toBeLessThanOrEqual(full);
        if (refused) expect(after).toBeLessThanOrEqual(before);
        else expect(after).toBeGreaterThanOrEqual(before);
        expect(backOff.pausedUntil - now).toBeLessThanOrEqual(MAX_PAUSE_MS);
        expect(limitNow(full, backOff, now + MAX_PAUSE_MS)).toBeGreaterThanOrEqual(1);
        expect(backOff.share).toBeGreaterThan(0);
        expect(backOff.share).toBeLessThanOrEqual(1);
      }
    }),
  );
});

test("finds a limit that nobody announces, without many refusals", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 60 }), (room, full) => {
      let now = 0;
      let backOff = NO_BACK_OFF;
      let refusedCalls = 0;
      let calls = 0;
      // Rounds of calls of 100 ms each; those beyond the room are refused at once.
      for (let round = 0; round < 200; round++) {
        const startedAt = now;
        const tried = limitNow(full, backOff, now);
        calls += tried;
        for (let i = 0; i < tried - room; i++) {
          backOff = afterRefusal(backOff, { full, startedAt, now: now + 1, random: 0.5 });
          refusedCalls++;
        }
        now += 100;
        for (let i = 0; i < Math.min(tried, room); i++) backOff = afterSuccess(backOff, { full, startedAt });
      }
      const useful = 200 * Math.min(room, full);
      expect(calls - refusedCalls).toBeGreaterThan(useful * 0.55);
      if (full <= room) expect(refusedCalls).toBe(0);
    }),
  );
});

test.each<[times: number, forMs: number, excusable: boolean]>([
  [0, 0, true],
  [199, 3_599_999, true],
  [200, 0, false],
  [1, 3_600_000, false],
])("%i refusals in %i ms are excusable: %p", (times, forMs, excusable) => {
  expect(isExcusable({ times, forMs })).toBe(excusable);
});

test("waits after refusals grow, and end growing", () => {
  expect([0, 1, 2, 5, 10, 100].map((times) => refusalWait(times, 1))).toEqual([50, 100, 200, 1600, 30_000, 30_000]);
  expect(refusalWait(10, 0)).toBe(0);
});
