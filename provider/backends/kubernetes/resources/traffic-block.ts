import type { FunctionVersions } from "../../../../contract/versions/function-versions.ts";
import { formatTraffic, type TrafficTarget, trafficProblems, WHOLE } from "../../../../contract/versions/traffic.ts";
import { isVersion } from "../../../../contract/versions/version-name.ts";

/** One line of a Function's `traffic`, as Knative writes them. */
export interface TrafficLine {
  /** A version, `v3` or as Knative names revisions `NAME-00003`; exactly one of this and `latestRevision`. */
  readonly revisionName?: string;
  readonly latestRevision?: boolean;
  /** 0 to 100, with two decimals; 0 when absent. */
  readonly percent?: number;
  readonly tag?: string;
}

const FIELD = "spec.traffic";

/** Where the block of the function `name` sends calls, or the rules that it breaks, a line each. */
export function readTrafficBlock(
  name: string,
  block: readonly TrafficLine[],
): { readonly targets: TrafficTarget[]; readonly problems: string[] } {
  const problems: string[] = [];
  const targets = block.map(({ revisionName, latestRevision, percent, tag }, at): TrafficTarget => {
    const refuse = (field: string, rule: string) => void problems.push(`${FIELD}[${at}].${field}: ${rule}`);
    const named = revisionName || undefined;
    if (named !== undefined && latestRevision) refuse("latestRevision", "must not be true beside revisionName");
    if (named === undefined && latestRevision === false)
      refuse("latestRevision", "must be true where there is no revisionName");
    const version = named === undefined ? "latest" : versionOf(name, named);
    if (version === undefined) refuse("revisionName", `"${named}" must be a version such as v3, or ${name}-00003`);
    const share = shareOf(percent ?? 0);
    if (share === undefined) refuse("percent", `${percent} must be 0 to 100, with at most two decimals`);
    return { version: version ?? "latest", share: share ?? 0, ...(tag && { tag }) };
  });
  // What follows from a line that is wrong says nothing new.
  if (problems.length === 0) problems.push(...trafficProblems(targets).map((problem) => `${FIELD}: ${problem}`));
  return { targets, problems };
}

function versionOf(name: string, revision: string): string | undefined {
  if (isVersion(revision)) return revision;
  const number = revision.startsWith(`${name}-`) ? revision.slice(name.length + 1) : "";
  const version = /^\d{5,9}$/.test(number) ? `v${Number(number)}` : "";
  return isVersion(version) ? version : undefined;
}

/** In hundredths of a percent. */
function shareOf(percent: number): number | undefined {
  const share = Math.round(percent * 100);
  const isExact = Math.abs(percent * 100 - share) < 1e-6;
  return isExact && share >= 0 && share <= WHOLE ? share : undefined;
}

/** The annotation that means a block without problems; undefined for none. */
export function trafficOf(name: string, block: readonly TrafficLine[] | undefined): string | undefined {
  return block && block.length > 0 ? formatTraffic(readTrafficBlock(name, block).targets) : undefined;
}

/** A line of a Function's `status.traffic`: where calls go now. */
export interface ShownTraffic {
  readonly revisionName: string;
  /** It is the one that `latest` means. */
  readonly latestRevision: boolean;
  readonly percent: number;
  readonly tag?: string;
}

/** @param targets versions, none of them `latest` */
export function showTraffic(
  targets: readonly TrafficTarget[],
  { latest }: Pick<FunctionVersions, "latest">,
): ShownTraffic[] {
  return targets.map(({ version, share, tag }) => ({
    revisionName: version,
    latestRevision: version === latest,
    percent: share / 100,
    ...(tag !== undefined && { tag }),
  }));
}
