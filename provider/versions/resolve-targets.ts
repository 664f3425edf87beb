import { type FunctionVersions, MAX_CHANGES } from "../../contract/versions/function-versions.ts";
import { candidateShare } from "../../contract/versions/rollout-shares.ts";
import { isUnderWay } from "../../contract/versions/rollout-state.ts";
import { formatTraffic, type TrafficTarget, WHOLE } from "../../contract/versions/traffic.ts";

type Known = Pick<FunctionVersions, "latest" | "traffic" | "rollout">;

/** Where calls go: what was asked for, with `latest` and a rollout that is under way put in. */
export function resolveTargets({ latest, traffic, rollout }: Known): TrafficTarget[] {
  const asked = traffic && traffic.length > 0 ? traffic : [{ version: "latest", share: WHOLE }];
  const targets = asked.flatMap((target): TrafficTarget[] => {
    if (target.version !== "latest") return [target];
    if (!rollout || !isUnderWay(rollout)) return [{ ...target, version: latest }];
    const given = Math.round((target.share * candidateShare(rollout)) / WHOLE);
    return [
      { ...target, version: rollout.from, share: target.share - given },
      { version: rollout.to, share: given },
    ];
  });
  const untagged = new Map<string, number>();
  for (const { version, share, tag } of targets)
    if (tag === undefined) untagged.set(version, (untagged.get(version) ?? 0) + share);
  return [
    ...[...untagged].flatMap(([version, share]) => (share > 0 ? [{ version, share }] : [])),
    ...targets.filter(({ tag }) => tag !== undefined),
  ];
}

/** In hundredths of a percent. */
export function shareOf(targets: readonly TrafficTarget[], version: string): number {
  return targets.reduce((sum, target) => (target.version === version ? sum + target.share : sum), 0);
}

export function tagsOf(targets: readonly TrafficTarget[], version: string): string[] {
  return targets.flatMap((target) => (target.version === version && target.tag !== undefined ? [target.tag] : []));
}

/** The version with all calls, if there is one. */
export function soleVersion(targets: readonly TrafficTarget[]): string | undefined {
  return targets.find(({ version }) => shareOf(targets, version) === WHOLE)?.version;
}

/** Whether gateways have to choose: otherwise all calls go to what runs under the function's own name. */
export function isDivided(targets: readonly TrafficTarget[], main: string): boolean {
  return targets.some(({ tag }) => tag !== undefined) || soleVersion(targets) !== main;
}

/** Tags of `traffic` alone: what remains of it when all calls go to one version. */
export function tagsAlone(traffic: readonly TrafficTarget[] | undefined): TrafficTarget[] | undefined {
  const tags = (traffic ?? []).flatMap((target) => (target.tag === undefined ? [] : [{ ...target, share: 0 }]));
  return tags.length > 0 ? [{ version: "latest", share: WHOLE }, ...tags] : undefined;
}

/** Why and when something was changed, and who asked for it. */
export interface Cause {
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly reason: string;
  readonly by?: string | undefined;
}

export type Amendment = Partial<Omit<FunctionVersions, "generation" | "history">>;

/**
 * What is kept of a function with `amendment` made, and with all that follows from it: which version is stable, which ones
 * have lost their last share, and the history.
 */
export function amend(before: FunctionVersions, amendment: Amendment, cause: Cause): FunctionVersions {
  const next = { ...before, ...amendment };
  const [old, targets] = [resolveTargets(before), resolveTargets(next)];
  const sole = next.rollout && isUnderWay(next.rollout) ? undefined : soleVersion(targets);
  const moved = sole !== undefined && sole !== before.stable;
  const [was, is] = [formatTraffic(old), formatTraffic(targets)];
  const isGivenUp = next.rollout?.phase === "aborted" && before.rollout?.phase !== "aborted";
  const isTold = was !== is || isGivenUp || before.generation === 0;
  const change = {
    at: cause.now,
    traffic: is,
    reason: cause.reason,
    ...(cause.by !== undefined && { by: cause.by }),
  };
  return {
    ...next,
    generation: before.generation + 1,
    versions: next.versions.map((version) => {
      const share = shareOf(targets, version.version);
      const lost = share === 0 && shareOf(old, version.version) > 0;
      // One that another has taken the place of has no replicas that could be kept.
      const replaced = version.version === before.main && next.main !== before.main;
      if (lost && !replaced) return { ...version, retiredAt: cause.now };
      if (share === 0 || version.retiredAt === undefined) return version;
      const { retiredAt: _ended, ...serving } = version;
      return serving;
    }),
    ...(moved && { stable: sole, previous: before.stable }),
    history: isTold ? [...before.history, change].slice(-MAX_CHANGES) : before.history,
  };
}
