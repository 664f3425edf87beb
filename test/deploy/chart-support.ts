import { join } from "node:path";
import {
  type KubernetesObject,
  mergeValues,
  type RenderedChart,
  renderChart,
  type Values,
} from "../../deploy/render/render-chart.ts";
import { ROOT } from "../support/platform.ts";

export const DEPLOY = join(ROOT, "deploy");
export const CHART = join(DEPLOY, "chart");
export const RELEASE = { name: "faaslane", namespace: "openfaas" };

/** Values without which random passwords would be made, which have no place in a comparison. */
const PLAIN: Values = {
  generateBasicAuth: false,
  nats: { generateCredentials: false },
  registry: { generateCredentials: false },
  builder: { generatePayloadSecret: false },
};

export const withoutRandom = (values: Values): Values => mergeValues(PLAIN, values);

/** Values as people might set them, from nothing to everything. */
export const VARIANTS: Readonly<Record<string, Values>> = {
  default: {},
  "several namespaces": { clusterRole: true },
  "without auth, policies, budgets and kinds": {
    basic_auth: false,
    networkPolicies: { enabled: false },
    podDisruptionBudgets: false,
    createCRDs: false,
    createFunctionNamespace: false,
    functions: { announce: false },
  },
  "a registry and a builder": {
    basic_auth: false,
    registry: { enabled: true },
    builder: { enabled: true, image: "example/builder:1" },
    buildPods: { enabled: true },
  },
  "everything on": {
    registry: { enabled: true, name: "images.example:5000", persistence: { enabled: false }, env: { a: "b" } },
    builder: { enabled: true, replicas: 2, registry: "registry.example/team", configSecret: "logins", env: { a: "b" } },
    buildPods: { enabled: true, namespace: "builds", createNamespace: false, image: "example/buildah:1" },
    imageTag: "0.2.0",
    imagePullSecrets: [{ name: "registry" }],
    clusterRole: true,
    exposeServices: true,
    bindAddress: "::",
    passwordOverlap: 0,
    gateway: {
      replicas: 3,
      drainDelay: "15s",
      drainTimeout: 90,
      env: { async_worker: "true" },
      podAnnotations: { a: "b" },
      upgradeIdleTimeout: "1h",
      maxUpgrades: 0,
      http2: false,
      basePath: "/faas",
      proxyProtocol: true,
      allowedHosts: ["faas.example.org", "*.internal"],
      trustedProxies: ["10.0.0.0/8", "fd00::/8"],
      tls: { secretNames: ["faas-tls", "other-tls"], caSecretName: "authority" },
      prometheusUrl: "http://prometheus.monitoring.svc:9090",
    },
    provider: {
      maxUpgrades: "200",
      replicas: 3,
      writeTimeout: "5m",
      env: { max_body_bytes: "8Mi" },
      podAnnotations: { a: "true" },
    },
    functions: {
      defaultTarget: 20,
      defaultMaxReplicas: 10,
      httpProbe: false,
      setNonRootUser: false,
      imagePullPolicy: "Always",
      maxReplicas: 20,
    },
    queue: {
      kind: "jetstream",
      resultTTL: "1h",
      maxCalls: 5000,
      maxBytes: "2Gi",
      functionMaxCalls: "500",
      functionMaxBytes: "200Mi",
      minFree: "1Gi",
    },
    queueWorker: { replicas: 3, queues: ["slow-fns", "a"], drainTimeout: 120, podAnnotations: { a: "b" } },
    events: { ingressAuth: true, maxEvent: "512Ki", maxAge: "1h", maxBytes: "2Gi", redact: ["iban", "customer.name"] },
    eventWorker: { replicas: 1, maxInflight: 8, drainTimeout: 30, podAnnotations: { a: "b" } },
    queueWorkerPro: { maxRetryAttempts: 100, httpRetryCodes: "429,503" },
    nats: { persistence: { size: "50Gi", storageClass: "fast" } },
    callbacks: { signingSecret: "callbacks", allow: ["hooks.internal", "10.1.0.0/16"], deny: ["*.example.com"] },
    ingress: {
      enabled: true,
      ingressClassName: "nginx",
      annotations: { "nginx.ingress.kubernetes.io/proxy-body-size": "0" },
      host: "faas.example.org",
      tlsSecretName: "faas-tls",
    },
    gatewayApi: {
      enabled: true,
      parentRefs: [{ name: "public", namespace: "infra" }],
      hostnames: ["faas.example.org"],
    },
    networkPolicies: {
      enabled: true,
      functions: true,
      monitoringNamespace: "monitoring",
      apiServerPorts: [6443],
      extraEgress: [{ to: [{ ipBlock: { cidr: "10.9.0.0/16" } }] }],
    },
    serviceMonitor: { enabled: true, labels: { release: "prometheus" } },
    prometheusRule: { enabled: true, labels: { release: "prometheus" } },
    grafanaDashboards: { enabled: true, namespace: "monitoring", annotations: { "grafana-folder": "functions" } },
    nodeSelector: { "kubernetes.io/os": "linux" },
    tolerations: [{ key: "core", operator: "Exists" }],
    affinity: { podAffinity: {} },
  },
  "no asynchronous calls": { queue: { kind: "none" }, gateway: { replicas: 2 } },
  "a NATS of one's own": {
    queue: { kind: "jetstream" },
    gateway: { replicas: 2 },
    queueWorker: { replicas: 1, env: { async_queues: "slow-fns" } },
    nats: {
      external: { enabled: true, host: "nats.infra.svc", port: 4333 },
      credentialsSecret: "nats-login",
      streamReplication: 3,
    },
    callbacks: { privateTargets: "deny" },
  },
  "NATS without a disk": {
    queue: { kind: "jetstream" },
    basic_auth: false,
    networkPolicies: { egress: false },
    nats: { streamStorage: "memory", persistence: { enabled: false } },
  },
  "load balancer": { exposeServices: true, serviceType: "LoadBalancer", queue: { persistence: { enabled: false } } },
};

export function render(values: Values): RenderedChart {
  return renderChart(CHART, withoutRandom(values), RELEASE);
}

export function find(objects: readonly KubernetesObject[], kind: string, name: string): KubernetesObject {
  const found = objects.find((object) => object.kind === kind && object.metadata.name === name);
  if (!found) throw new Error(`there is no ${kind} ${name}`);
  return found;
}
