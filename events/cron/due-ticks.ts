import type { CronSettings } from "./cron-settings.ts";

/** One time at which a function is to be called. */
export interface Tick {
  /** The same for everybody who finds it due, so that two who watch the clock make one event. */
  readonly id: string;
  /** In milliseconds since 1970. */
  readonly plannedAt: number;
}

/** A tick found so much later than it may be put off is one that was missed. */
export const LATE_MS = 60_000;
/** Times of one schedule that one look finds at most, beside those that were missed. */
const MOST_AT_ONCE = 120;

/**
 * What has become due, the oldest first. Of what was missed, because nobody watched or the clock leapt, only so many as the
 * settings say.
 * @param sinceMs up to when it has been looked at
 */
export function dueTicks(settings: CronSettings, sinceMs: number, nowMs: number): Tick[] {
  if (settings.suspended || nowMs <= sinceMs) return [];
  const onTimeSince = Math.max(sinceMs, nowMs - LATE_MS - settings.jitterMs);
  const times = settings.schedules.flatMap(({ text, latest }) => {
    const onTime = latest(onTimeSince, nowMs, MOST_AT_ONCE);
    const missed = settings.catchUp > 0 && onTimeSince > sinceMs ? latest(sinceMs, onTimeSince, settings.catchUp) : [];
    return [...missed, ...onTime].map((plannedAt) => ({ text, plannedAt, missed: plannedAt <= onTimeSince }));
  });
  const inOrder = times.sort((a, b) => a.plannedAt - b.plannedAt);
  const tooMany = Math.max(0, inOrder.filter(({ missed }) => missed).length - settings.catchUp);
  return inOrder.slice(tooMany).map(({ text, plannedAt }) => ({ id: tickId(text, plannedAt), plannedAt }));
}

function tickId(schedule: string, plannedAt: number): string {
  return `${schedule}/${new Date(plannedAt).toISOString()}`;
}

/** When the next one is due; undefined when there is none. */
export function nextDue({ schedules, suspended }: CronSettings, afterMs: number): number | undefined {
  if (suspended) return undefined;
  const times = schedules.flatMap(({ next }) => next(afterMs) ?? []);
  return times.length === 0 ? undefined : Math.min(...times);
}
