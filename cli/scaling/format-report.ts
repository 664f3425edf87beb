import { formatDuration } from "../../contract/duration.ts";
import type { ScalingDecision, ScalingReport } from "../../contract/scaling.ts";
import { formatNumber, formatTable } from "../table.ts";

/** Decisions that are shown; all of them are in the JSON. */
const SHOWN = 15;

/** A report for a person to read: what is wrong first, then the last decision, the settings and what came before. */
export function formatReport(report: ScalingReport, now: number): string {
  const { last, decisions } = report;
  return [
    formatState(report, now),
    last ? formatDecision(last) : "No decision yet.\n",
    formatSettings(report),
    formatDecisions(decisions),
  ].join("\n");
}

function formatState(report: ScalingReport, now: number): string {
  const { replicas, ready, leading, leader, prewarm, byHand, alerted, refused, problems } = report;
  const idle = now - Date.parse(report.lastBusyAt);
  const rows: (readonly [string, string] | false | undefined)[] = [
    ["Function:", `${report.function}.${report.namespace}`],
    ["Replicas:", `${replicas} wanted, ${ready} ready`],
    ["Scaled by:", report.type],
    ["Last busy:", idle < 2000 ? "now" : `${formatDuration(idle)} ago`],
    ["Decides:", leading ? "this gateway" : `another gateway${leader === undefined ? "" : ` (${leader})`}`],
    prewarm && [
      "Prewarm:",
      `a call is ${prewarm.likely ? "" : "not "}likely now; ${prewarm.hits} hits, ${prewarm.misses} misses`,
    ],
    byHand && [
      "By hand:",
      `scaled to ${byHand.replicas} at ${clock(byHand.at)}, which holds until ${clock(byHand.until)}`,
    ],
    alerted && ["Alerts:", "left to alerts for now"],
    refused !== undefined && ["REFUSED:", refused],
    ...problems.map((problem) => ["PROBLEM:", problem] as const),
  ];
  return formatTable(rows.filter((row) => row !== undefined && row !== false));
}

function formatDecision({ at, from, ready, to, reason, panic, load, burstLoad, steps }: ScalingDecision): string {
  const burst = panic ? ", in a burst" : "";
  const loads =
    load === undefined
      ? "load not measured"
      : `load ${formatNumber(load)}, ${formatNumber(burstLoad ?? load)} in the panic window`;
  return [
    `Last decision, ${clock(at)}: ${from} → ${to} (${reason}${burst})\n`,
    `  ${loads}; ${ready} ready\n`,
    formatTable(
      steps.map((step, i) => [`${i + 1}.`, step.reason, `${step.replicas}`.padStart(3), step.text]),
      "  ",
    ),
  ].join("");
}

function formatSettings({ settings }: ScalingReport): string {
  const cells = Object.entries(settings).map(([name, value]) => [name, String(value)]);
  const half = Math.ceil(cells.length / 2);
  const rows = cells.slice(0, half).map((cell, i) => [...cell, "", ...(cells[half + i] ?? [])]);
  return `Settings\n${formatTable(rows, "  ")}`;
}

function formatDecisions(decisions: readonly ScalingDecision[]): string {
  if (decisions.length === 0) return "No changes yet.\n";
  const head = ["TIME", "REPLICAS", "READY", "REASON", "LOAD", "BURST"];
  const number = (value: number | undefined) => (value === undefined ? "-" : formatNumber(value));
  const rows = decisions
    .slice(-SHOWN)
    .map(({ at, from, to, ready, reason, panic, load, burstLoad }) => [
      clock(at),
      from === to ? `${to}` : `${from} → ${to}`,
      `${ready}`,
      panic ? `${reason} (burst)` : reason,
      number(load),
      number(burstLoad),
    ]);
  const more = decisions.length > SHOWN ? `, the last ${SHOWN} of ${decisions.length}` : "";
  return `Decisions that changed something or had another reason${more}\n${formatTable([head, ...rows], "  ")}`;
}

/** To the second; decisions are two apart. */
function clock(at: string): string {
  return `${at.slice(0, 19)}Z`;
}
