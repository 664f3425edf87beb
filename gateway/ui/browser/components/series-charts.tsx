import { type Signal, useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { SERIES, type SeriesAnswer, type SeriesName } from "../../../../contract/ui/series.ts";
import { askJson } from "../api.ts";
import { formatMs, formatShare, formatSize, formatTime } from "../format.ts";
import { query, setQuery } from "../router.ts";
import { now } from "../state/session.ts";
import { Button } from "./button.tsx";
import { Chart, type ChartLine } from "./chart.tsx";
import { isEmpty } from "./chart-words.ts";
import { Failure, Loading } from "./message.tsx";
import { useAsked } from "./resource.ts";
import { zone } from "./time.tsx";

/** How far back, and how often it is asked anew: as often as there is a new point, if anybody could see it. */
const RANGES = [
  { id: "15m", title: "15 minutes", seconds: 900, everyMs: 3_000 },
  { id: "6h", title: "6 hours", seconds: 6 * 3600, everyMs: 15_000 },
  { id: "7d", title: "7 days", seconds: 7 * 86_400, everyMs: 60_000 },
] as const;

/** Charts have hardly more pixels. */
const POINTS = 600;

/** Whose series: a function's as `name.namespace`, else those of a namespace, else all. */
export interface SeriesScope {
  readonly function?: string;
  readonly namespace?: string;
}

export interface SeriesChartsProps {
  readonly scope: SeriesScope;
  /** What to say when nothing is known. */
  readonly empty: ComponentChildren;
}

/** Charts of what went on; how far back they go is in the address. */
export function SeriesCharts({ scope, empty }: SeriesChartsProps) {
  const range = chosenRange();
  return (
    <>
      <fieldset class="presets">
        <legend class="hidden">How far back</legend>
        {RANGES.map(({ id, title }) => (
          <button
            type="button"
            key={id}
            aria-pressed={id === range.id}
            onClick={() => setQuery("range", id === RANGES[0].id ? "" : id)}
          >
            {title}
          </button>
        ))}
      </fieldset>
      <Asked key={`${range.id} ${scope.function} ${scope.namespace}`} scope={scope} empty={empty} />
    </>
  );
}

function chosenRange() {
  const asked = query.value.get("range");
  return RANGES.find(({ id }) => id === asked) ?? RANGES[0];
}

/** For those who would rather ask themselves. */
export function seriesCommand(scope: SeriesScope): string {
  const since = `$((($(date +%s) - ${chosenRange().seconds}) * 1000))`;
  return `curl -u admin:$PASSWORD "$GATEWAY${seriesPath(scope)}&since=${since}"`;
}

function seriesPath({ function: name = "", namespace = "" }: SeriesScope): string {
  const search = new URLSearchParams({ names: SERIES.join(","), points: String(POINTS) });
  if (name !== "") search.set("function", name);
  else if (namespace !== "") search.set("namespace", namespace);
  return `/ui/api/series?${search}`;
}

function Asked({ scope, empty }: SeriesChartsProps) {
  const { seconds, everyMs } = chosenRange();
  const moment = useSignal<number | undefined>(undefined);
  const { value, error } = useAsked(
    "series",
    (signal) => askJson<SeriesAnswer>(`${seriesPath(scope)}&since=${Math.round(now() - seconds * 1000)}`, { signal }),
    everyMs,
  );
  return (
    <>
      {error !== undefined && <Failure error={error} />}
      {!value && error === undefined && <Loading />}
      {value && <Charts answer={value} moment={moment} empty={empty} isWhole={scope.function !== undefined} />}
    </>
  );
}

interface ChartsProps {
  readonly answer: SeriesAnswer;
  readonly moment: Signal<number | undefined>;
  readonly empty: ComponentChildren;
  /** With what only a function has. */
  readonly isWhole: boolean;
}

/** By class of status, whatever others there are. */
const CODE_COLORS: Readonly<Record<string, NonNullable<ChartLine["color"]>>> = {
  "1xx": 5,
  "2xx": 3,
  "3xx": 1,
  "4xx": 2,
  "5xx": 6,
};

function Charts({ answer, moment, empty, isWhole }: ChartsProps) {
  const { series, byCode, from, stepSeconds } = answer;
  const line = (title: string, name: SeriesName): ChartLine => ({ title, values: series[name] ?? [] });
  const codes = Object.entries(byCode)
    .filter(([, values]) => values.some((value) => value !== null && value > 0))
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([title, values]) => ({ title, values, color: CODE_COLORS[title] ?? 4 }) as const);
  const count = Math.max(0, ...Object.values(series).map((values) => values.length));
  const common = { from, stepSeconds, moment };
  const nothing = "Nothing is known of this time.";
  if (isEmpty(Object.values(series).map((values) => ({ values })))) return <>{empty}</>;
  return (
    <>
      <Moments count={count} {...common} />
      <div class="charts">
        <Chart
          {...common}
          title="Calls by status"
          unit="calls/s"
          lines={codes}
          nothing="There was no call in this time."
        />
        <Chart
          {...common}
          title="Time"
          lines={[line("p50", "p50Ms"), line("p95", "p95Ms"), line("p99", "p99Ms")]}
          format={formatMs}
          nothing="No call has ended in this time."
        />
        <Chart
          {...common}
          title="Calls under way"
          lines={[line("in flight", "inFlight"), line("waiting for a replica", "held")]}
          nothing={nothing}
        />
        <Chart
          {...common}
          title="Replicas"
          lines={[line("wanted", "replicas"), line("ready", "available")]}
          isStepped
          nothing={nothing}
        />
        {isWhole && (
          <>
            <Chart
              {...common}
              title="CPU"
              lines={[line("all replicas", "cpuPercent")]}
              format={(value) => formatShare(Math.round(value * 10) / 1000)}
              nothing="The provider has not told what it uses in this time."
            />
            <Chart
              {...common}
              title="Memory"
              lines={[line("all replicas", "memoryMib")]}
              format={(value) => formatSize(value * 1024 ** 2)}
              nothing="The provider has not told what it uses in this time."
            />
          </>
        )}
        <Chart
          {...common}
          title="Cold starts"
          unit="calls/s that waited for a start"
          lines={[line("cold starts", "coldStarts")]}
          nothing={nothing}
        />
      </div>
    </>
  );
}

interface MomentsProps extends Pick<SeriesAnswer, "from" | "stepSeconds"> {
  readonly count: number;
  readonly moment: Signal<number | undefined>;
}

/** What the pointer does over a chart, for the keyboard: all charts tell of one moment. */
function Moments({ count, moment, from, stepSeconds }: MomentsProps) {
  const at = moment.value;
  return (
    <p class="moment">
      <label for="moment">Moment</label>
      <input
        id="moment"
        type="range"
        min={0}
        max={count - 1}
        step={Math.max(1, Math.round(count / 450))}
        value={at ?? count - 1}
        aria-valuetext={at === undefined ? "the latest" : formatTime(from + at * stepSeconds * 1000, zone.value)}
        onInput={(event) => {
          moment.value = Number(event.currentTarget.value);
        }}
        onKeyDown={(event) => {
          if (event.key === "Escape") moment.value = undefined;
        }}
      />
      <output for="moment">
        {at === undefined ? "the latest" : formatTime(from + at * stepSeconds * 1000, zone.value)}
      </output>
      <Button
        why={at === undefined ? "The latest is looked at" : undefined}
        onClick={() => {
          moment.value = undefined;
        }}
      >
        Latest
      </Button>
    </p>
  );
}
