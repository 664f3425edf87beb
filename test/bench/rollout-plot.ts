import { linePath, type Point, panel, stepPath } from "../../cli/scaling/plot-panel.ts";
import { niceTicks, timeTicks } from "../../cli/scaling/plot-ticks.ts";

/** What was seen at one moment, `at` milliseconds after the beginning. */
export interface RolloutSecond {
  readonly at: number;
  /** Calls that had ended. */
  readonly calls: number;
  /** Of the new version, in percent. */
  readonly share: number;
  /** Ready replicas. */
  readonly stable: number;
  readonly candidate: number;
}

const WIDTH = 860;
const LEFT = 64;
const RIGHT = WIDTH - 16;
const SHARES = { top: 64, height: 120 };
const ERRORS = { top: 232, height: 120 };
const REPLICAS = { top: 400, height: 100 };
const HEIGHT = 548;
const TITLE = "A canary whose new version fails a fifth of its calls";

const STYLE = `
  svg { background: #ffffff; color: #1f2328; }
  text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: currentColor; }
  .title { font-size: 15px; font-weight: 600; }
  .name { font-weight: 600; }
  .grid { stroke: #d0d7de; stroke-width: 1; }
  .axis { stroke: #656d76; stroke-width: 1; }
  .stable { stroke: #0969da; stroke-width: 2; }
  .candidate { stroke: #bc4c00; stroke-width: 2; stroke-dasharray: 6 4; }
  .errors { stroke: #cf222e; stroke-width: 1.5; }
  path, line { fill: none; }
  @media (prefers-color-scheme: dark) {
    svg { background: #0d1117; color: #e6edf3; }
    .grid { stroke: #30363d; }
    .axis { stroke: #8d96a0; }
    .stable { stroke: #58a6ff; }
    .candidate { stroke: #ffa657; }
    .errors { stroke: #ff7b72; }
  }`;

/** Shares, failed calls of each second and replicas over the same time, as an SVG file. */
export function renderRollout(
  seconds: readonly RolloutSecond[],
  calls: readonly { readonly at: number; readonly failed: boolean }[],
): string {
  const span = Math.max(1_000, seconds.at(-1)?.at ?? 0);
  const x = (at: number) => LEFT + (at / span) * (RIGHT - LEFT);
  const series = (value: (second: RolloutSecond) => number) => seconds.map((each): Point => [x(each.at), value(each)]);
  const errors = failedBySecond(calls, span).map(({ at, percent }): Point => [x(at), percent]);
  const times = timeTicks(span).map(({ ms, label }) => ({ x: x(ms), label }));
  const [stable, candidate] = [series((each) => each.stable), series((each) => each.candidate)];
  const share = series((each) => each.share);
  const at = { left: LEFT, right: RIGHT, times };
  const shares = panel({ ...SHARES, ...at, ticks: niceTicks(100, 4), labelled: false });
  const failures = panel({ ...ERRORS, ...at, ticks: niceTicks(Math.max(5, highest(errors)), 4), labelled: false });
  const replicas = panel({
    ...REPLICAS,
    ...at,
    ticks: niceTicks(highest([...stable, ...candidate]), 3, true),
    labelled: true,
  });
  const rest = series((each) => 100 - each.share);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img" aria-label="${TITLE}">
<title>${TITLE}</title>
<style>${STYLE}
</style>
<text class="title" x="${LEFT}" y="26">${TITLE}</text>
${heading(SHARES.top, "Share of the calls (%)")}${key(SHARES.top, 190, "stable", "stable version")}${key(SHARES.top, 330, "candidate", "new version")}
${shares.svg}
<path class="stable" d="${stepPath(rest, shares.y)}"/>
<path class="candidate" d="${stepPath(share, shares.y)}"/>
${heading(ERRORS.top, "Failed calls of each second (%)")}
${failures.svg}
<path class="errors" d="${linePath(errors, failures.y)}"/>
${heading(REPLICAS.top, "Ready replicas")}${key(REPLICAS.top, 190, "stable", "stable version")}${key(REPLICAS.top, 330, "candidate", "new version")}
${replicas.svg}
<path class="stable" d="${stepPath(stable, replicas.y)}"/>
<path class="candidate" d="${stepPath(candidate, replicas.y)}"/>
</svg>
`;
}

function heading(top: number, text: string): string {
  return `<text class="name" x="${LEFT}" y="${top - 12}">${text}</text>`;
}

function key(top: number, offset: number, name: string, text: string): string {
  const [from, y] = [LEFT + offset, top - 16];
  return `<line class="${name}" x1="${from}" y1="${y}" x2="${from + 26}" y2="${y}"/><text x="${from + 32}" y="${y + 4}">${text}</text>`;
}

function failedBySecond(calls: readonly { readonly at: number; readonly failed: boolean }[], span: number) {
  return Array.from({ length: Math.floor(span / 1_000) }, (_, second) => {
    const begun = calls.filter(({ at }) => at >= second * 1_000 && at < (second + 1) * 1_000);
    const failed = begun.filter((call) => call.failed).length;
    return { at: second * 1_000 + 500, percent: begun.length === 0 ? 0 : (failed / begun.length) * 100 };
  });
}

function highest(points: readonly Point[]): number {
  return points.reduce((most, [, value]) => Math.max(most, value), 0);
}
