import type { Signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import { formatFine, formatMs, formatTick, formatTime } from "../format.ts";
import "../styles/chart.css";
import { alone, isEmpty, lastAndTrend, rowsOf, type SeriesTimes, type Values } from "./chart-words.ts";
import { zone } from "./time.tsx";

export interface ChartLine {
  readonly title: string;
  readonly values: Values;
  /** Of six; by its place unless given. */
  readonly color?: 1 | 2 | 3 | 4 | 5 | 6;
}

export interface ChartProps extends SeriesTimes {
  readonly title: string;
  /** Beside the title, e.g. `calls/s`. */
  readonly unit?: string;
  readonly format?: (value: number) => string;
  readonly lines: readonly ChartLine[];
  /** What to say when nothing is known. */
  readonly nothing: string;
  /** Values hold until the next. */
  readonly isStepped?: boolean;
  /** Place of the moment that is looked at, shared by charts of the same times. */
  readonly moment: Signal<number | undefined>;
}

const HEIGHT_PX = 180;
/** Rows of the table behind a chart. */
const TABLE_ROWS = 60;

/** Lines over time, with what they say in words and, on demand, as a table. */
export function Chart(props: ChartProps) {
  const { title, unit, lines, nothing, format = formatFine, moment } = props;
  const known = lines.filter((line) => !isEmpty([line]));
  const words = lines.map((line) => describe(line, format));
  const at = moment.value;
  return (
    <figure class="chart">
      <figcaption>
        {title} {unit && <span class="unit">{unit}</span>}
      </figcaption>
      {known.length === 0 ? (
        <p class="nothing">{nothing}</p>
      ) : (
        <>
          <Plot {...props} label={`${title}: ${words.join("; ")}`} />
          <ul class="legend">
            {lines.map((line, place) => (
              <li key={line.title} class={`line-${colorOf(line, place)}`}>
                {at === undefined ? words[place] : `${line.title}: ${said(line.values[at], format)}`}
              </li>
            ))}
          </ul>
          <Behind {...props} format={format} />
        </>
      )}
    </figure>
  );
}

function Plot({
  from,
  stepSeconds,
  lines,
  format = formatFine,
  isStepped,
  moment,
  label,
}: ChartProps & { label: string }) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const isDark = useIsDark();
  const times = (lines[0]?.values ?? []).map((_value, at) => from / 1000 + at * stepSeconds);
  const data = [times, ...lines.map(({ values }) => [...values])] as uPlot.AlignedData;
  const shape = `${zone.value} ${isDark} ${lines.map((line, at) => `${line.title} ${colorOf(line, at)}`).join("|")}`;
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const color = colorReader(element);
    const grid = { stroke: color("--border"), width: 1 };
    const axis = { stroke: color("--text-dim"), grid, ticks: grid };
    const span = times.length * stepSeconds;
    const stepped = isStepped && uPlot.paths.stepped?.({ align: 1 });
    const chart = new uPlot(
      {
        width: element.clientWidth || 300,
        height: HEIGHT_PX,
        legend: { show: false },
        cursor: { points: { size: 6 }, drag: { x: false, y: false } },
        tzDate: (seconds) =>
          zone.value === "utc" ? uPlot.tzDate(new Date(seconds * 1000), "UTC") : new Date(seconds * 1000),
        scales: { y: { range: (_chart, _least, most) => [0, most > 0 ? most * 1.1 : 1] } },
        axes: [
          {
            ...axis,
            size: 32,
            values: (_chart, ticks) => ticks.map((tick) => formatTick(tick * 1000, span, zone.value)),
          },
          { ...axis, size: 64, values: (_chart, ticks) => ticks.map(format) },
        ],
        series: [
          {},
          ...lines.map((line, at) => ({
            label: line.title,
            stroke: color(`--line-${colorOf(line, at)}`),
            width: 1.5,
            dash: DASHES[at % DASHES.length] as number[],
            points: { show: true, size: 4, fill: color(`--line-${colorOf(line, at)}`), filter: aloneOf },
            ...(stepped && { paths: stepped }),
          })),
        ],
        hooks: {
          setCursor: [
            ({ cursor }) => {
              // Only where the pointer is; elsewhere it is moved by what is shared.
              if (element.matches(":hover")) moment.value = cursor.idx ?? undefined;
            },
          ],
        },
      },
      data,
      element,
    );
    plot.current = chart;
    const resized = new ResizeObserver(() => chart.setSize({ width: element.clientWidth || 300, height: HEIGHT_PX }));
    resized.observe(element);
    const left = () => {
      moment.value = undefined;
    };
    element.addEventListener("pointerleave", left);
    return () => {
      element.removeEventListener("pointerleave", left);
      resized.disconnect();
      chart.destroy();
      plot.current = undefined;
    };
  }, [shape]);
  useEffect(() => plot.current?.setData(data), [lines]);
  const at = moment.value;
  useEffect(() => {
    const chart = plot.current;
    if (!chart || box.current?.matches(":hover")) return;
    const left = at === undefined ? -10 : chart.valToPos(times[at] ?? 0, "x");
    chart.setCursor({ left, top: at === undefined ? -10 : 0 }, false);
  }, [at]);
  return <div class="plot" ref={box} role="img" aria-label={label} />;
}

/** Points that have to be drawn as such. */
function aloneOf({ data }: uPlot, place: number): number[] {
  return alone((data[place] ?? []) as Values);
}

/** Lines are told from one another without colours, too. */
const DASHES = [[], [6, 3], [2, 3], [10, 3, 2, 3]];

function colorOf({ color }: ChartLine, at: number): number {
  return color ?? (at % 6) + 1;
}

/** The page's colours as a canvas knows them: of the theme that is on. */
function colorReader(element: HTMLElement): (token: string) => string {
  return (token) => {
    const probe = document.createElement("span");
    probe.style.color = `var(${token})`;
    element.append(probe);
    const { color } = getComputedStyle(probe);
    probe.remove();
    return color;
  };
}

function useIsDark(): boolean {
  const asked = useRef<MediaQueryList>(undefined);
  asked.current ??= matchMedia("(prefers-color-scheme: dark)");
  const [isDark, setDark] = useState(asked.current.matches);
  useEffect(() => {
    const list = asked.current as MediaQueryList;
    const changed = () => setDark(list.matches);
    list.addEventListener("change", changed);
    return () => list.removeEventListener("change", changed);
  }, []);
  return isDark;
}

function Behind({ title, lines, format = formatFine, ...times }: ChartProps) {
  const [open, setOpen] = useState(false);
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>Show as table</summary>
      {open && <Numbers title={title} lines={lines} format={format} times={times} />}
    </details>
  );
}

interface NumbersProps extends Pick<ChartProps, "title" | "lines"> {
  readonly format: (value: number) => string;
  readonly times: SeriesTimes;
}

function Numbers({ title, lines, format, times }: NumbersProps) {
  const { seconds, rows } = rowsOf(times, lines, TABLE_ROWS);
  const caption = `${title}, averages of ${formatMs(seconds * 1000)}`;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard
    <section class="table" tabIndex={0} aria-label={caption}>
      <table>
        <caption>{caption}</caption>
        <thead>
          <tr>
            <th scope="col">From</th>
            {lines.map((line) => (
              <th key={line.title} scope="col" class="number">
                {line.title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ at, values }) => (
            <tr key={at}>
              <th scope="row">{formatTime(at, zone.value)}</th>
              {values.map((value, place) => (
                <td key={lines[place]?.title} class="number">
                  {said(value, format)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function said(value: number | null | undefined, format: (value: number) => string): string {
  return value === null || value === undefined ? "–" : format(value);
}

/** Its last value, and where it is going. */
function describe({ title, values }: ChartLine, format: (value: number) => string): string {
  const found = lastAndTrend(values);
  return found ? `${title}: ${format(found.last)}, ${found.trend}` : `${title}: no values`;
}
