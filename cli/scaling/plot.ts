import { linePath, type Point, panel, stepPath, thin } from "./plot-panel.ts";
import { niceTicks, timeTicks } from "./plot-ticks.ts";

export interface PlotSecond {
  /** Milliseconds since the epoch. */
  readonly t: number;
  readonly load: number;
  readonly wanted: number;
  readonly ready: number;
}

export interface Plot {
  readonly title: string;
  /** What the load is and its unit, e.g. `Load (calls in flight)`. */
  readonly loadName: string;
  /** Oldest first; two at least. */
  readonly points: readonly PlotSecond[];
  /** Replicas that there really were, to compare with; drawn faintly. */
  readonly recorded?: readonly { readonly t: number; readonly ready: number }[];
}

const WIDTH = 860;
const LEFT = 64;
const RIGHT = 16;
const LOAD = { top: 64, height: 140 };
const REPLICAS = { top: 252, height: 170 };
const HEIGHT = 470;

/** Colours for both themes; a page that embeds the file as an image still tells it which one it is shown in. */
const STYLE = `
  svg { background: #ffffff; color: #1f2328; }
  text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: currentColor; }
  .title { font-size: 15px; font-weight: 600; }
  .name { font-weight: 600; }
  .grid { stroke: #d0d7de; stroke-width: 1; }
  .axis { stroke: #656d76; stroke-width: 1; }
  .load { stroke: #8250df; stroke-width: 1.5; }
  .wanted { stroke: #bc4c00; stroke-width: 2; stroke-dasharray: 6 4; }
  .ready { stroke: #0969da; stroke-width: 2; }
  .recorded { stroke: #8c959f; stroke-width: 1.5; stroke-dasharray: 1 3; stroke-linecap: round; }
  path, line { fill: none; }
  @media (prefers-color-scheme: dark) {
    svg { background: #0d1117; color: #e6edf3; }
    .grid { stroke: #30363d; }
    .axis { stroke: #8d96a0; }
    .load { stroke: #bc8cff; }
    .wanted { stroke: #ffa657; }
    .ready { stroke: #58a6ff; }
    .recorded { stroke: #8d96a0; }
  }`;

/** Load above, wanted and ready replicas below, over the same time, as an SVG file. */
export function renderPlot({ title, loadName, points, recorded = [] }: Plot): string {
  const from = points[0]?.t ?? 0;
  const span = Math.max(1000, (points.at(-1)?.t ?? from) - from);
  const inner = WIDTH - LEFT - RIGHT;
  const x = (t: number) => LEFT + ((t - from) / span) * inner;
  const series = <T extends { readonly t: number }>(list: readonly T[], value: (item: T) => number) =>
    thin(list.map((item): Point => [x(item.t), value(item)]));

  const load = series(points, (point) => point.load);
  const wanted = series(points, (point) => point.wanted);
  const ready = series(points, (point) => point.ready);
  const real = series(recorded, (point) => point.ready);
  const loadTicks = niceTicks(highest(load), 4);
  const replicaTicks = niceTicks(highest([...wanted, ...ready, ...real]), 5, true);
  const times = timeTicks(span).map(({ ms, label }) => ({ x: x(from + ms), label }));
  const [left, right] = [LEFT, WIDTH - RIGHT];
  const loadPanel = panel({ ...LOAD, left, right, ticks: loadTicks, times, labelled: false });
  const replicaPanel = panel({ ...REPLICAS, left, right, ticks: replicaTicks, times, labelled: true });
  const recordedName = recorded.length > 0 ? key(LEFT + 270, "recorded", "recorded ready") : "";
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img" aria-label="${escapeXml(title)}">
<title>${escapeXml(title)}</title>
<style>${STYLE}
</style>
<text class="title" x="${LEFT}" y="26">${escapeXml(title)}</text>
<text class="name" x="${LEFT}" y="${LOAD.top - 12}">${escapeXml(loadName)}</text>
${loadPanel.svg}
<path class="load" d="${linePath(load, loadPanel.y)}"/>
<text class="name" x="${LEFT}" y="${REPLICAS.top - 12}">Replicas</text>
${key(LEFT + 80, "ready", "ready")}${key(LEFT + 170, "wanted", "wanted")}${recordedName}
${replicaPanel.svg}
${recorded.length > 0 ? `<path class="recorded" d="${stepPath(real, replicaPanel.y)}"/>\n` : ""}<path class="ready" d="${stepPath(ready, replicaPanel.y)}"/>
<path class="wanted" d="${stepPath(wanted, replicaPanel.y)}"/>
<text x="${(LEFT + WIDTH - RIGHT) / 2}" y="${HEIGHT - 10}" text-anchor="middle">time since ${new Date(from).toISOString().slice(0, 19)}Z</text>
</svg>
`;

  function key(at: number, name: string, text: string): string {
    const y = REPLICAS.top - 16;
    return `<line class="${name}" x1="${at}" y1="${y}" x2="${at + 26}" y2="${y}"/><text x="${at + 32}" y="${y + 4}">${text}</text>`;
  }
}

function highest(points: readonly Point[]): number {
  return points.reduce((most, [, value]) => Math.max(most, value), 0);
}

function escapeXml(text: string): string {
  const names: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
  // Control characters are not allowed in XML at all.
  return [...text].map((char) => (char < " " ? " " : (names[char] ?? char))).join("");
}
