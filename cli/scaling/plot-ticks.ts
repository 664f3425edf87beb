import { formatDuration } from "../../contract/duration.ts";

/** Values from 0 to at least `most`, in steps of 1, 2 or 5 times a power of ten; about `count` steps. */
export function niceTicks(most: number, count: number, whole = false): number[] {
  const rough = Math.max(most, whole ? 1 : 1e-3) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough) as number;
  const size = whole ? Math.max(1, Math.round(step)) : step;
  const ticks = Math.max(1, Math.ceil(most / size - 1e-9));
  return Array.from({ length: ticks + 1 }, (_, i) => Number((i * size).toPrecision(6)));
}

const MINUTE = 60;
const HOUR = 3600;
const STEPS_S = [
  ...[1, 2, 5, 10, 15, 30],
  ...[1, 2, 5, 10, 15, 30].map((minutes) => minutes * MINUTE),
  ...[1, 2, 3, 6, 12, 24].map((hours) => hours * HOUR),
];
const MAX_TIMES = 10;

/** Times since the beginning, in milliseconds, at most ten or so. */
export function timeTicks(spanMs: number): { readonly ms: number; readonly label: string }[] {
  const step = (STEPS_S.find((seconds) => spanMs / (seconds * 1000) <= MAX_TIMES) ?? 24 * HOUR) * 1000;
  return Array.from({ length: Math.floor(spanMs / step) + 1 }, (_, i) => ({
    ms: i * step,
    label: i === 0 ? "0s" : formatDuration(i * step),
  }));
}
