import { expect, test } from "@jest/globals";
import {
  type ImageTag,
  type ImageUsage,
  judgeArtefact,
  type KeepRule,
  namesToRenew,
  type Verdict,
} from "../../../provider/backends/local/image-rule.ts";

const HOUR = 3600e3;
const NOW = 1_000 * HOUR;
const rule = (given: Partial<KeepRule> = {}): KeepRule => ({ keepMs: 24 * HOUR, nowMs: NOW, all: false, ...given });
const tag = (reference: string, ageHours: number, digest = "a"): ImageTag => ({
  reference,
  digest,
  keptSince: NOW - ageHours * HOUR,
});
const usage = (digests: string[] = [], references: string[] = [], held: string[] = []): ImageUsage => ({
  digests: new Set(digests),
  references: new Set(references),
  isHeld: (digest) => held.includes(digest),
});
const kept: Verdict = { forget: [], remove: false };

test.each<[what: string, tags: ImageTag[], usage: ImageUsage, rule: KeepRule, expected: Verdict]>([
  ["one without a name goes at once", [], usage(), rule(), { forget: [], remove: true }],
  ["one without a name stays while a function runs from it", [], usage(["a"]), rule(), kept],
  ["one without a name stays while a build is about to name it", [], usage([], [], ["a"]), rule(), kept],
  ["one that was just built stays", [tag("x:1", 0)], usage(), rule(), kept],
  ["one stays until its time is over", [tag("x:1", 23.9)], usage(), rule(), kept],
  ["one goes when its time is over", [tag("x:1", 24)], usage(), rule(), { forget: ["x:1"], remove: true }],
  ["one that is old stays while a function runs from it", [tag("x:1", 999)], usage(["a"]), rule(), kept],
  ["one that is old stays while a function names it", [tag("x:1", 999)], usage([], ["x:1"]), rule(), kept],
  ["each name has its own time", [tag("x:1", 30), tag("x:2", 1)], usage(), rule(), { forget: ["x:1"], remove: false }],
  [
    "all: one that was just built goes",
    [tag("x:1", 0)],
    usage(),
    rule({ all: true }),
    { forget: ["x:1"], remove: true },
  ],
  ["all: what is used stays", [tag("x:1", 999)], usage(["a"]), rule({ all: true }), kept],
  ["all: what is being built stays", [tag("x:1", 999)], usage([], [], ["a"]), rule({ all: true }), kept],
  [
    "all: a name that no function has goes, the artefact stays for the one that has its other name",
    [tag("x:1", 0), tag("x:2", 0)],
    usage([], ["x:2"]),
    rule({ all: true }),
    { forget: ["x:1"], remove: false },
  ],
  ["for ever is never over", [tag("x:1", 999)], usage(), rule({ keepMs: Infinity }), kept],
  ["a name of the future stays", [tag("x:1", -5)], usage(), rule(), kept],
])("%s", (_what, tags, uses, given, expected) => {
  expect(judgeArtefact("a", tags, uses, given)).toEqual(expected);
});

test.each<[what: string, tag: ImageTag, usage: ImageUsage, keepMs: number, renewed: boolean]>([
  ["in use, it is kept from when it was last seen", tag("x:1", 2), usage(["a"]), 24 * HOUR, true],
  ["named, it is kept from when it was last seen", tag("x:1", 2), usage([], ["x:1"]), 24 * HOUR, true],
  ["it is not written down each time", tag("x:1", 0.5), usage(["a"]), 24 * HOUR, false],
  ["with a short time it is written down more often", tag("x:1", 0.5), usage(["a"]), HOUR, true],
  ["out of use, its time goes on", tag("x:1", 2), usage(["b"]), 24 * HOUR, false],
  ["a time that the clock has not reached begins now", tag("x:1", -2), usage(), 24 * HOUR, true],
])("%s", (_what, given, uses, keepMs, renewed) => {
  expect(namesToRenew([given], uses, { keepMs, nowMs: NOW })).toEqual(renewed ? ["x:1"] : []);
});
