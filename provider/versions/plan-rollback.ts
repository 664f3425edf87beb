import { FaasError } from "../../contract/errors.ts";
import type { FunctionVersion, FunctionVersions } from "../../contract/versions/function-versions.ts";
import type { RollbackAnswer, RollbackRequest } from "../../contract/versions/requests.ts";
import { isUnderWay } from "../../contract/versions/rollout-state.ts";
import { isVersion } from "../../contract/versions/version-name.ts";
import { amend, type Cause, resolveTargets, soleVersion, tagsAlone } from "./resolve-targets.ts";

export interface Rollback {
  readonly from: FunctionVersion;
  readonly to: FunctionVersion;
  /** What is kept afterwards. */
  readonly versions: FunctionVersions;
}

/**
 * All calls back to an earlier version; a rollout that is under way is given up.
 * @throws {FaasError} `invalid` when there is no such version or tag; `conflict` when there is nothing to go back to, or it has
 *   all calls already
 */
export function planRollback(
  before: FunctionVersions,
  { to, detach }: Pick<RollbackRequest, "to" | "detach">,
  cause: Cause,
): Rollback {
  const underWay = before.rollout && isUnderWay(before.rollout) ? before.rollout : undefined;
  const target = find(before, to ?? underWay?.from ?? before.previous, to);
  const targets = resolveTargets(before);
  const sole = soleVersion(targets);
  if (sole === target.version && !underWay) throw new FaasError("conflict", `${target.version} has all calls already`);
  const from = underWay?.to ?? sole ?? before.stable;
  const given = underWay && { ...underWay, phase: "aborted" as const, since: cause.now, reason: cause.reason };
  const versions = amend(
    before,
    {
      latest: target.version,
      traffic: tagsAlone(before.traffic),
      detached: detach || undefined,
      ...(given && { rollout: given }),
    },
    cause,
  );
  const known = before.versions.find(({ version }) => version === from);
  return { from: known ?? target, to: target, versions };
}

function find(
  { versions, traffic = [], ...known }: FunctionVersions,
  wanted: string | undefined,
  asked: string | undefined,
) {
  if (wanted === undefined) throw new FaasError("conflict", "there is no version before this one to go back to");
  const words: Readonly<Record<string, string | undefined>> = {
    latest: known.latest,
    stable: known.stable,
    previous: known.previous,
  };
  const tagged = traffic.find(({ tag }) => tag === wanted)?.version;
  const name = Object.hasOwn(words, wanted) ? words[wanted] : (tagged ?? wanted);
  const version = name === "latest" ? known.latest : name;
  const found = versions.find((each) => each.version === version) ?? versions.find((each) => each.name === wanted);
  if (found) return found;
  const kind = isVersion(wanted) ? "version" : "version or tag";
  const why = `to: there is no ${kind} "${wanted}"; there are ${versions.map((each) => each.version).join(", ")}`;
  throw new FaasError(asked === undefined ? "conflict" : "invalid", why);
}

const DETACHED = "deploys make versions from now on and move no calls, until one is promoted or the traffic is reset";

function nextDeploy(source: string | undefined): string {
  const where = source === undefined ? "what is deployed from" : source;
  const detach = source === undefined ? "" : "; or roll back detached, and deploys move no calls";
  return `the next deploy moves traffic again: correct ${where}, too${detach}`;
}

/** What a rollback does and does not undo, a sentence each. */
export function describeRollback({ from, to, versions }: Rollback): RollbackAnswer["warnings"] {
  const [was, is] = [from.content, to.content];
  const source = from.source ?? to.source;
  const secrets = is.secrets ?? [];
  return [
    `runs ${to.content.image}${is.digest === undefined ? "" : ` (${is.digest})`} of ${to.createdAt} again, with its environment, limits and health settings`,
    "data that it has written elsewhere stays as it is",
    "scaling, schedule, traffic and other settings that are not part of a version stay as they are now",
    ...(secrets.length > 0 ? [`secrets (${secrets.join(", ")}) keep their present values`] : []),
    ...(is.digest === undefined ? [`the digest of ${is.image} is not known: it runs what that name means now`] : []),
    ...(was.digest !== undefined && was.digest === is.digest ? ["both versions run the same image"] : []),
    ...(versions.detached ? [DETACHED] : [nextDeploy(source)]),
  ];
}
