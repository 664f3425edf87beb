import type { EnvReader } from "../../../../kit/env.ts";
import {
  integerFrom,
  oneOf,
  parseBoolean,
  parseDuration,
  parsePort,
  parseText,
  parseUrl,
} from "../../../../kit/parse.ts";
import { readScaleDefaults } from "../../../../kit/scale-defaults.ts";
import type { ProbeTiming } from "../../probe-annotations.ts";
import { ROUTE_OBJECTS, type RouteObjectKind, type RouteObjectSettings } from "./route-object.ts";
import { DEFAULT_SETTINGS, DIGEST_RULES, type DigestRule, type PullPolicy, type ResourceSettings } from "./settings.ts";

/** What a provider with this backend has to be told, besides what every provider is. */
export interface KubernetesSettings {
  readonly resources: ResourceSettings;
  /** Functions in every namespace that is marked for them, and namespaces managed through the API. */
  readonly clusterRole: boolean;
  /** Where Profiles and the Lease are. */
  readonly profilesNamespace: string;
  /** Where replicas report that they listen; without it they are only probed. */
  readonly announceUrl?: URL;
  /** Where the provider listens for that, and for nothing else. */
  readonly announcePort: number;
  readonly imageDigests: DigestRule;
  /** Absent: nothing is made for routes. */
  readonly routeObjects?: RouteObjectSettings;
  /** Absent: Function objects are neither written nor acted on. */
  readonly operator?: OperatorSettings;
}

export interface OperatorSettings {
  /** How long providers wait for the one that acts before another takes its place; whole seconds, in milliseconds. */
  readonly leaseDurationMs: number;
}

const DEFAULT_LEASE_MS = 15_000;
/** Behind those of gateway, provider and queue worker, which may all run on one machine. */
const DEFAULT_ANNOUNCE_PORT = 8084;

/** A Lease counts in whole seconds. */
function parseLeaseDuration(text: string): number {
  const ms = parseDuration(text);
  if (ms < 1000 || ms % 1000 !== 0) throw new Error("must be at least 1s, in whole seconds");
  return ms;
}

/** Replicas are known by the address that they call from, which is somebody else's behind a proxy that ends TLS. */
function parseAnnounceUrl(text: string): URL {
  const url = parseUrl(text);
  if (url.protocol !== "http:") throw new Error("must be an http URL, as replicas call without TLS");
  return url;
}

function readProbe(read: EnvReader, name: string, defaults: ProbeTiming): ProbeTiming {
  const field = (suffix: string, least: number) => read.optional(`${name}_probe_${suffix}`, integerFrom(least));
  return {
    initialDelaySeconds: field("initial_delay_seconds", 0) ?? defaults.initialDelaySeconds,
    periodSeconds: field("period_seconds", 1) ?? defaults.periodSeconds,
    timeoutSeconds: field("timeout_seconds", 1) ?? defaults.timeoutSeconds,
    // Kubernetes takes nothing but one success for liveness.
    successThreshold: name === "liveness" ? 1 : (field("success_threshold", 1) ?? defaults.successThreshold),
    failureThreshold: field("failure_threshold", 1) ?? defaults.failureThreshold,
  };
}

/** Settings under faas-netes' names where it has them. Problems are collected by `read`. */
export function readKubernetesSettings(read: EnvReader): KubernetesSettings {
  const imagePullPolicy = read.optional("image_pull_policy", oneOf<PullPolicy>("Always", "IfNotPresent", "Never"));
  const gatewayUrl = read.optional("gateway_url", parseUrl);
  const announceUrl = read.optional("announce_url", parseAnnounceUrl);
  const leaseDurationMs = read.optional("operator_lease_duration", parseLeaseDuration) ?? DEFAULT_LEASE_MS;
  const operator = read.optional("operator", parseBoolean) ?? true;
  const profilesNamespace = read.optional("profiles_namespace", parseText) ?? "openfaas";
  return {
    resources: {
      httpProbe: read.optional("http_probe", parseBoolean) ?? DEFAULT_SETTINGS.httpProbe,
      nonRoot: read.optional("set_nonroot_user", parseBoolean) ?? DEFAULT_SETTINGS.nonRoot,
      ...(imagePullPolicy && { imagePullPolicy }),
      ...(gatewayUrl && { gatewayUrl: gatewayUrl.href }),
      liveness: readProbe(read, "liveness", DEFAULT_SETTINGS.liveness),
      readiness: readProbe(read, "readiness", DEFAULT_SETTINGS.readiness),
      maxReplicas: read.optional("max_replicas", integerFrom(1)) ?? DEFAULT_SETTINGS.maxReplicas,
      scaleDefaults: readScaleDefaults(read),
    },
    clusterRole: read.optional("cluster_role", parseBoolean) ?? false,
    profilesNamespace,
    ...(announceUrl && { announceUrl }),
    announcePort: read.optional("announce_port", parsePort) ?? DEFAULT_ANNOUNCE_PORT,
    ...readRouteObjects(read, profilesNamespace),
    imageDigests: read.optional("image_digests", oneOf<DigestRule>(...DIGEST_RULES)) ?? "versions",
    ...(operator && { operator: { leaseDurationMs } }),
  };
}

const SERVICE = /^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)(?::(\d{1,5}))?$/;

/** `gateway:8080`. */
function parseService(text: string): { readonly service: string; readonly port: number } {
  const [, service, , port = "8080"] = SERVICE.exec(text) ?? [];
  if (service === undefined || Number(port) < 1 || Number(port) > 65_535)
    throw new Error("must be a Service and a port such as gateway:8080");
  return { service, port: Number(port) };
}

function readRouteObjects(read: EnvReader, namespace: string): { readonly routeObjects?: RouteObjectSettings } {
  const kind = read.optional("route_objects", oneOf<RouteObjectKind>(...ROUTE_OBJECTS)) ?? "none";
  const target = read.optional("route_service", parseService) ?? { service: "gateway", port: 8080 };
  const className = read.optional("route_ingress_class", parseText);
  const issuerKind = read.optional("route_issuer_kind", oneOf<"Issuer" | "ClusterIssuer">("Issuer", "ClusterIssuer"));
  const parent =
    kind === "httproute" ? read.required("route_gateway", parseText) : read.optional("route_gateway", parseText);
  if (kind === "none") return {};
  return {
    routeObjects: {
      kind,
      namespace,
      ...target,
      issuerKind: issuerKind ?? "ClusterIssuer",
      ...(className !== undefined && { className }),
      ...(parent !== undefined && { parent }),
    },
  };
}
