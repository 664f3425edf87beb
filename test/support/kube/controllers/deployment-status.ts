import { type Condition, conditionOf, type Deployment, type DeploymentStatus, type ReplicaSet } from "../workloads.ts";
import { boundsOf } from "./rollout.ts";

/**
 * The status of a deployment with these ReplicaSets.
 * @param current the set of its present template, if it has been made
 * @param created whether that was just now
 */
export function statusOf(
  deployment: Deployment,
  current: ReplicaSet | undefined,
  sets: readonly ReplicaSet[],
  created: boolean,
  now: string,
): DeploymentStatus {
  const sum = (count: (set: ReplicaSet) => number | undefined) =>
    sets.reduce((total, set) => total + (count(set) ?? 0), 0);
  const available = sum(({ status }) => status?.availableReplicas);
  const counts = {
    replicas: sum(({ status }) => status?.replicas),
    updatedReplicas: current?.status?.replicas ?? 0,
    readyReplicas: sum(({ status }) => status?.readyReplicas),
    availableReplicas: available,
    unavailableReplicas: Math.max(0, sum(({ spec }) => spec.replicas) - available),
  };
  const shown = Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0));
  const base = { observedGeneration: deployment.metadata.generation ?? 0, ...shown };
  const conditions = [
    availableCondition(deployment, available),
    progressingCondition(deployment, current, base, created, Date.parse(now)),
    failureCondition(current),
  ].filter((condition) => condition !== undefined);
  return { ...base, conditions: updated(deployment.status?.conditions ?? [], conditions, now) };
}

type Verdict = Pick<Condition, "type" | "status" | "reason" | "message">;

/** Conditions that did not change stay as they are and where they are; the others come last. */
function updated(before: readonly Condition[], verdicts: readonly Verdict[], now: string): Condition[] {
  const entries = verdicts.map((verdict) => {
    const old = conditionOf(before, verdict.type);
    const same =
      old !== undefined &&
      old.status === verdict.status &&
      old.reason === verdict.reason &&
      old.message === verdict.message;
    if (same) return { condition: old, place: before.indexOf(old) };
    const lastTransitionTime = old?.status === verdict.status ? (old.lastTransitionTime ?? now) : now;
    return { condition: { ...verdict, lastUpdateTime: now, lastTransitionTime }, place: before.length };
  });
  return entries.sort((a, b) => a.place - b.place).map(({ condition }) => condition);
}

function availableCondition(deployment: Deployment, available: number): Verdict {
  const { unavailable } = boundsOf(deployment);
  const enough =
    available >= deployment.spec.replicas - (deployment.spec.strategy.type === "RollingUpdate" ? unavailable : 0);
  return enough
    ? {
        type: "Available",
        status: "True",
        reason: "MinimumReplicasAvailable",
        message: "Deployment has minimum availability.",
      }
    : {
        type: "Available",
        status: "False",
        reason: "MinimumReplicasUnavailable",
        message: "Deployment does not have minimum availability.",
      };
}

function failureCondition(current: ReplicaSet | undefined): Verdict | undefined {
  const failure = conditionOf(current?.status?.conditions, "ReplicaFailure");
  if (failure === undefined) return undefined;
  const { status, reason = "", message = "" } = failure;
  return { type: "ReplicaFailure", status, reason, message };
}

function progressingCondition(
  deployment: Deployment,
  current: ReplicaSet | undefined,
  counts: DeploymentStatus,
  created: boolean,
  nowMs: number,
): Verdict | undefined {
  const before = conditionOf(deployment.status?.conditions, "Progressing");
  if (current === undefined) return before as Verdict | undefined;
  const name = current.metadata.name;
  const say = (status: string, reason: string, message: string) => ({ type: "Progressing", status, reason, message });
  if (created) return say("True", "NewReplicaSetCreated", `Created new replica set "${name}"`);
  const { replicas = 0, updatedReplicas = 0, availableReplicas = 0 } = counts;
  const wanted = deployment.spec.replicas;
  const rolledOut = replicas === updatedReplicas && before?.reason === "NewReplicaSetAvailable";
  if (rolledOut) return before as Verdict; // what scaling does is no progress of a rollout
  if (updatedReplicas === wanted && replicas === wanted && availableReplicas === wanted) {
    return say("True", "NewReplicaSetAvailable", `ReplicaSet "${name}" has successfully progressed.`);
  }
  const old = deployment.status ?? {};
  const progressed =
    updatedReplicas > (old.updatedReplicas ?? 0) ||
    replicas - updatedReplicas < (old.replicas ?? 0) - (old.updatedReplicas ?? 0) ||
    (counts.readyReplicas ?? 0) > (old.readyReplicas ?? 0) ||
    availableReplicas > (old.availableReplicas ?? 0);
  if (progressed || before === undefined)
    return say("True", "ReplicaSetUpdated", `ReplicaSet "${name}" is progressing.`);
  if (deadlineMs(deployment, before) <= nowMs) {
    return say("False", "ProgressDeadlineExceeded", `ReplicaSet "${name}" has timed out progressing.`);
  }
  return before as Verdict;
}

function deadlineMs({ spec }: Deployment, progressing: Condition): number {
  return Date.parse(progressing.lastUpdateTime ?? "") + spec.progressDeadlineSeconds * 1000;
}

/** When to look whether the rollout has timed out; undefined when it cannot. In milliseconds since the epoch. */
export function timesOutAtMs(deployment: Deployment, conditions: readonly Condition[] | undefined): number | undefined {
  const progressing = conditionOf(conditions, "Progressing");
  if (progressing === undefined || progressing.status !== "True" || progressing.reason === "NewReplicaSetAvailable") {
    return undefined;
  }
  return deadlineMs(deployment, progressing);
}
