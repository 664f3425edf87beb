import type {
  ListedVersion,
  ListedVersions,
  RollbackAnswer,
  VersionDifference,
} from "../../contract/versions/requests.ts";
import type { RolloutGate, RolloutStep } from "../../contract/versions/rollout-settings.ts";
import { candidateShare, mirrorShare } from "../../contract/versions/rollout-shares.ts";
import {
  isUnderWay,
  type RolloutMeasurement,
  type RolloutState,
  type VersionCounts,
} from "../../contract/versions/rollout-state.ts";
import { formatPercent, type TrafficTarget } from "../../contract/versions/traffic.ts";
import { formatTable } from "../table.ts";

const MAX_HISTORY = 10;

/** Versions newest first, and the last changes of traffic. */
export function formatVersions(listed: ListedVersions, now: number): string {
  const rows = listed.versions.map((version) => [
    version.version,
    version.name ?? "",
    share(version),
    version.tags.join(","),
    rolesOf(listed, version).join(","),
    `${version.availableReplicas}/${version.replicas}`,
    imageOf(version),
    ago(Date.parse(version.createdAt), now),
    version.createdBy ?? "",
  ]);
  const head = ["VERSION", "NAME", "TRAFFIC", "TAGS", "ROLE", "READY", "IMAGE", "CREATED", "BY"];
  const { history } = listed;
  const changes = history.slice(-MAX_HISTORY).reverse();
  return [
    formatTable(withoutEmpty([head, ...rows])),
    changes.length > 0 ? "\nChanges of traffic\n" : "",
    formatTable(
      changes.map(({ at, traffic, reason, by }) => [
        ...[new Date(at).toISOString().replace(/\.\d+Z$/, "Z"), traffic],
        `${reason}${by === undefined ? "" : ` (${by})`}`,
      ]),
      "  ",
    ),
  ].join("");
}

const share = ({ share: part }: ListedVersion) => (part > 0 ? `${formatPercent(part)}%` : "-");

function rolesOf({ latest, stable, previous }: ListedVersions, { version, warmUntil }: ListedVersion): string[] {
  return [
    ...(version === latest ? ["latest"] : []),
    ...(version === stable ? ["stable"] : []),
    ...(version === previous ? ["previous"] : []),
    ...(warmUntil === undefined ? [] : ["warm"]),
  ];
}

function imageOf({ content: { image, digest } }: ListedVersion): string {
  return digest === undefined || image.includes("@") ? image : `${image}@${digest.slice(0, 19)}`;
}

/** Columns of which no cell says anything do not appear. */
function withoutEmpty([head = [], ...rows]: string[][]): string[][] {
  const said = head.map((_, column) => rows.some((row) => row[column] !== ""));
  return [head, ...rows].map((row) => row.filter((_, column) => said[column]));
}

export function formatDifferences(differences: readonly VersionDifference[], between: string): string {
  if (differences.length === 0) return `Nothing is different in ${between}.\n`;
  const lines = differences.map(({ field, from, to }) => [
    field,
    from === undefined ? "(none)" : JSON.stringify(from),
    "→",
    to === undefined ? "(none)" : JSON.stringify(to),
  ]);
  return formatTable(lines);
}

/** Which version gets what, a line each. */
export function formatTargets(targets: readonly TrafficTarget[]): string {
  if (targets.length === 0) return "latest  100%\n";
  return formatTable(
    targets.map(({ version, share: part, tag }) => [
      version,
      `${formatPercent(part)}%`,
      tag === undefined ? "" : `@${tag}`,
    ]),
  );
}

export function formatRollback(name: string, { from, to, warm, warnings }: RollbackAnswer): string {
  const state = warm ? "its replicas are ready" : "its replicas have to start first";
  return [`${name}: ${from} → ${to}; ${state}\n`, ...warnings.map((warning) => `Warning: ${warning}\n`)].join("");
}

/** A rollout in one line. */
export function summarizeRollout(rollout: RolloutState): string {
  const { from, to, phase, step, reason, settings } = rollout;
  const at = isUnderWay(rollout) && phase !== "warming" ? `, step ${step + 1} of ${settings.steps.length}` : "";
  const why = reason === undefined ? "" : `: ${reason}`;
  return `${from} → ${to}  ${phase}${at}, ${sharesOf(rollout)}${why}`;
}

function sharesOf(rollout: RolloutState): string {
  const mirrored = isUnderWay(rollout) ? mirrorShare(rollout) : 0;
  return mirrored > 0 ? `a copy of ${formatPercent(mirrored)}%` : `${formatPercent(candidateShare(rollout))}%`;
}

/** A rollout with its steps, conditions and last numbers. */
export function formatRollout(name: string, rollout: RolloutState, now: number): string {
  const { settings, measurements, startedAt, since, step } = rollout;
  const under = isUnderWay(rollout);
  const steps = settings.steps.map((each, index) => {
    const mark = under && rollout.phase !== "warming" && index === step ? ">" : " ";
    return `${mark} ${index + 1}. ${describeStep(each)}`;
  });
  const last = measurements.at(-1);
  return [
    `${name}: ${summarizeRollout(rollout)}\n`,
    `Strategy:   ${settings.strategy}, begun ${ago(startedAt, now)}, in this phase for ${lasting(now - since)}\n`,
    settings.gates.length > 0 ? `Conditions: ${settings.gates.map(describeGate).join(", ")}\n` : "",
    `Steps:\n${steps.map((line) => `  ${line}\n`).join("")}`,
    last
      ? `Numbers of step ${last.step + 1}: ${last.verdict}${last.reason ? `, ${last.reason}` : ""}\n${formatNumbers(last, rollout)}`
      : "",
    under ? `Next:       ${nextOf(name, rollout)}\n` : "",
  ].join("");
}

function describeStep({ share: part, mirror, forMs }: RolloutStep): string {
  const time = forMs === undefined ? " until approved" : forMs > 0 ? ` for ${lasting(forMs)}` : "";
  return `${mirror ? "copies of " : ""}${formatPercent(part)}%${time}`;
}

function describeGate({ metric, limit, relative }: RolloutGate): string {
  const isShare = metric === "errors" || metric === "cold";
  const rounded = (value: number) => Math.round(value * 1000) / 1000;
  return `${metric}<${relative ? `${rounded(limit)}x` : isShare ? `${rounded(limit * 100)}%` : `${rounded(limit)}ms`}`;
}

function formatNumbers({ candidate, stable }: RolloutMeasurement, { from, to }: RolloutState): string {
  const row = (version: string, counts: VersionCounts) => [
    ...[version, `${counts.calls}`, percentOf(counts.errors, counts.calls), percentOf(counts.cold, counts.calls)],
    ...[counts.p50, counts.p95, counts.p99].map((ms) => (ms === undefined ? "-" : `${Math.round(ms)}ms`)),
  ];
  return formatTable(
    [["", "CALLS", "ERRORS", "COLD", "P50", "P95", "P99"], row(to, candidate), row(from, stable)],
    "  ",
  );
}

const percentOf = (part: number, all: number) => (all === 0 ? "-" : `${Math.round((part / all) * 10_000) / 100}%`);

function nextOf(name: string, { phase }: RolloutState): string {
  if (phase === "paused") return `faaslane rollout approve ${name} (or resume, promote, abort)`;
  if (phase === "holding") return `too few calls to conclude from; faaslane promote ${name}, or abort`;
  return `faaslane rollout status ${name} --watch`;
}

function ago(at: number, now: number): string {
  return Number.isNaN(at) ? "" : `${lasting(now - at)} ago`;
}

const UNITS = [
  [86_400_000, "d"],
  [3_600_000, "h"],
  [60_000, "m"],
  [1_000, "s"],
] as const;

/** In the largest unit that it fills. */
function lasting(ms: number): string {
  const [size, unit] = UNITS.find(([each]) => ms >= each) ?? [1_000, "s"];
  return `${Math.max(0, Math.floor(ms / size))}${unit}`;
}
