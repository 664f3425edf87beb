import { formatDuration } from "../../contract/duration.ts";

export interface ChartSecond {
  readonly t: number;
  readonly load: number;
  readonly wanted: number;
  readonly ready: number;
}

const COLUMNS = 64;
const MAX_ROWS = 8;
const LEVELS = " ▁▂▃▄▅▆▇█";

/** Replicas over time for a terminal: ready ones dark, wanted ones that are not ready light; below them the load. */
export function formatChart(seconds: readonly ChartSecond[]): string {
  const [first, last] = [seconds[0], seconds.at(-1)];
  if (!first || !last) return "";
  const columns = split(seconds, first.t, last.t);
  const most = Math.max(1, ...columns.map(({ wanted, ready }) => Math.max(wanted, ready)));
  const rows = Math.min(most, MAX_ROWS);
  const lines: string[] = [];
  const width = Math.max(String(most).length, 4);
  for (let row = rows; row >= 1; row--) {
    // A row stands for replicas above its lower edge, so that a single one is seen however high the chart is.
    const edge = (most * (row - 1)) / rows;
    const cells = columns.map(({ wanted, ready }) => (ready > edge ? "█" : wanted > edge ? "░" : " ")).join("");
    const label = row === rows || row === 1 ? String(Math.floor(edge) + 1) : "";
    lines.push(`${(row === rows ? String(most) : label).padStart(width)} │${cells}`);
  }
  const peak = Math.max(...columns.map(({ load }) => load));
  const loads = columns.map(({ load }) => LEVELS[peak > 0 ? Math.ceil((load / peak) * 8) : 0]).join("");
  const span = last.t > first.t ? formatDuration(last.t - first.t) : "0s";
  lines.push(`${"".padStart(width)} └${"─".repeat(columns.length)}`);
  lines.push(`${"load".padStart(width)}  ${loads}`);
  lines.push(`${"".padStart(width)}  0s${span.padStart(Math.max(1, columns.length - 2))}`);
  return lines.map((line) => `${line.trimEnd()}\n`).join("");
}

/** The largest of each value per column, so that a short peak shows. */
function split(seconds: readonly ChartSecond[], from: number, to: number): Omit<ChartSecond, "t">[] {
  const count = Math.min(COLUMNS, seconds.length);
  const columns: { load: number; wanted: number; ready: number }[] = [];
  for (const { t, load, wanted, ready } of seconds) {
    const i = to > from ? Math.min(count - 1, Math.floor(((t - from) / (to - from)) * count)) : 0;
    const column = columns[i];
    if (!column) columns[i] = { load, wanted, ready };
    else {
      column.load = Math.max(column.load, load);
      column.wanted = Math.max(column.wanted, wanted);
      column.ready = Math.max(column.ready, ready);
    }
  }
  // A hole in the history is one in the chart.
  return Array.from({ length: count }, (_, i) => columns[i] ?? { load: 0, wanted: 0, ready: 0 });
}
