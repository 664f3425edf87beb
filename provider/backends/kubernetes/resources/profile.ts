import type {
  V1Affinity,
  V1DeploymentStrategy,
  V1ObjectMeta,
  V1PodDNSConfig,
  V1PodSecurityContext,
  V1ResourceRequirements,
  V1Toleration,
  V1TopologySpreadConstraint,
} from "@kubernetes/client-node";
import { ANNOTATIONS } from "./names.ts";

/** What a Profile adds to the pods of the functions that name it. */
export interface ProfileSpec {
  readonly tolerations?: readonly V1Toleration[];
  readonly affinity?: V1Affinity;
  readonly topologySpreadConstraints?: readonly V1TopologySpreadConstraint[];
  readonly runtimeClassName?: string;
  readonly priorityClassName?: string;
  readonly podSecurityContext?: V1PodSecurityContext;
  readonly dnsPolicy?: string;
  readonly dnsConfig?: V1PodDNSConfig;
  readonly resources?: Pick<V1ResourceRequirements, "limits" | "requests">;
  readonly strategy?: Pick<V1DeploymentStrategy, "type">;
}

/** An object of kind Profile, `openfaas.com/v1`. */
export interface Profile {
  readonly metadata?: Pick<V1ObjectMeta, "name" | "namespace" | "uid" | "resourceVersion" | "generation">;
  readonly spec?: ProfileSpec;
}

/** Names in the annotation `com.openfaas.profile`, in order, each once. */
export function profileNames(annotations: Readonly<Record<string, string>> = {}): string[] {
  const names = (annotations[ANNOTATIONS.profile] ?? "").split(",").map((name) => name.trim());
  return [...new Set(names.filter((name) => name !== ""))];
}

/** Named profiles that are missing or ask for what cannot be had, one line each. */
export function profileProblems(
  annotations: Readonly<Record<string, string>> | undefined,
  known: ReadonlyMap<string, Profile>,
): string[] {
  return profileNames(annotations).flatMap((name) => {
    const profile = known.get(name);
    if (!profile) return [`profiles "${name}" not found`];
    const strategy = profile.spec?.strategy?.type;
    return strategy === undefined || strategy === "Recreate"
      ? []
      : [`profile "${name}": strategy.type: "${strategy}" is not supported, only Recreate is`];
  });
}

/** `over`'s fields that are set win over `under`'s. */
function mergeFields<T extends object>(under: T | undefined, over: T | undefined): T | undefined {
  if (!under || !over) return over ?? under;
  const set = Object.entries(over).filter(([, value]) => value !== undefined && value !== null);
  return { ...under, ...Object.fromEntries(set) };
}

/** Limits and requests, merged quantity by quantity; `over` wins. */
export function mergeResources(
  under: ProfileSpec["resources"],
  over: ProfileSpec["resources"],
): ProfileSpec["resources"] | undefined {
  const limits = mergeFields(under?.limits, over?.limits);
  const requests = mergeFields(under?.requests, over?.requests);
  if (!limits && !requests) return undefined;
  return { ...(limits && { limits }), ...(requests && { requests }) };
}

/** Kubernetes refuses two constraints on the same key; the later one stays. */
function mergeSpread(...lists: readonly (readonly V1TopologySpreadConstraint[])[]): V1TopologySpreadConstraint[] {
  const byKey = new Map(lists.flat().map((c) => [`${c.topologyKey} ${c.whenUnsatisfiable}`, c]));
  return [...byKey.values()];
}

function mergeTwo(under: ProfileSpec, over: ProfileSpec): ProfileSpec {
  const tolerations = [...(under.tolerations ?? []), ...(over.tolerations ?? [])];
  const spread = mergeSpread(under.topologySpreadConstraints ?? [], over.topologySpreadConstraints ?? []);
  const podSecurityContext = mergeFields(under.podSecurityContext, over.podSecurityContext);
  const dnsConfig = mergeFields(under.dnsConfig, over.dnsConfig);
  const resources = mergeResources(under.resources, over.resources);
  return {
    ...mergeFields(under, over),
    ...(tolerations.length > 0 && { tolerations }),
    ...(spread.length > 0 && { topologySpreadConstraints: spread }),
    ...(podSecurityContext && { podSecurityContext }),
    ...(dnsConfig && { dnsConfig }),
    ...(resources && { resources }),
  };
}

/**
 * The profiles that `annotations` name, as one: tolerations and spread constraints add up, security context, DNS
 * configuration and resources merge field by field, anything else is the last profile's that sets it.
 */
export function mergeProfiles(
  annotations: Readonly<Record<string, string>> | undefined,
  known: ReadonlyMap<string, Profile>,
): ProfileSpec {
  const specs = profileNames(annotations).flatMap((name) => known.get(name)?.spec ?? []);
  return specs.reduce<ProfileSpec>(mergeTwo, {});
}
