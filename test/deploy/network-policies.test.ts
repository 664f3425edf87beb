import { describe, expect, test } from "@jest/globals";
import type { KubernetesObject, Values } from "../../deploy/render/render-chart.ts";
import { deploymentProblems } from "../../provider/backends/kubernetes/resources/check.ts";
import { buildDeployment } from "../../provider/backends/kubernetes/resources/deployment.ts";
import { around, deployment } from "../provider/kubernetes/resources/fixtures.ts";
import { labelSelectorOf } from "../support/kube/selectors.ts";
import { find, render, VARIANTS } from "./chart-support.ts";
import { mayReach, type Peer, podOf, selectorsIn } from "./network.ts";

/** Labels by which people's own charts find their way, which a function may have. */
const BORROWED = {
  app: "gateway",
  "app.kubernetes.io/name": "prometheus",
  "app.kubernetes.io/component": "gateway",
  "app.kubernetes.io/part-of": "faaslane",
};

/** A pod of a function with as many of `labels` as the provider takes. */
function functionPod(namespace: string, labels: Readonly<Record<string, string>> = BORROWED): Peer {
  const taken = Object.entries(labels).filter(
    ([key, value]) => deploymentProblems(deployment({ labels: { [key]: value } }), around()).length === 0,
  );
  const built = buildDeployment(deployment({ namespace, labels: Object.fromEntries(taken) }), around());
  return { namespace, labels: built.spec?.template.metadata?.labels ?? {} };
}

const prometheus: Peer = { namespace: "monitoring", labels: { "app.kubernetes.io/name": "prometheus" } };
const stranger: Peer = { namespace: "shop", labels: { app: "gateway" } };

type Who = "function" | "gateway" | "provider" | "worker" | "eventWorker" | "nats" | "prometheus" | "stranger";

const JETSTREAM: Values = { queue: { kind: "jetstream" } };

function peersOf(objects: readonly KubernetesObject[], functions: string): Readonly<Record<Who, Peer>> {
  return {
    function: functionPod(functions),
    gateway: podOf(objects, "gateway"),
    provider: podOf(objects, "gateway-provider"),
    worker: podOf(objects, "queue-worker"),
    eventWorker: podOf(objects, "event-worker"),
    nats: podOf(objects, "nats"),
    prometheus,
    stranger,
  };
}

describe.each<[where: string, values: Values, functions: string]>([
  ["in a namespace of their own", JETSTREAM, "openfaas-fn"],
  ["in any namespace", { ...JETSTREAM, clusterRole: true }, "team-a"],
  ["next to the platform", { ...JETSTREAM, functionNamespace: "openfaas" }, "openfaas"],
])("with functions %s", (_where, values, functions) => {
  const { objects } = render({ ...values, networkPolicies: { functions: true } });
  const peers = peersOf(objects, functions);

  test.each<[from: Who, to: Who, port: number, may: boolean]>([
    ["function", "provider", 8084, true],
    ["function", "provider", 8081, false],
    ["function", "eventWorker", 8085, false],
    ["eventWorker", "provider", 8081, true],
    ["eventWorker", "gateway", 8080, true],
    ["eventWorker", "nats", 4222, true],
    ["eventWorker", "function", 8080, functions === "team-a"],
    ["function", "nats", 4222, false],
    ["function", "nats", 8222, false],
    ["function", "gateway", 8080, true],
    ["function", "gateway", 8082, false],
    ["function", "worker", 8083, false],
    ["gateway", "provider", 8081, true],
    ["gateway", "provider", 8084, false],
    ["gateway", "nats", 4222, true],
    ["gateway", "function", 8080, true],
    ["worker", "gateway", 8080, true],
    ["worker", "provider", 8081, true],
    ["worker", "nats", 4222, true],
    ["provider", "function", 8080, true],
    ["provider", "nats", 4222, false],
    ["provider", "gateway", 8082, false],
    ["nats", "gateway", 8080, false],
    ["nats", "function", 8080, false],
    ["prometheus", "gateway", 8082, true],
    ["prometheus", "provider", 8081, true],
    ["prometheus", "worker", 8083, true],
    ["prometheus", "nats", 4222, false],
    ["stranger", "gateway", 8080, true],
    ["stranger", "gateway", 8082, true],
    ["stranger", "provider", 8081, false],
    ["stranger", "provider", 8084, false],
    ["stranger", "nats", 4222, false],
    ["stranger", "function", 8080, functions === "team-a"],
  ])("%s → %s:%d is %p", (from, to, port, may) => {
    expect(mayReach(objects, peers[from], peers[to], port)).toBe(may);
  });
});

test("metrics are for one namespace when it is named, and not for functions that are there", () => {
  const { objects } = render({ ...JETSTREAM, networkPolicies: { monitoringNamespace: "monitoring" } });
  const peers = peersOf(objects, "openfaas-fn");
  const targets = [
    [peers.gateway, 8082],
    [peers.provider, 8081],
    [peers.worker, 8083],
  ] as const;
  for (const [to, port] of targets) {
    expect(mayReach(objects, { namespace: "monitoring", labels: {} }, to, port)).toBe(true);
    expect(mayReach(objects, { ...prometheus, namespace: "elsewhere" }, to, port)).toBe(false);
    expect(mayReach(objects, functionPod("monitoring"), to, port)).toBe(false);
  }
});

test("without announcing nothing of the provider is open to functions", () => {
  const { objects } = render({ ...JETSTREAM, functions: { announce: false } });
  expect(mayReach(objects, functionPod("openfaas-fn"), podOf(objects, "gateway-provider"), 8084)).toBe(false);
});

describe("where the platform's pods may go", () => {
  const egressOf = (values: Values, name: string) =>
    JSON.stringify((find(render(values).objects, "NetworkPolicy", name).spec as { egress?: unknown }).egress ?? null);

  test("is not said when that is turned off", () => {
    for (const name of ["gateway", "gateway-provider", "queue-worker", "nats"]) {
      const { spec } = find(
        render({ ...JETSTREAM, networkPolicies: { egress: false } }).objects,
        "NetworkPolicy",
        name,
      );
      expect(spec).toMatchObject({ policyTypes: ["Ingress"] });
      expect(spec).not.toHaveProperty("egress");
    }
  });

  test.each<[what: string, values: Values, isPrivate: boolean | undefined]>([
    ["inside a cluster", {}, true],
    ["with a way in from outside", { ingress: { enabled: true } }, false],
    ["with some named", { ingress: { enabled: true }, callbacks: { allow: ["hooks.internal"] } }, true],
    ["without a queue", { queue: { kind: "none" } }, undefined],
  ])("is as wide as callbacks %s", (_what, values, isPrivate) => {
    const egress = egressOf(values, "gateway");
    expect(egress.includes('"0.0.0.0/0"')).toBe(isPrivate !== undefined);
    expect(egress.includes('"169.254.0.0/16"')).toBe(isPrivate !== undefined);
    expect(egress.includes('"10.0.0.0/8"')).toBe(isPrivate === false);
  });

  test("has the port of a NATS elsewhere, the API server's, and what is added", () => {
    const nats = { external: { enabled: true, host: "nats.infra", port: 4333 } };
    expect(egressOf({ ...JETSTREAM, nats }, "queue-worker")).toContain('"port":4333');
    const more = { apiServerPorts: [7443], extraEgress: [{ ports: [{ protocol: "TCP", port: 3128 }] }] };
    for (const name of ["gateway", "gateway-provider", "queue-worker"]) {
      expect(egressOf({ ...JETSTREAM, networkPolicies: more }, name)).toContain('"port":3128');
    }
    expect(egressOf({ networkPolicies: more }, "gateway-provider")).toContain('"port":7443');
  });
});

describe.each(Object.entries(VARIANTS))("with values: %s", (_name, values) => {
  const { objects } = render(values);

  test("no label of a function makes it match what the platform selects of its own", () => {
    const selectors = objects.flatMap((object) =>
      selectorsIn(object).map((found) => ({ ...found, of: `${object.kind} ${object.metadata.name}` })),
    );
    expect(selectors.length).toBeGreaterThan(5);
    for (const { of, field, selector } of selectors) {
      if (/namespaceSelector$/.test(field)) continue;
      const { matchLabels = {}, matchExpressions = [] } = selector as {
        matchLabels?: Record<string, string>;
        matchExpressions?: { key: string; operator: string; values?: string[] }[];
      };
      const wanted = matchExpressions.flatMap(({ key, operator, values: [first = "x"] = [] }) =>
        operator === "In" || operator === "Exists" ? [[key, first] as const] : [],
      );
      const { labels } = functionPod("openfaas", { ...matchLabels, ...Object.fromEntries(wanted) });
      // Some are about functions, all of them alike, and no label but that every one of them has makes them match.
      const aboutAll = matchExpressions.length === 1 && matchExpressions[0]?.key === "faas_function";
      const isMatch = labelSelectorOf(selector)(labels);
      expect({ of, field, isMatch }).toEqual({ of, field, isMatch: aboutAll && wanted.length > 0 });
    }
  });
});
