import type { FunctionVersions } from "../../contract/versions/function-versions.ts";
import { isUnderWay } from "../../contract/versions/rollout-state.ts";
import { versionNumber } from "../../contract/versions/version-name.ts";
import { resolveTargets } from "./resolve-targets.ts";
import type { VersionSettings } from "./settings.ts";
import { warmUntil } from "./standing.ts";

type Rule = Pick<VersionSettings, "keep" | "windowMs" | "beside"> & { readonly now: number };

/** Why a version has to stay; undefined when nothing refers to it. */
export function referenceTo(versions: FunctionVersions, version: string, rule: Rule): string | undefined {
  const { rollout, traffic = [] } = versions;
  if ([...traffic, ...resolveTargets(versions)].some((target) => target.version === version))
    return "has traffic or a tag";
  if (version === `v${versions.last}`) return "is the newest";
  if (versions.main === version) return "runs under the function's own name";
  if (versions.latest === version) return "is the latest";
  if (versions.stable === version) return "is the stable one";
  if (versions.previous === version) return "is the one before the stable one";
  if (rollout && isUnderWay(rollout) && [rollout.from, rollout.to].includes(version)) return "is being rolled out";
  if (isWanted(versions, version, rule.now)) return "is wanted by accepted calls";
  if (warmUntil(versions, version, rule) !== undefined) return "is within the rollback window";
  return undefined;
}

function isWanted({ versions }: FunctionVersions, wanted: string, now: number): boolean {
  return versions.some(({ version, wantedUntil = 0 }) => version === wanted && wantedUntil > now);
}

/**
 * The versions without those that nothing refers to, but for the newest `keep` of them. It is part of the write that it is
 * computed for: whatever has changed since it was read makes that write fail.
 */
export function collect(versions: FunctionVersions, rule: Rule): FunctionVersions["versions"] {
  const unneeded = versions.versions
    .filter(({ version }) => referenceTo(versions, version, rule) === undefined)
    .sort((a, b) => versionNumber(b.version) - versionNumber(a.version));
  const gone = new Set(unneeded.slice(rule.keep));
  return gone.size > 0 ? versions.versions.filter((version) => !gone.has(version)) : versions.versions;
}
