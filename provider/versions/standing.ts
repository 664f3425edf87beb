import type { FunctionVersions } from "../../contract/versions/function-versions.ts";
import { isUnderWay } from "../../contract/versions/rollout-state.ts";
import { resolveTargets, shareOf, soleVersion, tagsOf } from "./resolve-targets.ts";
import type { VersionSettings } from "./settings.ts";

/**
 * What a version is there for. `serving`: it has calls, or is about to. `warm`: it has lost them, and may get them back at
 * once. `tagged`: callers who name it. `idle`: nothing now.
 */
export type Standing = "serving" | "warm" | "tagged" | "idle";

type Times = Pick<VersionSettings, "windowMs" | "beside"> & { readonly now: number };

/** How long versions of the function stay warm: not at all where new ones come in place of the others. */
export function windowOf(
  { windowMs, beside }: Pick<VersionSettings, "windowMs" | "beside">,
  versions: FunctionVersions,
) {
  return beside || versions.traffic !== undefined ? windowMs : 0;
}

/** Until when a version stays warm without a share; undefined where it does not. */
export function warmUntil(versions: FunctionVersions, version: string, times: Times): number | undefined {
  const retiredAt = versions.versions.find((each) => each.version === version)?.retiredAt;
  const { rollout } = versions;
  // What was given up is not to come back at once.
  if (retiredAt === undefined || (rollout?.phase === "aborted" && rollout.to === version)) return undefined;
  const until = retiredAt + windowOf(times, versions);
  return until > times.now ? until : undefined;
}

export function standingOf(versions: FunctionVersions, version: string, times: Times): Standing {
  const { rollout } = versions;
  const targets = resolveTargets(versions);
  const isMoving = rollout !== undefined && isUnderWay(rollout) && [rollout.from, rollout.to].includes(version);
  if (isMoving || shareOf(targets, version) > 0) return "serving";
  if (warmUntil(versions, version, times) !== undefined) return "warm";
  return tagsOf(targets, version).length > 0 ? "tagged" : "idle";
}

/**
 * Whether one version has all calls for good, and runs beside the function's own replicas: nothing else has a share, a tag
 * or a rollback window.
 */
export function isSettling(versions: FunctionVersions, times: Times): boolean {
  const { rollout, main } = versions;
  const targets = resolveTargets(versions);
  const sole = soleVersion(targets);
  if (sole === undefined || sole === main || (rollout && isUnderWay(rollout))) return false;
  if (targets.some(({ tag }) => tag !== undefined)) return false;
  return !versions.versions.some(({ version }) => version !== sole && standingOf(versions, version, times) === "warm");
}
