import { expect, test } from "@jest/globals";
import type { ResolvedDeployment } from "../../provider/backends/backend.ts";
import {
  buildDeployment,
  initialReplicas,
  withReplicas,
} from "../../provider/backends/kubernetes/resources/deployment.ts";
import { isFunction } from "../../provider/backends/kubernetes/resources/read-deployment.ts";
import { buildSecret } from "../../provider/backends/kubernetes/resources/secret.ts";
import { buildService } from "../../provider/backends/kubernetes/resources/service.ts";
import { readStatus } from "../../provider/backends/kubernetes/resources/status.ts";
import { trimDeployment } from "../../provider/backends/kubernetes/resources/trim.ts";
import { around, CASES } from "../provider/kubernetes/resources/fixtures.ts";
import { theirDeployment, theirSecret, theirService, theirStatus } from "../support/faas-netes.ts";
import { DEPLOYMENT, SERVICE } from "./differences.ts";

/* The objects of a function: those of an OpenFaaS installation are read and taken over, and tools for them find ours. */

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

const isEmpty = (value: unknown) => typeof value === "object" && value !== null && Object.keys(value).length === 0;

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

const { request, around: surroundings = around() } = CASES.recorded as (typeof CASES)[string];
const listed = (table: typeof DEPLOYMENT) =>
  table.flatMap(({ lines }) => lines.map((line) => (typeof line === "string" ? line : expect.stringMatching(line))));

test("from faas-netes' Deployment ours differs in what we mean it to", () => {
  const ours = withReplicas(buildDeployment(request, surroundings), initialReplicas(request, surroundings.settings));
  expect(differences(theirDeployment(), ours)).toEqual(listed(DEPLOYMENT));
});

test("from faas-netes' Service ours differs in its labels", () => {
  expect(differences(theirService(), buildService(request, surroundings.owner))).toEqual(listed(SERVICE));
});

test("a Secret is as faas-netes makes it", () => {
  const ours = buildSecret({ name: "api-key", namespace: "openfaas-fn" }, Buffer.from("hunter2"));
  expect(differences(theirSecret(), ours)).toEqual([]);
});

test("a Deployment that faas-netes made reads as faas-netes reads it, and says more", () => {
  expect(isFunction(theirDeployment())).toBe(true);
  const { envVars, constraints, readOnlyRootFilesystem } = request as ResolvedDeployment;
  expect(readStatus(trimDeployment(theirDeployment()))).toEqual({
    ...theirStatus(),
    // faas-netes forgets these.
    envVars,
    constraints,
    readOnlyRootFilesystem,
  });
});
