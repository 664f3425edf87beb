/** Paths of the API that is used. */
const core = (namespace: string) => `/api/v1/namespaces/${namespace}`;
const openfaas = (namespace?: string) =>
  namespace === undefined ? "/apis/openfaas.com/v1" : `/apis/openfaas.com/v1/namespaces/${namespace}`;
const leases = (namespace: string) => `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`;
const apps = (namespace: string) => `/apis/apps/v1/namespaces/${namespace}`;

export const apiPath = {
  namespaces: "/api/v1/namespaces",
  namespace: core,
  /** In all namespaces unless one is given. */
  deployments: (namespace?: string) => `${namespace === undefined ? "/apis/apps/v1" : apps(namespace)}/deployments`,
  deployment: (namespace: string, name: string) => `${apps(namespace)}/deployments/${name}`,
  scale: (namespace: string, name: string) => `${apps(namespace)}/deployments/${name}/scale`,
  services: (namespace?: string) => `${namespace === undefined ? "/api/v1" : core(namespace)}/services`,
  service: (namespace: string, name: string) => `${core(namespace)}/services/${name}`,
  pods: (namespace?: string) => `${namespace === undefined ? "/api/v1" : core(namespace)}/pods`,
  pod: (namespace: string, name: string) => `${core(namespace)}/pods/${name}`,
  podLog: (namespace: string, name: string) => `${core(namespace)}/pods/${name}/log`,
  secrets: (namespace: string) => `${core(namespace)}/secrets`,
  secret: (namespace: string, name: string) => `${core(namespace)}/secrets/${name}`,
  configMaps: (namespace?: string) => `${namespace === undefined ? "/api/v1" : core(namespace)}/configmaps`,
  configMap: (namespace: string, name: string) => `${core(namespace)}/configmaps/${name}`,
  serviceAccount: (namespace: string, name: string) => `${core(namespace)}/serviceaccounts/${name}`,
  events: (namespace: string) => `${core(namespace)}/events`,
  podMetrics: (namespace: string) => `/apis/metrics.k8s.io/v1beta1/namespaces/${namespace}/pods`,
  functions: (namespace?: string) => `${openfaas(namespace)}/functions`,
  function: (namespace: string, name: string) => `${openfaas(namespace)}/functions/${name}`,
  functionStatus: (namespace: string, name: string) => `${openfaas(namespace)}/functions/${name}/status`,
  functionIngresses: (namespace: string) => `${openfaas(namespace)}/functioningresses`,
  routeObjects: (kind: "ingress" | "httproute", namespace: string) =>
    kind === "ingress"
      ? `/apis/networking.k8s.io/v1/namespaces/${namespace}/ingresses`
      : `/apis/gateway.networking.k8s.io/v1/namespaces/${namespace}/httproutes`,
  /** @param plural such as `triggers` */
  eventObjects: (plural: string, namespace?: string) => `${openfaas(namespace)}/${plural}`,
  eventObjectStatus: (plural: string, namespace: string, name: string) =>
    `${openfaas(namespace)}/${plural}/${name}/status`,
  profiles: (namespace: string) => `${openfaas(namespace)}/profiles`,
  profile: (namespace: string, name: string) => `${openfaas(namespace)}/profiles/${name}`,
  leases,
  lease: (namespace: string, name: string) => `${leases(namespace)}/${name}`,
} as const;
