import { formatDuration } from "../../contract/duration.ts";
import type { DataPreview, RunReport, RunSummary } from "../../contract/events/flow-run.ts";
import { printable } from "../printable.ts";
import { formatTable } from "../table.ts";

/** @param more whether there are further ones */
export function formatRuns(runs: readonly RunSummary[], more: boolean): string {
  const head = ["RUN", "FLOW", "STATE", "STARTED", "TOOK", "STEP", "ERROR"];
  const rows = runs.map((run) => [
    run.id,
    run.flow,
    run.state,
    run.startedAt,
    formatDuration(run.durationMs),
    run.error?.step ?? run.step ?? "-",
    run.error ? `${run.error.errorType}: ${run.error.cause}` : "",
  ]);
  return formatTable([head, ...rows]) + (more ? "There are more; --limit shows them.\n" : "");
}

export function formatRun(run: RunReport): string {
  const facts: (readonly [string, string | undefined])[] = [
    ["Run", run.id],
    ["Flow", `${run.flow}.${run.namespace}`],
    ["State", run.state],
    ["Started", run.startedAt],
    ["Started by", `${run.startedBy.type} ${run.startedBy.id} from ${run.startedBy.source}`],
    ["Ended", run.endedAt],
    ["Took", formatDuration(run.durationMs)],
    ["Ends at the latest", run.state === "running" ? run.deadlineAt : undefined],
    ["Ended at", run.endedAtStep && `${run.endedAtStep}, whose answer was empty`],
    ["Error", run.error && `${run.error.step}: ${run.error.errorType}: ${run.error.cause}`],
    ["Resumed", run.round > 0 ? `${run.round}×` : undefined],
  ];
  const head = ["STEP", "KIND", "STATE", "TRIES", "STATUS", "TOOK", "VERSION", "NEXT", "ERROR"];
  const rows = run.steps.map((step) => {
    const last = step.attempts.at(-1);
    const parts = step.parts && ` (${step.parts.done}/${step.parts.total})`;
    return [
      step.name,
      step.kind,
      `${step.state}${parts ?? ""}`,
      String(step.tries),
      last?.status === undefined ? "-" : String(last.status),
      last ? formatDuration(last.durationMs) : "-",
      run.versions[step.name] ?? last?.version ?? "-",
      step.nextAttemptAt ?? "-",
      last?.error ?? "",
    ];
  });
  const lines = facts.flatMap(([name, value]) => (value === undefined ? [] : [[`${name}:`, value]]));
  return `${formatTable(lines)}\nSteps:\n${formatTable([head, ...rows], "  ")}${resultOf(run.result)}`;
}

function resultOf(result: DataPreview | undefined): string {
  if (result?.text === undefined) return "";
  const text = printable(result.text);
  return `\nResult:\n${text}${text.endsWith("\n") ? "" : "\n"}${result.truncated ? "… (this is the beginning)\n" : ""}`;
}
