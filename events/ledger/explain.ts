import { formatDuration } from "../../contract/duration.ts";
import { attributeText } from "../codec/cloud-event.ts";
import type { AttemptRecord, DeliveryRecord, EventRecord } from "../store/event-store.ts";

const iso = (ms: number) => new Date(ms).toISOString();
const times = (count: number, one: string, many: string) => (count === 1 ? `one ${one}` : `${count} ${many}`);

/** Of the tries of a delivery, in words. */
const SHOWN_TRIES = 5;

/**
 * "Where is my event?": the record in words, a line each. Lines about one trigger are indented below its own.
 * @param now milliseconds since the epoch
 */
export function explain(record: EventRecord, now: number): string[] {
  return [
    ...arrival(record),
    ...routing(record),
    ...record.verdicts.flatMap((verdict) => triggerLines(record, verdict, now)),
    ...directed(record, now),
  ];
}

function arrival({ event, dataBytes, sha256 }: EventRecord): string[] {
  const { id, source, type, subject } = event.event.attributes;
  const { namespace, name } = event.broker;
  const about = subject === undefined ? "" : ` about ${attributeText(subject)}`;
  const kept = event.event.data !== undefined;
  return [
    `Event ${String(id)} of type ${String(type)} from ${String(source)}${about}.`,
    `Stored at ${iso(event.arrivedAt)} by the broker ${name} in ${namespace}, as ${event.ref}; it came ${arrivedBy(event.via)}.`,
    dataBytes === 0
      ? "It has no data."
      : `It has ${times(dataBytes, "byte", "bytes")} of data${kept ? "" : `, not kept any more${sha256 === undefined ? "" : ` (SHA-256 ${sha256})`}`}.`,
  ];
}

function arrivedBy(via: string): string {
  if (via === "http") return "over HTTP";
  const [kind, ...rest] = via.split("/");
  if (kind === "source") return `from the source ${rest.join("/")}`;
  if (kind === "reply") return `as a reply of ${rest.join("/")}`;
  return `by ${via}`;
}

function routing({ pending, verdicts, deliveries }: EventRecord): string[] {
  if (pending) return ["It has not been given to the triggers yet."];
  if (verdicts.length === 0 && deliveries.length === 0)
    return ["The broker had no trigger when it arrived, so nobody got it."];
  const matched = verdicts.filter((verdict) => verdict.matched).length;
  if (verdicts.length === 0) return [];
  if (matched === 0) return [`Of ${times(verdicts.length, "trigger", "triggers")}, none wanted it.`];
  return [`Of ${times(verdicts.length, "trigger", "triggers")}, ${matched} wanted it.`];
}

function triggerLines(
  record: EventRecord,
  { trigger, matched, reason }: EventRecord["verdicts"][number],
  now: number,
): string[] {
  if (!matched) return [`${trigger}: filtered: ${reason ?? "its filter did not match"}.`];
  return [`${trigger}: matched${reason === undefined ? "" : `: ${reason}`}.`, ...deliveriesOf(record, trigger, now)];
}

/** Deliveries that no filter has decided on: replays, steps of flows. */
function directed(record: EventRecord, now: number): string[] {
  const judged = new Set(record.verdicts.filter(({ matched }) => matched).map(({ trigger }) => trigger));
  const others = new Set(record.deliveries.map(({ trigger }) => trigger).filter((trigger) => !judged.has(trigger)));
  return [...others].flatMap((trigger) => [`${trigger}: sent to it directly.`, ...deliveriesOf(record, trigger, now)]);
}

function deliveriesOf({ deliveries }: EventRecord, trigger: string, now: number): string[] {
  const own = deliveries.filter((delivery) => delivery.trigger === trigger);
  if (own.length === 0) return ["  No delivery of it is known any more."];
  return own.flatMap((delivery) => [`  ${sentence(delivery, now)}`, ...tries(delivery)]);
}

function sentence(delivery: DeliveryRecord, now: number): string {
  const what = subjectOf(delivery);
  const last = delivery.attempts.at(-1);
  const failures = times(delivery.tries, "try", "tries");
  switch (delivery.state) {
    case "delivered":
      return `${what} was delivered${last ? ` at ${iso(last.at + last.durationMs)}` : ""} after ${failures}.`;
    case "dead":
      return `${what} was given up after ${failures}: ${delivery.reason ?? "no reason is known"}.`;
    case "dropped":
      return `${what} was dropped after ${failures}: ${delivery.reason ?? "no reason is known"}.`;
    case "delivering":
      return `${what} is under way, after ${times(delivery.tries, "failed try", "failed tries")}.`;
    case "retrying":
      return `${what} has failed ${delivery.tries === 1 ? "once" : `${delivery.tries} times`}; ${nextTry(delivery, now)}.`;
    case "waiting":
      return `${what} waits${delivery.nextAttemptAt === undefined ? " for its turn" : `; ${nextTry(delivery, now)}`}${delivery.orderKey === undefined ? "" : `, behind others with the key ${JSON.stringify(delivery.orderKey.slice(0, 80))}`}.`;
  }
}

function subjectOf({ replay, target, deadLetter }: DeliveryRecord): string {
  const where = target === undefined ? "" : ` to ${target}`;
  if (deadLetter) return `The dead letter${where}`;
  return replay === undefined ? `The delivery${where}` : `The replay ${replay}${where}`;
}

function nextTry({ nextAttemptAt }: DeliveryRecord, now: number): string {
  if (nextAttemptAt === undefined) return "it is tried again soon";
  const left = nextAttemptAt - now;
  return left <= 0 ? "the next try is due" : `the next try is at ${iso(nextAttemptAt)}, in ${formatDuration(left)}`;
}

function tries({ attempts, tries: all }: DeliveryRecord): string[] {
  const shown = attempts.slice(-SHOWN_TRIES);
  const first = all - shown.length + 1;
  const earlier = first > 1 ? [`    ${times(first - 1, "earlier try", "earlier tries")} failed.`] : [];
  return [
    ...earlier,
    ...shown.map((attempt, place) => `    Try ${first + place} at ${iso(attempt.at)}: ${outcome(attempt)}.`),
  ];
}

function outcome({ status, durationMs, version, replica, error, note }: AttemptRecord): string {
  const answered = status === undefined ? (error ?? "done") : `answered ${status}`;
  const why = status !== undefined && error !== undefined && error !== answered ? ` (${error})` : "";
  const who = [version === undefined ? "" : `version ${version}`, replica === undefined ? "" : `replica ${replica}`];
  const by = who.filter((part) => part !== "").join(", ");
  return `${answered} after ${formatMs(durationMs)}${by === "" ? "" : ` by ${by}`}${why}${note === undefined ? "" : `; ${note}`}`;
}

/** Calls take less than a millisecond as well. */
function formatMs(ms: number): string {
  return ms < 10 ? `${Math.round(ms * 10) / 10}ms` : formatDuration(ms);
}
