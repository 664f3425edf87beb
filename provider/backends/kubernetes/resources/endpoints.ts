import type { V1Deployment, V1EndpointSlice, V1Pod } from "@kubernetes/client-node";
import type { Endpoint, FunctionEndpoints, Startup } from "../../../../contract/endpoints.ts";
import { readMaxInflight } from "../../../../contract/max-inflight.ts";
import { readTimeouts } from "../../../../contract/timeouts.ts";
import { FIRST, versionOf } from "./deployed.ts";
import { readEnvironment } from "./environment.ts";
import { FUNCTION_PORT, VERSION_LABEL } from "./names.ts";
import { readHopeless } from "./problem.ts";
import { functionContainer, readAnnotations, readLabels } from "./read-deployment.ts";
import { unitOfDeployment } from "./version-unit.ts";

/** What was found out about pods, by name, beside what the API tells. */
export interface Answering {
  /** It was seen to answer at that address, whatever its kubelet has reported by now. */
  has(instance: string, ip: string): boolean;
  /** The address that it has announced. */
  addressOf?(instance: string): string | undefined;
  startupOf?(instance: string): Startup | undefined;
}

const NONE: Answering = new Set<string>();

function addressOf(ip: string): string {
  return ip.includes(":") ? `[${ip}]:${FUNCTION_PORT}` : `${ip}:${FUNCTION_PORT}`;
}

const byInstance = (a: Endpoint, b: Endpoint) => (a.instance < b.instance ? -1 : a.instance > b.instance ? 1 : 0);

/** One pod as a replica; undefined while it has no address or when its containers have ended. */
export function podEndpoint({ metadata, status }: V1Pod, answering: Answering = NONE): Endpoint | undefined {
  const instance = metadata?.name;
  const { podIP = answering.addressOf?.(instance ?? ""), phase, conditions = [] } = status ?? {};
  if (!instance || !podIP || phase === "Failed" || phase === "Succeeded") return undefined;
  const ready = conditions.some(({ type, status }) => type === "Ready" && status === "True");
  const state = metadata.deletionTimestamp
    ? "draining"
    : ready || answering.has(instance, podIP)
      ? "ready"
      : "starting";
  const startup = state === "ready" ? answering.startupOf?.(instance) : undefined;
  const version = metadata.labels?.[VERSION_LABEL];
  return { address: addressOf(podIP), instance, state, ...(version && { version }), ...(startup && { startup }) };
}

/** Replicas by their pods, in order of name. */
export function podEndpoints(pods: readonly V1Pod[], answering: Answering = NONE): Endpoint[] {
  return pods.flatMap((pod) => podEndpoint(pod, answering) ?? []).sort(byInstance);
}

/** Replicas by the EndpointSlices of their Service, for providers that may not watch pods. */
export function sliceEndpoints(slices: readonly V1EndpointSlice[], answering: Answering = NONE): Endpoint[] {
  const byName = new Map<string, Endpoint>();
  for (const { endpoints } of slices.filter(({ addressType }) => addressType !== "FQDN")) {
    for (const { addresses, conditions, targetRef } of endpoints ?? []) {
      const ip = addresses[0];
      if (ip === undefined) continue;
      const instance = targetRef?.name ?? ip;
      // The API asks readers to take an absent `ready` for true.
      const ready = conditions?.ready ?? true;
      const state = conditions?.terminating ? "draining" : ready || answering.has(instance, ip) ? "ready" : "starting";
      // A dual-stack pod is in two slices; once is enough, and the first family is the cluster's own.
      if (!byName.has(instance)) byName.set(instance, { address: addressOf(ip), instance, state });
    }
  }
  return [...byName.values()].sort(byInstance);
}

/**
 * One function as gateways see it.
 * @param endpoints from {@link podEndpoints} or {@link sliceEndpoints}
 * @param pods what a lasting problem is read from
 */
export function readEndpoints(
  deployment: V1Deployment,
  endpoints: readonly Endpoint[],
  pods: readonly V1Pod[] = [],
): FunctionEndpoints {
  const { metadata, spec } = deployment;
  const { envVars = {} } = readEnvironment(functionContainer(deployment)?.env);
  const maxInflight = readMaxInflight(envVars);
  const timeouts = readTimeouts(envVars);
  const problem = readHopeless(deployment, pods);
  const version = versionOf(deployment);
  // Pods from before there were labels are told apart once there are others.
  const unlabelled = spec?.template?.metadata?.labels?.[VERSION_LABEL] === undefined ? version : FIRST;
  return {
    name: unitOfDeployment(metadata ?? {}),
    namespace: metadata?.namespace ?? "",
    labels: readLabels(deployment),
    annotations: readAnnotations(deployment),
    replicas: metadata?.deletionTimestamp ? 0 : (spec?.replicas ?? 1),
    generation: metadata?.generation ?? 0,
    ...(maxInflight !== undefined && { maxInflight }),
    ...(timeouts && { timeouts }),
    // Who waits for a node, a slow registry or a container that starts again should go on waiting.
    ...(problem !== undefined && { problem }),
    ...(version !== undefined && { version }),
    endpoints: endpoints.map(({ version: own = unlabelled, ...endpoint }) =>
      own === version || own === undefined ? endpoint : { ...endpoint, version: own },
    ),
  };
}
