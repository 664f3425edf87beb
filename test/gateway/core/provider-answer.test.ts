import { expect, test } from "@jest/globals";
import { leadsOut, type ProviderAnswer, readProviderAnswer } from "../../../gateway/core/provider-answer.ts";

const mark = { "x-openfaas-internal": "proxy" };
const watchdog = { "x-duration-seconds": "0.01" };

test.each<[what: string, status: number, headers: Record<string, string>, expected: ProviderAnswer]>([
  ["an answer", 200, {}, "functions"],
  ["no replica", 503, mark, "undelivered"],
  ["a function that passes on what another said", 503, { ...mark, ...watchdog }, "functions"],
  ["a function that is overloaded", 503, watchdog, "functions"],
  ["a proxy on the way", 503, {}, "broken"],
  ["a replica lost on the way: it may have the call", 500, mark, "broken"],
  ["a function that fails", 500, {}, "functions"],
  ["a proxy that reaches nobody", 502, {}, "broken"],
  ["a function's own 404", 404, watchdog, "functions"],
  ["a 404 of whoever it is", 404, {}, "broken"],
  ["a provider of faaslane's", 404, { "x-faaslane-error": "unknown_route" }, "replaced"],
  [
    "a function that passes on what a gateway said",
    404,
    { "x-faaslane-error": "unknown_route", ...watchdog },
    "functions",
  ],
  ["too many calls", 429, { "x-openfaas-internal": "faas-middleware" }, "functions"],
])("%s is told by its status and headers", (_what, status, headers, expected) => {
  expect(readProviderAnswer(status, headers)).toBe(expected);
});

test.each<[url: string, expected: boolean]>([
  ["/", false],
  ["/a/b?x=../..", false],
  ["/a%2Fb", false],
  ["/a..b/...", false],
  ["/%2e%2e/system/functions", true],
  ["/a/%2E./b", true],
  ["/a%2f..%2f..", true],
  ["/..%2f", true],
  ["/a\\..\\b", true],
  ["/a%5c%2e%2e%5Cb", true],
  ["/%252e%252e/b", true],
  ["/..;/b", true],
  ["/%2e%2e;x/b", true],
  ["/100%25/..x", false],
])("whether %s leads out is %s", (url, expected) => {
  expect(leadsOut(url)).toBe(expected);
});
