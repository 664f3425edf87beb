import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { formatNumber, formatTime } from "../format.ts";
import { zone } from "./time.tsx";

export interface ChartLine {
  readonly title: string;
  readonly values: readonly (number | null)[];
}

export interface ChartProps {
  readonly title: string;
  /** e.g. `ms` or `calls/s`. */
  readonly unit: string;
  /** Of the first point, in milliseconds since the epoch. */
  readonly from: number;
  readonly stepSeconds: number;
  readonly lines: readonly ChartLine[];
}

const HEIGHT_PX = 180;
/** Rows of the table behind a chart. */
const TABLE_ROWS = 60;

/** Lines over time, with what they say in words and, on demand, as a table. */
export function Chart({ title, unit, from, stepSeconds, lines }: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const times = (lines[0]?.values ?? []).map((_value, at) => from / 1000 + at * stepSeconds);
  const data = [times, ...lines.map(({ values }) => [...values])] as uPlot.AlignedData;
  const shape = lines.map((line) => line.title).join("|");
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const colors = getComputedStyle(element);
    const color = (at: number) => colors.getPropertyValue(`--line-${(at % 6) + 1}`).trim();
    const axis = {
      stroke: colors.getPropertyValue("--text-dim").trim(),
      grid: { stroke: colors.getPropertyValue("--border").trim() },
    };
    const chart = new uPlot(
      {
        width: element.clientWidth || 400,
        height: HEIGHT_PX,
        legend: { show: false },
        cursor: { points: { size: 6 } },
        scales: { y: { range: (_chart, _least, most) => [0, most > 0 ? most * 1.1 : 1] } },
        axes: [axis, { ...axis, size: 60, values: (_chart, ticks) => ticks.map(formatNumber) }],
        series: [
          {},
          ...lines.map((line, at) => ({ label: line.title, stroke: color(at), width: 2, dash: at % 2 ? [6, 3] : [] })),
        ],
      },
      data,
      element,
    );
    plot.current = chart;
    const resized = new ResizeObserver(() => chart.setSize({ width: element.clientWidth || 400, height: HEIGHT_PX }));
    resized.observe(element);
    return () => {
      resized.disconnect();
      chart.destroy();
    };
  }, [shape]);
  useEffect(() => plot.current?.setData(data));
  return (
    <figure class="chart">
      <figcaption>
        {title} <span class="unit">{unit}</span>
      </figcaption>
      <div ref={box} role="img" aria-label={`${title}: ${lines.map(describe).join("; ")}`} />
      <ul class="legend">
        {lines.map((line, at) => (
          <li key={line.title} class={`line-${(at % 6) + 1}`}>
            {describe(line)}
          </li>
        ))}
      </ul>
      <details>
        <summary>Show as table</summary>
        <div class="table">
          <table>
            <caption class="hidden">{title}</caption>
            <thead>
              <tr>
                <th scope="col">Time</th>
                {lines.map((line) => (
                  <th key={line.title} scope="col" class="number">
                    {line.title}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {times
                .map((time, at) => ({ time, at }))
                .slice(-TABLE_ROWS)
                .toReversed()
                .map(({ time, at }) => (
                  <tr key={time}>
                    <th scope="row">{formatTime(time * 1000, zone.value)}</th>
                    {lines.map((line) => (
                      <td key={line.title} class="number">
                        {said(line.values[at])}
                      </td>
                    ))}
                  </tr>
                ))}
            </tbody>
          </table>
        </div>
      </details>
    </figure>
  );
}

const said = (value: number | null | undefined) => (value === null || value === undefined ? "–" : formatNumber(value));

/** Its last value, and where it is going. */
function describe({ title, values }: ChartLine): string {
  const known = values.filter((value): value is number => value !== null);
  const last = known.at(-1);
  if (last === undefined) return `${title}: no values`;
  const before = known.at(-Math.min(known.length, 30)) as number;
  const trend = last > before * 1.1 ? "rising" : last < before * 0.9 ? "falling" : "steady";
  return `${title}: ${formatNumber(last)}, ${trend}`;
}

/** A small line without axes, for rows of a table. */
export function Spark({ values, label }: { readonly values: readonly number[]; readonly label: string }) {
  const most = Math.max(...values, 1e-9);
  const step = 100 / Math.max(1, values.length - 1);
  const points = values
    .map((value, at) => `${(at * step).toFixed(1)},${(22 - (value / most) * 20).toFixed(1)}`)
    .join(" ");
  return (
    <svg class="spark" viewBox="0 0 100 24" preserveAspectRatio="none" role="img" aria-label={label}>
      <polyline points={points} />
    </svg>
  );
}
