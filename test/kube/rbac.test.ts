import { afterAll, beforeAll, expect, test } from "@jest/globals";
import type { Grant } from "../support/kube/http/rbac.ts";
import { KubeServer } from "../support/kube/server.ts";
import { CONFIG_MAPS, configMap, DEPLOYMENTS, deployment, KubeClient, PODS } from "./client.ts";

const rule = (group: string, resource: string, ...verbs: string[]) => ({ group, resource, verbs });
const grants: Grant[] = [
  {
    namespaces: ["openfaas-fn"],
    rules: [
      rule("apps", "deployments", "get", "patch", "list"),
      rule("apps", "deployments/scale", "patch"),
      rule("", "configmaps", "create", "patch"),
      rule("", "namespaces", "get"),
    ],
  },
  { namespaces: "all", rules: [rule("", "pods", "list", "watch")] },
];

let kube: KubeServer;
const client = () => new KubeClient(kube);
const headers = { authorization: "Bearer t" };

beforeAll(async () => {
  kube = await KubeServer.open({ account: { token: "t", user: "somebody", grants } });
  await client().create(DEPLOYMENTS, deployment("a"));
});
afterAll(() => kube.close());

const APPLY = "application/apply-patch+yaml";
const MERGE = "application/merge-patch+json";
const cannot = (verb: string, resource: string, group: string, where: string) =>
  expect.stringContaining(`User "somebody" cannot ${verb} resource "${resource}" in API group "${group}" ${where}`);
const HERE = 'in the namespace "openfaas-fn"';
const ALL = "/apis/apps/v1/deployments";

test.each<[method: string, path: string, body: unknown, type: string, refused: unknown]>([
  ["GET", `${DEPLOYMENTS}/a`, undefined, "", undefined],
  ["GET", DEPLOYMENTS, undefined, "", undefined],
  ["GET", `${DEPLOYMENTS}?watch=1`, undefined, "", cannot("watch", "deployments", "apps", HERE)],
  ["GET", ALL, undefined, "", cannot("list", "deployments", "apps", "at the cluster scope")],
  ["DELETE", `${DEPLOYMENTS}/a`, undefined, "", cannot("delete", "deployments", "apps", HERE)],
  ["PATCH", `${DEPLOYMENTS}/a/scale`, { spec: { replicas: 2 } }, MERGE, undefined],
  ["PATCH", `${DEPLOYMENTS}/a/status`, {}, MERGE, cannot("patch", "deployments/status", "apps", HERE)],
  ["PATCH", `${DEPLOYMENTS}/a?fieldManager=m&force=true`, deployment("a"), APPLY, undefined],
  ["PATCH", `${DEPLOYMENTS}/b?fieldManager=m`, deployment("b"), APPLY, cannot("create", "deployments", "apps", HERE)],
  ["PATCH", `${CONFIG_MAPS}/b?fieldManager=m`, configMap("b"), APPLY, undefined],
  ["PUT", `${CONFIG_MAPS}/b`, configMap("b"), "application/json", cannot("update", "configmaps", "", HERE)],
  ["GET", PODS, undefined, "", undefined],
  ["GET", "/api/v1/pods", undefined, "", undefined],
  ["GET", "/api/v1/namespaces/openfaas-fn", undefined, "", undefined],
  ["GET", "/api/v1/namespaces/default", undefined, "", cannot("get", "namespaces", "", 'in the namespace "default"')],
  ["GET", "/api/v1/namespaces", undefined, "", cannot("list", "namespaces", "", "at the cluster scope")],
  [
    "GET",
    "/apis/metrics.k8s.io/v1beta1/nodes",
    undefined,
    "",
    cannot("list", "nodes", "metrics.k8s.io", "at the cluster"),
  ],
  ["GET", "/apis", undefined, "", undefined],
])("%s %s", async (method, path, body, type, refused) => {
  const reply = await client().send(method, path, body, { ...headers, ...(type && { "content-type": type }) });
  if (refused === undefined) expect(reply.status).toBeLessThan(300);
  else expect(reply).toMatchObject({ status: 403, body: { kind: "Status", reason: "Forbidden", message: refused } });
});

test("a refusal names the object", async () => {
  const { body } = await client().send("DELETE", `${DEPLOYMENTS}/a`, undefined, headers);
  expect(body.message).toMatch(/^deployments\.apps "a" is forbidden: /);
  expect(body.details).toEqual({ name: "a", group: "apps", kind: "deployments" });
});

test("others may do everything, and the kubeconfig is for who may not", async () => {
  expect((await client().send("GET", ALL)).status).toBe(200);
  expect(JSON.parse(kube.kubeconfig()).users[0].user).toEqual({ token: "t" });
});
