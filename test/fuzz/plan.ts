import type { End, Plan } from "../support/rough-connection.ts";
import type { Dice } from "./dice.ts";

/** A way to send `bytes`. */
export function planFor(bytes: Buffer, dice: Dice): Plan {
  const cuts = Array.from({ length: dice.size(6) - 1 }, () => dice.below(bytes.length + 1)).sort((a, b) => a - b);
  const starts = [0, ...cuts];
  const pieces = starts.map((start, index) => ({
    bytes: bytes.subarray(start, starts[index + 1] ?? bytes.length),
    pauseMs: index === 0 || dice.chance(0.5) ? 0 : dice.size(50),
  }));
  const ends: readonly End[] = ["wait", "wait", "wait", "finish", "reset", "leave"];
  return { pieces, end: dice.pick(ends), deaf: dice.chance(0.1), waitMs: dice.between(20, 300) };
}
