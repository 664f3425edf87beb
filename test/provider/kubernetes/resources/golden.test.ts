import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "@jest/globals";
import type { V1Deployment } from "@kubernetes/client-node";
import { checkDeployment } from "../../../../provider/backends/kubernetes/resources/check.ts";
import {
  buildDeployment,
  initialReplicas,
  withReplicas,
} from "../../../../provider/backends/kubernetes/resources/deployment.ts";
import { buildSecret } from "../../../../provider/backends/kubernetes/resources/secret.ts";
import { buildService } from "../../../../provider/backends/kubernetes/resources/service.ts";
import { testNeeding } from "../../../support/needing.ts";
import { readRecording, testWith } from "../../../support/recordings.ts";
import { around, CASES } from "./fixtures.ts";
import { noOpenApi, objectProblems, readOpenApi } from "./object-schema.ts";

const definitions = readOpenApi();

const built = Object.entries(CASES).map(([name, { request, around: surroundings = around() }]) => {
  const bare = buildDeployment(request, surroundings);
  const deployment = withReplicas(bare, initialReplicas(request));
  return { name, request, surroundings, objects: [deployment, buildService(request, surroundings.owner)] };
});

/** `UPDATE_GOLDEN=1 npm test -- <this file>` writes them anew, for a person to compare. */
test.each(built)("$name: the objects are those that were reviewed", ({ name, objects }) => {
  const path = fileURLToPath(new URL(`golden/${name}.json`, import.meta.url));
  if (process.env.UPDATE_GOLDEN === "1") writeFileSync(path, `${JSON.stringify(objects, null, 2)}\n`);
  expect(existsSync(path)).toBe(true);
  expect(JSON.parse(JSON.stringify(objects))).toEqual(JSON.parse(readFileSync(path, "utf8")));
});

test.each(built)("$name: the API server's schemas allow the objects", async ({ request, surroundings, objects }) => {
  checkDeployment(request, surroundings);
  for (const object of objects) expect(await objectProblems(object, definitions)).toEqual([]);
});

test("the schemas are looked at: a wrong object has problems", async () => {
  const { objects } = built[0] as (typeof built)[0];
  const [deployment] = objects as [V1Deployment, ...unknown[]];
  const wrongType = { ...deployment, spec: { ...deployment.spec, replicas: "many" } };
  expect(await objectProblems(wrongType, definitions)).not.toEqual([]);
});

testNeeding(noOpenApi)("the schemas are looked at: an unknown field is a problem", async () => {
  const { objects } = built[0] as (typeof built)[0];
  const [deployment] = objects as [V1Deployment, ...unknown[]];
  const unknownField = { ...deployment, spec: { ...deployment.spec, replica: 1 } };
  expect(await objectProblems(unknownField, definitions)).toEqual([".spec.replica: is unknown"]);
});

type Leaf = readonly [path: string, value: unknown];

/** Every value that is no map or list, with its path. Elements of lists are named by their name where they have one. */
function leaves(value: unknown, path = ""): Leaf[] {
  if (typeof value !== "object" || value === null) return [[path, value]];
  const entries = Array.isArray(value)
    ? value.map((item, index) => [`[${(item as { name?: string })?.name ?? index}]`, item] as const)
    : Object.entries(value).map(([key, item]) => [`.${key}`, item] as const);
  return entries.length === 0 ? [[path, value]] : entries.flatMap(([key, item]) => leaves(item, path + key));
}

/** What the API server and its controllers add to an object. */
const ADDED =
  /^\.(status|metadata\.(creationTimestamp|generation|resourceVersion|uid|annotations\.deployment\.kubernetes\.io)|spec\.(cluster|ip|internal|session))|progressDeadline|restartPolicy|schedulerName|\.dnsPolicy|terminationMessagePath|defaultMode/;

/** Differences from `theirs` to `ours` in order of their paths, `-` theirs, `+` ours. */
function differences(theirs: unknown, ours: unknown): string[] {
  const left = new Map(leaves(theirs).filter(([path]) => !ADDED.test(path)));
  const right = new Map(leaves(ours));
  const differs = (path: string) => {
    const [a, b] = [left.get(path), right.get(path)];
    return JSON.stringify(a) !== JSON.stringify(b) && !isEmpty(a ?? b);
  };
  const paths = [...new Set([...left.keys(), ...right.keys()])].sort().filter(differs);
  return paths.flatMap((path) => [
    ...(left.has(path) ? [`- ${path} = ${JSON.stringify(left.get(path))}`] : []),
    ...(right.has(path) ? [`+ ${path} = ${JSON.stringify(right.get(path))}`] : []),
  ]);
}

const isEmpty = (value: unknown) => typeof value === "object" && value !== null && Object.keys(value).length === 0;

const recorded = {
  deployment: readRecording("k8s-shout-deployment.json"),
  service: readRecording("k8s-shout-service.json"),
  secret: readRecording("k8s-secret.json"),
};
const shout = built.find(({ name }) => name === "recorded") as (typeof built)[0];
const parse = (text: string | undefined) => JSON.parse(text ?? "") as Record<string, unknown>;

testWith(recorded.deployment)("from faas-netes' Deployment ours differs in what we mean it to", () => {
  const container = ".spec.template.spec.containers[shout]";
  const spread = ".spec.template.spec.topologySpreadConstraints";
  expect(differences(parse(recorded.deployment), shout.objects[0])).toEqual([
    // What tells that nothing changed, and labels that tools for Kubernetes look for.
    expect.stringMatching(/^\+ \.metadata\.annotations\.com\.faaslane\.hash = "[0-9a-f]{16}"$/),
    '+ .metadata.labels.app.kubernetes.io/component = "function"',
    '+ .metadata.labels.app.kubernetes.io/managed-by = "faaslane"',
    '+ .metadata.labels.app.kubernetes.io/name = "shout"',
    // Thousands of functions times ten old ReplicaSets is too many objects.
    "- .spec.revisionHistoryLimit = 10",
    "+ .spec.revisionHistoryLimit = 3",
    // A large function is replaced by the quarter, not one by one.
    "- .spec.strategy.rollingUpdate.maxSurge = 1",
    '+ .spec.strategy.rollingUpdate.maxSurge = "25%"',
    // A deploy after a secret changed starts new pods.
    expect.stringMatching(/^\+ \.spec\.template\.metadata\.annotations\.com\.faaslane\.secrets = "[0-9a-f]{16}"$/),
    // Kubernetes ignores the name of a pod template.
    '- .spec.template.metadata.name = "shout"',
    "+ .spec.template.spec.automountServiceAccountToken = false",
    '+ .spec.template.spec.containers[shout].env[OPENFAAS_NAMESPACE].name = "OPENFAAS_NAMESPACE"',
    `+ ${container}.env[OPENFAAS_NAMESPACE].value = "openfaas-fn"`,
    `+ ${container}.env[OPENFAAS_NAME].name = "OPENFAAS_NAME"`,
    `+ ${container}.env[OPENFAAS_NAME].value = "shout"`,
    // A pod is asked at once, so that it is ready as soon as it answers.
    `- ${container}.readinessProbe.initialDelaySeconds = 2`,
    `+ ${container}.readinessProbe.initialDelaySeconds = 0`,
    `+ ${container}.securityContext.allowPrivilegeEscalation = false`,
    `+ ${container}.securityContext.capabilities.drop[0] = "ALL"`,
    `- ${container}.terminationMessagePolicy = "File"`,
    `+ ${container}.terminationMessagePolicy = "FallbackToLogsOnError"`,
    "+ .spec.template.spec.enableServiceLinks = false",
    "+ .spec.template.spec.securityContext.runAsNonRoot = true",
    "+ .spec.template.spec.securityContext.runAsUser = 12000",
    '+ .spec.template.spec.securityContext.seccompProfile.type = "RuntimeDefault"',
    // Twice the function's write_timeout of 10 s, and a margin.
    "- .spec.template.spec.terminationGracePeriodSeconds = 30",
    "+ .spec.template.spec.terminationGracePeriodSeconds = 23",
    `+ ${spread}[0].labelSelector.matchLabels.faas_function = "shout"`,
    `+ ${spread}[0].maxSkew = 1`,
    `+ ${spread}[0].topologyKey = "kubernetes.io/hostname"`,
    `+ ${spread}[0].whenUnsatisfiable = "ScheduleAnyway"`,
    `+ ${spread}[1].labelSelector.matchLabels.faas_function = "shout"`,
    `+ ${spread}[1].maxSkew = 1`,
    `+ ${spread}[1].topologyKey = "topology.kubernetes.io/zone"`,
    `+ ${spread}[1].whenUnsatisfiable = "ScheduleAnyway"`,
    // Every key is a file without being named, so that nobody has to read the secret in order to deploy.
    '- .spec.template.spec.volumes[shout-projected-secrets].projected.sources[0].secret.items[0].key = "api-key"',
    '- .spec.template.spec.volumes[shout-projected-secrets].projected.sources[0].secret.items[0].path = "api-key"',
  ]);
});

testWith(recorded.service)("from faas-netes' Service ours differs in its labels", () => {
  expect(differences(parse(recorded.service), shout.objects[1])).toEqual([
    expect.stringMatching(/^\+ \.metadata\.annotations\.com\.faaslane\.hash = /),
    '+ .metadata.labels.app.kubernetes.io/component = "function"',
    '+ .metadata.labels.app.kubernetes.io/managed-by = "faaslane"',
    '+ .metadata.labels.app.kubernetes.io/name = "shout"',
    '+ .metadata.labels.faas_function = "shout"',
  ]);
});

testWith(recorded.secret)("a Secret is as faas-netes makes it", () => {
  const ours = buildSecret({ name: "api-key", namespace: "openfaas-fn" }, Buffer.from("hunter2"));
  expect(differences(parse(recorded.secret), ours)).toEqual([]);
});
