import { describe, expect, test } from "@jest/globals";
import { Dice } from "./dice.ts";
import { mutateBytes } from "./mutate-bytes.ts";

/** All that dice are asked for, in one row. */
const row = (dice: Dice) => [
  dice.below(1_000_000),
  dice.between(-5, 5),
  dice.chance(0.5),
  dice.pick(["a", "b", "c", "d"]),
  dice.size(100_000),
  dice.bytes(16).toString("hex"),
];

describe("one seed is one case", () => {
  test("whatever it is asked for", () => {
    expect(row(new Dice(7))).toEqual(row(new Dice(7)));
    expect(row(new Dice(7))).not.toEqual(row(new Dice(8)));
  });

  test("whichever cases came before it", () => {
    const alone = row(Dice.ofCase(1, "gateway", 41));
    for (let index = 0; index < 41; index++) row(Dice.ofCase(1, "gateway", index));
    expect(row(Dice.ofCase(1, "gateway", 41))).toEqual(alone);
  });

  test("and each seed, target and index has one of its own", () => {
    const rows = [1, 2, 2 ** 32 - 1].flatMap((seed) =>
      ["gateway", "watchdog"].flatMap((target) =>
        Array.from({ length: 100 }, (_, index) => JSON.stringify(row(Dice.ofCase(seed, target, index)))),
      ),
    );
    expect(new Set(rows).size).toBe(rows.length);
  });

  test("that is mutated the same way", () => {
    const original = Buffer.from("POST /function/f HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi");
    const mutated = Array.from({ length: 50 }, (_, i) =>
      mutateBytes([original], Dice.ofCase(3, "t", i)).toString("hex"),
    );
    const again = Array.from({ length: 50 }, (_, i) => mutateBytes([original], Dice.ofCase(3, "t", i)).toString("hex"));
    expect(again).toEqual(mutated);
    expect(new Set(mutated).size).toBeGreaterThan(25);
  });
});

test("numbers stay within what was asked for", () => {
  const dice = new Dice(11);
  for (let i = 0; i < 2_000; i++) {
    const [below, between, size] = [dice.below(3), dice.between(2, 4), dice.size(1_000)];
    expect([0, 1, 2]).toContain(below);
    expect([2, 3, 4]).toContain(between);
    expect(size).toBeGreaterThanOrEqual(0);
    expect(size).toBeLessThanOrEqual(1_000);
  }
  expect([dice.chance(0), dice.chance(1), dice.bytes(0).length]).toEqual([false, true, 0]);
});
