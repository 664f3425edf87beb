import { describe, expect, test } from "@jest/globals";
import { ByHand, type SetByHand } from "../../../../gateway/core/scaling/by-hand.ts";

const START = 1_700_000_000_000;

/**
 * What is known in the end of a function to which these things happen, such as `0 seen 1; 1 ordered 3`: the second, what
 * it is, and how many replicas.
 */
function play(events: string, least = 1): Omit<SetByHand, "at"> | undefined {
  const hand = new ByHand();
  let decided: number | undefined;
  for (const event of events.split("; ")) {
    const [at, what, count] = event.split(" ");
    const now = START + Number(at) * 1000;
    const replicas = Number(count);
    if (what === "seen") hand.see(replicas, { now, decided, least });
    else if (what === "ordered") hand.ordered(replicas, now);
    else if (what === "claimed") hand.claimed(replicas, now);
    else if (what === "told") hand.reported(replicas, now);
    else if (what === "refused") hand.refused(replicas);
    else if (what === "decided") decided = replicas;
    else throw new Error(event);
  }
  return hand.last && { replicas: hand.last.replicas, before: hand.last.before };
}

describe("a change is by hand", () => {
  test.each<[why: string, events: string, replicas: number, before: number]>([
    ["when nobody ordered it", "0 seen 1; 1 seen 3", 3, 1],
    ["downwards too", "0 seen 5; 1 seen 2", 2, 5],
    ["when another number was ordered", "0 seen 1; 0 ordered 4; 1 seen 3", 3, 1],
    ["when its order was seen already", "0 seen 1; 0 ordered 3; 1 seen 3; 2 ordered 1; 3 seen 1; 4 seen 3", 3, 1],
    ["when the order came to nothing", "0 seen 1; 0 ordered 3; 0 refused 3; 1 seen 3", 3, 1],
    ["when the order is too old", "0 seen 1; 0 ordered 3; 20 seen 3", 3, 1],
    ["when a gateway was asked for it", "0 seen 1; 1 told 3; 2 seen 3", 3, 1],
    ["however soon it was seen", "0 seen 5; 1 seen 2; 2 told 2", 2, 5],
    ["also for the present number", "0 seen 3; 1 told 3", 3, 3],
    ["whatever another gateway orders just then", "0 seen 1; 1 told 3; 1 claimed 3; 2 seen 3", 3, 1],
    ["again, when it was before", "0 seen 1; 1 seen 3; 60 ordered 1; 61 seen 1; 70 seen 3", 3, 1],
    ["also when an order that crossed it is seen later", "0 seen 2; 1 ordered 1; 1 seen 3; 2 seen 1", 3, 2],
    ["also when it is restored", "0 seen 2; 1 ordered 1; 1 seen 3; 2 seen 1; 3 ordered 3; 4 seen 3", 3, 2],
  ])("%s", (_why, events, replicas, before) => {
    expect(play(events)).toEqual({ replicas, before });
  });
});

describe("a change is not by hand", () => {
  test.each<[why: string, events: string]>([
    ["at first sight", "0 seen 3"],
    ["when this gateway ordered it", "0 seen 1; 0 ordered 3; 1 seen 3"],
    ["when several orders are seen at once", "0 seen 1; 0 ordered 2; 1 ordered 3; 2 seen 3"],
    ["when another gateway had told of its order", "0 seen 1; 0 claimed 3; 1 seen 3"],
    ["when another gateway tells of it afterwards", "0 seen 0; 1 seen 3; 2 claimed 3"],
    ["when this gateway would have ordered it", "0 seen 1; 0 decided 3; 1 seen 3"],
    ["when it is sent to sleep, which a call ends", "0 seen 1; 1 seen 3; 9 seen 0"],
  ])("%s", (_why, events) => {
    expect(play(events)).toBeUndefined();
  });

  test("when a deploy raises it to its minimum", () => {
    expect(play("0 seen 1; 1 seen 3", 3)).toBeUndefined();
  });
});
