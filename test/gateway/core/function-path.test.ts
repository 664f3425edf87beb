import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { cleanLocation, parseFunctionPath, splitVersion } from "../../../gateway/core/function-path.ts";

const parse = (url: string) => parseFunctionPath(url, "/function/");

test.each<[rule: string, url: string, target: string, rest: string]>([
  ["a bare name leads to /", "/function/f", "f", "/"],
  ["a trailing slash too", "/function/f/", "f", "/"],
  ["the namespace stays in the target", "/function/f.ns", "f.ns", "/"],
  ["a version stays in the target", "/function/f@v3/a", "f@v3", "/a"],
  ["a tag with its namespace too", "/function/f@canary.ns?x=1", "f@canary.ns", "/?x=1"],
  ["an escaped one as well", "/function/f%40v3", "f@v3", "/"],
  ["path and query follow", "/function/f/a/b?x=1", "f", "/a/b?x=1"],
  ["a query without a path", "/function/f?x=1", "f", "/?x=1"],
  ["a slash at the end stays", "/function/f/a/", "f", "/a/"],
  ["an encoded slash stays encoded", "/function/f/a%2Fb", "f", "/a%2Fb"],
  ["an encoded percent stays encoded", "/function/f/a%25b", "f", "/a%25b"],
  ["an encoded question mark stays in the path", "/function/f/a%3Fb?c", "f", "/a%3Fb?c"],
  ["the query is not touched", "/function/f?a=1&b=%2F&c=x+y&&d//e/../f", "f", "/?a=1&b=%2F&c=x+y&&d//e/../f"],
  ["an escaped name is decoded", "/function/%66/x", "f", "/x"],
  ["dots within segments are no dot segments", "/function/f/.well-known/a..b/...", "f", "/.well-known/a..b/..."],
])("%s", (_rule, url, target, rest) => {
  expect(parse(url)).toEqual({ kind: "function", target, url: rest });
});

test.each<[url: string, location: string]>([
  ["/function/f//a", "/function/f/a"],
  ["/function/f/a/../b", "/function/f/b"],
  ["/function/f/./a", "/function/f/a"],
  ["/function/f/a/..", "/function/f"],
  ["/function/f/a//?x=1//2", "/function/f/a/?x=1//2"],
  ["/function/../../../etc/passwd", "/etc/passwd"],
  ["/function//evil.test", "/function/evil.test"],
  ["/function/../..//evil.test", "/evil.test"],
])("%s is sent to %s", (url, location) => {
  expect(parse(url)).toEqual({ kind: "redirect", location });
});

test.each<[url: string, location: string | undefined]>([
  ["/system//functions?a=//b", "/system/functions?a=//b"],
  ["/system/x/../functions", "/system/functions"],
  ["//evil.test/x", "/evil.test/x"],
  ["/\\evil.test//x", "/%5Cevil.test/x"],
  ["/system/functions", undefined],
  ["/system/functions?a=//b/../c", undefined],
  ["http://gw.test/system/functions", undefined],
  [`//${"a".repeat(9000)}`, undefined],
])("of any path, %s is sent to %s", (url, location) => {
  expect(cleanLocation(url)).toBe(location);
});

test.each(["/function/", "/function/?x", "/function/no$pe", "/function/a b", "/function/%zz", "/function/%2e%2e%2fx"])(
  "%s is no route",
  (url) => {
    expect(parse(url)).toEqual({ kind: "none" });
  },
);

test("what follows the name arrives unchanged, and clean paths redirect to nothing else", () => {
  fc.assert(
    fc.property(fc.webPath(), fc.webQueryParameters(), (path, query) => {
      const rest = `${path.startsWith("/") ? path : `/${path}`}?${query}`;
      const result = parse(`/function/f${rest}`);
      if (result.kind === "function") expect(result.url).toBe(rest);
      else if (result.kind === "redirect")
        expect(parse(`/function/${result.location.slice(10)}`).kind).not.toBe("redirect");
    }),
  );
});

test.each(["/function/f@", "/function/@v3", "/function/f@v3@v4", "/function/f.@v3", "/function/f@.ns"])(
  "%s is no function",
  (url) => {
    expect(parse(url)).toEqual({ kind: "none" });
  },
);

test("a target is taken apart from its version", () => {
  expect(splitVersion("f.ns")).toBeUndefined();
  expect(splitVersion("f@v3")).toEqual({ target: "f", version: "v3" });
  expect(splitVersion("f@canary.ns")).toEqual({ target: "f.ns", version: "canary" });
});
