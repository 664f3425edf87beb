import { FaasError } from "../../contract/errors.ts";
import type { FunctionVersion, FunctionVersions, VersionContent } from "../../contract/versions/function-versions.ts";
import type { RolloutSettings } from "../../contract/versions/rollout-settings.ts";
import { isUnderWay, type RolloutState } from "../../contract/versions/rollout-state.ts";
import { formatTraffic, TRAFFIC, type TrafficTarget, WHOLE } from "../../contract/versions/traffic.ts";
import { isVersion } from "../../contract/versions/version-name.ts";
import { collect } from "./collect.ts";
import { sameContent } from "./content.ts";
import { type Amendment, amend, resolveTargets, soleVersion, tagsAlone } from "./resolve-targets.ts";
import type { VersionSettings } from "./settings.ts";
import { warmUntil } from "./standing.ts";

/** A deploy as far as versions go. */
export interface Deploy {
  readonly content: VersionContent;
  readonly settings: VersionSettings;
  /** What the annotation said of traffic until now; absent where it said nothing. */
  readonly formerTraffic?: readonly TrafficTarget[] | undefined;
  readonly source?: string | undefined;
  readonly by?: string | undefined;
  /** Milliseconds since 1970. */
  readonly now: number;
}

export interface VersionPlan {
  /** The version that the deploy is. */
  readonly version: FunctionVersion;
  /** The one that the function's own replicas run afterwards. */
  readonly main: FunctionVersion;
  /** Whether it gets replicas beside the function's own. */
  readonly beside: boolean;
  /** What is kept afterwards; undefined when nothing changes. */
  readonly versions: FunctionVersions | undefined;
}

const AT_ONCE: Pick<RolloutSettings, "steps" | "gates"> = { steps: [{ share: WHOLE, forMs: 0 }], gates: [] };

/** What is known of a function that has one version, or of which nothing has been kept so far. */
export function firstVersions(version: Omit<FunctionVersion, "version">): FunctionVersions {
  return {
    generation: 0,
    last: 1,
    versions: [{ version: "v1", ...version }],
    latest: "v1",
    main: "v1",
    stable: "v1",
    history: [],
  };
}

/** A version as it begins. */
export function newVersion(version: string, { content, settings, source, by, now }: Deploy): FunctionVersion {
  return {
    version,
    ...(settings.name !== undefined && { name: settings.name }),
    content,
    createdAt: new Date(now).toISOString().replace(/\.\d+Z$/, "Z"),
    ...(by !== undefined && { createdBy: by }),
    ...(source !== undefined && { source }),
  };
}

/**
 * What becomes of a deploy of a function that is there.
 * @throws {FaasError} `conflict` when the version's name is another's, or calls are split by hand where a rollout needs them
 *   whole; `invalid` when its traffic names versions that there are not, or does not go with its rollout
 */
export function planDeploy(before: FunctionVersions, deploy: Deploy): VersionPlan {
  const { content, settings, now, by } = deploy;
  const existing = findContent(before, content);
  const version = named(existing, deploy) ?? newVersion(`v${before.last + 1}`, deploy);
  const others = before.versions.filter((each) => each.version !== version.version);
  const owner = others.find(({ name }) => name !== undefined && name === settings.name);
  if (owner) {
    throw new FaasError(
      "conflict",
      `the name ${settings.name} is version ${owner.version}'s, which runs something else`,
    );
  }
  const versions = existing
    ? before.versions.map((each) => (each.version === version.version ? version : each))
    : [...before.versions, version];
  const last = existing ? before.last : before.last + 1;
  const known = { ...before, versions, last };
  const settled = { ...known, traffic: trafficOf(known, deploy) };
  const move = moveTo(settled, version, deploy, before);
  const next = finish({ before, after: { ...settled, ...move.amendment }, deploy, reason: move.reason, by, now });
  return {
    version,
    main: next.versions.find((each) => each.version === next.main) as FunctionVersion,
    beside: move.beside,
    versions: isSame(before, next) ? undefined : next,
  };
}

interface Move {
  readonly amendment: Amendment;
  readonly reason: string;
  readonly beside: boolean;
}

function moveTo(known: FunctionVersions, version: FunctionVersion, deploy: Deploy, before: FunctionVersions): Move {
  const { settings, now } = deploy;
  const { rollout, latest, main } = known;
  const to = version.version;
  const underWay = rollout && isUnderWay(rollout) ? rollout : undefined;
  const stays: Move = { amendment: {}, reason: `${to} was deployed`, beside: false };
  if (underWay?.to === to) return stays;
  if (underWay && latest === to) {
    const reason = `${to} was deployed again`;
    return { amendment: { rollout: { ...underWay, phase: "aborted", since: now, reason } }, reason, beside: false };
  }
  const sole = soleVersion(resolveTargets(known));
  const isInPlace = !settings.beside && !underWay && known.traffic === undefined && latest === main;
  if (latest === to) return stays;
  // The same once more is no order to try again what was given up.
  if (rollout?.to === to && rollout.phase === "aborted" && sole !== to) return stays;
  if (known.detached) return { ...stays, beside: !before.versions.some((each) => each.version === to) };
  if (isInPlace) return { amendment: { latest: to, main: to }, reason: `${to} was deployed in place`, beside: false };
  if (settings.rollout.strategy === "manual")
    return { ...stays, beside: !before.versions.some((v) => v.version === to) };
  return rollOut(known, version, deploy, underWay);
}

/** Begins the rollout of a version. */
function rollOut(known: FunctionVersions, version: FunctionVersion, deploy: Deploy, underWay?: RolloutState): Move {
  const { settings, now } = deploy;
  const from = underWay?.from ?? baseOf(known, deploy);
  const isWarm = warmUntil(known, version.version, { ...settings, now }) !== undefined;
  const atOnce = settings.rollout.strategy === "instant" || isWarm;
  const rollout: RolloutState = {
    id: (known.rollout?.id ?? 0) + 1,
    from,
    to: version.version,
    phase: "warming",
    step: 0,
    since: now,
    startedAt: now,
    settings: { ...settings.rollout, ...(atOnce && AT_ONCE) },
    measurements: [],
  };
  const reason = `rollout of ${rollout.to} began${underWay ? `, in place of ${underWay.to}` : ""}`;
  const traffic = from === known.latest ? known.traffic : tagsAlone(known.traffic);
  return { amendment: { rollout, latest: from, traffic }, reason, beside: true };
}

/** The version that a rollout begins from. */
function baseOf(known: FunctionVersions, { settings }: Deploy): string {
  if (settings.rollout.strategy === "instant") return known.latest;
  const targets = resolveTargets(known);
  const sole = soleVersion(targets);
  if (sole !== undefined) return sole;
  throw new FaasError(
    "conflict",
    `traffic is split (${formatTraffic(targets)}); give one version all calls before a rollout begins`,
  );
}

/** The traffic that holds after the deploy; undefined for none. */
function trafficOf(known: FunctionVersions, { settings, formerTraffic }: Deploy): TrafficTarget[] | undefined {
  const { traffic, rollout } = settings;
  if (!traffic) {
    const wasOurs = formerTraffic && known.traffic && formatTraffic(formerTraffic) === formatTraffic(known.traffic);
    return wasOurs ? undefined : known.traffic;
  }
  requireVersions(known, traffic, TRAFFIC);
  const isSplit = traffic.some(({ version, share }) => version !== "latest" && share > 0);
  if (isSplit && (rollout.strategy === "canary" || rollout.strategy === "blue-green")) {
    const why = `shares do not go with a rollout of ${rollout.strategy}, which sets them; only tags at 0 do`;
    throw new FaasError("invalid", `validation failed: ${TRAFFIC}: ${why}`);
  }
  return [...traffic];
}

/** @throws {FaasError} `invalid`, naming versions that there are not */
export function requireVersions(
  { versions }: Pick<FunctionVersions, "versions">,
  targets: readonly TrafficTarget[],
  field: string,
): void {
  const known = new Set(versions.map(({ version }) => version));
  const unknown = targets.map(({ version }) => version).filter((name) => isVersion(name) && !known.has(name));
  if (unknown.length > 0) {
    const names = [...new Set(unknown)].join(", ");
    throw new FaasError("invalid", `${field}: there is no version ${names}; there are ${[...known].join(", ")}`);
  }
}

function findContent(
  { versions, latest, rollout }: FunctionVersions,
  content: VersionContent,
): FunctionVersion | undefined {
  const same = versions.filter((each) => sameContent(each.content, content));
  return (
    same.find(({ version }) => version === rollout?.to) ?? same.find(({ version }) => version === latest) ?? same.at(-1)
  );
}

/** The version there is, with the name that it is given where it has none. */
function named(existing: FunctionVersion | undefined, { settings }: Deploy): FunctionVersion | undefined {
  if (!existing || existing.name !== undefined || settings.name === undefined) return existing;
  return { ...existing, name: settings.name };
}

interface Step {
  readonly before: FunctionVersions;
  readonly after: FunctionVersions;
  readonly deploy: Deploy;
  readonly reason: string;
  readonly by: string | undefined;
  readonly now: number;
}

function finish({ before, after, deploy, reason, by, now }: Step): FunctionVersions {
  const amended = amend(before, after, { now, reason, by });
  return { ...amended, versions: collect(amended, { ...deploy.settings, now }) };
}

function isSame(before: FunctionVersions, after: FunctionVersions): boolean {
  const { generation: _was, ...a } = before;
  const { generation: _is, ...b } = after;
  return JSON.stringify(sortedFields(a)) === JSON.stringify(sortedFields(b));
}

function sortedFields(value: object): object {
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, each]) => each !== undefined)
      .sort(([x], [y]) => (x < y ? -1 : 1)),
  );
}
