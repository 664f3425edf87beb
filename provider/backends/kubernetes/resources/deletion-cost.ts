import type { V1Pod } from "@kubernetes/client-node";
import type { CallsInFlight } from "../../backend.ts";
import { podEndpoint } from "./endpoints.ts";
import { DELETION_COST } from "./names.ts";

export interface CostChange {
  /** Name of the pod. */
  readonly pod: string;
  /** Text of an integer. */
  readonly cost: string;
}

/** Largest that Kubernetes takes, an int32. */
const MAX_COST = 2 ** 31 - 1;

/**
 * Costs of pods that have to change so that those with the fewest calls go first. A pod without the annotation counts
 * as 0 for Kubernetes; one that goes anyway or has no address is left alone.
 * @param pods with their annotations, of one function
 */
export function decideDeletionCosts(pods: readonly V1Pod[], inFlight: CallsInFlight): CostChange[] {
  return pods.flatMap((pod) => {
    const endpoint = podEndpoint(pod);
    if (!endpoint || endpoint.state === "draining") return [];
    const before = pod.metadata?.annotations?.[DELETION_COST] ?? "0";
    const cost = String(Math.min(MAX_COST, inFlight[endpoint.address] ?? 0));
    return cost === before ? [] : [{ pod: endpoint.instance, cost }];
  });
}
