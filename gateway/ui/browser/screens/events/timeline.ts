import type { EventReport } from "../../../../../contract/events/event-report.ts";
import { formatMs } from "../../format.ts";

/** Something that happened to an event. */
export interface Happening {
  readonly at: number;
  /** A word or two. */
  readonly title: string;
  readonly text: string;
  readonly tone: "good" | "busy" | "warn" | "bad" | "idle";
}

type Delivery = EventReport["deliveries"][number];
type Attempt = Delivery["attempts"][number];

/** What happened to an event, in its order: it came, was looked at, was delivered or not, and what is still to come. */
export function timelineOf(
  report: Pick<EventReport, "arrivedAt" | "via" | "broker" | "verdicts" | "deliveries" | "state">,
): Happening[] {
  const { via, broker, verdicts, deliveries, state } = report;
  const arrivedAt = Date.parse(report.arrivedAt);
  const looked = verdicts.map(({ trigger, matched, reason }): Happening => {
    const why = reason === undefined ? "" : `: ${reason}`;
    return matched
      ? { at: arrivedAt, title: "Matched", text: `${trigger}${why}`, tone: "good" }
      : { at: arrivedAt, title: "Not wanted", text: `${trigger}${why}`, tone: "idle" };
  });
  const nobody: Happening[] =
    state === "unmatched" ? [{ at: arrivedAt, title: "Unmatched", text: "no trigger wanted it", tone: "idle" }] : [];
  return [
    { at: arrivedAt, title: "Arrived", text: `at broker ${broker}, by ${via}`, tone: "good" },
    ...looked,
    ...nobody,
    ...deliveries.flatMap(deliveryHappenings).sort((one, other) => one.at - other.at),
  ];
}

function deliveryHappenings(delivery: Delivery): Happening[] {
  const { trigger, tries, attempts, state, reason, nextAttemptAt, replay, target, deadLetter } = delivery;
  const where = `${target ?? trigger}${deadLetter ? " (dead letter)" : ""}${replay === undefined ? "" : ` in the replay ${replay}`}`;
  const first = tries - attempts.length + 1;
  const made = attempts.map((attempt, at): Happening => {
    const isGood = at === attempts.length - 1 && state === "delivered";
    return {
      at: Date.parse(attempt.at),
      title: `Try ${first + at}`,
      text: `${where}: ${answerOf(attempt)}`,
      tone: isGood ? "good" : "warn",
    };
  });
  const last = attempts.at(-1);
  const end = last ? Date.parse(last.at) + last.durationMs : 0;
  if (state === "dead" || state === "dropped") {
    const title = state === "dead" ? "Given up" : "Dropped";
    made.push({ at: end, title, text: `${where}: ${reason ?? "no reason is kept"}`, tone: "bad" });
  }
  if (nextAttemptAt !== undefined) {
    made.push({ at: Date.parse(nextAttemptAt), title: "Next try", text: where, tone: "busy" });
  }
  return made;
}

/** What came of a try, in a few words. */
export function answerOf({ status, error, note, durationMs, version, replica }: Attempt): string {
  const by = [version, replica].filter((each) => each !== undefined).join(" on ");
  const what = status !== undefined && status > 0 ? `answered ${status}` : (error ?? "done");
  const isSaid = error === undefined || error.startsWith(what);
  const more = status !== undefined && status > 0 && !isSaid ? ` (${error})` : "";
  return `${what}${more} in ${formatMs(durationMs)}${by === "" ? "" : ` by ${by}`}${note === undefined ? "" : `; ${note}`}`;
}
