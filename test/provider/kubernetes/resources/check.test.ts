import { expect, test } from "@jest/globals";
import type { ResolvedDeployment } from "../../../../provider/backends/backend.ts";
import { checkDeployment, deploymentProblems } from "../../../../provider/backends/kubernetes/resources/check.ts";
import { namespaceProblems } from "../../../../provider/backends/kubernetes/resources/namespace.ts";
import { secretProblems } from "../../../../provider/backends/kubernetes/resources/secret.ts";
import { around, CASES, deployment } from "./fixtures.ts";

test.each(Object.entries(CASES))("%s may be deployed", (_name, { request, around: surroundings = around() }) => {
  expect(deploymentProblems(request, surroundings)).toEqual([]);
});

test.each<[wrong: string, Partial<ResolvedDeployment>, problem: string | RegExp]>([
  ["no name", { service: "" }, "service: is required"],
  ["a name no Service may have", { service: "1st" }, "service: (1st) is invalid, must be a valid DNS entry"],
  ["a name that is too long", { service: "a".repeat(64) }, /^service: \(a+\) is invalid/],
  ["no image", { image: "" }, "image: is required"],
  ["an image with a space", { image: "fn: 1" }, "image: must not contain spaces"],
  ["a secret that does not exist", { secrets: ["nope", "nope"] }, 'unable to fetch secrets: secrets "nope" not found'],
  [
    "another function's label",
    { labels: { faas_function: "x" } },
    'labels.faas_function: is set by the platform to "fn"',
  ],
  ["a label with a bad name", { labels: { "a b": "1" } }, 'labels: "a b" is not the name of a label'],
  ["a label with a bad value", { labels: { a: "two words" } }, /^labels\.a: "two words" is not a label's value/],
  ["a label that is too long", { labels: { a: "x".repeat(64) } }, /^labels\.a: /],
  ["a minimum that is no number", { labels: { "com.openfaas.scale.min": "few" } }, /^com\.openfaas\.scale\.min: "few"/],
  ["a minimum over the limit", { labels: { "com.openfaas.scale.min": "1001" } }, /over the limit of 1000 replicas/],
  [
    "a minimum over the maximum",
    { labels: { "com.openfaas.scale.min": "5", "com.openfaas.scale.max": "3" } },
    'com.openfaas.scale.min: "5" must not be above com.openfaas.scale.max: 3',
  ],
  ["a variable with = in its name", { envVars: { "a=b": "1" } }, /^envVars: "a=b" is not a name/],
  ["a variable with NUL", { envVars: { a: "x\0y" } }, "envVars.a: must not contain NUL"],
  ["a command with NUL", { envProcess: "x\0y" }, "envProcess: must not contain NUL"],
  ["a variable of the platform", { envVars: { OPENFAAS_NAME: "x" } }, "envVars.OPENFAAS_NAME: is set by the platform"],
  ["another port", { envVars: { port: "9000" } }, "envVars.port: must be 8080, where functions are called"],
  ["a megabyte of variables", { envVars: { a: "x".repeat(2 ** 20) } }, "envVars: is larger than 1 MiB altogether"],
  ["a limit that is no quantity", { limits: { memory: "lots" } }, /^limits\.memory: "lots" is not a quantity/],
  ["a negative request", { requests: { cpu: "-1" } }, /^requests\.cpu: "-1" is not a quantity/],
  [
    "a request over its limit",
    { limits: { cpu: "0.5" }, requests: { cpu: "501m" } },
    "requests.cpu: 501m is more than limits.cpu: 0.5",
  ],
  ["a constraint that is none", { constraints: ["arm64"] }, /^constraints: "arm64" is not a node label/],
  ["a constraint to keep away", { constraints: ["a!=b"] }, /^constraints: "a!=b" is not a node label/],
  ["constraints at odds", { constraints: ["a=b", "a == c"] }, 'constraints: "a" cannot be "b" and "c"'],
  [
    "an annotation with a bad name",
    { annotations: { "a b": "" } },
    'annotations: "a b" is not the name of an annotation',
  ],
  ["annotations without end", { annotations: { a: "x".repeat(2 ** 18) } }, /^annotations: are larger than 256 KiB/],
  [
    "a probe's time that is no number",
    { annotations: { "com.openfaas.ready.http.periodSeconds": "0" } },
    'annotations.com.openfaas.ready.http.periodSeconds: "0" is not a whole number of at least 1',
  ],
  [
    "a probe's path that is none",
    { annotations: { "com.openfaas.health.http.path": "live" } },
    'annotations.com.openfaas.health.http.path: "live" is not a path such as /healthz',
  ],
  ["a profile that does not exist", { annotations: { "com.openfaas.profile": "x" } }, 'profiles "x" not found'],
  [
    "an account with a bad name",
    { annotations: { "com.openfaas.serviceaccount": "A" } },
    /"A" is not the name of a service account$/,
  ],
])("%s is refused", (_wrong, more, problem) => {
  const problems = deploymentProblems(deployment(more), around());
  expect(problems).toEqual([typeof problem === "string" ? problem : expect.stringMatching(problem)]);
});

test("all that is wrong is said at once, in the order of faas-netes", () => {
  const wrong = deployment({
    service: "Bad_Name",
    image: "",
    labels: { "com.openfaas.scale.min": "few", "com.openfaas.scale.max": "0" },
    secrets: ["nope"],
    limits: { memory: "lots" },
  });
  expect(() => checkDeployment(wrong, around())).toThrow(
    expect.objectContaining({
      kind: "invalid",
      message: [
        "validation failed: service: (Bad_Name) is invalid, must be a valid DNS entry",
        "image: is required",
        'com.openfaas.scale.min: "few" must be a whole number of at least 0',
        'com.openfaas.scale.max: "0" must be a whole number of at least 1',
        'unable to fetch secrets: secrets "nope" not found',
        'limits.memory: "lots" is not a quantity such as 128Mi or 100m',
      ].join("; "),
    }),
  );
});

test("a profile may only ask for the strategy Recreate", () => {
  const profiles = new Map([["p", { spec: { strategy: { type: "RollingUpdate" } } }]]);
  const request = deployment({ annotations: { "com.openfaas.profile": "p" } });
  expect(deploymentProblems(request, around({ profiles }))).toEqual([
    'profile "p": strategy.type: "RollingUpdate" is not supported, only Recreate is',
  ]);
});

test("a secret has a name that is a file's and a value that Kubernetes takes, and the value is never told", () => {
  const value = Buffer.alloc(1024 * 1024 + 1, "x");
  expect(secretProblems({ name: "a/../b", namespace: "n" }, value)).toEqual([
    "secret: name: (a/../b) is invalid, must be a DNS subdomain",
    "secret: value: is larger than 1 MiB",
  ]);
  expect(secretProblems({ name: "a.b-c", namespace: "n" }, value.subarray(1))).toEqual([]);
});

test("a namespace has a name, labels and annotations that Kubernetes takes", () => {
  expect(namespaceProblems({ name: "a".repeat(64), labels: { a: "b c" }, annotations: { "x/y/z": "1" } })).toEqual([
    expect.stringMatching(/^namespace: name: \(a+\) is invalid, must be a DNS label$/),
    'namespace: labels: "a=b c" is not a label',
    'namespace: annotations: "x/y/z" is not the name of an annotation',
  ]);
  expect(namespaceProblems({ name: "staging", labels: { "example.com/team": "a_B.c" } })).toEqual([]);
});

test("only secrets that are missing are told in the words of faas-netes alone", () => {
  const request = deployment({ secrets: ["a", "b"] });
  expect(() => checkDeployment(request, around())).toThrow(
    'unable to fetch secrets: secrets "a" not found; unable to fetch secrets: secrets "b" not found',
  );
  expect(() => checkDeployment(request, around())).not.toThrow("validation failed");
});
