import { describe, expect, test } from "@jest/globals";
import {
  type Condition,
  decideConditions,
  type FunctionFacts,
} from "../../../../provider/backends/kubernetes/resources/conditions.ts";
import { buildCrds } from "../../../../provider/backends/kubernetes/resources/crds.ts";
import {
  deploymentToFunction,
  functionProblems,
  functionToDeployment,
} from "../../../../provider/backends/kubernetes/resources/function-object.ts";
import { decideFunctionStatus } from "../../../../provider/backends/kubernetes/resources/function-status.ts";
import { ownerReference } from "../../../../provider/backends/kubernetes/resources/owner.ts";
import { around, CASES } from "./fixtures.ts";
import { objectProblems, readOpenApi, type Schema, schemaProblems } from "./object-schema.ts";

const definitions = readOpenApi();
const crds = buildCrds();

function schemaOf(kind: string): Schema {
  const crd = crds.find(({ spec }) => (spec.names as { kind: string }).kind === kind);
  const versions = (crd?.spec.versions ?? []) as { schema: { openAPIV3Schema: Schema } }[];
  return versions[0]?.schema.openAPIV3Schema ?? {};
}

test.each(crds.map((crd) => [crd.metadata.name, crd] as const))("%s is a valid definition", async (_name, crd) => {
  expect(await objectProblems(crd, definitions)).toEqual([]);
});

test.each(Object.entries(CASES))("%s as a Function fits the definition of its kind", (_name, { request }) => {
  const object = deploymentToFunction(request);
  expect(schemaProblems(schemaOf("Function"), object, new Map())).toEqual([]);
});

test.each([...around().profiles])("profile %s fits the definition of its kind", (_name, profile) => {
  const object = { apiVersion: "openfaas.com/v1", kind: "Profile", ...profile };
  expect(schemaProblems(schemaOf("Profile"), object, new Map())).toEqual([]);
});

test("a field that OpenFaaS does not know is refused", () => {
  const object = {
    ...deploymentToFunction(CASES.smallest?.request as never),
    spec: { name: "fn", image: "fn", envs: {} },
  };
  expect(schemaProblems(schemaOf("Function"), object, new Map())).toEqual([".spec.envs: is unknown"]);
});

test("a Function as faas-cli generates it is a deploy", () => {
  const object = {
    apiVersion: "openfaas.com/v1",
    kind: "Function",
    metadata: { name: "nodeinfo", namespace: "openfaas-fn" },
    spec: {
      name: "nodeinfo",
      handler: "node main.js",
      image: "ghcr.io/openfaas/nodeinfo:latest",
      labels: { "com.openfaas.scale.min": "2" },
      annotations: { "com.openfaas.health.http.initialDelaySeconds": "30" },
      environment: { write_debug: "true", fprocess: "node main.js" },
      limits: { cpu: "200m", memory: "256Mi" },
      requests: { cpu: "10m" },
      secrets: ["db"],
      readOnlyRootFilesystem: true,
    },
  };
  expect(schemaProblems(schemaOf("Function"), object, new Map())).toEqual([]);
  expect(functionProblems(object)).toEqual([]);
  expect(functionToDeployment(object)).toEqual({
    service: "nodeinfo",
    image: "ghcr.io/openfaas/nodeinfo:latest",
    namespace: "openfaas-fn",
    envProcess: "node main.js",
    envVars: { write_debug: "true" },
    labels: { "com.openfaas.scale.min": "2" },
    annotations: { "com.openfaas.health.http.initialDelaySeconds": "30" },
    limits: { cpu: "200m", memory: "256Mi" },
    requests: { cpu: "10m" },
    secrets: ["db"],
    readOnlyRootFilesystem: true,
  });
  expect(functionProblems({ ...object, spec: { ...object.spec, name: "other" } })).toEqual([
    'spec.name: "other" must be the name of the object, "nodeinfo"',
  ]);
});

describe("conditions", () => {
  const facts = (more: Partial<FunctionFacts> = {}): FunctionFacts => ({
    progress: { kind: "applied" },
    readyReplicas: 1,
    replicas: 1,
    generation: 3,
    ...more,
  });
  const noon = new Date("2026-11-21T12:00:00Z");
  const later = new Date("2026-11-21T13:00:00Z");
  const summary = (conditions: readonly Condition[]) =>
    Object.fromEntries(conditions.map(({ type, status }) => [type, status]));

  test.each<[string, Partial<FunctionFacts>, Record<string, string>]>([
    ["serves", {}, { Reconciling: "False", Stalled: "False", Ready: "True", Healthy: "True" }],
    [
      "has changed",
      { progress: { kind: "working" } },
      { Reconciling: "True", Stalled: "False", Ready: "Unknown", Healthy: "True" },
    ],
    [
      "lacks a secret",
      { progress: { kind: "refused", message: 'secrets "x" not found' }, readyReplicas: 0 },
      { Reconciling: "False", Stalled: "True", Ready: "False", Healthy: "False" },
    ],
    [
      "sleeps",
      { replicas: 0, readyReplicas: 0 },
      { Reconciling: "False", Stalled: "False", Ready: "True", Healthy: "False" },
    ],
  ])("of a function that %s", (_what, more, expected) => {
    expect(summary(decideConditions([], facts(more), noon))).toEqual(expected);
  });

  test("say why no replica is ready", () => {
    const conditions = decideConditions([], facts({ readyReplicas: 0, problem: "exited with code 1" }), noon);
    expect(conditions.find(({ type }) => type === "Healthy")?.message).toBe("exited with code 1");
  });

  test("keep the time of their last change, so that equal facts give nothing to write", () => {
    const object = { status: decideFunctionStatus({}, facts(), [], noon) };
    expect(decideFunctionStatus(object, facts(), [], later)).toEqual(object.status);
    const asleep = decideFunctionStatus(object, facts({ replicas: 0, readyReplicas: 0 }), [], later);
    const times = asleep.conditions?.map(({ type, lastTransitionTime }) => [type, lastTransitionTime]);
    expect(Object.fromEntries(times ?? [])).toMatchObject({
      Ready: "2026-11-21T12:00:00Z",
      Healthy: "2026-11-21T13:00:00Z",
    });
  });

  test("and the rest of the status fit the definition of the kind", () => {
    const profiles = [{ metadata: { name: "spot", namespace: "openfaas", generation: 2 } }];
    const status = decideFunctionStatus({}, facts({ replicas: 3 }), profiles, noon);
    expect(status).toMatchObject({ replicas: 3, availableReplicas: 1, unavailableReplicas: 2, observedGeneration: 3 });
    const object = { ...deploymentToFunction(CASES.smallest?.request as never), status };
    expect(schemaProblems(schemaOf("Function"), object, new Map())).toEqual([]);
  });
});

test("an object belongs to its owner once the API server has given that a uid", () => {
  const owner = { apiVersion: "openfaas.com/v1", kind: "Function", metadata: { name: "fn", uid: "u" } };
  expect(ownerReference(owner)).toEqual({
    apiVersion: "openfaas.com/v1",
    kind: "Function",
    name: "fn",
    uid: "u",
    controller: true,
    blockOwnerDeletion: true,
  });
  expect(ownerReference({ ...owner, metadata: { name: "fn" } })).toBeUndefined();
});
