import { expect, test } from "@jest/globals";
import { formatRoute } from "../../../../contract/routes/parse-routes.ts";
import { readFunctionIngress } from "../../../../provider/backends/kubernetes/resources/function-ingress.ts";
import { buildRouteObjects } from "../../../../provider/backends/kubernetes/resources/route-object.ts";

const read = (spec: object) => readFunctionIngress({ metadata: { name: "shop" }, spec }, "openfaas-fn");

test.each<[spec: object, owner: string, route: string]>([
  [{ domain: "Shop.example.com", function: "shop" }, "shop.openfaas-fn", "shop.example.com/*"],
  [{ domain: "a.example.com", function: "shop.prod", path: "/" }, "shop.prod", "a.example.com/*"],
  [{ domain: "a.example.com", function: "shop", path: "/v1/(.*)" }, "shop.openfaas-fn", "a.example.com/v1/*"],
  [{ domain: "a.example.com", function: "shop", path: "/v1/.*" }, "shop.openfaas-fn", "a.example.com/v1/*"],
  [{ domain: "a.example.com", function: "shop", path: "/v1(/|$)(.*)" }, "shop.openfaas-fn", "a.example.com/v1/*"],
  [{ domain: "a.example.com", function: "shop", path: "/(.*)" }, "shop.openfaas-fn", "a.example.com/*"],
  [{ domain: "*.example.com", function: "shop", path: "/v1" }, "shop.openfaas-fn", "*.example.com/v1/*"],
  [
    { domain: "a.example.com", function: "shop", tls: { enabled: true, issuerRef: { name: "le", kind: "Issuer" } } },
    "shop.openfaas-fn",
    "a.example.com/* cert=shop-cert issuer=le",
  ],
  [{ domain: "a.example.com", function: "shop", tls: { enabled: false } }, "shop.openfaas-fn", "a.example.com/*"],
])("%j", (spec, owner, route) => {
  const { routes, problem } = read(spec);
  expect(problem).toBeUndefined();
  const told = routes.map(({ function: { name, namespace }, route: made }) => [
    `${name}.${namespace}`,
    formatRoute(made),
  ]);
  expect(told).toEqual([[owner, route]]);
  expect(routes[0]?.source).toBe("FunctionIngress shop");
});

test.each<[spec: object, problem: RegExp]>([
  [{ function: "shop" }, /spec.domain: is missing/],
  [{ domain: "a.example.com" }, /spec.function: names no function/],
  [{ domain: "a.example.com", function: "../shop" }, /spec.function/],
  [{ domain: "a.example.com", function: "shop", path: "/v[12]/(.*)" }, /spec.path: "\/v\[12\]" must be a path/],
  [{ domain: "a b", function: "shop" }, /spec.host: "a b" must be a host/],
])("%j is not served, and it is said why", (spec, problem) => {
  const told = read(spec);
  expect(told.routes).toEqual([]);
  expect(told.problem).toMatch(problem);
});

test("there is an object for each host and path, whatever methods and headers there are", () => {
  const owned = ["GET a.b/x/*", "POST a.b/x/*", "a.b/x", "/y", "a.b/x/* header=x-a:1"].map((_, at) => ({
    function: { name: "f", namespace: "fn" },
    route: [
      { host: "a.b", path: "/x", methods: ["GET"] },
      { host: "a.b", path: "/x", methods: ["POST"] },
      { host: "a.b", path: "/x", exact: true },
      { path: "/y" },
      { host: "a.b", path: "/x", headers: { "x-a": "1" } },
    ][at] as { path: string },
  }));
  const settings = {
    kind: "ingress",
    namespace: "openfaas",
    service: "gateway",
    port: 8080,
    issuerKind: "Issuer",
  } as const;
  expect(buildRouteObjects(owned, settings).map(({ spec }) => spec)).toMatchObject([
    { rules: [{ http: { paths: [{ path: "/x", pathType: "Prefix" }] } }] },
    { rules: [{ http: { paths: [{ path: "/x", pathType: "Exact" }] } }] },
  ]);
});
