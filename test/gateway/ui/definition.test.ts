import { expect, test } from "@jest/globals";
import { changesBetween, definitionOf } from "../../../gateway/ui/browser/definition/definition.ts";
import {
  definitionFrom,
  emptyForm,
  formOf,
  formProblems,
  problemsOf,
} from "../../../gateway/ui/browser/definition/form.ts";

const STATUS = {
  name: "a",
  image: "a:1",
  namespace: "staging",
  envProcess: "node index.mjs",
  envVars: { LEVEL: "debug", EMPTY: "" },
  constraints: ["zone=1"],
  secrets: ["key"],
  labels: { "com.openfaas.scale.min": "2", faas_function: "a", team: "ops" },
  annotations: { "prometheus.io.scrape": "false", topic: "orders" },
  limits: { memory: "128Mi", "nvidia.com/gpu": "1" },
  readOnlyRootFilesystem: true,
  profileOfTomorrow: { deep: [1, 2] },
  replicas: 2,
  availableReplicas: 1,
  invocationCount: 7,
  createdAt: "2026-01-01T00:00:00Z",
  usage: { cpu: 1 },
  problem: "it is slow",
  sandbox: "none",
  imageBytes: 5,
};

test("what was deployed is read from what the gateway tells, without its state and what the platform adds", () => {
  expect(definitionOf(STATUS)).toEqual({
    service: "a",
    image: "a:1",
    namespace: "staging",
    envProcess: "node index.mjs",
    envVars: { LEVEL: "debug", EMPTY: "" },
    constraints: ["zone=1"],
    secrets: ["key"],
    labels: { "com.openfaas.scale.min": "2", team: "ops" },
    annotations: { topic: "orders" },
    limits: { memory: "128Mi", "nvidia.com/gpu": "1" },
    readOnlyRootFilesystem: true,
    profileOfTomorrow: { deep: [1, 2] },
  });
});

test("a form that nobody touched changes nothing, and loses nothing that the page does not know", () => {
  const base = definitionOf(STATUS);
  const same = definitionFrom(formOf(base), base);
  expect(same).toEqual(base);
  expect(changesBetween(base, same)).toEqual([]);
});

test("what is changed is told field by field", () => {
  const base = definitionOf(STATUS);
  const form = formOf(base);
  const next = definitionFrom(
    {
      ...form,
      image: "a:2",
      envProcess: "",
      envVars: [{ key: "LEVEL", value: "info" }],
      scaleMin: "",
      scaleMax: "5",
      secrets: ["other", "key"],
      limitsMemory: "",
      limitsCpu: "100m",
      readOnlyRootFilesystem: false,
      annotations: [],
    },
    base,
  );
  expect(next).not.toHaveProperty("annotations");
  expect(next.limits).toEqual({ cpu: "100m", "nvidia.com/gpu": "1" });
  expect(changesBetween(base, next)).toEqual([
    { field: "annotations.topic", from: "orders", to: undefined },
    { field: "envProcess", from: "node index.mjs", to: undefined },
    { field: "envVars.EMPTY", from: "", to: undefined },
    { field: "envVars.LEVEL", from: "debug", to: "info" },
    { field: "image", from: "a:1", to: "a:2" },
    { field: "labels.com.openfaas.scale.max", from: undefined, to: "5" },
    { field: "labels.com.openfaas.scale.min", from: "2", to: undefined },
    { field: "limits.cpu", from: undefined, to: "100m" },
    { field: "limits.memory", from: "128Mi", to: undefined },
    { field: "readOnlyRootFilesystem", from: "true", to: undefined },
    { field: "secrets", from: "key", to: "key, other" },
  ]);
});

test("the order of secrets is no change", () => {
  const definition = { service: "a", image: "a:1", secrets: ["x", "y"] };
  expect(changesBetween(definition, { ...definition, secrets: ["y", "x"] })).toEqual([]);
});

test("a new function has what was filled in alone", () => {
  const form = { ...emptyForm("openfaas-fn"), service: " hello ", image: "hello:1", labels: [{ key: "", value: "" }] };
  expect(definitionFrom(form, { service: "", image: "" })).toEqual({
    service: "hello",
    image: "hello:1",
    namespace: "openfaas-fn",
  });
  // Names that objects have anyway are names like others.
  const odd = definitionFrom({ ...form, envVars: [{ key: "__proto__", value: "x" }] }, { service: "", image: "" });
  expect(JSON.stringify(odd.envVars)).toBe('{"__proto__":"x"}');
});

const pair = (key: string, value: string) => ({ key, value });

test.each([
  [{}, {}],
  [{ service: "" }, { service: "is required" }],
  [{ service: "Hello World" }, { service: "must be lower-case letters, digits and -, and begin with a letter" }],
  [{ image: " " }, { image: "is required" }],
  [{ envVars: [pair("A", "1"), pair("A ", "2")] }, { envVars: "A is given twice" }],
  [{ labels: [pair(" ", "x")] }, { labels: "a value has no name" }],
  [
    { scaleMin: "-1", scaleMax: "two" },
    { scaleMin: "must be a whole number", scaleMax: "must be a whole number" },
  ],
])("the form %j has the problems %j", (given, problems) => {
  const form = { ...emptyForm("openfaas-fn"), service: "a", image: "a:1", ...given };
  expect(formProblems(form)).toEqual(problems);
});

test.each([
  [
    "validation failed: service: (A) is invalid, must be a valid DNS entry; image: is required",
    { service: "(A) is invalid, must be a valid DNS entry", image: "is required" },
  ],
  [
    'unable to fetch secrets: secrets "nope" not found',
    { secrets: 'unable to fetch secrets: secrets "nope" not found' },
  ],
  [
    'validation failed: limits.memory: "x; y" is not a quantity such as 128Mi or 100m; envVars: "A=" is not a name',
    {
      limitsMemory: '"x; y" is not a quantity such as 128Mi or 100m',
      envVars: 'envVars: "A=" is not a name',
    },
  ],
  [
    "validation failed: com.openfaas.scale.min: 99 is over the limit of 20 replicas; annotations.com.faaslane.mirror: no",
    {
      scaleMin: "com.openfaas.scale.min: 99 is over the limit of 20 replicas",
      annotations: "annotations.com.faaslane.mirror: no",
    },
  ],
  ["namespace not-there not found", { namespace: "namespace not-there not found" }],
  ['config: image: "A:" must be [host[:port]/]path[:tag]', { image: '"A:" must be [host[:port]/]path[:tag]' }],
  ["the disk is full", { other: "the disk is full" }],
])("the refusal %j is told at %j", (message, problems) => {
  expect(problemsOf(message)).toEqual(problems);
});
