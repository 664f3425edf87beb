import type { StructType, TypeRef } from "./schema/notation.ts";
import { type Fields, isFields, type KubeObject, type StringMap } from "./types.ts";

/** What the server needs to make up values of an object. */
export interface DefaultsContext {
  /** A free address for a service. */
  allocateClusterIp(): string;
}

type Defaulter = (object: KubeObject, context: DefaultsContext) => Fields;

const DEFAULTERS: Readonly<Record<string, Defaulter>> = {
  pods: (object) => ({
    spec: podDefaults(asFields(object.spec)),
    status: { phase: "Pending", qosClass: qosOf(asFields(object.spec)), ...asFields(object.status) },
  }),
  "deployments.apps": ({ spec }) => ({
    spec: {
      replicas: 1,
      revisionHistoryLimit: 10,
      progressDeadlineSeconds: 600,
      ...templateDefaults(asFields(spec)),
      strategy: strategyDefaults(asFields(asFields(spec).strategy)),
    },
  }),
  "replicasets.apps": ({ spec }) => ({ spec: { replicas: 1, ...templateDefaults(asFields(spec)) } }),
  services: ({ spec }, context) => ({ spec: serviceDefaults(asFields(spec), context) }),
  secrets: ({ type, data, stringData }) => ({
    type: type ?? "Opaque",
    ...(isFields(stringData) && {
      data: {
        ...asFields(data),
        ...Object.fromEntries(
          Object.entries(stringData as StringMap).map(([k, v]) => [k, Buffer.from(v).toString("base64")]),
        ),
      },
      stringData: undefined,
    }),
  }),
  namespaces: ({ metadata, spec, status }) => ({
    metadata: { ...metadata, labels: { ...metadata.labels, "kubernetes.io/metadata.name": metadata.name } },
    spec: { finalizers: ["kubernetes"], ...asFields(spec) },
    status: { phase: "Active", ...asFields(status) },
  }),
};

/** The object with the values that the API server fills in for absent fields. */
export function withDefaults(
  resource: { key: string; custom: boolean; type: StructType },
  object: KubeObject,
  context: DefaultsContext,
): KubeObject {
  if (resource.custom) return customDefaults(resource.type, object) as KubeObject;
  const added = DEFAULTERS[resource.key]?.(object, context);
  if (added === undefined) return object;
  const whole = Object.entries({ ...object, ...added }).filter(([, value]) => value !== undefined);
  return Object.fromEntries(whole) as unknown as KubeObject;
}

function asFields(value: unknown): Fields {
  return isFields(value) ? value : {};
}

function listOf(value: unknown): readonly Fields[] {
  return Array.isArray(value) ? (value as Fields[]) : [];
}

function customDefaults(type: TypeRef, value: unknown): unknown {
  if (type.kind === "list" && Array.isArray(value)) return value.map((item) => customDefaults(type.of, item));
  if (!isFields(value)) return value;
  if (type.kind === "map") return mapValues(value, (item) => customDefaults(type.of, item));
  if (type.kind !== "struct") return value;
  const filled = mapValues(value, (item, name) => {
    const field = type.field(name);
    return field === undefined ? item : customDefaults(field.type, item);
  });
  for (const [name, fallback] of type.fallbacks) {
    if (filled[name] === undefined) filled[name] = fallback;
  }
  return filled;
}

function mapValues(value: Fields, change: (item: unknown, name: string) => unknown): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, change(item, name)]));
}

function templateDefaults(spec: Fields): Fields {
  const template = asFields(spec.template);
  return { ...spec, template: { metadata: {}, ...template, spec: podTemplateDefaults(asFields(template.spec)) } };
}

function strategyDefaults(strategy: Fields): Fields {
  const type = (strategy.type as string | undefined) ?? "RollingUpdate";
  if (type !== "RollingUpdate") return { ...strategy, type };
  return { type, rollingUpdate: { maxUnavailable: "25%", maxSurge: "25%", ...asFields(strategy.rollingUpdate) } };
}

function podTemplateDefaults(spec: Fields): Fields {
  return {
    restartPolicy: "Always",
    terminationGracePeriodSeconds: 30,
    dnsPolicy: "ClusterFirst",
    securityContext: {},
    schedulerName: "default-scheduler",
    ...spec,
    ...(spec.serviceAccountName !== undefined && { serviceAccount: spec.serviceAccountName }),
    ...(spec.containers !== undefined && { containers: listOf(spec.containers).map(containerDefaults) }),
    ...(spec.initContainers !== undefined && { initContainers: listOf(spec.initContainers).map(containerDefaults) }),
    ...(spec.volumes !== undefined && { volumes: listOf(spec.volumes).map(volumeDefaults) }),
  };
}

function containerDefaults(container: Fields): Fields {
  const image = (container.image ?? "") as string;
  const untagged = !/[:@][^/]*$/.test(image);
  return {
    terminationMessagePath: "/dev/termination-log",
    terminationMessagePolicy: "File",
    imagePullPolicy: untagged || image.endsWith(":latest") ? "Always" : "IfNotPresent",
    ...container,
    resources: resourceDefaults(asFields(container.resources)),
    ...(container.ports !== undefined && {
      ports: listOf(container.ports).map((port) => ({ protocol: "TCP", ...port })),
    }),
    ...(container.env !== undefined && { env: listOf(container.env).map(envDefaults) }),
    ...Object.fromEntries(
      ["livenessProbe", "readinessProbe", "startupProbe"]
        .filter((name) => container[name] !== undefined)
        .map((name) => [name, probeDefaults(asFields(container[name]))]),
    ),
  };
}

/** What is limited is requested too, unless it is said how much. */
function resourceDefaults(resources: Fields): Fields {
  if (!isFields(resources.limits)) return resources;
  return { ...resources, requests: { ...resources.limits, ...asFields(resources.requests) } };
}

function envDefaults(variable: Fields): Fields {
  const from = asFields(variable.valueFrom);
  if (!isFields(from.fieldRef)) return variable;
  return { ...variable, valueFrom: { ...from, fieldRef: { apiVersion: "v1", ...from.fieldRef } } };
}

function probeDefaults(probe: Fields): Fields {
  const http = asFields(probe.httpGet);
  return {
    timeoutSeconds: 1,
    periodSeconds: 10,
    successThreshold: 1,
    failureThreshold: 3,
    ...probe,
    ...(probe.httpGet !== undefined && { httpGet: { path: "/", scheme: "HTTP", ...http } }),
  };
}

const WITH_MODE = ["secret", "configMap", "projected", "downwardAPI"];

function volumeDefaults(volume: Fields): Fields {
  const source = Object.keys(volume).find((name) => name !== "name");
  if (source === undefined) return { ...volume, emptyDir: {} };
  if (!WITH_MODE.includes(source)) return volume;
  return { ...volume, [source]: { defaultMode: 420, ...asFields(volume[source]) } };
}

const NOT_READY = ["not-ready", "unreachable"].map((condition) => ({
  key: `node.kubernetes.io/${condition}`,
  operator: "Exists",
  effect: "NoExecute",
  tolerationSeconds: 300,
}));

/** A pod has besides what its template has what admission gives it. */
function podDefaults(spec: Fields): Fields {
  const defaulted = podTemplateDefaults(spec);
  const account = (spec.serviceAccountName as string | undefined) ?? "default";
  const tolerations = listOf(spec.tolerations);
  const missing = NOT_READY.filter(({ key }) => !tolerations.some((toleration) => toleration.key === key));
  return {
    enableServiceLinks: true,
    priority: 0,
    preemptionPolicy: "PreemptLowerPriority",
    ...defaulted,
    serviceAccountName: account,
    serviceAccount: account,
    tolerations: [...tolerations, ...missing],
  };
}

/** How soon a pod is sacrificed, which follows from what it asks for. */
function qosOf(spec: Fields): string {
  const resources = listOf(spec.containers).map((container) => asFields(container.resources));
  const limits = resources.map((each) => asFields(each.limits));
  const requests = resources.map((each, index) => ({ ...limits[index], ...asFields(each.requests) }));
  if (requests.every((each) => Object.keys(each).length === 0)) return "BestEffort";
  const guaranteed = limits.every((limit, index) =>
    ["cpu", "memory"].every((kind) => limit[kind] !== undefined && limit[kind] === (requests[index] as Fields)[kind]),
  );
  return guaranteed ? "Guaranteed" : "Burstable";
}

function serviceDefaults(spec: Fields, context: DefaultsContext): Fields {
  const type = (spec.type as string | undefined) ?? "ClusterIP";
  const ports = listOf(spec.ports).map((port) => ({
    protocol: "TCP",
    ...port,
    targetPort: port.targetPort ?? port.port,
  }));
  const common = { sessionAffinity: "None", ...spec, type, ...(ports.length !== 0 && { ports }) };
  if (type === "ExternalName") return common;
  const clusterIp = (spec.clusterIP as string | undefined) ?? context.allocateClusterIp();
  return {
    internalTrafficPolicy: "Cluster",
    ipFamilies: ["IPv4"],
    ipFamilyPolicy: "SingleStack",
    ...common,
    clusterIP: clusterIp,
    clusterIPs: [clusterIp],
  };
}
