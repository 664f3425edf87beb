import { expect, test } from "@jest/globals";
import { PathPrefix, parsePathPrefix } from "../../../gateway/core/path-prefix.ts";

const PATH = "/async-function/1";
const told = (prefix: string | string[] | undefined) => ({ "x-forwarded-prefix": prefix }) as Record<string, string>;

test.each([
  ["/faas", "/faas/async-function/1"],
  ["/faas/", "/faas/async-function/1"],
  ["/a/b-c_d.e", "/a/b-c_d.e/async-function/1"],
  ["/caf%C3%A9", "/caf%C3%A9/async-function/1"],
  ["/", "/async-function/1"],
])("a proxy that says %s", (given, location) => {
  expect(new PathPrefix().locate(PATH, told(given))).toEqual({ location, vary: "X-Forwarded-Prefix" });
});

test("without a word of a proxy a path stays as it is", () => {
  expect(new PathPrefix().locate(PATH, {})).toEqual({ location: PATH });
});

test.each([
  ["/set", "/set/async-function/1"],
  ["/", "/async-function/1"],
])("a setting of %s holds whatever a request says", (set, location) => {
  expect(new PathPrefix(parsePathPrefix(set)).locate(PATH, told("/other"))).toEqual({ location });
});

test.each([
  ["/faas/function/f/a?b", "/function/f/a?b"],
  ["/function/f", "/function/f"],
  ["/faas", "/"],
  ["/faas/", "/"],
  ["/faas?a=b", "/?a=b"],
  ["/faas/faas/x", "/faas/x"],
  ["/faasx/function/f", "/faasx/function/f"],
  ["/FAAS/function/f", "/FAAS/function/f"],
  ["/faas//function/f", "//function/f"],
  ["*", "*"],
])("below /faas, %s is %s", (url, own) => {
  expect(new PathPrefix("/faas").strip(url)).toBe(own);
  for (const unset of [new PathPrefix(), new PathPrefix("")]) expect(unset.strip(url)).toBe(url);
});

test.each(["/function", "/async-function/x", "/system/", "/ui/x", "/healthz"])("%s is the gateway's own", (text) => {
  expect(() => parsePathPrefix(text)).toThrow("must be a path such as /faas, and none that the gateway itself has");
});

test.each(["", "faas", "//evil", "/a//b", "/a?b", "/../x", "https://evil", "/a b"])("%p is no setting", (text) => {
  expect(() => parsePathPrefix(text)).toThrow("must be a path such as /faas");
});
