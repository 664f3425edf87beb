import { createHash } from "node:crypto";
import type { OwnedRoute } from "../../../../contract/routes/route.ts";
import { MANAGED_BY } from "./names.ts";

/** Which objects are made for routes, so that something in front of the gateway lets their hosts in. */
export const ROUTE_OBJECTS = ["none", "ingress", "httproute"] as const;
export type RouteObjectKind = (typeof ROUTE_OBJECTS)[number];

export interface RouteObjectSettings {
  readonly kind: Exclude<RouteObjectKind, "none">;
  /** Where the gateway's Service is, and the objects are. */
  readonly namespace: string;
  /** The gateway's Service. */
  readonly service: string;
  readonly port: number;
  /** `ingressClassName`; the cluster's default when absent. */
  readonly className?: string;
  /** `name` or `namespace/name` of the Gateway of an HTTPRoute. */
  readonly parent?: string;
  /** Kind of the issuers that routes name. */
  readonly issuerKind: "Issuer" | "ClusterIssuer";
}

/** Finds the objects that are ours. */
export const ROUTE_LABELS = { [MANAGED_BY]: "faaslane", "app.kubernetes.io/component": "route" } as const;
export const ROUTE_SELECTOR = Object.entries(ROUTE_LABELS)
  .map(([name, value]) => `${name}=${value}`)
  .join(",");

export interface RouteObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
  };
  readonly spec: object;
}

/**
 * An object for each host and path of `routes`; which function gets a request is the gateway's to say, by methods and
 * headers too. Routes without a host need none.
 */
export function buildRouteObjects(routes: readonly OwnedRoute[], settings: RouteObjectSettings): RouteObject[] {
  const objects = new Map<string, RouteObject>();
  for (const owned of routes) {
    const { host, path, exact = false } = owned.route;
    if (host === undefined) continue;
    const hash = createHash("sha256")
      .update(JSON.stringify([host, path, exact]))
      .digest("hex")
      .slice(0, 16);
    const name = `route-${hash}`;
    if (!objects.has(name)) objects.set(name, build(name, owned, host, settings));
  }
  return [...objects.values()];
}

function build(
  name: string,
  { function: ref, route }: OwnedRoute,
  host: string,
  settings: RouteObjectSettings,
): RouteObject {
  const { kind, namespace, issuerKind } = settings;
  const isIngress = kind === "ingress";
  const issuer = isIngress && route.issuer !== undefined ? { [issuerAnnotation(issuerKind)]: route.issuer } : {};
  return {
    apiVersion: isIngress ? "networking.k8s.io/v1" : "gateway.networking.k8s.io/v1",
    kind: isIngress ? "Ingress" : "HTTPRoute",
    metadata: {
      name,
      namespace,
      labels: ROUTE_LABELS,
      annotations: { "com.faaslane.function": `${ref.name}.${ref.namespace}`, ...issuer },
    },
    spec: isIngress ? ingressSpec(name, host, route, settings) : httpRouteSpec(host, route, settings),
  };
}

const issuerAnnotation = (kind: RouteObjectSettings["issuerKind"]) =>
  kind === "Issuer" ? "cert-manager.io/issuer" : "cert-manager.io/cluster-issuer";

type Route = OwnedRoute["route"];

function ingressSpec(
  name: string,
  host: string,
  { path, exact, certificate, issuer }: Route,
  { className, service, port }: RouteObjectSettings,
): object {
  const secretName = certificate ?? (issuer === undefined ? undefined : `${name}-tls`);
  const backend = { service: { name: service, port: { number: port } } };
  return {
    ...(className !== undefined && { ingressClassName: className }),
    rules: [{ host, http: { paths: [{ path, pathType: exact ? "Exact" : "Prefix", backend }] } }],
    ...(secretName !== undefined && { tls: [{ hosts: [host], secretName }] }),
  };
}

function httpRouteSpec(
  host: string,
  { path, exact }: Route,
  { parent = "", service, port }: RouteObjectSettings,
): object {
  const slash = parent.indexOf("/");
  const [namespace, name] = slash < 0 ? [undefined, parent] : [parent.slice(0, slash), parent.slice(slash + 1)];
  return {
    parentRefs: [{ name, ...(namespace !== undefined && { namespace }) }],
    hostnames: [host],
    rules: [
      {
        matches: [{ path: { type: exact ? "Exact" : "PathPrefix", value: path } }],
        backendRefs: [{ name: service, port }],
      },
    ],
  };
}
