import { Cron } from "croner";
import type { ScaleWindow } from "../../../contract/scale-policy.ts";

/** Bounds that windows set at `now`, the widest of those that are open; undefined when none is. */
export function scheduledBounds(
  windows: readonly ScaleWindow[],
  now: number,
): { readonly min: number; readonly max?: number } | undefined {
  const open = windows.filter((window) => isOpen(window, now));
  if (open.length === 0) return undefined;
  const maxima = open.flatMap(({ max }) => (max === undefined ? [] : [max]));
  return {
    min: Math.max(...open.map(({ min }) => min)),
    ...(maxima.length > 0 && { max: Math.max(...maxima) }),
  };
}

/** Its length is real time: where clocks change within it, its end has another time of day. */
function isOpen({ schedule, timeZone, durationMs }: ScaleWindow, now: number): boolean {
  const [begun] = new Cron(schedule, { paused: true, timezone: timeZone }).previousRuns(1, new Date(now + 1));
  return begun !== undefined && now < begun.getTime() + durationMs;
}
