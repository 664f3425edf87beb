import type { Moment } from "./record.ts";
import { type Cell, Screen } from "./screen.ts";

const CHARACTER = 8.4;
const LINE = 18;
const MARGIN = 12;
const PALETTE = [
  ...["#6e7681", "#ff7b72", "#7ee787", "#e3b341", "#79c0ff", "#d2a8ff", "#76e3ea", "#c9d1d9"],
  ...["#8b949e", "#ffa198", "#a5d6a7", "#f2cc60", "#a5d6ff", "#e2c5ff", "#b3f0ff", "#ffffff"],
];
/** The last picture stays, before it begins again. */
const REST_SECONDS = 4;
/** What changes faster than that is one picture. */
const FRAME_SECONDS = 0.2;
/** Nobody sees what is gone by then. */
const GLIMPSE_SECONDS = 0.03;

const escaped = (text: string) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

/** A recording as an SVG that moves by itself, for readers without a player. */
export function drawRecording(
  moments: readonly Moment[],
  { columns, rows }: { readonly columns: number; readonly rows: number },
): string {
  const frames = framesOf(moments, new Screen(columns, rows));
  const total = (frames.at(-1)?.seconds ?? 0) + REST_SECONDS;
  const [width, height] = [Math.ceil(columns * CHARACTER) + 2 * MARGIN, rows * LINE + 2 * MARGIN];
  const percent = (seconds: number) => `${((100 * seconds) / total).toFixed(3)}%`;
  const pictures = frames.map(({ seconds, picture }, i) => {
    const until = frames[i + 1]?.seconds ?? total;
    const name = `f${i}`;
    const hides = i + 1 < frames.length ? `${percent(until)}{visibility:hidden}` : "";
    const begins = i === 0 ? "" : `0%{visibility:hidden}${percent(seconds)}{visibility:visible}`;
    return {
      css: `@keyframes ${name}{${begins || "0%{visibility:visible}"}${hides}}#${name}{animation-name:${name}}`,
      svg: `<g id="${name}">${picture}</g>`,
    };
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="ui-monospace,Menlo,Consolas,monospace" font-size="14">`,
    "<title>faaslane new, up --watch, an edit, and the call that sees it</title>",
    `<style>g{visibility:hidden;animation:${total.toFixed(2)}s step-end infinite}text{white-space:pre;fill:#c9d1d9}.b{font-weight:bold}${pictures.map(({ css }) => css).join("")}</style>`,
    `<rect width="100%" height="100%" rx="8" fill="#0d1117"/>`,
    ...pictures.map(({ svg }) => svg),
    "</svg>\n",
  ].join("\n");
}

function framesOf(moments: readonly Moment[], screen: Screen): { seconds: number; picture: string }[] {
  const frames: { seconds: number; picture: string }[] = [];
  for (const [i, { seconds, text }] of moments.entries()) {
    screen.write(text);
    const next = moments[i + 1]?.seconds;
    const shownAt = frames.at(-1)?.seconds ?? Number.NEGATIVE_INFINITY;
    if (next !== undefined && (next - seconds < GLIMPSE_SECONDS || next - shownAt < FRAME_SECONDS)) continue;
    const picture = screen.rows.map(drawLine).join("");
    if (picture !== frames.at(-1)?.picture) frames.push({ seconds, picture });
  }
  return frames;
}

function drawLine(cells: readonly Cell[], row: number): string {
  const spans: { cell: Cell; text: string }[] = [];
  for (const cell of cells) {
    const last = spans.at(-1);
    if (last && last.cell.colour === cell.colour && last.cell.bold === cell.bold) last.text += cell.text;
    else spans.push({ cell, text: cell.text });
  }
  const parts = spans.map(({ cell: { colour, bold }, text }) => {
    if (colour === undefined && !bold) return escaped(text);
    const fill = colour === undefined ? "" : ` fill="${PALETTE[colour]}"`;
    return `<tspan${fill}${bold ? ' class="b"' : ""}>${escaped(text)}</tspan>`;
  });
  const y = MARGIN + LINE * row + 14;
  return parts.length === 0 ? "" : `<text x="${MARGIN}" y="${y}" xml:space="preserve">${parts.join("")}</text>`;
}
