import { parseGoDuration } from "./duration.ts";

const DATE = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?([Zz]|[+-]\d{2}:?\d{2})$/;
/** RFC 9110 §5.6.7, the form that is sent today. */
const HTTP_DATE = /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;
/** From here on a bare number is a time, not a number of seconds: 2001, in Unix seconds. */
const FIRST_UNIX_SECONDS = 1e9;
/** Longer than anybody writes a time or a duration. */
const MAX_CHARS = 100;

/** @returns milliseconds of `250ms`, `1h30m` or bare seconds; undefined for anything else */
export function parseSpan(text: string): number | undefined {
  if (text.length > MAX_CHARS) return undefined;
  const ms = /^\d{1,12}(\.\d{1,3})?$/.test(text) ? Number(text) * 1000 : parseGoDuration(text);
  return ms === undefined ? undefined : Math.ceil(ms);
}

/**
 * A moment as people write it: RFC 3339, an HTTP date, or Unix seconds.
 * @returns milliseconds since the epoch; undefined for anything else
 */
export function parseMoment(text: string): number | undefined {
  if (text.length > MAX_CHARS) return undefined;
  if (/^\d{10,12}(\.\d{1,3})?$/.test(text) && Number(text) >= FIRST_UNIX_SECONDS)
    return Math.round(Number(text) * 1000);
  if (!DATE.test(text) && !HTTP_DATE.test(text)) return undefined;
  const ms = Date.parse(text);
  return Number.isNaN(ms) || !hasDay(text, ms) ? undefined : ms;
}

/** Whether the day is there as it is written: 31 February would be taken for a day in March. */
function hasDay(text: string, ms: number): boolean {
  if (HTTP_DATE.test(text)) return new Date(ms).getUTCDate() === Number(text.slice(5, 7));
  const day = text.slice(0, 10);
  return new Date(`${day}T00:00:00Z`).getUTCDate() === Number(day.slice(8));
}
