import type { ResolvedDeployment } from "../../../../provider/backends/backend.ts";
import type { Profile } from "../../../../provider/backends/kubernetes/resources/profile.ts";
import {
  DEFAULT_SETTINGS,
  type ResourceContext,
  type ResourceSettings,
  type SecretFacts,
} from "../../../../provider/backends/kubernetes/resources/settings.ts";

export const deployment = (more: Partial<ResolvedDeployment> = {}): ResolvedDeployment => ({
  service: "fn",
  image: "ghcr.io/acme/fn:1.2.3",
  namespace: "openfaas-fn",
  ...more,
});

const secrets = new Map<string, SecretFacts>([
  ["api-key", { type: "Opaque", version: "1566" }],
  ["db", { type: "Opaque" }],
  ["registry", { type: "kubernetes.io/dockerconfigjson" }],
]);

const profile = (spec: Profile["spec"]): Profile => ({ metadata: { generation: 1 }, ...(spec && { spec }) });

const profiles = new Map<string, Profile>([
  [
    "spot",
    profile({
      tolerations: [{ key: "spot", operator: "Exists", effect: "NoSchedule" }],
      priorityClassName: "low",
      resources: { requests: { cpu: "10m", memory: "32Mi" }, limits: { memory: "1Gi" } },
      dnsConfig: { options: [{ name: "ndots", value: "2" }] },
    }),
  ],
  [
    "gpu",
    profile({
      tolerations: [{ key: "nvidia.com/gpu", operator: "Exists" }],
      runtimeClassName: "nvidia",
      resources: { limits: { "nvidia.com/gpu": "1" } },
      affinity: {
        nodeAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: {
            nodeSelectorTerms: [{ matchExpressions: [{ key: "gpu", operator: "In", values: ["a100"] }] }],
          },
        },
      },
      strategy: { type: "Recreate" },
    }),
  ],
  [
    "strict",
    profile({
      runtimeClassName: "gvisor",
      podSecurityContext: { runAsUser: 65534, fsGroup: 2000 },
      dnsPolicy: "None",
      dnsConfig: { nameservers: ["10.0.0.10"] },
      topologySpreadConstraints: [
        { maxSkew: 2, topologyKey: "topology.kubernetes.io/zone", whenUnsatisfiable: "DoNotSchedule" },
      ],
    }),
  ],
]);

/** What the functions of these tests are deployed into. */
export function around(
  more: Partial<ResourceContext> & { readonly set?: Partial<ResourceSettings> } = {},
): ResourceContext {
  const { set, ...rest } = more;
  return { settings: { ...DEFAULT_SETTINGS, ...set }, secrets, profiles, ...rest };
}

interface Case {
  readonly request: ResolvedDeployment;
  readonly around?: ResourceContext;
}

/** Deploy requests whose objects are kept in `golden/`. */
export const CASES: Readonly<Record<string, Case>> = {
  smallest: { request: deployment() },
  recorded: {
    request: deployment({
      service: "shout",
      image: "docker.io/local/fn-echo:1",
      envVars: { exec_timeout: "10s", flag: "true", ratio: "1.10", write_timeout: "10s" },
      constraints: ["kubernetes.io/os=linux"],
      secrets: ["api-key"],
      labels: { "com.openfaas.scale.max": "3", "com.openfaas.scale.min": "1" },
      annotations: { topic: "orders" },
      limits: { memory: "128Mi", cpu: "100m" },
      requests: { memory: "64Mi", cpu: "50m" },
      readOnlyRootFilesystem: true,
    }),
  },
  "several-secrets": { request: deployment({ secrets: ["registry", "db", "api-key", "db"] }) },
  "read-only": { request: deployment({ readOnlyRootFilesystem: true }) },
  "tuned-probes": {
    request: deployment({
      annotations: {
        "com.openfaas.health.http.path": "/live",
        "com.openfaas.health.http.initialDelaySeconds": "30",
        "com.openfaas.health.http.failureThreshold": "10",
        "com.openfaas.ready.http.path": "/_/ready",
        "com.openfaas.ready.http.periodSeconds": "1",
        "com.openfaas.ready.http.successThreshold": "2",
      },
    }),
  },
  "lock-file-probes": { request: deployment(), around: around({ set: { httpProbe: false } }) },
  "image-decides-user": { request: deployment(), around: around({ set: { nonRoot: false } }) },
  "floating-tag": { request: deployment({ image: "ghcr.io/acme/fn:latest" }) },
  "pull-never": { request: deployment(), around: around({ set: { imagePullPolicy: "Never" } }) },
  "hostile-values": {
    request: deployment({
      envProcess: "sh -c 'echo $(date)'",
      envVars: { "odd.name-1": "$$(HOME)$", json: '{"a":"b"}', empty: "" },
      annotations: { multi: "line 1\nline 2", "prometheus.io.scrape": "true" },
    }),
  },
  "long-name": { request: deployment({ service: `f${"-x".repeat(31)}`, secrets: ["db"] }) },
  "service-account": { request: deployment({ annotations: { "com.openfaas.serviceaccount": "reader" } }) },
  "three-profiles": {
    request: deployment({
      annotations: { "com.openfaas.profile": "spot, gpu,strict" },
      limits: { memory: "2Gi" },
    }),
  },
  announced: {
    request: deployment({ envVars: { write_timeout: "2m", healthcheck_interval: "5s", max_inflight: "10" } }),
    around: around({
      announce: { url: "http://faaslane-provider.openfaas:8081/system/announce", token: "t0k3n" },
      owner: { apiVersion: "openfaas.com/v1", kind: "Function", name: "fn", uid: "u1", controller: true },
    }),
  },
};
