import { z } from "zod";
import { decode, maybe } from "../decode.ts";
import { deliveryAttempt } from "./delivery-attempt.ts";

/** Of a delivery; the last three are final. */
export const DELIVERY_STATES = ["waiting", "delivering", "retrying", "delivered", "dead", "dropped"] as const;
/** Of an event as a whole: what its deliveries come to. */
export const EVENT_STATES = ["pending", "unmatched", ...DELIVERY_STATES] as const;
export type EventState = (typeof EVENT_STATES)[number];

const count = z.number();
/** RFC 3339, UTC. */
const time = z.string();

const eventSummary = z.object({
  /** Names it in the platform; later ones sort after it. */
  ref: z.string(),
  namespace: z.string(),
  broker: z.string(),
  id: z.string(),
  source: z.string(),
  type: z.string(),
  subject: maybe(z.string()),
  /** Who brought it: `http`, `source/NAMESPACE/NAME`, `reply/TRIGGER`. */
  via: z.string(),
  arrivedAt: time,
  dataBytes: count,
  state: z.enum(EVENT_STATES),
  /** Deliveries by their states. */
  counts: z.partialRecord(z.enum(DELIVERY_STATES), count),
});
/** An event in a list. */
export type EventSummary = z.output<typeof eventSummary>;

const delivery = z.object({
  id: z.string(),
  trigger: z.string(),
  state: z.enum(DELIVERY_STATES),
  /** Why it is dead or dropped. */
  reason: maybe(z.string()),
  /** All of them; `attempts` are the latest. */
  tries: count,
  attempts: z.array(deliveryAttempt),
  nextAttemptAt: maybe(time),
  /** Of those with one key, one is made after another. */
  orderKey: maybe(z.string()),
  /** Name of the replay that it belongs to. */
  replay: maybe(z.string()),
  /** Where it goes instead of to the trigger's subscriber. */
  target: maybe(z.string()),
  /** To the dead-letter sink. */
  deadLetter: maybe(z.boolean()),
});

const eventReport = eventSummary.extend({
  attributes: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
  headers: z.array(z.tuple([z.string(), z.string()])),
  /** How many replies may follow one from another. */
  hops: count,
  /** Of its data, in hex. */
  sha256: maybe(z.string()),
  /** Its data, or their beginning, without secrets. */
  data: maybe(z.object({ text: maybe(z.string()), base64: maybe(z.string()), truncated: z.boolean() })),
  verdicts: z.array(z.object({ trigger: z.string(), matched: z.boolean(), reason: maybe(z.string()) })),
  deliveries: z.array(delivery),
});
/** All that is known of an event. */
export type EventReport = z.output<typeof eventReport>;
export type DeliveryReport = z.output<typeof delivery>;

const eventList = z.object({
  items: z.array(eventSummary),
  /** `after` of the page that follows, if there is one. */
  next: maybe(z.string()),
});
/** What `GET /system/events` answers, and `GET /system/events/ID` where several have the id. */
export type EventList = z.output<typeof eventList>;

const explanation = z.object({ ref: z.string(), lines: z.array(z.string()) });
/** One of those that `GET /system/events/ID/why` answers those who ask for JSON. */
export type EventExplanation = z.output<typeof explanation>;

/** @throws {FaasError} `invalid` */
export function decodeEventSummary(value: unknown): EventSummary {
  return decode(eventSummary, value, "event");
}

/** @throws {FaasError} `invalid` */
export function decodeEventList(value: unknown): EventList {
  return decode(eventList, value, "events");
}

/** One event, or those that share its id. @throws {FaasError} `invalid` */
export function decodeFoundEvent(value: unknown): EventReport | EventList {
  return decode(z.union([eventReport, eventList]), value, "event");
}

/** @throws {FaasError} `invalid` */
export function decodeEventExplanations(value: unknown): EventExplanation[] {
  return decode(z.object({ items: z.array(explanation) }), value, "explanations").items;
}
