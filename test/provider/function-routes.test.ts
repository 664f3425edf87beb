import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { FakeBackend } from "./fake-backend.ts";
import { serveProvider, type TestProvider } from "./support.ts";

let backend: FakeBackend;
let provider: TestProvider;
beforeEach(async () => {
  backend = new FakeBackend();
  backend.known.set("staging", { name: "staging" });
  provider = await serveProvider({ backend });
});
afterEach(() => provider.close());

const ROUTES = "com.faaslane.routes";
const PATH = "/system/routes";

async function answer(method: string, path: string, body?: unknown): Promise<string> {
  const response = await provider.call(method, path, body);
  return `${response.status} ${await response.text()}`;
}

const deploy = (service: string, routes: string, namespace = "openfaas-fn") =>
  answer("POST", "/system/functions", { service, namespace, image: "x:1", annotations: { [ROUTES]: routes } });

const list = async (query = "") => JSON.parse((await answer("GET", PATH + query)).slice(4)) as unknown;

test("a function that wants the route of another is refused with the owner's name, in any namespace", async () => {
  expect(await deploy("shop", "shop.example.com/cart/*; GET api.example.com")).toBe("202 ");
  const taken = "409 routes: shop.example.com/cart/* belongs to shop.openfaas-fn\n";
  expect(await deploy("thief", "x.example.com; SHOP.example.com./cart/*", "staging")).toBe(taken);
  expect(await deploy("more", "shop.example.com/cart/more/*; POST api.example.com", "staging")).toBe("202 ");
  expect(await list("?namespace=staging")).toEqual([
    { function: "more", namespace: "staging", host: "shop.example.com", path: "/cart/more" },
    { function: "more", namespace: "staging", host: "api.example.com", path: "/", methods: ["POST"] },
  ]);
  const update = {
    service: "more",
    namespace: "staging",
    image: "x:2",
    annotations: { [ROUTES]: "GET api.example.com" },
  };
  expect(await answer("PUT", "/system/functions", update)).toMatch(/^409 .* belongs to shop\.openfaas-fn\n$/);
  const refused = await provider.call("PUT", "/system/functions", update);
  expect(refused.headers.get("x-faaslane-error")).toBe("route_taken");
  const own = { service: "shop", image: "x:2", annotations: { [ROUTES]: "shop.example.com/cart/*" } };
  expect(await answer("PUT", "/system/functions", own)).toBe("202 ");
});

test("of several deploys at a time with the same route one gets it", async () => {
  const answers = await Promise.all(["a", "b", "c", "d"].map((name) => deploy(name, "one.example.com")));
  expect(answers.map((text) => text.slice(0, 3)).sort()).toEqual(["202", "409", "409", "409"]);
});

test("routes are set and taken away without touching the rest of the function", async () => {
  const whole = { image: "x:1", labels: { a: "b" }, annotations: { topic: "t" }, envVars: { K: "v" } };
  await answer("POST", "/system/functions", { service: "shop", ...whole });
  const routes = [{ host: "Shop.example.com", path: "/a/", headers: { "X-Who": "a b" } }];
  expect(await answer("PUT", PATH, { function: "shop", routes })).toBe("202 ");
  expect(await list()).toEqual([
    { function: "shop", namespace: "openfaas-fn", host: "shop.example.com", path: "/a", headers: { "x-who": "a b" } },
  ]);
  expect(backend.deployed.get("shop.openfaas-fn")).toMatchObject({ ...whole, annotations: { topic: "t" } });
  expect(await answer("DELETE", PATH, { function: "shop" })).toBe("202 ");
  expect(await list()).toEqual([]);
  expect(backend.deployed.get("shop.openfaas-fn")).toMatchObject(whole);
});

test.each<[rule: string, method: string, body: unknown, expected: RegExp]>([
  ["an unknown function", "PUT", { function: "nope", routes: [] }, /^404 function nope not found/],
  ["an unknown function", "DELETE", { function: "nope" }, /^404/],
  [
    "a route of another",
    "PUT",
    { function: "other", routes: [{ host: "a.b" }] },
    /^409 routes: a.b\/\* belongs to owner/,
  ],
  ["a bad path", "PUT", { function: "other", routes: [{ path: "/ok" }, { path: "x" }] }, /^400 routes: route 2: path/],
  [
    "an unknown field",
    "PUT",
    { function: "other", routes: [{ hosts: "a.b" }] },
    /^400 .*routes.0: Unrecognized key: "hosts"/,
  ],
  ["no list", "PUT", { function: "other" }, /^400 .*routes/],
  ["no function", "DELETE", {}, /^400 .*function/],
])("%s, by %s", async (_rule, method, body, expected) => {
  await deploy("owner", "a.b");
  await answer("POST", "/system/functions", { service: "other", image: "x" });
  expect(await answer(method, PATH, body)).toMatch(expected);
});

test("unreadable routes are refused at a deploy, and those written past it keep nobody from theirs", async () => {
  expect(await deploy("bad", "a.b/x//y")).toMatch(
    /^400 com\.faaslane\.routes: route 1: path: "\/x\/\/y" must be a path/,
  );
  await answer("POST", "/system/functions", { service: "odd", image: "x" });
  Object.assign(backend.deployed.get("odd.openfaas-fn") as object, { annotations: { [ROUTES]: "a.b/x//y" } });
  expect(await deploy("good", "a.b/x")).toBe("202 ");
});
