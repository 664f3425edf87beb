import { conditionOf, isReady, type Pod } from "../workloads.ts";

const COST = "controller.kubernetes.io/pod-deletion-cost";

/** Pods in the order in which a ReplicaSet gives them up: those that serve least first, then by their deletion cost. */
export function rankForDeletion(pods: readonly Pod[]): Pod[] {
  const ranked = pods.map((pod) => ({ pod, rank: rankOf(pod) }));
  ranked.sort((a, b) => {
    const index = a.rank.findIndex((value, i) => value !== b.rank[i]);
    return index < 0 ? 0 : (a.rank[index] as number) - (b.rank[index] as number);
  });
  return ranked.map(({ pod }) => pod);
}

const PHASES = ["Pending", "Unknown", "Running"];

function rankOf(pod: Pod): number[] {
  const cost = Number(pod.metadata.annotations?.[COST] ?? 0);
  const readySince = conditionOf(pod.status?.conditions, "Ready")?.lastTransitionTime;
  const restarts = (pod.status?.containerStatuses ?? []).reduce((sum, { restartCount }) => sum + restartCount, 0);
  return [
    pod.spec.nodeName === undefined ? 0 : 1,
    PHASES.indexOf(pod.status?.phase ?? "Pending"),
    isReady(pod) ? 1 : 0,
    Number.isInteger(cost) ? cost : 0,
    // Ready for a short time goes before ready for long, and new before old.
    isReady(pod) && readySince !== undefined ? -Date.parse(readySince) : 0,
    -restarts,
    -Date.parse(pod.metadata.creationTimestamp),
  ];
}
