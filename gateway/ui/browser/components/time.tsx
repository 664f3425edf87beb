import { signal } from "@preact/signals";
import { formatAge, formatTime } from "../format.ts";
import { now } from "../state/session.ts";

const KEPT = "faaslane-zone";

export const zone = signal<"utc" | "local">(localStorage.getItem(KEPT) === "local" ? "local" : "utc");

export function setZone(next: "utc" | "local"): void {
  localStorage.setItem(KEPT, next);
  zone.value = next;
}

/** Whether there is such a time at all. */
function isMoment(at: number): boolean {
  return Math.abs(at) <= 8.64e15;
}

/** A moment: the time with its zone, and how long ago it was. */
export function Moment({ at }: { readonly at: number | undefined }) {
  if (at === undefined || !isMoment(at)) return <>–</>;
  return (
    <time dateTime={new Date(at).toISOString()} title={formatTime(at, zone.value)}>
      {formatAge(at, now())}
    </time>
  );
}
