import { expect, test } from "@jest/globals";
import { maxSlotless, type Slots, slotsFor } from "../../../../gateway/queue/worker/slots.ts";

test.each<[rule: string, given: Slots, expected: number]>([
  ["a quarter is kept from a function alone", { concurrency: 64, taken: 0, own: 0 }, 48],
  ["one with many calls gets none of the last quarter", { concurrency: 64, taken: 48, own: 48 }, 0],
  ["one with none gets a few of them", { concurrency: 64, taken: 48, own: 0 }, 4],
  ["one with a few gets the rest of its few", { concurrency: 64, taken: 51, own: 3 }, 1],
  ["nobody gets what is not there", { concurrency: 64, taken: 63, own: 0 }, 1],
  ["full is full", { concurrency: 64, taken: 64, own: 0 }, 0],
  ["too many under way is full", { concurrency: 16, taken: 18, own: 0 }, 0],
  ["of 16 slots four are kept", { concurrency: 16, taken: 12, own: 12 }, 0],
  ["for whoever has none", { concurrency: 16, taken: 12, own: 0 }, 1],
  ["of fewer none is", { concurrency: 15, taken: 12, own: 12 }, 3],
  ["a single slot is anybody's", { concurrency: 1, taken: 0, own: 0 }, 1],
])("%s", (_rule, given, expected) => {
  expect(slotsFor(given)).toBe(expected);
});

test.each([
  [1, 256],
  [64, 256],
  [65, 260],
  [1000, 4000],
])("with %i slots %i calls may be without a slot", (concurrency, expected) => {
  expect(maxSlotless(concurrency)).toBe(expected);
});
