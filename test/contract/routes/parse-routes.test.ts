import { expect, test } from "@jest/globals";
import { formatRoutes, parseRoutes } from "../../../contract/routes/parse-routes.ts";
import { type FunctionRoute, takenRoutes } from "../../../contract/routes/route.ts";

test.each<[text: string, routes: FunctionRoute[]]>([
  ["shop.example.com", [{ host: "shop.example.com", path: "/" }]],
  ["Shop.Example.COM./cart/*", [{ host: "shop.example.com", path: "/cart" }]],
  ["shop.example.com/cart", [{ host: "shop.example.com", path: "/cart", exact: true }]],
  ["shop.example.com/cart/", [{ host: "shop.example.com", path: "/cart/", exact: true }]],
  ["*.example.com/*", [{ host: "*.example.com", path: "/" }]],
  ["/shop/*", [{ path: "/shop" }]],
  ["/*", [{ path: "/" }]],
  ["/caf%c3%a9/%7Euser/*", [{ path: "/caf%C3%A9/~user" }]],
  [
    "POST,GET a.example.com/x/* @canary rewrite=/y header=X-Beta:1 cert=a-tls issuer=letsencrypt",
    [
      {
        host: "a.example.com",
        path: "/x",
        methods: ["GET", "POST"],
        headers: { "x-beta": "1" },
        version: "canary",
        rewrite: "/y",
        certificate: "a-tls",
        issuer: "letsencrypt",
      },
    ],
  ],
  ["localhost @v3 keep", [{ host: "localhost", path: "/", version: "v3", keepPath: true }]],
  [
    "a.example.com ; \n b.example.com/x ;",
    [
      { host: "a.example.com", path: "/" },
      { host: "b.example.com", path: "/x", exact: true },
    ],
  ],
  [
    `[{"host":"a.example.com","path":"/x/","headers":{"X-Who":"a b"}}]`,
    [{ host: "a.example.com", path: "/x", headers: { "x-who": "a b" } }],
  ],
])("%s", (text, routes) => {
  expect(parseRoutes(text)).toEqual(routes);
  expect(parseRoutes(formatRoutes(routes))).toEqual(routes);
});

test.each<[text: string, problem: RegExp]>([
  ["shop.example.com:8080/x", /route 1: host: "shop.example.com:8080" must be a host/],
  ["münchen.example/x", /route 1: host: "münchen.example" must be .*; requests name it xn--mnchen-3ya.example$/],
  ["*.münchen.example", /route 1: host: .*; requests name it \*\.xn--mnchen-3ya\.example$/],
  ["*.com", /route 1: host: "\*.com" must be a host/],
  ["a.*.com", /route 1: host/],
  ["a..b/x", /route 1: host/],
  ["a.b/x//y", /route 1: path: "\/x\/\/y" must be a path/],
  ["a.b/../x", /route 1: path/],
  ["a.b/x/%2e%2E/*", /route 1: path/],
  ["a.b/x/*/y", /route 1: path/],
  ["a.b/x%zz", /route 1: path/],
  ["/system/functions/*", /route 1: path: "\/system\/functions" is the gateway's own/],
  ["/%73ystem/*", /is the gateway's own/],
  ["/function", /is the gateway's own/],
  ["/healthz", /is the gateway's own/],
  ["FETCH a.b/x", /route 1: methods: "FETCH" must be one of GET/],
  ["a.b/x canary", /route 1: "canary" is unknown; after the path there may be @VERSION/],
  ["a.b/x @Canary", /route 1: version: "Canary" must be a version/],
  ["a.b/x @latest", /route 1: version/],
  ["a.b/x header=Host:b", /route 1: headers: "host" must be the name of a header/],
  ["a.b/x header=a", /"header=a" is unknown/],
  ["a.b/x keep rewrite=/y", /route 1: rewrite: does not go together/],
  ["/x cert=a", /route 1: certificate: needs a host/],
  ["a.b/x cert=../a", /route 1: certificate/],
  ["a.b/x; A.B/x", /route 2: is the same as route 1: a.b\/x/],
  ["GET,POST a.b/x; POST,PUT a.b/x", /route 2: is the same as route 1/],
  [`[{"host":"a.b","weight":1}]`, /com.faaslane.routes: .*weight/],
  [`[{"host":"a.b"`, /com.faaslane.routes: /],
  [Array.from({ length: 101 }, (_, i) => `h${i}.a.b`).join(";"), /at most 100 routes/],
  ["x".repeat(70_000), /at most 65536 characters/],
])("%s is refused", (text, problem) => {
  expect(() => parseRoutes(text)).toThrow(problem);
});

test("other methods, headers, hosts and forms of a path are other routes", () => {
  const text = "GET a.b/x; POST a.b/x; a.b/x; a.b/x/*; a.b/x header=x-a:1; a.b/x header=x-a:2; *.a.b/x; /x";
  expect(parseRoutes(text)).toHaveLength(8);
});

test("what is taken is told with its owner, and nobody takes from themselves", () => {
  const owned = [
    { function: { name: "shop", namespace: "prod" }, route: parseRoutes("GET,POST a.b/x")[0] as FunctionRoute },
  ];
  expect(takenRoutes({ name: "other", namespace: "prod" }, parseRoutes("POST a.b/x; a.b/y"), owned)).toEqual([
    "POST a.b/x belongs to shop.prod",
  ]);
  expect(takenRoutes({ name: "shop", namespace: "prod" }, parseRoutes("POST a.b/x"), owned)).toEqual([]);
  expect(takenRoutes({ name: "other", namespace: "prod" }, parseRoutes("PUT a.b/x"), owned)).toEqual([]);
});
