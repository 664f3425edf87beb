import { expect, test } from "@jest/globals";
import { ConfigError, readEnv } from "../../kit/env.ts";
import { integerFrom, oneOf, parseBoolean, parseBytes, parseDuration, parsePort, parseUrl } from "../../kit/parse.ts";

test.each<[text: string, ms: number]>([
  ["0", 0],
  ["45", 45_000],
  ["1", 1_000],
  ["1m30s", 90_000],
  ["250ms", 250],
  ["1.5h", 5_400_000],
  [".5s", 500],
  ["2h3m4s5ms", 7_384_005],
  ["100us", 1],
])("the duration %j is %d ms", (text, ms) => {
  expect(parseDuration(text)).toBeCloseTo(ms, 6);
});

test.each(["", "-1s", "s", "1 m", "1d", "1m30", "abc", "1.5"])("%j is no duration", (text) => {
  expect(() => parseDuration(text)).toThrow("must be a duration");
});

test.each<[text: string, bytes: number]>([
  ["0", 0],
  ["1048576", 1_048_576],
  ["500k", 500_000],
  ["1Mi", 1_048_576],
  ["2Gi", 2_147_483_648],
])("the size %j is %d bytes", (text, bytes) => {
  expect(parseBytes(text)).toBe(bytes);
});

test.each<[what: string, parse: (text: string) => unknown, bad: readonly string[]]>([
  ["size", parseBytes, ["", "1MB", "-1", "1.5Mi", "1mi"]],
  ["port", parsePort, ["", "-1", "65536", "80a", "1e3"]],
  ["boolean", parseBoolean, ["", "1", "True", "yes"]],
  ["URL", parseUrl, ["", "gateway", "ftp://x", "//x"]],
  ["count", integerFrom(1), ["", "0", "1.5", "-1", "99999999999999999999"]],
  ["choice", oneOf("a", "b"), ["", "c", "A"]],
])("a bad %s is refused with the rule", (_what, parse, bad) => {
  for (const text of bad) expect(() => parse(text)).toThrow(/^must be /);
});

test("a URL ends in a slash, so that paths resolve below it", () => {
  expect(parseUrl("http://provider:8081/base").href).toBe("http://provider:8081/base/");
});

test("all problems are reported at once, and an empty variable counts as missing", () => {
  const read = () =>
    readEnv({ a: "x", b: "", d: "1" }, (env) => ({
      a: env.required("a", parsePort),
      b: env.required("b", parsePort),
      c: env.optional("c", parsePort),
      d: env.optional("d", parsePort),
    }));
  expect(read).toThrow(new ConfigError("bad settings:\n  a: must be a port from 0 to 65535\n  b: is required"));
});
