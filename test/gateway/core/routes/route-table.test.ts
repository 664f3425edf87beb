import { describe, expect, test } from "@jest/globals";
import { parseRoutes } from "../../../../contract/routes/parse-routes.ts";
import type { OwnedRoute } from "../../../../contract/routes/route.ts";
import { isUnclean, readRequestTarget } from "../../../../gateway/core/routes/request-target.ts";
import { RouteTable } from "../../../../gateway/core/routes/route-table.ts";

function owned(routes: Readonly<Record<string, string>>): OwnedRoute[] {
  return Object.entries(routes).flatMap(([name, text]) =>
    parseRoutes(text).map((route) => ({ function: { name, namespace: "fn" }, route })),
  );
}

const table = new RouteTable(
  owned({
    a: "shop.x.com/a/*",
    ab: "shop.x.com/a/b/*",
    abExact: "shop.x.com/a/b",
    root: "shop.x.com",
    wild: "*.x.com",
    wilder: "*.deep.x.com",
    y: "y.x.com",
    post: "POST shop.x.com/a/*; DELETE shop.x.com/only/*",
    beta: "shop.x.com/a/* header=x-beta:1 @canary",
    both: "POST shop.x.com/a/* header=x-beta:1 header=x-more:2",
    kept: "kept.x.com/k/* keep",
    moved: "kept.x.com/m/* rewrite=/n/o; kept.x.com/one rewrite=/n",
    anywhere: "/hook/*; /*",
  }),
);

const find = (url: string, host?: string, method = "GET", headers: Record<string, string> = {}) =>
  table.find({ method, host, target: readRequestTarget(url), headers });

test.each<[method: string, host: string | undefined, url: string, name: string | undefined, seen: string]>([
  ["GET", "shop.x.com", "/a", "a", "/"],
  ["GET", "shop.x.com", "/a/", "a", "/"],
  ["GET", "shop.x.com", "/a/c?d=/e", "a", "/c?d=/e"],
  ["GET", "shop.x.com", "/a?x", "a", "/?x"],
  ["GET", "shop.x.com", "/ab", "root", "/ab"],
  ["GET", "shop.x.com", "/a/b", "abExact", "/"],
  ["GET", "shop.x.com", "/a/b?q=1", "abExact", "/?q=1"],
  ["GET", "shop.x.com", "/a/b/", "ab", "/"],
  ["GET", "shop.x.com", "/a/b/c", "ab", "/c"],
  ["GET", "shop.x.com", "/a/bc", "a", "/bc"],
  ["GET", "shop.x.com", "/A/b", "root", "/A/b"],
  ["GET", "shop.x.com", "/", "root", "/"],
  ["GET", "shop.x.com", "/?a", "root", "/?a"],
  ["GET", "shop.x.com", "/system/functions", "root", "/system/functions"],
  ["GET", "shop.x.com", "/only/x", "root", "/only/x"],
  ["DELETE", "shop.x.com", "/only/x", "post", "/x"],
  ["POST", "shop.x.com", "/a/c", "post", "/c"],
  ["GET", "y.x.com", "/q", "y", "/q"],
  ["GET", "z.x.com", "/q", "wild", "/q"],
  ["GET", "a.deep.x.com", "/q", "wilder", "/q"],
  ["GET", "a.b.x.com", "/q", "wild", "/q"],
  ["GET", "x.com", "/q", "anywhere", "/q"],
  ["GET", ".x.com", "/q", "anywhere", "/q"],
  ["GET", undefined, "/q", "anywhere", "/q"],
  ["GET", "SHOP.X.com", "/a", "a", "/"],
  ["GET", "shop.x.com:8080", "/a", "a", "/"],
  ["GET", "shop.x.com.", "/a", "a", "/"],
  ["GET", "shop.x.com.:443", "/a", "a", "/"],
  ["GET", "shop.x.com..", "/a", "anywhere", "/a"],
  ["GET", "[::1]:8080", "/a", "anywhere", "/a"],
  ["GET", "kept.x.com", "/k/b?c", "kept", "/k/b?c"],
  ["GET", "kept.x.com", "/m", "moved", "/n/o"],
  ["GET", "kept.x.com", "/m/p?q", "moved", "/n/o/p?q"],
  ["GET", "kept.x.com", "/one?q", "moved", "/n?q"],
  ["GET", "kept.x.com", "/else", "wild", "/else"],
  ["GET", "o.org", "/hook/a", "anywhere", "/a"],
])("%s %s%s leads to %s", (method, host, url, name, seen) => {
  const found = find(url, host, method);
  expect([found?.function.name, found?.url]).toEqual([name, seen]);
});

describe("escapes", () => {
  test.each<[url: string, name: string | undefined, seen: string]>([
    ["/%61/c", "a", "/c"],
    ["/a%2Fb/c", "root", "/a%2Fb/c"],
    ["/a/b%2fc", "a", "/b%2fc"],
    ["/a/%62", "abExact", "/"],
    ["/a/%62/%2f?%2F", "ab", "/%2f?%2F"],
    ["/a%", "root", "/a%"],
    ["/a%00/x", "root", "/a%00/x"],
  ])("%s leads to %s", (url, name, seen) => {
    const found = find(url, "shop.x.com");
    expect([found?.function.name, found?.url]).toEqual([name, seen]);
  });

  test.each([
    ["/a/../b", true],
    ["/a/%2e%2E/b", true],
    ["/a/.%2e", true],
    ["/%2e", true],
    ["//a", true],
    ["/a//b", true],
    ["/a/..%2fb", false],
    ["/a/...", false],
    ["/a?b=//../", false],
  ])("%s is unclean: %s", (url, unclean) => {
    expect(isUnclean(readRequestTarget(url))).toBe(unclean);
  });
});

test("more headers win over fewer, and over methods", () => {
  expect(find("/a/c", "shop.x.com", "POST", { "x-beta": "1" })).toMatchObject({
    function: { name: "beta" },
    version: "canary",
    prefix: "/a",
  });
  expect(find("/a/c", "shop.x.com", "POST", { "x-beta": "1", "x-more": "2" })?.function.name).toBe("both");
  expect(find("/a/c", "shop.x.com", "GET", { "x-beta": "2" })?.function.name).toBe("a");
});

test.each([
  "/",
  "/?a",
  "/function/f",
  "/async-function/f",
  "/system/functions",
  "/%73ystem/x",
  "/ui/",
  "/healthz",
  "/metrics",
])("%s is the gateway's own wherever no route names the host", (url) => {
  expect(find(url, "elsewhere.org")).toBeUndefined();
});

test("hosts with routes are named", () => {
  const named = (host: string | undefined) => table.names(host);
  expect(["shop.x.com", "Q.x.com:1", "x.com", "", undefined].map(named)).toEqual([true, true, false, false, false]);
});

test("of two that are the same one is served, and the other told", () => {
  const both = new RouteTable(owned({ zebra: "a.b/x; a.b/y", ape: "a.b/x" }));
  expect(both.size).toBe(2);
  expect(both.conflicts).toMatchObject([
    { function: { name: "zebra" }, owner: { name: "ape" }, route: { path: "/x" } },
  ]);
  const target = readRequestTarget("/x");
  expect(both.find({ method: "GET", host: "a.b", target, headers: {} })?.function.name).toBe("ape");
});

test("the order in which routes were made does not count", () => {
  const all = owned({
    a: "a.b.c/x/*",
    b: "a.b.c/x/y/*",
    c: "*.b.c/x/y/z/*",
    d: "GET a.b.c/x/*",
    e: "a.b.c/x/* header=x-e:1",
  });
  const answers = (routes: readonly OwnedRoute[]) =>
    ["/x", "/x/y", "/x/y/z", "/q"].map((url) => {
      const made = new RouteTable(routes);
      return made.find({ method: "GET", host: "a.b.c", target: readRequestTarget(url), headers: { "x-e": "1" } })
        ?.function.name;
    });
  expect(answers(all)).toEqual(["e", "b", "b", undefined]);
  expect(answers([...all].reverse())).toEqual(answers(all));
});
