/** One line of `status.conditions`, as Kubernetes writes them. */
export interface Condition {
  readonly type: ConditionType;
  readonly status: "True" | "False" | "Unknown";
  readonly reason: string;
  readonly message: string;
  /** RFC 3339: when `status` became what it is. */
  readonly lastTransitionTime: string;
  readonly observedGeneration?: number;
}

export type ConditionType = "Reconciling" | "Stalled" | "Ready" | "Healthy";

/** How far the objects of a Function have come. */
export type Progress =
  | { readonly kind: "working" }
  /** Its objects are as it says. */
  | { readonly kind: "applied" }
  /** They cannot be, until somebody changes something. */
  | { readonly kind: "refused"; readonly message: string };

export interface FunctionFacts {
  readonly progress: Progress;
  readonly readyReplicas: number;
  /** Replicas wanted. */
  readonly replicas: number;
  /** Why replicas do not come up. */
  readonly problem?: string;
  /** `metadata.generation` of the Function that the facts are about. */
  readonly generation: number;
}

// Never empty: an API server may leave out what is, and the condition would seem to have changed.
const NOT_STALLED = "nothing is in the way";
const NOT_RECONCILING = "nothing is under way";

type Draft = readonly [type: ConditionType, status: Condition["status"], reason: string, message: string];

function drafts({ progress, readyReplicas, replicas, problem }: FunctionFacts): Draft[] {
  const healthy: Draft =
    readyReplicas > 0
      ? ["Healthy", "True", "ReplicasReady", `${readyReplicas} of ${replicas} replicas are ready`]
      : replicas === 0 && progress.kind === "applied"
        ? ["Healthy", "False", "ScaledToZero", "asleep until it is called"]
        : ["Healthy", "False", "NoReplicasReady", problem ?? "no replica is ready yet"];
  switch (progress.kind) {
    case "working":
      return [
        ["Reconciling", "True", "Applying", "its objects are being applied"],
        ["Stalled", "False", "Applying", NOT_STALLED],
        ["Ready", "Unknown", "Applying", "its objects are being applied"],
        healthy,
      ];
    case "applied":
      return [
        ["Reconciling", "False", "Applied", NOT_RECONCILING],
        ["Stalled", "False", "Applied", NOT_STALLED],
        ["Ready", "True", "Applied", "resources match the spec"],
        healthy,
      ];
    case "refused":
      return [
        ["Reconciling", "False", "Refused", NOT_RECONCILING],
        ["Stalled", "True", "Refused", progress.message],
        ["Ready", "False", "Refused", progress.message],
        healthy,
      ];
  }
}

/**
 * Conditions of a Function. The time of one whose status stays what it was stays too, so that equal facts give equal
 * conditions and nothing has to be written.
 */
export function decideConditions(previous: readonly Condition[] = [], facts: FunctionFacts, now: Date): Condition[] {
  const time = now.toISOString().replace(/\.\d+Z$/, "Z");
  return drafts(facts).map(([type, status, reason, message]) => {
    const before = previous.find((condition) => condition.type === type);
    const lastTransitionTime = before?.status === status ? before.lastTransitionTime : time;
    return { type, status, reason, message, lastTransitionTime, observedGeneration: facts.generation };
  });
}
