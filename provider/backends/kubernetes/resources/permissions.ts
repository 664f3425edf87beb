/** What the provider asks of the API server, in the words of RBAC. The chart grants this and nothing else. */
export interface Permission {
  /** `""` is the core group. */
  readonly group: string;
  readonly resource: string;
  readonly verbs: readonly Verb[];
}

export type Verb = "get" | "list" | "watch" | "create" | "patch" | "update" | "delete";

const READ = ["get", "list", "watch"] as const;
/** Server-side apply is `patch`, and `create` where the object is new. */
const OWN = [...READ, "create", "patch", "delete"] as const;

const EVENTS = ["brokers", "triggers", "sources", "sinks", "flows"] as const;

/** In every namespace that has functions. */
export const FUNCTION_NAMESPACE: readonly Permission[] = [
  { group: "apps", resource: "deployments", verbs: OWN },
  { group: "apps", resource: "deployments/scale", verbs: ["patch"] },
  { group: "", resource: "services", verbs: OWN },
  { group: "", resource: "secrets", verbs: ["get", "list", "create", "patch", "delete"] },
  // What is kept about versions of functions.
  { group: "", resource: "configmaps", verbs: [...READ, "create", "update", "delete"] },
  // Names the secrets for pulling images of functions whose digests are asked for.
  { group: "", resource: "serviceaccounts", verbs: ["get"] },
  // Says which pods a function gives up first, see `deletion-costs.ts`.
  { group: "", resource: "pods", verbs: ["list", "watch", "patch"] },
  { group: "", resource: "pods/log", verbs: ["get"] },
  // They alone say why a pod gets no volumes or no network.
  { group: "", resource: "events", verbs: ["list"] },
  { group: "metrics.k8s.io", resource: "pods", verbs: ["list"] },
  { group: "openfaas.com", resource: "functions", verbs: OWN },
  { group: "openfaas.com", resource: "functions/status", verbs: ["patch"] },
  // An owner reference that blocks the owner's deletion asks for it, where the API server checks that.
  { group: "openfaas.com", resource: "functions/finalizers", verbs: ["update"] },
  // What declares events.
  ...EVENTS.map((resource): Permission => ({ group: "openfaas.com", resource, verbs: READ })),
  ...EVENTS.map(
    (resource): Permission => ({ group: "openfaas.com", resource: `${resource}/status`, verbs: ["patch"] }),
  ),
];

/** For namespaces themselves, when they are managed through the API. */
export const ALL_NAMESPACES: readonly Permission[] = [{ group: "", resource: "namespaces", verbs: OWN }];

/** For the one namespace of functions, when there is no other. */
export const ONE_NAMESPACE: readonly Permission[] = [{ group: "", resource: "namespaces", verbs: ["get"] }];

/** In the provider's own namespace. */
export const CORE_NAMESPACE: readonly Permission[] = [
  { group: "openfaas.com", resource: "profiles", verbs: READ },
  { group: "openfaas.com", resource: "functioningresses", verbs: READ },
  { group: "coordination.k8s.io", resource: "leases", verbs: ["get", "create", "update"] },
];

/** In the provider's own namespace, where objects are kept for routes. */
export const ROUTE_PERMISSIONS: Readonly<Record<"ingress" | "httproute", readonly Permission[]>> = {
  ingress: [{ group: "networking.k8s.io", resource: "ingresses", verbs: ["list", "create", "patch", "delete"] }],
  httproute: [
    { group: "gateway.networking.k8s.io", resource: "httproutes", verbs: ["list", "create", "patch", "delete"] },
  ],
};

/** In the namespace of pods that run the steps of Dockerfiles. */
export const BUILD_NAMESPACE: readonly Permission[] = [
  { group: "", resource: "pods", verbs: ["get", "create", "delete"] },
  { group: "", resource: "pods/log", verbs: ["get"] },
  { group: "", resource: "secrets", verbs: ["create", "patch", "delete"] },
];
