import { SERIES_STEPS, type SeriesAnswer, type SeriesName } from "../../../contract/ui/series.ts";
import { DURATION_BUCKETS } from "../../proxy/function-meter.ts";
import { addStep, CODE_CLASSES, COLUMN, COLUMNS, numberAt } from "./columns.ts";
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
const FAILED = COLUMN.codes + CODE_CLASSES.indexOf("5xx");
const BROKEN = COLUMN.codes + CODE_CLASSES.indexOf("other");

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
  // What is older than all that is kept is no point at all.
  return { from: Math.min(from, end), until: end };
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
  const steps =
    together === 1 ? columns : putTogether(columns, (point) => Math.floor((from + point) / together) - first);
  const known = steps[COLUMN.known] as Int32Array;
  const each = (value: (steps: Steps, step: number) => number | undefined) =>
    Array.from(known, (seconds, step) => (seconds > 0 ? (value(steps, step) ?? null) : null));
  const stepSeconds = seconds * together;
  return {
    stepSeconds,
    from: first * stepSeconds * 1000,
    series: Object.fromEntries(names.map((name) => [name, each(READ[name])])),
    byCode: Object.fromEntries(
      CODE_CLASSES.flatMap((name, place) => {
        const column = COLUMN.codes + place;
        return steps[column]?.some((count) => count > 0)
          ? [[name, each((of, step) => perSecond(of, step, count(of, column, step)))]]
          : [];
      }),
    ),
  };
}

/** Points by column. */
type Steps = readonly Int32Array[];

/** Makes one of several points. @param stepOf which one a point is for */
function putTogether(columns: Steps, stepOf: (point: number) => number): Steps {
  const points = columns[0]?.length ?? 0;
  const steps = columns.map(() => new Int32Array(stepOf(points - 1) + 1));
  const sum = new Int32Array(COLUMNS);
  const point = new Int32Array(COLUMNS);
  for (let place = 0; place < points; place++) {
    for (let column = 0; column < COLUMNS; column++) point[column] = count(columns, column, place);
    addStep(sum, point);
    const step = stepOf(place);
    if (place + 1 < points && stepOf(place + 1) === step) continue;
    for (let column = 0; column < COLUMNS; column++) (steps[column] as Int32Array)[step] = sum[column] as number;
    sum.fill(0);
  }
  return steps;
}

const READ: Readonly<Record<SeriesName, (steps: Steps, step: number) => number | undefined>> = {
  calls: (steps, step) => perSecond(steps, step, sumOf(steps, COLUMN.codes, CODE_CLASSES.length, step)),
  errors: (steps, step) => perSecond(steps, step, count(steps, FAILED, step) + count(steps, BROKEN, step)),
  p50Ms: (steps, step) => percentileMs(steps, step, 0.5),
  p95Ms: (steps, step) => percentileMs(steps, step, 0.95),
  p99Ms: (steps, step) => percentileMs(steps, step, 0.99),
  inFlight: (steps, step) => count(steps, COLUMN.inFlight, step),
  held: (steps, step) => count(steps, COLUMN.held, step),
  replicas: (steps, step) => count(steps, COLUMN.replicas, step),
  available: (steps, step) => count(steps, COLUMN.available, step),
  cpuPercent: (steps, step) => measured(count(steps, COLUMN.cpu, step)),
  memoryMib: (steps, step) => measured(count(steps, COLUMN.memory, step)),
  coldStarts: (steps, step) => perSecond(steps, step, count(steps, COLUMN.cold, step)),
};

function count(steps: Steps, column: number, step: number): number {
  return (steps[column] as Int32Array)[step] as number;
}

function sumOf(steps: Steps, column: number, columns: number, step: number): number {
  let sum = 0;
  for (let place = column; place < column + columns; place++) sum += count(steps, place, step);
  return sum;
}

function perSecond(steps: Steps, step: number, calls: number): number {
  return Math.round((calls * 1000) / count(steps, COLUMN.known, step)) / 1000;
}

function percentileMs(steps: Steps, step: number, part: number): number | undefined {
  const seconds = percentile(DURATION_BUCKETS, (place) => count(steps, COLUMN.buckets + place, step), part);
  return seconds === undefined ? undefined : Math.round(seconds * 100_000) / 100;
}

function measured(tenths: number): number | undefined {
  return tenths === 0 ? undefined : (tenths - 1) / 10;
}
