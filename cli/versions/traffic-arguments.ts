import { parsePercent, type TrafficTarget, trafficProblems, WHOLE } from "../../contract/versions/traffic.ts";
import { CliError } from "../errors.ts";

/** What somebody wants changed of a function's traffic. */
export interface TrafficWishes {
  /** `v6=90`, `latest=10`; none leaves the shares as they are. */
  readonly shares: readonly string[];
  /** `canary=v7`; beside those that there are. */
  readonly tags: readonly string[];
  /** Tags that go. */
  readonly untag: readonly string[];
}

/**
 * The traffic that `wishes` make of the present one.
 * @param present as it was asked for; empty where all calls go to the latest version
 * @throws {CliError} naming what is wrong, and its rule
 */
export function applyTraffic(present: readonly TrafficTarget[], wishes: TrafficWishes): TrafficTarget[] {
  const shares = wishes.shares.length > 0 ? parseShares(wishes.shares) : sharesOf(present);
  const tags = new Map(present.flatMap(({ tag, version }) => (tag === undefined ? [] : [[tag, version] as const])));
  for (const tag of wishes.untag) if (!tags.delete(tag)) throw new CliError(`--untag: there is no tag ${tag}`);
  for (const text of wishes.tags) {
    const [, tag = "", version = ""] = /^([^=]+)=([^=]+)$/.exec(text) ?? [];
    if (tag === "") throw new CliError(`--tag must be NAME=VERSION such as canary=v7, not ${JSON.stringify(text)}`);
    tags.set(tag, version);
  }
  const targets = [...shares].map(([version, share]): TrafficTarget => {
    const tag = [...tags].find(([, of]) => of === version)?.[0];
    if (tag !== undefined) tags.delete(tag);
    return { version, share, ...(tag !== undefined && { tag }) };
  });
  const all = [...targets, ...[...tags].map(([tag, version]): TrafficTarget => ({ version, share: 0, tag }))];
  const problems = trafficProblems(all);
  if (problems.length > 0) throw new CliError(problems.join("; "));
  return all;
}

function parseShares(texts: readonly string[]): Map<string, number> {
  const shares = new Map<string, number>();
  for (const text of texts) {
    const [, version = "", percent = ""] = /^([^=]+)=([^=]+)$/.exec(text) ?? [];
    const share = parsePercent(percent.replace(/%$/, ""));
    if (version === "" || share === undefined)
      throw new CliError(
        `${JSON.stringify(text)} must be VERSION=PERCENT such as v6=90, of 0 to 100 with two decimals`,
      );
    if (shares.has(version)) throw new CliError(`${version} is given twice`);
    shares.set(version, share);
  }
  return shares;
}

function sharesOf(targets: readonly TrafficTarget[]): Map<string, number> {
  const shares = new Map<string, number>();
  for (const { version, share } of targets) {
    if (share > 0) shares.set(version, (shares.get(version) ?? 0) + share);
  }
  return shares.size > 0 ? shares : new Map([["latest", WHOLE]]);
}
