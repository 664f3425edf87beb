import type { DeliveryReport, EventReport, EventSummary } from "../../contract/events/event-report.ts";
import { attributeText } from "../codec/cloud-event.ts";
import type { DeliveryRecord, EventRecord } from "../store/event-store.ts";
import { countStates, stateOf } from "./event-state.ts";

/** Of an event's data, in what is shown of it. */
export const PREVIEW_BYTES = 64 * 1024;

const iso = (ms: number) => new Date(ms).toISOString();

/** The fields that have a value: absent ones are not on the wire. */
function given<T extends object>(fields: { [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}

/** An event in a line of a list. */
export function buildEventSummary(record: EventRecord): EventSummary {
  const { event, dataBytes } = record;
  const { id, source, type, subject } = event.event.attributes;
  return given<EventSummary>({
    ref: event.ref,
    namespace: event.broker.namespace,
    broker: event.broker.name,
    id: String(id),
    source: String(source),
    type: String(type),
    subject: subject === undefined ? undefined : attributeText(subject),
    via: event.via,
    arrivedAt: iso(event.arrivedAt),
    dataBytes,
    state: stateOf(record),
    counts: countStates(record),
  });
}

/** All that is known of an event, with the beginning of its data. */
export function buildEventReport(record: EventRecord): EventReport {
  const { event, sha256, verdicts, deliveries } = record;
  const { attributes, data } = event.event;
  return given<EventReport>({
    ...buildEventSummary(record),
    attributes,
    headers: event.headers.map(([name, value]) => [name, value]),
    hops: event.hops,
    sha256,
    data: data && previewOf(data),
    verdicts: verdicts.map(({ trigger, matched, reason }) => given({ trigger, matched, reason })),
    deliveries: deliveries.map(buildDeliveryReport),
  });
}

/** Text where it is text: what is cut off may be half a character. */
function previewOf(data: Buffer): NonNullable<EventReport["data"]> {
  const truncated = data.length > PREVIEW_BYTES;
  const shown = truncated ? data.subarray(0, PREVIEW_BYTES) : data;
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(shown, { stream: truncated });
    return { text, truncated };
  } catch {
    return { base64: shown.toString("base64"), truncated };
  }
}

function buildDeliveryReport(delivery: DeliveryRecord): DeliveryReport {
  const { id, trigger, state, reason, tries, attempts, nextAttemptAt, orderKey, replay, target, deadLetter } = delivery;
  return given<DeliveryReport>({
    id,
    trigger,
    state,
    reason,
    tries,
    attempts: attempts.map(({ at, ...attempt }) => given({ at: iso(at), ...attempt })),
    nextAttemptAt: nextAttemptAt === undefined ? undefined : iso(nextAttemptAt),
    orderKey,
    replay,
    target,
    deadLetter: deadLetter || undefined,
  });
}
