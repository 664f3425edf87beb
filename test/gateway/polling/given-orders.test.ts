import { expect, test } from "@jest/globals";
import { GivenOrders } from "../../../gateway/polling/given-orders.ts";

/** The answers to the questions in a story such as `0 given 1 8; 1 seen 5`: a second, what it is, and numbers. */
function play(story: string): boolean[] {
  const orders = new GivenOrders();
  return story.split("; ").flatMap((event) => {
    const [second, what, ...numbers] = event.split(" ");
    const [one = 0, other = 0] = numbers.map(Number);
    const now = Number(second) * 1000;
    if (what === "seen") return [orders.see("f.ns", one, now)];
    if (what === "vain") return [orders.isInVain("f.ns", one, other, now)];
    orders.given("f.ns", one, other, now);
    return [];
  });
}

test.each<[rule: string, story: string, expected: boolean[]]>([
  ["what was ordered is no cut", "0 given 1 8; 1 seen 8", [false]],
  ["a number between is, once", "0 given 1 8; 1 seen 5; 2 seen 4", [true, false]],
  ["downwards too", "0 given 8 0; 1 seen 1", [true]],
  ["a number beyond is somebody's own", "0 given 1 8; 1 seen 9", [false]],
  ["so is one that comes late", "0 given 1 8; 20 seen 5", [false]],
  ["more is in vain at a cut", "0 given 1 8; 1 seen 5; 2 vain 5 8; 3 vain 5 6", [true, true, true]],
  ["less is not", "0 given 1 8; 1 seen 5; 2 vain 5 2", [true, false]],
  ["from another number it is not", "0 given 1 8; 1 seen 5; 2 vain 4 8", [true, false]],
  ["after a while it is tried again", "0 given 1 8; 1 seen 5; 61 vain 5 8", [true, false]],
  [
    "what never shows is in vain, after a while",
    "0 given 5 8; 2 vain 5 8; 4 vain 5 8; 4 vain 5 9",
    [false, true, true],
  ],
  ["but less than it may not be", "0 given 5 8; 4 vain 5 6", [false]],
  ["it counts from the first time", "0 given 5 8; 2 given 5 8; 4 vain 5 8", [true]],
])("%s", (_rule, story, expected) => {
  expect(play(story)).toEqual(expected);
});
