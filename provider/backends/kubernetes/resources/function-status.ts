import { decideConditions, type FunctionFacts } from "./conditions.ts";
import type { FunctionObject, FunctionObjectStatus } from "./function-object.ts";
import type { Profile } from "./profile.ts";

/** What a Function shows of its function; equal to its status when there is nothing to write. */
export function decideFunctionStatus(
  { status }: Pick<FunctionObject, "status">,
  facts: FunctionFacts,
  profiles: readonly Profile[],
  now: Date,
): FunctionObjectStatus {
  const { replicas, readyReplicas, generation } = facts;
  return {
    conditions: decideConditions(status?.conditions, facts, now),
    replicas,
    availableReplicas: readyReplicas,
    unavailableReplicas: Math.max(0, replicas - readyReplicas),
    observedGeneration: generation,
    ...(profiles.length > 0 && {
      profiles: profiles.map(({ metadata }) => ({
        profileRef: { name: metadata?.name ?? "", namespace: metadata?.namespace ?? "" },
        observedGeneration: metadata?.generation ?? 0,
      })),
    }),
  };
}
