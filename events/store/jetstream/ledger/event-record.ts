import { createHash } from "node:crypto";
import { earliestNow } from "../../../../kit/steady-clock.ts";
import type { DeliveryRecord, EventQuery, EventRecord, StoredEvent, TriggerVerdict } from "../../event-store.ts";
import { eventOf, type LoggedEvent } from "../client/event-message.ts";
import { type DeliveryDoc, isOver, newDoc, type WholeRecord } from "../client/records.ts";
import { overdueReason } from "./retention.ts";

/** Of an event that has been routed. @param maxAgeMs for which its broker keeps it @param data to be shown */
export function recordOf(
  ref: string,
  { meta, sha256, verdicts, deliveries }: WholeRecord,
  docs: ReadonlyMap<string, DeliveryDoc>,
  maxAgeMs: number,
  data?: Buffer,
): EventRecord {
  return {
    event: eventOf(ref, meta, data),
    dataBytes: meta.dataBytes ?? 0,
    ...(sha256 !== undefined && { sha256 }),
    pending: false,
    verdicts: verdicts.map(verdictOf),
    deliveries: deliveriesOf(ref, deliveries, docs).map((delivery) =>
      isOver(delivery) || meta.arrivedAt + maxAgeMs > earliestNow() ? delivery : overdue(delivery, maxAgeMs),
    ),
  };
}

/** Of one that has not; what is directed has its deliveries from the start. */
export function pendingRecord(ref: string, { meta, data }: LoggedEvent, withData: boolean): EventRecord {
  return {
    event: eventOf(ref, meta, withData ? data : undefined),
    dataBytes: meta.dataBytes ?? 0,
    ...(data && { sha256: createHash("sha256").update(data).digest("hex") }),
    pending: meta.directed === undefined,
    verdicts: [],
    deliveries: deliveriesOf(ref, meta.directed ?? [], new Map()),
  };
}

function verdictOf({ trigger, matched, reason }: TriggerVerdict): TriggerVerdict {
  return { trigger, matched, ...(reason !== undefined && { reason }) };
}

function deliveriesOf(
  ref: string,
  planned: WholeRecord["deliveries"],
  docs: ReadonlyMap<string, DeliveryDoc>,
): DeliveryRecord[] {
  const routed = planned.map((delivery, n) => toRecord(ref, String(n), docs.get(String(n)) ?? newDoc(delivery)));
  const isPlanned = (n: string) => /^\d+$/.test(n) && Number(n) < planned.length;
  const added = [...docs].filter(([n]) => !isPlanned(n)).map(([n, doc]) => toRecord(ref, n, doc));
  return [...routed, ...added];
}

function toRecord(ref: string, n: string, doc: DeliveryDoc): DeliveryRecord {
  const { delivery, state, reason, attempts, tries } = doc;
  return {
    ...delivery,
    id: `${ref}-${n}`,
    state,
    ...(reason !== undefined && { reason }),
    attempts,
    tries,
    ...nextAttempt(doc),
  };
}

function nextAttempt({ delivery, state, nextAttemptAt }: DeliveryDoc): Pick<DeliveryRecord, "nextAttemptAt"> {
  const at = state === "retrying" ? nextAttemptAt : state === "waiting" ? delivery.notBefore : undefined;
  return at === undefined ? {} : { nextAttemptAt: at };
}

function overdue({ nextAttemptAt: _, ...delivery }: DeliveryRecord, maxAgeMs: number): DeliveryRecord {
  return { ...delivery, state: "dropped", reason: overdueReason(maxAgeMs) };
}

/** What can be said by the event alone. */
export function fitsEvent(
  { event, arrivedAt }: Pick<StoredEvent, "event" | "arrivedAt">,
  { id, source, type, since, until }: EventQuery,
): boolean {
  if (since !== undefined && arrivedAt < since) return false;
  if (until !== undefined && arrivedAt >= until) return false;
  const is = (name: string, wanted: string | undefined) => wanted === undefined || event.attributes[name] === wanted;
  return is("id", id) && is("source", source) && is("type", type);
}

export function fitsRecord(record: EventRecord, query: EventQuery): boolean {
  return fitsEvent(record.event, query) && hasTrigger(record, query) && hasState(record, query);
}

function hasTrigger({ verdicts, deliveries }: EventRecord, { trigger }: EventQuery): boolean {
  return trigger === undefined || [...verdicts, ...deliveries].some((told) => told.trigger === trigger);
}

/** By the deliveries of the trigger, where one is named. */
function hasState({ pending, deliveries }: EventRecord, { states, trigger }: EventQuery): boolean {
  if (states === undefined) return true;
  const own = trigger === undefined ? deliveries : deliveries.filter((delivery) => delivery.trigger === trigger);
  if (own.length === 0) return states.includes("unmatched") && !pending;
  return own.some(({ state }) => states.includes(state));
}
