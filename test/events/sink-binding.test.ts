import { describe, expect, test } from "@jest/globals";
import { sinkProblems, sinkVariables } from "../../contract/events/sink-binding.ts";
import { contentOf, sameContent } from "../../provider/versions/content.ts";

const SINK = "com.faaslane.events.sink";
const OVERRIDES = "com.faaslane.events.overrides";
const GATEWAY = "http://gateway.test:8080/";
const bound = (annotations: Record<string, string>, envVars = {}) => ({
  service: "f",
  image: "f:1",
  namespace: "shop",
  annotations,
  envVars,
});

test.each<[what: string, annotations: Record<string, string>, expected: Record<string, string>]>([
  ["says nothing", {}, {}],
  ["names a broker", { [SINK]: "orders" }, { K_SINK: `${GATEWAY}broker/shop/orders` }],
  ["names a sink", { [SINK]: "sink/kafka" }, { K_SINK: `${GATEWAY}broker/shop/sink/kafka` }],
  ["names one elsewhere", { [SINK]: "audit/all" }, { K_SINK: `${GATEWAY}broker/audit/all` }],
  [
    "overrides attributes",
    { [SINK]: "orders", [OVERRIDES]: '{"tenant":"a"}' },
    { K_SINK: `${GATEWAY}broker/shop/orders`, K_CE_OVERRIDES: '{"extensions":{"tenant":"a"}}' },
  ],
  [
    "overrides them as Knative writes it",
    { [SINK]: "orders", [OVERRIDES]: '{"extensions":{"tenant":"a"}}' },
    { K_SINK: `${GATEWAY}broker/shop/orders`, K_CE_OVERRIDES: '{"extensions":{"tenant":"a"}}' },
  ],
  ["overrides without a sink", { [OVERRIDES]: '{"tenant":"a"}' }, {}],
])("a function that %s", (_what, annotations, expected) => {
  expect(sinkProblems(bound(annotations), GATEWAY)).toEqual([]);
  expect(sinkVariables(bound(annotations), GATEWAY)).toEqual(expected);
});

test("a gateway below a path keeps it", () => {
  expect(sinkVariables(bound({ [SINK]: "orders" }), "https://faas.test/base")).toEqual({
    K_SINK: "https://faas.test/base/broker/shop/orders",
  });
});

test.each<[what: string, annotations: Record<string, string>, problem: string]>([
  ["a way up", { [SINK]: ".." }, `annotations.${SINK}: must be BROKER`],
  ["too many names", { [SINK]: "a/b/c" }, `annotations.${SINK}: must be BROKER`],
  ["a sink without a name", { [SINK]: "sink/" }, `annotations.${SINK}: must be BROKER`],
  ["a sink of another namespace", { [SINK]: "other/sink/kafka" }, `annotations.${SINK}: must be BROKER`],
  ["a URL", { [SINK]: "http://evil.test" }, `annotations.${SINK}: must be BROKER`],
  ["nothing", { [SINK]: "" }, `annotations.${SINK}: must be BROKER`],
  ["no JSON", { [SINK]: "orders", [OVERRIDES]: "{" }, `annotations.${OVERRIDES}: `],
  ["a list", { [SINK]: "orders", [OVERRIDES]: "[]" }, `annotations.${OVERRIDES}: `],
  ["a name that none may have", { [SINK]: "orders", [OVERRIDES]: '{"A-b":"1"}' }, `annotations.${OVERRIDES}: `],
])("%s is refused, and sets nothing", (_what, annotations, problem) => {
  expect(sinkProblems(bound(annotations), GATEWAY)).toEqual([expect.stringContaining(problem)]);
  expect(sinkVariables(bound(annotations), GATEWAY)).toEqual({});
});

describe("a function that sends events", () => {
  test("must not set the variables itself; others may", () => {
    const env = { K_SINK: "http://own.test" };
    expect(sinkProblems(bound({ [SINK]: "orders" }, env), GATEWAY)).toEqual([
      expect.stringContaining("envVars.K_SINK: is set by the platform"),
    ]);
    expect(sinkProblems(bound({}, env), GATEWAY)).toEqual([]);
  });

  test("needs a provider that knows its gateway", () => {
    expect(sinkProblems(bound({ [SINK]: "orders" }), undefined)).toEqual([expect.stringContaining("gateway_url")]);
    expect(sinkVariables(bound({ [SINK]: "orders" }), undefined)).toEqual({});
  });

  test("is another version when its events go elsewhere, so that replicas learn of it", () => {
    const content = (sink: string) => contentOf(bound({ [SINK]: sink }));
    expect(sameContent(content("orders"), content("orders"))).toBe(true);
    expect(sameContent(content("orders"), content("others"))).toBe(false);
  });
});
