import type { RecordedTotals } from "../../gateway/core/scaling/recorded-totals.ts";
import type { Simulation } from "../../gateway/core/scaling/simulate.ts";
import { formatNumber, formatTable } from "../table.ts";
import { formatChart } from "./chart.ts";

const ROWS: readonly (readonly [string, keyof RecordedTotals])[] = [
  ["Calls that waited for a start", "coldStarts"],
  ["Replica-seconds", "replicaSeconds"],
  ["Overloaded seconds", "overloadedSeconds"],
  ["Changes", "changes"],
];

/** A simulation beside what really happened, for a person to read. */
export function formatSimulation(
  { seconds, ...simulated }: Simulation,
  recorded: RecordedTotals,
  type: string,
): string {
  const start = new Date(seconds[0]?.t ?? 0).toISOString();
  const rows = ROWS.map(([name, key]) => [name, formatNumber(simulated[key]), formatNumber(recorded[key])]);
  return [
    `Replicas from ${start} on: █ ready, ░ wanted; load by ${type}, at most ${formatNumber(peak(seconds))}\n\n`,
    formatChart(seconds),
    "\n",
    formatTable([["", "SIMULATED", "RECORDED"], ...rows]),
  ].join("");
}

function peak(seconds: Simulation["seconds"]): number {
  return seconds.reduce((most, { load }) => Math.max(most, load), 0);
}
