import { Cron } from "croner";
import { parseGoDuration } from "../../contract/duration.ts";
import { FaasError } from "../../contract/errors.ts";

/**
 * When something is due. A time of day that clocks skip is due as soon as they have; one that comes twice is due once, while what
 * is due every so many minutes goes on.
 */
export interface Schedule {
  /** As it was written, with single spaces and none around it. */
  readonly text: string;
  /** The next time after `afterMs`, both in milliseconds since 1970; undefined when there is none any more. */
  next(afterMs: number): number | undefined;
  /** The newest `most` times after `sinceMs` and not after `untilMs`, the oldest first. */
  latest(sinceMs: number, untilMs: number, most: number): number[];
}

const EVERY = "@every ";
const LEAST_PERIOD_MS = 1_000;
const MAX_CHARS = 200;
const ZONE_PREFIX = /^(?:CRON_)?TZ=(\S+)\s+/;

/**
 * Reads a schedule of five fields, or six with seconds in front, a word such as `@hourly`, or `@every 5m`; `CRON_TZ=ZONE` before it
 * wins over the time zone given.
 * @throws {FaasError} `invalid`, naming the rule
 */
export function parseSchedule(written: string, timeZone: string): Schedule {
  const text = written.trim().replace(/\s+/g, " ");
  if (text.length > MAX_CHARS) throw wrong(text, `must have at most ${MAX_CHARS} characters`);
  const zone = ZONE_PREFIX.exec(text)?.[1] ?? timeZone;
  const pattern = text.replace(ZONE_PREFIX, "");
  requireTimeZone(zone);
  return pattern.startsWith(EVERY) ? periodic(text, pattern.slice(EVERY.length)) : calendar(text, pattern, zone);
}

function wrong(text: string, why: string): FaasError {
  return new FaasError("invalid", `schedule: ${JSON.stringify(text.slice(0, MAX_CHARS))}: ${why}`);
}

/** @throws {FaasError} `invalid` for a zone that nobody knows */
export function requireTimeZone(zone: string): void {
  try {
    new Intl.DateTimeFormat("en", { timeZone: zone });
  } catch (cause) {
    const name = JSON.stringify(zone.slice(0, MAX_CHARS));
    throw new FaasError("invalid", `timezone: ${name} is unknown; it must be such as Europe/Berlin`, { cause });
  }
}

/** Counted from 1970 on, so that everybody who follows it has the same times. */
function periodic(text: string, duration: string): Schedule {
  const period = parseGoDuration(duration.trim());
  if (period === undefined || period < LEAST_PERIOD_MS) throw wrong(text, "must be @every and at least 1s");
  return {
    text,
    next: (after) => (Math.floor(after / period) + 1) * period,
    latest: (since, until, most) => {
      const last = Math.floor(until / period);
      const first = Math.max(Math.floor(since / period) + 1, last - most + 1);
      return Array.from({ length: Math.max(0, last - first + 1) }, (_, place) => (first + place) * period);
    },
  };
}

function calendar(text: string, pattern: string, timezone: string): Schedule {
  let cron: Cron;
  try {
    cron = new Cron(pattern, { paused: true, timezone });
  } catch (cause) {
    throw wrong(text, `cannot be read: ${(cause as Error).message.replace(/^CronPattern: /, "")}`);
  }
  const next = (after: number) => cron.nextRun(new Date(after))?.getTime();
  const newest = (until: number, most: number) =>
    cron
      .previousRuns(most, new Date(until + 1))
      .map((date) => date.getTime())
      .sort((a, b) => a - b);
  if (next(Date.UTC(2000, 0, 1)) === undefined) throw wrong(text, "is never due");
  return {
    text,
    next,
    latest: (since, until, most) => {
      const times: number[] = [];
      for (let at = next(since); at !== undefined && at <= until; at = next(at)) {
        // More than are wanted: the newest are found from the other end, which takes longer.
        if (times.push(at) > most) return newest(until, most);
      }
      return times;
    },
  };
}
