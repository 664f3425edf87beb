import { expect, test } from "@jest/globals";
import { chooseToGiveUp, UploadProgress } from "../../../gateway/core/upload-progress.ts";

/** Pieces as they came: when, and how many bytes. The first is the start. */
function upload(name: string, ...pieces: readonly (readonly [at: number, bytes: number])[]) {
  const progress = new UploadProgress(pieces[0]?.[0] ?? 0);
  for (const [at, bytes] of pieces) progress.add(bytes, at);
  return { name, progress };
}

const MB = 1e6;
const steady = (name: string, from: number, to: number, bytes: number) =>
  upload(name, ...Array.from({ length: (to - from) / 100 + 1 }, (_, i) => [from + i * 100, bytes] as const));

test.each<[rule: string, uploads: ReturnType<typeof upload>[], now: number, chosen: string | undefined]>([
  ["nobody when there is none", [], 0, undefined],
  ["the only one", [upload("a", [0, 10])], 0, "a"],
  ["not one that holds nothing", [upload("empty", [0, 0]), upload("a", [9000, 10])], 9000, "a"],
  ["the one that has stood still for longest", [upload("a", [0, MB]), upload("b", [500, 10])], 5000, "a"],
  [
    "one that stands still before a slow one",
    [upload("still", [0, 9 * MB]), steady("slow", 0, 5000, 1)],
    5000,
    "still",
  ],
  ["the slowest of those that move", [steady("fast", 0, 5000, 1000), steady("slow", 0, 5000, 100)], 5000, "slow"],
  [
    "one that begins fast and then trickles",
    [
      steady("fair", 0, 9000, 500),
      (() => {
        const trickle = steady("trickle", 0, 9000, 1);
        const burst = upload("burst", [0, 9 * MB]);
        for (let at = 100; at <= 9000; at += 100) burst.progress.add(1, at);
        return burst.progress.speed(9000) < 1 ? burst : trickle;
      })(),
    ],
    9000,
    "burst",
  ],
  ["not one that has just begun", [steady("slow", 0, 5000, 100), upload("new", [4999, 64_000])], 5000, "slow"],
  ["a short pause is no standstill", [upload("pause", [0, 9 * MB]), steady("slow", 0, 900, 100)], 900, "slow"],
])("gives up %s", (_rule, uploads, now, chosen) => {
  expect(chooseToGiveUp(uploads, now)?.name).toBe(chosen);
});
