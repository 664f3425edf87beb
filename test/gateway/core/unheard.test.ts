import { expect, test } from "@jest/globals";
import { isUnheard } from "../../../gateway/core/unheard.ts";

const REFUSED = { "x-openfaas-internal": "of-watchdog", "content-length": "0", "x-duration-seconds": "0.000412" };

test.each<[what: string, status: number, headers: Record<string, string>, ageMs: number, is: boolean]>([
  ["a watchdog whose server refuses", 500, REFUSED, 100, true],
  ["one that is no longer new", 500, REFUSED, 10_000, false],
  ["one that gives up", 504, REFUSED, 100, false],
  ["one whose server broke off later", 500, { ...REFUSED, "x-duration-seconds": "0.3" }, 100, false],
  ["one that does not say how long", 500, { ...REFUSED, "x-duration-seconds": "soon" }, 100, false],
  ["a function", 500, { "content-length": "0", "x-duration-seconds": "0.0004" }, 100, false],
  ["an answer with a body", 500, { ...REFUSED, "content-length": "3" }, 100, false],
  ["another part of the platform", 500, { ...REFUSED, "x-openfaas-internal": "proxy" }, 100, false],
])("%s", (_what, status, headers, ageMs, is) => {
  expect(isUnheard(status, headers, ageMs)).toBe(is);
});
