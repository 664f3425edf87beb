import type { V1Pod } from "@kubernetes/client-node";
import type { FunctionRef } from "../../../../contract/functions.ts";
import type { Logger } from "../../../../kit/log.ts";
import type { CallsInFlight } from "../../backend.ts";
import { hasStatus } from "../client/api-error.ts";
import type { KubernetesClient } from "../client/kubernetes-client.ts";
import { apiPath } from "../client/paths.ts";
import { decideDeletionCosts } from "../resources/deletion-cost.ts";
import { DELETION_COST } from "../resources/names.ts";

export interface DeletionCostOptions {
  readonly client: Pick<KubernetesClient, "mergePatch">;
  readonly log: Pick<Logger, "warn">;
}

/** Requests at a time. */
const PARALLEL = 8;
/** Scaling down may not wait longer than that for a slow API server; the order matters less than the number. */
const WITHIN_MS = 3_000;

/**
 * Has Kubernetes give up the pods with the fewest calls first. To be awaited before the number of replicas is lowered:
 * that takes two more controllers to reach the one that chooses pods, so it knows the costs by then. Failures are only
 * logged, as without costs the right number of pods goes, if not the best ones.
 * @see https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/#pod-deletion-cost
 */
export async function writeDeletionCosts(
  { name, namespace }: FunctionRef,
  pods: readonly V1Pod[],
  inFlight: CallsInFlight,
  { client, log }: DeletionCostOptions,
): Promise<void> {
  const changes = decideDeletionCosts(pods, inFlight);
  const signal = AbortSignal.timeout(WITHIN_MS);
  const failures: unknown[] = [];
  const write = async () => {
    for (let change = changes.shift(); change && !signal.aborted; change = changes.shift()) {
      const body = { metadata: { annotations: { [DELETION_COST]: change.cost } } };
      await client.mergePatch(apiPath.pod(namespace, change.pod), body, signal).catch((error: unknown) => {
        // A pod that is gone meanwhile needs no order.
        if (!hasStatus(error, 404)) failures.push(error);
      });
    }
  };
  await Promise.all(Array.from({ length: Math.min(PARALLEL, changes.length) }, write));
  const [err] = failures;
  if (err === undefined && !signal.aborted) return;
  const failed = failures.length + changes.length;
  log.warn({ function: name, namespace, failed, err }, "could not mark the pods with the fewest calls");
}
