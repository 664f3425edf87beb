import { z } from "zod";
import { maybe } from "../decode.ts";
import { FaasError } from "../errors.ts";
import { isTag, isVersion } from "./version-name.ts";

/** Annotation with the shares of a function's versions. */
export const TRAFFIC = "com.faaslane.traffic";
/** Shares are kept in hundredths of a percent, of which all calls are so many. */
export const WHOLE = 10_000;
/** Versions and tags that one function's traffic may name. */
export const MAX_TARGETS = 32;

const target = z.object({
  /** `v3`, or `latest` for the newest. */
  version: z.string(),
  /** In hundredths of a percent, 0 to 10,000. */
  share: z.number().int().min(0).max(WHOLE),
  /** A name by which callers reach the version. */
  tag: maybe(z.string()),
});
/** What part of a function's calls a version gets, and what else it is called. */
export type TrafficTarget = z.output<typeof target>;
export const trafficTargets = z.array(target).max(MAX_TARGETS);

const PERCENT = /^\d{1,3}(\.\d{1,2})?$/;

/** @returns hundredths of a percent; undefined for what is no percentage of at most two decimals */
export function parsePercent(text: string): number | undefined {
  if (!PERCENT.test(text)) return undefined;
  const share = Math.round(Number(text) * 100);
  return share <= WHOLE ? share : undefined;
}

/** `12.5` for 1,250. */
export function formatPercent(share: number): string {
  return String(share / 100);
}

/**
 * Reads `v6=90,latest=10,v5=0@old`: versions with percentages and, after `@`, tags.
 * @throws {FaasError} `invalid`, naming the part and its rule
 */
export function parseTraffic(text: string): TrafficTarget[] {
  const parts = text.split(",").map((part) => part.trim());
  if (parts.length > MAX_TARGETS) throw wrong(`has more than ${MAX_TARGETS} parts`);
  const targets = parts.map((part) => {
    const [, version = "", percent = "", tag] = /^([^=@]*)=([^=@]*)(?:@(.*))?$/.exec(part) ?? [];
    const share = parsePercent(percent);
    if (share === undefined)
      throw wrong(`"${part}" must be VERSION=PERCENT or VERSION=PERCENT@TAG, of 0 to 100 with two decimals`);
    return { version, share, ...(tag !== undefined && { tag }) };
  });
  const problems = trafficProblems(targets);
  if (problems.length > 0) throw wrong(problems.join("; "));
  return targets;
}

function wrong(why: string): FaasError {
  return new FaasError("invalid", `${TRAFFIC}: ${why}`);
}

/** The annotation that means `targets`. */
export function formatTraffic(targets: readonly TrafficTarget[]): string {
  return targets
    .map(({ version, share, tag }) => `${version}=${formatPercent(share)}${tag === undefined ? "" : `@${tag}`}`)
    .join(",");
}

/** Rules that `targets` break by themselves, a sentence each. Whether the versions exist is for who keeps them. */
export function trafficProblems(targets: readonly TrafficTarget[]): string[] {
  const sum = targets.reduce((total, { share }) => total + share, 0);
  const tags = targets.flatMap(({ tag }) => tag ?? []);
  const untagged = targets.filter(({ tag }) => tag === undefined).map(({ version }) => version);
  return [
    ...targets.flatMap(({ version }) =>
      version === "latest" || isVersion(version) ? [] : [`"${version}" is no version: v1, v2, … or latest`],
    ),
    ...tags.flatMap((tag) =>
      isTag(tag) ? [] : [`"${tag}" is no tag: at most 40 of a-z, 0-9 and -, from a letter on`],
    ),
    ...repeated(tags).map((tag) => `tag "${tag}" is given twice`),
    ...repeated(untagged).map((version) => `"${version}" is given twice`),
    ...(sum === WHOLE ? [] : [`percentages add up to ${formatPercent(sum)}, not to 100`]),
  ];
}

function repeated(names: readonly string[]): string[] {
  return [...new Set(names.filter((name, at) => names.indexOf(name) !== at))];
}
