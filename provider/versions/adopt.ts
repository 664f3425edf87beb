import type { FunctionVersions, VersionContent } from "../../contract/versions/function-versions.ts";
import { isUnderWay } from "../../contract/versions/rollout-state.ts";
import { sameContent } from "./content.ts";
import { amend, isDivided, resolveTargets } from "./resolve-targets.ts";

/**
 * Takes note of what runs under the function's own name without having been deployed here: a provider that stopped between
 * two writes, or another one. Where that had all calls, it has them.
 */
export function adopt(before: FunctionVersions, content: VersionContent, now: number): FunctionVersions {
  const existing = before.versions.find((each) => sameContent(each.content, content));
  const version = existing?.version ?? `v${before.last + 1}`;
  const createdAt = new Date(now).toISOString().replace(/\.\d+Z$/, "Z");
  const reason = `${version} was found under the function's own name`;
  const { rollout } = before;
  const isAlone = !isDivided(resolveTargets(before), before.main) && before.latest === before.main;
  const given = rollout && isUnderWay(rollout) && { ...rollout, phase: "superseded" as const, since: now, reason };
  return amend(
    before,
    {
      main: version,
      ...(isAlone && { latest: version }),
      ...(isAlone && given && { rollout: given }),
      ...(!existing && {
        last: before.last + 1,
        versions: [...before.versions, { version, content, createdAt }],
      }),
    },
    { now, reason },
  );
}
