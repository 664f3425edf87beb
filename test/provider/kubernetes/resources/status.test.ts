import { describe, expect, test } from "@jest/globals";
import type { V1Deployment, V1Endpoint, V1EndpointSlice, V1Pod } from "@kubernetes/client-node";
import { buildDeployment, withReplicas } from "../../../../provider/backends/kubernetes/resources/deployment.ts";
import {
  podEndpoint,
  podEndpoints,
  readEndpoints,
  sliceEndpoints,
} from "../../../../provider/backends/kubernetes/resources/endpoints.ts";
import {
  buildNamespace,
  isFunctionNamespace,
  readNamespace,
} from "../../../../provider/backends/kubernetes/resources/namespace.ts";
import { isFunction } from "../../../../provider/backends/kubernetes/resources/read-deployment.ts";
import { isManagedSecret } from "../../../../provider/backends/kubernetes/resources/secret.ts";
import { readStatus } from "../../../../provider/backends/kubernetes/resources/status.ts";
import { trimPod } from "../../../../provider/backends/kubernetes/resources/trim.ts";
import { testNeeding } from "../../../support/needing.ts";
import { noRecordings, readRecording } from "../../../support/recordings.ts";
import { around, deployment } from "./fixtures.ts";

const running = (name: string, podIP: string, ready: boolean, more: Partial<V1Pod["metadata"]> = {}): V1Pod => ({
  metadata: { name, ...more },
  status: { phase: "Running", podIP, conditions: [{ type: "Ready", status: ready ? "True" : "False" }] },
});

describe("a pod is offered", () => {
  const gone = { deletionTimestamp: "2026-11-21T00:00:00Z" as unknown as Date };
  test.each<[string, V1Pod, string | undefined]>([
    ["as starting from the moment it has an address", running("a", "10.0.0.1", false), "starting"],
    ["as ready once its kubelet says so", running("a", "10.0.0.1", true), "ready"],
    ["as ready once it was seen to answer", running("seen", "10.0.0.1", false), "ready"],
    ["as draining once it is being deleted", running("a", "10.0.0.1", true, gone), "draining"],
    ["as draining though it answers", running("seen", "10.0.0.1", false, gone), "draining"],
    ["not before it has an address", { metadata: { name: "a" }, status: { phase: "Pending" } }, undefined],
    ["not after it has ended", { metadata: { name: "a" }, status: { phase: "Failed", podIP: "10.0.0.1" } }, undefined],
  ])("%s", (_when, pod, state) => {
    expect(podEndpoint(pod, new Set(["seen"]))?.state).toBe(state);
    expect(podEndpoint(trimPod(pod), new Set(["seen"]))?.state).toBe(state);
  });
});

test("IPv6 addresses are written so that a port can follow", () => {
  expect(podEndpoint(running("a", "fd00::1", true))?.address).toBe("[fd00::1]:8080");
});

test("slices say the same as pods, each replica once", () => {
  const slice = (addressType: string, endpoints: V1Endpoint[]): V1EndpointSlice => ({
    addressType,
    endpoints,
  });
  const target = (name: string) => ({ targetRef: { kind: "Pod", name } });
  const slices = [
    slice("IPv4", [
      { addresses: ["10.0.0.2"], conditions: { ready: false }, ...target("b") },
      { addresses: ["10.0.0.1"], ...target("a") },
      { addresses: ["10.0.0.3"], conditions: { ready: false, terminating: true }, ...target("c") },
    ]),
    slice("IPv6", [{ addresses: ["fd00::1"], conditions: { ready: true }, ...target("a") }]),
    slice("FQDN", [{ addresses: ["example.com"] }]),
  ];
  expect(sliceEndpoints(slices)).toEqual([
    { address: "10.0.0.1:8080", instance: "a", state: "ready" },
    { address: "10.0.0.2:8080", instance: "b", state: "starting" },
    { address: "10.0.0.3:8080", instance: "c", state: "draining" },
  ]);
  expect(sliceEndpoints(slices, new Set(["b"]))[1]?.state).toBe("ready");
});

const stored = (replicas: number, more: Parameters<typeof deployment>[0] = {}): V1Deployment => {
  const built = withReplicas(buildDeployment(deployment(more), around()), replicas);
  return {
    ...built,
    metadata: { ...built.metadata, generation: 5, creationTimestamp: new Date("2026-11-21T00:00:00.5Z") },
  };
};

test("gateways see labels, annotations, wanted replicas, the limit of calls and where to call", () => {
  const object = stored(2, { envVars: { max_inflight: "10" }, labels: { team: "x" }, secrets: ["api-key"] });
  const endpoints = podEndpoints([running("b", "10.0.0.2", false), running("a", "10.0.0.1", true)]);
  expect(readEndpoints(object, endpoints)).toEqual({
    name: "fn",
    namespace: "openfaas-fn",
    labels: { faas_function: "fn", team: "x" },
    annotations: { "prometheus.io.scrape": "false" },
    replicas: 2,
    generation: 5,
    maxInflight: 10,
    endpoints: [
      { address: "10.0.0.1:8080", instance: "a", state: "ready" },
      { address: "10.0.0.2:8080", instance: "b", state: "starting" },
    ],
  });
});

test("callers are told of what lasts; of what may pass only the status speaks", () => {
  const pending = { type: "PodScheduled", status: "False", reason: "Unschedulable", message: "no cpu" };
  const waits: V1Pod = { metadata: { name: "a" }, status: { phase: "Pending", conditions: [pending] } };
  expect(readEndpoints(stored(1), [], [waits]).problem).toBeUndefined();
  expect(readStatus(stored(1), { pods: [waits] }).problem).toBe("no node can take it: no cpu");

  const state = { waiting: { reason: "ImagePullBackOff" } };
  const container = { name: "fn", image: "", imageID: "", ready: false, restartCount: 0, state };
  const stuck: V1Pod = { metadata: { name: "a" }, status: { phase: "Pending", containerStatuses: [container] } };
  expect(readEndpoints(stored(1), [], [stuck]).problem).toBe("the image cannot be pulled");
  expect(readStatus(stored(1), { pods: [stuck] }).problem).toBe("the image cannot be pulled");
});

test("what is 0 or was not set is not in the status", () => {
  expect(readStatus(stored(0))).toEqual({
    name: "fn",
    namespace: "openfaas-fn",
    image: "ghcr.io/acme/fn:1.2.3",
    labels: { faas_function: "fn" },
    annotations: { "prometheus.io.scrape": "false" },
    createdAt: "2026-11-21T00:00:00Z",
  });
});

test("replicas that answer count as available before their kubelet has said so", () => {
  const endpoints = podEndpoints([running("a", "10.0.0.1", false), running("b", "10.0.0.2", false)], new Set(["a"]));
  expect(readStatus(stored(2), { endpoints }).availableReplicas).toBe(1);
});

testNeeding(noRecordings)("a recorded scale-up is seen as address, readiness, drain", () => {
  interface Line {
    readonly watch?: string;
    readonly event?: { readonly type: string; readonly object: V1Pod };
  }
  const lines = readRecording("k8s-watch-scale.ndjson")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);
  const states = lines.flatMap(({ watch, event }) => {
    if (watch !== "pods" || !event || event.type === "BOOKMARK") return [];
    const endpoint = event.type === "DELETED" ? undefined : podEndpoint(trimPod(event.object));
    return [endpoint?.state ?? "absent"];
  });
  const changes = states.filter((state, index) => state !== states[index - 1]);
  expect(changes).toEqual(["absent", "starting", "ready", "draining", "absent"]);
});

test("only what carries OpenFaaS's label everywhere is taken for a function", () => {
  const object = stored(1);
  expect(isFunction(object)).toBe(true);
  expect(isFunction({ ...object, metadata: { ...object.metadata, labels: {} } })).toBe(false);
  expect(isFunction({ ...object, metadata: { ...object.metadata, name: "other" } })).toBe(false);
});

test("a namespace reads as it was made, without what Kubernetes added", () => {
  const made = buildNamespace({ name: "staging", labels: { a: "1", openfaas: "0" } });
  const labels = { ...made.metadata?.labels, "kubernetes.io/metadata.name": "staging" };
  const object = { ...made, metadata: { ...made.metadata, labels } };
  expect(isFunctionNamespace(object)).toBe(true);
  expect(readNamespace(object)).toEqual({
    name: "staging",
    labels: { a: "1", openfaas: "1" },
    annotations: { openfaas: "1" },
  });
  expect(isFunctionNamespace({ metadata: { name: "default" } })).toBe(false);
  const leaving = { ...object.metadata, deletionTimestamp: new Date() };
  expect(isFunctionNamespace({ metadata: leaving })).toBe(false);
});

test("only secrets that are marked belong to clients", () => {
  expect(isManagedSecret({ metadata: { labels: { "app.kubernetes.io/managed-by": "openfaas" } } })).toBe(true);
  expect(isManagedSecret({ metadata: { labels: { "app.kubernetes.io/managed-by": "Helm" } } })).toBe(false);
  expect(isManagedSecret({})).toBe(false);
});
