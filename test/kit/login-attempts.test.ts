import { expect, test } from "@jest/globals";
import { LoginAttempts } from "../../kit/login-attempts.ts";

function open(maxAddresses?: number) {
  const clock = { now: 0 };
  const warned: unknown[] = [];
  const log = { warn: (fields: unknown) => void warned.push(fields) } as unknown as { warn: () => void };
  const attempts = new LoginAttempts({
    log,
    now: () => clock.now,
    ...(maxAddresses !== undefined && { maxAddresses }),
  });
  const fail = (times: number, address = "10.0.0.1") =>
    Array.from({ length: times }, () => attempts.fail(address)).at(-1) as number;
  return { clock, warned, attempts, fail };
}

test("ten are free, then pauses grow to a minute", () => {
  const { clock, fail } = open();
  expect(fail(10)).toBe(0);
  const pauses: number[] = [];
  for (let i = 0; i < 8; i++) {
    const pause = fail(1);
    pauses.push(pause);
    clock.now += pause;
    expect(fail(1)).toBe(0);
  }
  expect(pauses).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
});

test("those that come during a pause do not lengthen it", () => {
  const { clock, fail } = open();
  fail(10);
  clock.now = 400;
  expect(fail(100)).toBe(600);
});

test("who mistypes now and then is never refused", () => {
  const { clock, fail, warned } = open();
  for (let i = 0; i < 100; i++) {
    expect(fail(1)).toBe(0);
    clock.now += 7_000;
  }
  expect(warned).toEqual([]);
});

test("one line a burst, and another when the next one comes", () => {
  const { clock, fail, warned } = open();
  fail(500);
  expect(warned).toEqual([{ address: "10.0.0.1", failures: 10 }]);
  clock.now = 11 * 60_000;
  expect(fail(9)).toBe(0);
  expect(warned).toHaveLength(1);
  fail(2);
  expect(warned).toHaveLength(2);
});

test("addresses do not share a count, but those of one IPv6 network do", () => {
  const { fail } = open();
  fail(11, "10.0.0.1");
  expect(fail(1, "10.0.0.2")).toBe(0);
  expect(fail(1, "::ffff:10.0.0.1")).toBeGreaterThan(0);
  fail(11, "2001:db8::1");
  expect(fail(1, "2001:db8:0:0:ffff::2")).toBeGreaterThan(0);
  expect(fail(1, "2001:db8:0:1::1")).toBe(0);
  expect(fail(1, "::1")).toBe(0);
});

test("what is remembered is bounded, and who goes on is not forgotten", () => {
  const { attempts, fail } = open(100);
  fail(11, "10.0.0.1");
  for (let i = 0; i < 10_000; i++) {
    fail(1, `192.0.${i >> 8}.${i & 255}`);
    if (i % 50 === 0) fail(1, "10.0.0.1");
  }
  expect(attempts.size).toBe(100);
  expect(fail(1, "10.0.0.1")).toBeGreaterThan(0);
});
