import { describe, expect, test } from "@jest/globals";
import type { V1Deployment, V1ManagedFieldsEntry } from "@kubernetes/client-node";
import type { ResolvedDeployment } from "../../../../provider/backends/backend.ts";
import { buildDeployment, withReplicas } from "../../../../provider/backends/kubernetes/resources/deployment.ts";
import { planUpdate, serviceNeedsApply } from "../../../../provider/backends/kubernetes/resources/plan-update.ts";
import { buildService } from "../../../../provider/backends/kubernetes/resources/service.ts";
import { parseQuantity } from "../../../../provider/backends/quantity.ts";
import { theirDeployment } from "../../../support/faas-netes.ts";
import { around, CASES, deployment } from "./fixtures.ts";

/** What the API server makes of an object that it was sent. */
function stored(sent: V1Deployment, replicas = 1): V1Deployment {
  const object = structuredClone(withReplicas(sent, replicas));
  const pod = object.spec?.template.spec;
  Object.assign(object.metadata ?? {}, { resourceVersion: "42", generation: 7, uid: "u" });
  Object.assign(pod ?? {}, { restartPolicy: "Always", dnsPolicy: "ClusterFirst", ...pod });
  Object.assign(object.metadata?.annotations ?? {}, { "deployment.kubernetes.io/revision": "3" });
  return { ...object, status: { replicas } };
}

const plan = (existing: V1Deployment, next: ResolvedDeployment, { deploying = true, surroundings = around() } = {}) =>
  planUpdate(existing, buildDeployment(next, surroundings), next, {
    deploying,
    scaleDefaults: surroundings.settings.scaleDefaults,
  });

const applied = (existing: V1Deployment, next: ResolvedDeployment, options = {}) => {
  const decided = plan(existing, next, options);
  if (decided.kind !== "apply") throw new Error("nothing is applied");
  return decided;
};

describe("a deploy", () => {
  test.each(Object.entries(CASES).filter(([name]) => name !== "floating-tag"))(
    "that changes nothing changes nothing: %s",
    (_name, { request, around: surroundings = around() }) => {
      const shuffled = { ...request, envVars: Object.fromEntries(Object.entries(request.envVars ?? {}).reverse()) };
      const existing = stored(buildDeployment(request, surroundings));
      expect(plan(existing, shuffled, { surroundings })).toEqual({ kind: "unchanged" });
    },
  );

  test("keeps the replicas there are, and is a conflict when something happened since", () => {
    const { reason, deployment: next } = applied(
      stored(buildDeployment(deployment(), around()), 4),
      deployment({ envVars: { a: "1" } }),
    );
    expect(reason).toBe("changed");
    expect(next.spec?.replicas).toBe(4);
    expect(next.metadata?.resourceVersion).toBe("42");
  });

  test.each([
    [4, "1", 4],
    [1, "3", 3],
    [0, undefined, 0],
    [0, "2", 2],
  ])("with %i replicas and a minimum of %s ends at %i", (replicas, min, expected) => {
    const labels = min === undefined ? {} : { "com.openfaas.scale.min": min };
    const next = deployment({ labels, envVars: { a: "1" } });
    const { deployment: sent } = applied(stored(buildDeployment(deployment(), around()), replicas), next);
    expect(sent.spec?.replicas).toBe(expected);
  });

  test("after a secret's value has changed starts new pods", () => {
    const request = deployment({ secrets: ["api-key"] });
    const later = around({ secrets: new Map([["api-key", { type: "Opaque", version: "1567" }]]) });
    const existing = stored(buildDeployment(request, around()));
    const { deployment: next } = applied(existing, request, { surroundings: later });
    expect(next.spec?.template).not.toEqual(existing.spec?.template);
  });

  test("of a floating tag starts new pods, as the tag may mean another image by now", () => {
    const request = deployment({ image: "ghcr.io/acme/fn:latest" });
    const first = applied(stored(buildDeployment(request, around())), request);
    expect(first.reason).toBe("floating");
    const existing = stored(first.deployment);
    expect(plan(existing, request, { deploying: false })).toEqual({ kind: "unchanged" });
    const again = applied({ ...existing, metadata: { ...existing.metadata, generation: 8 } }, request);
    expect(again.deployment.spec?.template).not.toEqual(existing.spec?.template);
  });

  test("of a floating tag that is never pulled anew changes nothing", () => {
    const request = deployment({ image: "fn" });
    const surroundings = around({ set: { imagePullPolicy: "IfNotPresent" } });
    expect(plan(stored(buildDeployment(request, surroundings)), request, { surroundings })).toEqual({
      kind: "unchanged",
    });
  });

  test("keeps the mark of an earlier rollout, so that changing back to rest is no rollout of its own", () => {
    const request = deployment({ image: "ghcr.io/acme/fn:latest" });
    const marked = stored(applied(stored(buildDeployment(request, around())), request).deployment);
    const { deployment: next } = applied(marked, { ...request, labels: { a: "b" } });
    expect(next.spec?.template.metadata?.annotations?.["com.faaslane.redeploy"]).toBe("7");
  });
});

describe("putting things right", () => {
  const request = deployment({ secrets: ["api-key"], envVars: { a: "1" }, limits: { cpu: "1000m", memory: "1024Mi" } });
  const edited = (edit: (object: V1Deployment) => void) => {
    const object = stored(buildDeployment(request, around()));
    edit(object);
    return plan(object, request, { deploying: false });
  };
  const container = (object: V1Deployment) => object.spec?.template.spec?.containers[0] ?? { name: "none" };

  test.each<[string, (object: V1Deployment) => void]>([
    [
      "a variable was changed",
      (o) => Object.assign(container(o).env?.find(({ name }) => name === "a") ?? {}, { value: "2" }),
    ],
    ["a variable was taken away", (o) => container(o).env?.splice(0, 1)],
    ["the image was changed", (o) => Object.assign(container(o), { image: "evil" })],
    ["a label was taken away", (o) => delete o.metadata?.labels?.faas_function],
    [
      "privileges were given",
      (o) => Object.assign(container(o).securityContext ?? {}, { allowPrivilegeEscalation: true }),
    ],
    ["the probe was taken away", (o) => delete container(o).readinessProbe],
    ["the token is mounted by default", (o) => delete o.spec?.template.spec?.automountServiceAccountToken],
    ["a limit was raised", (o) => Object.assign(container(o).resources?.limits ?? {}, { cpu: "2" })],
    ["the token is mounted", (o) => Object.assign(o.spec?.template.spec ?? {}, { automountServiceAccountToken: true })],
  ])("happens when %s", (_what, edit) => {
    expect(edited(edit)).toMatchObject({ kind: "apply", reason: "drifted" });
  });

  test.each<[string, (object: V1Deployment) => void]>([
    ["scaled it", (o) => Object.assign(o.spec ?? {}, { replicas: 9 })],
    ["added a variable", (o) => container(o).env?.unshift({ name: "extra", value: "1" })],
    ["added a sidecar", (o) => o.spec?.template.spec?.containers.unshift({ name: "mesh", image: "proxy" })],
    ["added a volume", (o) => o.spec?.template.spec?.volumes?.unshift({ name: "cache", emptyDir: {} })],
    ["added an annotation", (o) => Object.assign(o.metadata?.annotations ?? {}, { "kubectl.kubernetes.io/x": "1" })],
    [
      "restarted it",
      (o) =>
        Object.assign(o.spec?.template.metadata?.annotations ?? {}, { "kubectl.kubernetes.io/restartedAt": "now" }),
    ],
    [
      "wrote quantities its own way",
      (o) => Object.assign(container(o).resources?.limits ?? {}, { cpu: "1", memory: "1Gi" }),
    ],
    ["left out what is empty", (o) => delete container(o).readinessProbe?.initialDelaySeconds],
  ])("does not happen when somebody %s", (_what, edit) => {
    expect(edited(edit)).toEqual({ kind: "unchanged" });
  });

  test("goes for the Service too", () => {
    const desired = buildService(request);
    expect(serviceNeedsApply({ ...desired, spec: { ...desired.spec, clusterIP: "10.0.0.1" } }, desired)).toBe(false);
    expect(serviceNeedsApply({ ...desired, spec: { ...desired.spec, selector: {} } }, desired)).toBe(true);
    expect(serviceNeedsApply(desired, buildService({ ...request, annotations: { a: "b" } }))).toBe(true);
  });
});

describe("a function that faas-netes made", () => {
  test("is taken over, with its replicas and the fields that faas-netes owned", () => {
    const existing = theirDeployment();
    const entry = (manager: string, fieldsV1: object, more: Partial<V1ManagedFieldsEntry> = {}) =>
      ({ manager, operation: "Update", apiVersion: "apps/v1", fieldsType: "FieldsV1", fieldsV1, ...more }) as const;
    const managedFields = [
      entry("faas-netes", { "f:spec": { "f:template": { "f:a": {} } } }),
      entry("kubectl-edit", { "f:metadata": {} }),
      entry("faas-netes", { "f:spec": { "f:template": { "f:b": {} }, "f:replicas": {} } }),
      entry("kube-controller-manager", { "f:status": {} }, { subresource: "status" }),
    ];
    const theirs = {
      ...existing,
      metadata: { ...existing.metadata, managedFields },
      spec: { ...existing.spec, replicas: 3 },
    };
    const decided = applied(theirs as V1Deployment, CASES.recorded?.request as ResolvedDeployment);
    expect(decided.reason).toBe("adopted");
    expect(decided.deployment.spec?.replicas).toBe(3);
    expect(decided.managedFields).toEqual([
      entry(
        "faaslane",
        { "f:spec": { "f:template": { "f:a": {}, "f:b": {} }, "f:replicas": {} } },
        { operation: "Apply" },
      ),
      managedFields[1],
      managedFields[3],
    ]);
    // Once that is written, there is nothing left to take over.
    const taken = { ...theirs, metadata: { ...theirs.metadata, managedFields: [...(decided.managedFields ?? [])] } };
    const second = applied(taken as V1Deployment, CASES.recorded?.request as ResolvedDeployment);
    expect(second).toEqual({ kind: "apply", reason: "adopted", deployment: decided.deployment });
    // Its pods keep their selector, which cannot be changed.
    expect(decided.deployment.spec?.selector).toEqual(existing.spec?.selector);
  });
});

test.each([
  ["2.3", "2300m"],
  ["0.1Gi", "107374182400m"],
  ["1.5Gi", "1536Mi"],
  ["1e9", "1G"],
  ["1000u", "1m"],
])("the API server writes %s as %s, and that is the same", (ours, theirs) => {
  expect(parseQuantity(ours)).toBe(parseQuantity(theirs));
});
