import type { FunctionRef, FunctionStatus } from "../../../../contract/functions.ts";
import type { FunctionVersions } from "../../../../contract/versions/function-versions.ts";
import { versionedName } from "../../../../contract/versions/version-name.ts";
import { resolveTargets } from "../../../versions/resolve-targets.ts";
import { decideConditions, type FunctionFacts } from "./conditions.ts";
import type { FunctionObject, FunctionObjectStatus } from "./function-object.ts";
import type { Profile } from "./profile.ts";
import { showTraffic } from "./traffic-block.ts";

/** What a Function shows of its function's versions: the newest first. */
export function showVersions(
  { name, namespace }: FunctionRef,
  kept: FunctionVersions | undefined,
  statusOf: (ref: FunctionRef) => FunctionStatus | undefined,
): Pick<FunctionObjectStatus, "traffic" | "versions"> {
  if (!kept) return {};
  const versions = kept.versions.map(({ version, content: { image, digest } }) => {
    const unit = version === kept.main ? name : versionedName(name, version);
    const { replicas = 0, availableReplicas = 0 } = statusOf({ name: unit, namespace }) ?? {};
    return { name: version, image, ...(digest !== undefined && { digest }), replicas, availableReplicas };
  });
  return { traffic: showTraffic(resolveTargets(kept), kept), versions: versions.reverse() };
}

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
