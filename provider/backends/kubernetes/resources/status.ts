import type { V1Deployment, V1Pod } from "@kubernetes/client-node";
import type { Endpoint } from "../../../../contract/endpoints.ts";
import type { FunctionStatus } from "../../../../contract/functions.ts";
import { readDeployed } from "./deployed.ts";
import { readProblem } from "./problem.ts";
import { readAnnotations, readDeployment, readLabels } from "./read-deployment.ts";

export interface Observed {
  /** Pods of the function, as far as they are known. */
  readonly pods?: readonly V1Pod[];
  /** Its replicas, from `podEndpoints`; without them the Deployment's own count of available ones is taken. */
  readonly endpoints?: readonly Endpoint[];
  readonly usage?: { readonly cpu: number; readonly totalMemoryBytes: number };
}

/** RFC 3339 to the second, from what the client library has parsed or from the text itself. */
function timestamp(time: Date | string | undefined): string {
  return new Date(time ?? "0001-01-01T00:00:00Z").toISOString().replace(/\.\d+Z$/, "Z");
}

/** One function as lists show it. Numbers that are 0 and fields that were not set are left out. */
export function readStatus(deployment: V1Deployment, { pods, endpoints, usage }: Observed = {}): FunctionStatus {
  const { metadata, spec, status } = deployment;
  const { service: name, ...definition } = readDeployment(deployment);
  const replicas = spec?.replicas ?? 1;
  const ready = endpoints?.filter(({ state }) => state === "ready").length;
  const available = ready ?? status?.availableReplicas ?? 0;
  const problem = readProblem(deployment, pods);
  return {
    name,
    ...definition,
    image: readDeployed(deployment).image,
    labels: readLabels(deployment),
    annotations: readAnnotations(deployment),
    ...(replicas > 0 && { replicas }),
    ...(available > 0 && { availableReplicas: available }),
    createdAt: timestamp(metadata?.creationTimestamp),
    ...(usage && { usage: { ...usage } }),
    ...(problem && { problem: problem.message }),
  };
}
