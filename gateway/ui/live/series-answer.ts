import { SERIES_STEPS, type SeriesAnswer, type SeriesName } from "../../../contract/ui/series.ts";
import { DURATION_BUCKETS } from "../../proxy/function-meter.ts";
import { addStep, CODE_CLASSES, COLUMN, COLUMNS, numberAt } from "./columns.ts";
import { callsOf, failedOf } from "./function-series.ts";
import { percentile } from "./percentile.ts";
import type { SeriesQuery } from "./series-query.ts";

/** Points of one gateway, or of several, by column. */
export interface SeriesPoints {
  readonly seconds: number;
  /** Index of the first by the system's clock: its seconds since the epoch, by those of a step. */
  readonly from: number;
  readonly columns: readonly Int32Array[];
}

/** Pages have clocks of their own, and what is asked for is a little older when the question has come. */
const SLACK = 1.05;

/** The finest step that goes back so far, else the coarsest. @returns its seconds */
export function chooseStep(since: number, now: number): number {
  const fits = SERIES_STEPS.find(({ seconds, points }) => now - since <= seconds * points * 1000 * SLACK);
  return (fits ?? (SERIES_STEPS.at(-1) as { seconds: number })).seconds;
}

/** Which points those are, by index of the system's clock: as many as are kept of them at most. */
export function spanOf({ since, until }: Pick<SeriesQuery, "since" | "until">, seconds: number, now: number) {
  const ms = seconds * 1000;
  const kept = SERIES_STEPS.find((step) => step.seconds === seconds)?.points ?? 0;
  const end = Math.floor(Math.min(until, now) / ms) + 1;
  const oldest = Math.floor(now / ms) + 1 - Math.ceil(kept * SLACK);
  const from = Math.max(Math.floor(since / ms), oldest);
  return { from: Math.min(from, end), until: Math.max(end, from) };
}

/** Adds what another gateway has counted at the same time: its calls. Replicas are the same ones. */
export function addGateway(into: SeriesPoints, { from, columns }: Pick<SeriesPoints, "from" | "columns">): void {
  const ahead = from - into.from;
  for (const [column, points] of columns.entries()) {
    const sums = into.columns[column] as Int32Array;
    const isShared = column === COLUMN.known || column >= COLUMN.replicas;
    for (const [place, value] of points.entries()) {
      const to = place + ahead;
      if (to < 0 || to >= sums.length) continue;
      sums[to] = isShared ? Math.max(numberAt(sums, to), value) : numberAt(sums, to) + value;
    }
  }
}

/** @param most points of the answer: each is made of several where there are more */
export function buildSeriesAnswer(
  { seconds, from, columns }: SeriesPoints,
  names: readonly SeriesName[],
  most = Number.POSITIVE_INFINITY,
): SeriesAnswer {
  const points = columns[0]?.length ?? 0;
  // They begin at whole multiples of a step, so that there may be one more.
  const together = points <= most ? 1 : Math.ceil(points / (most - 1));
  const first = Math.floor(from / together);
  const steps: Int32Array[] = [];
  for (let point = 0; point < points; point++) {
    const step = Math.floor((from + point) / together) - first;
    steps[step] ??= new Int32Array(COLUMNS);
    addStep(
      steps[step],
      Int32Array.from({ length: COLUMNS }, (_, column) => numberAt(columns[column] as Int32Array, point)),
    );
  }
  const isThere = (step: Int32Array) => numberAt(step, COLUMN.known) > 0;
  const each = (value: (step: Int32Array) => number | undefined) =>
    steps.map((step) => (isThere(step) ? (value(step) ?? null) : null));
  const used = CODE_CLASSES.filter((_, place) => steps.some((step) => numberAt(step, COLUMN.codes + place) > 0));
  const stepSeconds = seconds * together;
  return {
    stepSeconds,
    from: first * stepSeconds * 1000,
    series: Object.fromEntries(names.map((name) => [name, each(READ[name])])),
    byCode: Object.fromEntries(
      used.map((name) => [
        name,
        each((step) => perSecond(step, numberAt(step, COLUMN.codes + CODE_CLASSES.indexOf(name)))),
      ]),
    ),
  };
}

const READ: Readonly<Record<SeriesName, (step: Int32Array) => number | undefined>> = {
  calls: (step) => perSecond(step, callsOf(step)),
  errors: (step) => perSecond(step, failedOf(step)),
  p50Ms: (step) => percentileMs(step, 0.5),
  p95Ms: (step) => percentileMs(step, 0.95),
  p99Ms: (step) => percentileMs(step, 0.99),
  inFlight: (step) => numberAt(step, COLUMN.inFlight),
  held: (step) => numberAt(step, COLUMN.held),
  replicas: (step) => numberAt(step, COLUMN.replicas),
  available: (step) => numberAt(step, COLUMN.available),
  cpuPercent: (step) => measured(numberAt(step, COLUMN.cpu)),
  memoryMib: (step) => measured(numberAt(step, COLUMN.memory)),
  coldStarts: (step) => perSecond(step, numberAt(step, COLUMN.cold)),
};

function perSecond(step: Int32Array, count: number): number {
  return Math.round((count * 1000) / numberAt(step, COLUMN.known)) / 1000;
}

function percentileMs(step: Int32Array, part: number): number | undefined {
  const seconds = percentile(DURATION_BUCKETS, (place) => numberAt(step, COLUMN.buckets + place), part);
  return seconds === undefined ? undefined : Math.round(seconds * 100_000) / 100;
}

function measured(tenths: number): number | undefined {
  return tenths === 0 ? undefined : (tenths - 1) / 10;
}
