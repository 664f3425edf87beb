import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { generate } from "../../deploy/render/generate.ts";
import type { KubernetesObject, Values } from "../../deploy/render/render-chart.ts";
import { loadGatewayConfig } from "../../gateway/process/config.ts";
import { loadEventWorkerConfig } from "../../gateway/process/event-worker/config.ts";
import { loadQueueWorkerConfig as loadWorkerConfig } from "../../gateway/process/queue-worker/config.ts";
import { readEnv } from "../../kit/env.ts";
import { buildCrds } from "../../provider/backends/kubernetes/resources/crds.ts";
import { readKubernetesSettings } from "../../provider/backends/kubernetes/resources/read-settings.ts";
import { loadProviderConfig } from "../../provider/config.ts";
import {
  objectProblems,
  readOpenApi,
  type Schema,
  schemaProblems,
} from "../provider/kubernetes/resources/object-schema.ts";
import { DEPLOY, find, render, VARIANTS } from "./chart-support.ts";

const definitions = readOpenApi();

const metadata: Schema = { type: "object" };
const text: Schema = { type: "string" };
const object = (properties: Record<string, Schema>): Schema => ({ type: "object", properties });
const list = (items: Schema): Schema => ({ type: "array", items });

/** Kinds that are no part of Kubernetes: as much of their schemas as the chart uses. */
const FOREIGN: Readonly<Record<string, Schema>> = {
  "gateway.networking.k8s.io/v1 HTTPRoute": object({
    apiVersion: text,
    kind: text,
    metadata,
    spec: object({
      parentRefs: list(object({ name: text, namespace: text, sectionName: text })),
      hostnames: list(text),
      rules: list(
        object({
          matches: list(object({ path: object({ type: text, value: text }) })),
          backendRefs: list(object({ name: text, port: { type: "integer" } })),
        }),
      ),
    }),
  }),
  "monitoring.coreos.com/v1 PrometheusRule": object({
    apiVersion: text,
    kind: text,
    metadata,
    spec: object({
      groups: list(
        object({
          name: text,
          rules: list(
            object({
              alert: text,
              expr: text,
              for: text,
              labels: { type: "object", additionalProperties: text },
              annotations: { type: "object", additionalProperties: text },
            }),
          ),
        }),
      ),
    }),
  }),
  "monitoring.coreos.com/v1 ServiceMonitor": object({
    apiVersion: text,
    kind: text,
    metadata,
    spec: object({
      selector: object({ matchLabels: { type: "object", additionalProperties: text } }),
      endpoints: list(object({ port: text, path: text, interval: text })),
    }),
  }),
};

async function problems(sent: KubernetesObject): Promise<string[]> {
  const foreign = FOREIGN[`${sent.apiVersion} ${sent.kind}`];
  const found = foreign ? schemaProblems(foreign, sent, new Map()) : await objectProblems(sent, definitions);
  return found.map((problem) => `${sent.kind} ${sent.metadata.name}${problem}`);
}

describe.each(Object.entries(VARIANTS))("with values: %s", (_name, values) => {
  const { objects, notes } = render(values);

  test("every object is one that Kubernetes takes", async () => {
    expect((await Promise.all(objects.map(problems))).flat()).toEqual([]);
  });

  test("no two objects are the same", () => {
    const ids = objects.map(({ kind, metadata: { namespace, name } }) => `${kind} ${namespace} ${name}`);
    expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([]);
  });

  test("what refers to another object finds it", () => {
    for (const {
      kind,
      spec,
      metadata: { namespace },
    } of objects) {
      if (kind !== "Service") continue;
      const { selector } = spec as { selector: Record<string, string> };
      const pods = objects.filter(
        (o) => o.metadata.namespace === namespace && ["Deployment", "StatefulSet"].includes(o.kind),
      );
      const labels = pods.map((o) => templateOf(o).metadata.labels);
      expect(labels.some((set) => Object.entries(selector).every(([key, value]) => set[key] === value))).toBe(true);
    }
    const claims = objects.flatMap((o) => (o.kind === "Deployment" ? (templateOf(o).spec.volumes ?? []) : []));
    for (const { persistentVolumeClaim } of claims) {
      if (persistentVolumeClaim) find(objects, "PersistentVolumeClaim", persistentVolumeClaim.claimName);
    }
  });

  test("every pod of the platform is without privileges, and has room to end in", () => {
    const workloads = objects.filter(({ kind }) => kind === "Deployment" || kind === "StatefulSet");
    expect(workloads.length).toBeGreaterThan(1);
    for (const workload of workloads) {
      const { securityContext, containers } = templateOf(workload).spec;
      expect(securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } });
      for (const container of containers) {
        expect(container.securityContext).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ["ALL"] },
        });
      }
    }
  });

  test("the gateway reads every variable that it is given, and takes it", () => {
    const { env, unread } = environmentOf(find(objects, "Deployment", "gateway"));
    const config = loadGatewayConfig(env);
    expect(unread()).toEqual([]);
    expect(config).toMatchObject({ defaultNamespace: "openfaas-fn", port: 8080, metricsPort: 8082 });
    expect(config.providerUrl.port).toBe("8081");
    const drainSeconds = (config.drainDelayMs + config.drainTimeoutMs) / 1000;
    const grace = templateOf(find(objects, "Deployment", "gateway")).spec.terminationGracePeriodSeconds;
    expect(grace).toBeGreaterThan(drainSeconds + 3);
  });

  test("secrets of functions' callers are files by namespace and name", () => {
    const { template } = find(
      render({ gateway: { functionSecrets: { "openfaas-fn": "callers" } } }).objects,
      "Deployment",
      "gateway",
    ).spec as { template: { spec: { containers: unknown[]; volumes: unknown[] } } };
    expect(template.spec.volumes).toContainEqual({ name: "functions-openfaas-fn", secret: { secretName: "callers" } });
    expect(template.spec.containers[0]).toMatchObject({
      env: expect.arrayContaining([{ name: "function_secrets_path", value: "/var/function-secrets" }]),
      volumeMounts: expect.arrayContaining([
        { name: "functions-openfaas-fn", mountPath: "/var/function-secrets/openfaas-fn", readOnly: true },
      ]),
    });
  });

  test("the provider reads every variable that it is given, and takes it", () => {
    const { env, unread } = environmentOf(find(objects, "Deployment", "gateway-provider"));
    const config = loadProviderConfig(env);
    const kubernetes = readEnv(env, readKubernetesSettings);
    expect(env.backend).toBe("kubernetes");
    expect(unread()).toEqual([]);
    expect(config).toMatchObject({ defaultNamespace: "openfaas-fn", port: 8081 });
    expect(kubernetes.profilesNamespace).toBe("openfaas");
    expect(kubernetes.clusterRole).toBe(values.clusterRole === true);
    const grace = templateOf(find(objects, "Deployment", "gateway-provider")).spec.terminationGracePeriodSeconds;
    expect(grace).toBeGreaterThan(config.drainTimeoutMs / 1000 + 3);
  });

  test("functions can tell every provider that they listen, at a Service that hides no address", () => {
    const provider = find(objects, "Deployment", "gateway-provider");
    const { announceUrl, announcePort } = readEnv(environmentOf(provider).env, readKubernetesSettings);
    const service = objects.find(({ kind, metadata: { name } }) => kind === "Service" && /-announce$/.test(name));
    expect(announceUrl === undefined).toBe(service === undefined);
    if (!announceUrl || !service) return;
    const { name, namespace } = service.metadata;
    expect(announceUrl.href).toBe(`http://${name}.${namespace}.svc.cluster.local.:${announcePort}/`);
    expect(announcePort).not.toBe(8081);
    expect(service.spec).toMatchObject({
      clusterIP: "None",
      selector: { "com.faaslane.component": "gateway-provider" },
      ports: [{ port: announcePort, targetPort: "announce" }],
    });
    expect(templateOf(provider).spec.containers[0]?.ports).toContainEqual({
      name: "announce",
      containerPort: announcePort,
      protocol: "TCP",
    });
  });

  test("the event worker reads every variable that it is given, and agrees with the gateway", () => {
    const worker = objects.find(({ kind, metadata: { name } }) => kind === "Deployment" && name === "event-worker");
    const gateway = loadGatewayConfig(environmentOf(find(objects, "Deployment", "gateway")).env);
    expect(worker !== undefined).toBe(gateway.events.kind === "jetstream");
    if (!worker || gateway.events.kind !== "jetstream") return;
    const { env, unread } = environmentOf(worker);
    const config = loadEventWorkerConfig(env);
    // Read by Node itself, and by those that have a queue.
    expect(unread().filter((name) => !["NODE_EXTRA_CA_CERTS", "nats_reserved_bytes"].includes(name))).toEqual([]);
    expect(gateway.events.ownWorker).toBe(false);
    expect({ ...config.events, concurrency: 0, ownWorker: false }).toEqual({ ...gateway.events, concurrency: 0 });
    expect(config.callbackTargets).toEqual(gateway.async.callbackTargets);
    expect(config.gatewayUrl.host).toMatch(/^gateway\.openfaas\.svc\..*:8080$/);
  });

  test("the queue worker reads every variable that it is given, and agrees with the gateway", () => {
    const worker = objects.find(({ kind, metadata: { name } }) => kind === "Deployment" && name === "queue-worker");
    const gateway = loadGatewayConfig(environmentOf(find(objects, "Deployment", "gateway")).env);
    expect(worker !== undefined).toBe(gateway.async.queue.kind === "jetstream");
    if (!worker) return;
    const { env, unread } = environmentOf(worker);
    const config = loadWorkerConfig(env);
    // Read by Node itself.
    expect(unread().filter((name) => name !== "NODE_EXTRA_CA_CERTS")).toEqual([]);
    expect(config.async.queue).toEqual(gateway.async.queue);
    expect(config.async.callbackTargets).toEqual(gateway.async.callbackTargets);
    expect(config.async.worker.retry).toEqual(gateway.async.worker.retry);
    expect(config.gatewayUrl.host).toMatch(/^gateway\.openfaas\.svc\..*:8080$/);
    expect(templateOf(worker).spec.terminationGracePeriodSeconds).toBeGreaterThan(config.drainTimeoutMs / 1000 + 3);
    // The files that both read lie in one folder, and what is too large for memory goes to another.
    const mounts = templateOf(worker).spec.containers[0]?.volumeMounts?.map(({ mountPath }) => mountPath);
    const ca = env.NODE_EXTRA_CA_CERTS === undefined ? [] : [dirname(env.NODE_EXTRA_CA_CERTS)];
    expect(mounts).toEqual(["/tmp", ...(hasSecrets(worker) ? [config.async.secretMountPath] : []), ...ca]);
  });

  test("the notes are text", () => {
    expect(notes).toMatch(/^faaslane 0\.1\.0 is in namespace openfaas/);
  });
});

interface PodTemplate {
  readonly metadata: { readonly labels: Readonly<Record<string, string>> };
  readonly spec: {
    readonly securityContext: object;
    readonly terminationGracePeriodSeconds: number;
    readonly containers: readonly {
      readonly securityContext: object;
      readonly args: readonly string[];
      readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
      readonly env?: readonly { readonly name: string; readonly value: string }[];
      readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[];
    }[];
    readonly volumes?: readonly {
      readonly name: string;
      readonly persistentVolumeClaim?: { readonly claimName: string };
      readonly projected?: { readonly sources: readonly { readonly secret: { readonly name: string } }[] };
    }[];
  };
}

function templateOf(workload: KubernetesObject): PodTemplate {
  return (workload.spec as { template: PodTemplate }).template;
}

/** The variables of a workload's container, and which of them nobody has looked at. */
function environmentOf(workload: KubernetesObject) {
  const list = templateOf(workload).spec.containers[0]?.env ?? [];
  const read = new Set<string>();
  const env = new Proxy(Object.fromEntries(list.map(({ name, value }) => [name, value])), {
    get: (target, name) => {
      read.add(String(name));
      return target[String(name)];
    },
  });
  // Credentials are read by whoever starts the server.
  return { env, unread: () => list.map(({ name }) => name).filter((name) => !read.has(name)) };
}

function secretsOf(workload: KubernetesObject): string[] {
  const volume = templateOf(workload).spec.volumes?.find(({ name }) => name === "secrets");
  return volume?.projected?.sources.map(({ secret }) => secret.name) ?? [];
}

const hasSecrets = (workload: KubernetesObject) => secretsOf(workload).length > 0;

describe("limits of the queue", () => {
  const configOf = (queue: Values) =>
    loadGatewayConfig(environmentOf(find(render({ queue }).objects, "Deployment", "gateway")).env);
  const limits = { maxCalls: 2_000_000, maxBytes: "2Gi", functionMaxCalls: "500", functionMaxBytes: "200Mi" };
  const callLimits = { calls: 2_000_000, bytes: 2 * 1024 ** 3, functionCalls: 500, functionBytes: 200 * 1024 ** 2 };

  test("are the gateway's own unless they are set", () => {
    expect(configOf({}).async.queue).toMatchObject({ callLimits: {} });
    expect(configOf({}).async.queue).not.toHaveProperty("minFreeBytes");
  });

  test("that are set hold, on the volume of the embedded queue too", () => {
    expect(configOf({ ...limits, minFree: "64Mi" }).async.queue).toMatchObject({
      callLimits,
      kind: "embedded",
      minFreeBytes: 64 * 1024 ** 2,
    });
  });

  test("on NATS are the same for gateways and workers", () => {
    const { objects } = render({ queue: { kind: "jetstream", ...limits, minFree: "64Mi" } });
    const worker = loadWorkerConfig(environmentOf(find(objects, "Deployment", "queue-worker")).env);
    const gateway = loadGatewayConfig(environmentOf(find(objects, "Deployment", "gateway")).env);
    expect([gateway.async.queue, worker.async.queue]).toMatchObject([{ callLimits }, { callLimits }]);
  });
});

describe("events", () => {
  const kindOf = (values: Values) => {
    const { objects } = render(values);
    const { events } = loadGatewayConfig(environmentOf(find(objects, "Deployment", "gateway")).env);
    return [events.kind, objects.some(({ metadata: { name } }) => name === "event-worker")];
  };

  test.each<[what: string, values: Values, expected: readonly [string, boolean]]>([
    ["in the gateway", {}, ["embedded", false]],
    ["on NATS, with workers of their own", { queue: { kind: "jetstream" } }, ["jetstream", true]],
    ["switched off", { queue: { kind: "jetstream" }, events: { enabled: false } }, ["none", false]],
    ["without a queue", { queue: { kind: "none" } }, ["none", false]],
  ])("are where the queue is: %s", (_what, values, expected) => {
    expect(kindOf(values)).toEqual(expected);
  });

  test("have secrets of sources and sinks where their workers look for them", () => {
    const values = { queue: { kind: "jetstream" }, gateway: { functionSecrets: { "openfaas-fn": "functions" } } };
    const worker = find(render(values).objects, "Deployment", "event-worker");
    const { functionSecretsPath } = loadEventWorkerConfig(environmentOf(worker).env);
    const { spec } = templateOf(worker);
    expect(spec.containers[0]?.volumeMounts).toContainEqual({
      name: "functions-openfaas-fn",
      mountPath: `${functionSecretsPath}/openfaas-fn`,
      readOnly: true,
    });
  });
});

describe("the queue on NATS", () => {
  const names = (objects: readonly KubernetesObject[], kind: string) =>
    objects.filter((object) => object.kind === kind).map((object) => object.metadata.name);

  test("is the chart's own server with a disk, which asks for a user and a password", () => {
    const { objects } = render({ queue: { kind: "jetstream" } });
    const { volumeClaimTemplates } = find(objects, "StatefulSet", "nats").spec as { volumeClaimTemplates: object[] };
    expect(volumeClaimTemplates).toHaveLength(1);
    const { env, args } = templateOf(find(objects, "StatefulSet", "nats")).spec.containers[0] ?? {};
    expect(env).toEqual([
      { name: "NATS_USER", valueFrom: { secretKeyRef: { name: "nats-credentials", key: "nats-user" } } },
      { name: "NATS_PASSWORD", valueFrom: { secretKeyRef: { name: "nats-credentials", key: "nats-password" } } },
    ]);
    expect(args).toEqual(expect.arrayContaining(["--user=$(NATS_USER)", "--pass=$(NATS_PASSWORD)"]));
    for (const name of ["gateway", "queue-worker", "event-worker"]) {
      expect(secretsOf(find(objects, "Deployment", name))).toEqual(["basic-auth", "nats-credentials"]);
    }
    expect(names(objects, "PersistentVolumeClaim")).toEqual([]);
    expect(names(objects, "PodDisruptionBudget")).toEqual(expect.arrayContaining(["queue-worker"]));
  });

  test.each<[what: string, values: Values, servers: readonly string[] | undefined]>([
    ["without a queue, for one gateway", { queue: { kind: "none" } }, undefined],
    [
      "without a queue, for several gateways",
      { queue: { kind: "none" }, gateway: { replicas: 2 } },
      ["nats://nats.openfaas.svc.cluster.local:4222"],
    ],
    [
      "of one's own, for several gateways",
      { queue: { kind: "none" }, gateway: { replicas: 2 }, nats: { external: { enabled: true, host: "n" } } },
      ["nats://n:4222"],
    ],
  ])("%s: gateways share their work over %j → %j", (_what, values, servers) => {
    const { objects } = render(values);
    const { async } = loadGatewayConfig(environmentOf(find(objects, "Deployment", "gateway")).env);
    expect([async.queue.kind, async.nats?.servers]).toEqual(["none", servers]);
    const own = servers?.[0]?.startsWith("nats://nats.") ?? false;
    expect([names(objects, "StatefulSet"), names(objects, "NetworkPolicy").includes("nats")]).toEqual([
      own ? ["nats"] : [],
      own,
    ]);
  });

  test("is another server, with its credentials as files", () => {
    const nats = { external: { enabled: true, host: "nats.infra" }, credentialsSecret: "login" };
    const { objects } = render({ queue: { kind: "jetstream" }, nats, callbacks: { signingSecret: "signing" } });
    expect(names(objects, "StatefulSet")).toEqual([]);
    expect(names(objects, "NetworkPolicy")).not.toContain("nats");
    for (const name of ["gateway", "queue-worker"]) {
      const workload = find(objects, "Deployment", name);
      expect(secretsOf(workload)).toEqual(["basic-auth", "login", "signing"]);
      expect(environmentOf(workload).env.faas_nats_address).toBe("nats.infra");
    }
  });

  test.each<[what: string, values: Values, isPrivate: boolean]>([
    ["inside a cluster", {}, true],
    ["with a way in from outside", { ingress: { enabled: true } }, false],
    ["with a way in and leave to", { exposeServices: true, callbacks: { privateTargets: "allow" } }, true],
    ["when told so", { callbacks: { privateTargets: "deny" } }, false],
  ])("callbacks may go to private addresses %s: %j → %s", (_what, values, isPrivate) => {
    const { env } = environmentOf(find(render(values).objects, "Deployment", "gateway"));
    expect(loadGatewayConfig(env).async.callbackTargets.private).toBe(isPrivate);
  });
});

describe("files that are made from others", () => {
  test.each([...generate(DEPLOY)])("%s is up to date (node deploy/render.ts)", (path, expected) => {
    expect(readFileSync(join(DEPLOY, path), "utf8")).toBe(expected);
  });

  test("the chart carries the kinds as the provider knows them", () => {
    const inChart = render({}).objects.filter(({ kind }) => kind === "CustomResourceDefinition");
    expect(inChart).toEqual(JSON.parse(JSON.stringify(buildCrds())));
  });

  test("plain manifests have nothing of Helm, and no secret", () => {
    for (const [path, manifest] of generate(DEPLOY)) {
      if (!path.startsWith("manifests/")) continue;
      expect(manifest).not.toMatch(/helm\.sh|managed-by: Helm|kind: Secret/);
      expect(manifest.indexOf("kind: CustomResourceDefinition")).toBeLessThan(manifest.indexOf("kind: Deployment"));
      expect(manifest.indexOf("kind: Namespace")).toBeLessThan(manifest.indexOf("kind: ServiceAccount"));
    }
  });
});
