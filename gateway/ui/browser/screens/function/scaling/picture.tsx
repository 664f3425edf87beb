import type { ScalingDecision, ScalingReport } from "../../../../../../contract/scaling.ts";
import { type Column, Table } from "../../../components/table.tsx";
import { formatNumber } from "../../../format.ts";
import { barOf, type Stage, stagesOf } from "./explain.ts";

const WIDTH = 300;
const HEIGHT = 12;

/** Why it has as many replicas as it has: a line for each step, with a bar, and a table behind. */
export function Picture({ decision, report }: { readonly decision: ScalingDecision; readonly report: ScalingReport }) {
  const stages = stagesOf(decision, report);
  return (
    <>
      <ol class="stages">
        {stages.map((stage, at) => (
          <li key={`${at} ${stage.title}`} class={stage.kind}>
            <div class="stage">
              <strong>{stage.title}</strong>
              <span class="number">{said(stage)}</span>
            </div>
            {stage.kind !== "load" && (
              <svg class="bar" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
                <rect class="all" width={WIDTH} height={HEIGHT} />
                <rect
                  class={stage.hasChanged ? "changed" : "same"}
                  width={barOf(stage, stages) * WIDTH}
                  height={HEIGHT}
                />
              </svg>
            )}
            <div>
              <bdi>{stage.text}</bdi>
            </div>
            <div class="hint">{stage.source}</div>
          </li>
        ))}
      </ol>
      <details>
        <summary>Show as table</summary>
        <Table
          caption="Steps of the decision"
          columns={COLUMNS}
          rows={stages}
          keyOf={({ title, text }) => `${title} ${text}`}
          id="st"
        />
      </details>
    </>
  );
}

function said({ kind, value }: Stage): string {
  if (value === undefined) return "unknown";
  return kind === "load" ? formatNumber(value) : `${formatNumber(value)} ${value === 1 ? "replica" : "replicas"}`;
}

const COLUMNS: readonly Column<Stage>[] = [
  { id: "title", title: "Step", cell: ({ title }) => title },
  { id: "value", title: "Comes to", numeric: true, cell: said },
  { id: "text", title: "How", cell: ({ text }) => <bdi>{text}</bdi> },
  { id: "source", title: "From", cell: ({ source }) => source },
];
