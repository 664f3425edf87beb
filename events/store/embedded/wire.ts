import { FaasError } from "../../../contract/errors.ts";
import type { CloudEvent } from "../../codec/cloud-event.ts";
import type { DeliverySettlement, EventRecord, HeaderList, NewEvent, StoredEvent } from "../event-store.ts";
import { eventHash } from "./event-hash.ts";
import type { WireEvent, WireEventSettlement, WireRecord, WireStoredEvent } from "./protocol.ts";

/** Puts bodies of events one after another; `add` says where each is to lie. */
export interface BodyPacker {
  add(body: Uint8Array): { readonly at: number; readonly bytes: number };
}

/** As text, for the thread: it never needs to look into it. */
export function eventHeadOf({ event, headers }: Pick<NewEvent, "event" | "headers">): string {
  return JSON.stringify([event.attributes, headers]);
}

export function toWireEvent(event: NewEvent, head: string, bodies: BodyPacker): WireEvent {
  const { broker, hops, arrivedAt, via, once, directed } = event;
  const { attributes, data } = event.event;
  const { id, source, type } = attributes;
  return {
    broker: { namespace: broker.namespace, name: broker.name },
    head,
    ...(data && { data: bodies.add(data) }),
    hops: Math.trunc(hops),
    arrivedAt: Math.floor(arrivedAt),
    via,
    ...(once !== undefined && { once }),
    ...(directed && { directed }),
    hashes: [eventHash(broker, String(id)), eventHash(broker, String(source)), eventHash(broker, String(type))],
  };
}

/** Of what a deliverer says: one that cannot be told to the thread ends as dead, for it would come to nothing again. */
export function toWireSettlement(
  settlement: DeliverySettlement,
  maxEventBytes: number,
  bodies: BodyPacker,
): WireEventSettlement {
  try {
    return packSettlement(settlement, maxEventBytes, bodies);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { kind: "dead", reason: `what follows from it is no event that can be stored: ${why}` };
  }
}

function packSettlement(
  settlement: DeliverySettlement,
  maxEventBytes: number,
  bodies: BodyPacker,
): WireEventSettlement {
  if (settlement.kind === "retry" || settlement.kind === "back") return settlement;
  const { appended, ...rest } = settlement;
  if (!appended || appended.length === 0) return rest;
  const heads = appended.map(eventHeadOf);
  const large = appended.find((event, i) => eventBytesOf(event, heads[i] as string) > maxEventBytes);
  if (large) {
    const reason = `what follows from it is larger than the ${maxEventBytes} bytes that an event may have`;
    return { kind: "dead", reason, ...(rest.attempt && { attempt: rest.attempt }) };
  }
  return { ...rest, appended: appended.map((event, i) => toWireEvent(event, heads[i] as string, bodies)) };
}

/** Of one event, as it is limited. */
export function eventBytesOf({ event }: Pick<NewEvent, "event">, head: string): number {
  return Buffer.byteLength(head) + (event.data?.byteLength ?? 0);
}

/** Places in the store are told as text. */
export function eventRefOf(seq: number): string {
  return String(seq);
}

/** Undefined for what is no place. */
export function eventSeqOf(ref: string): number | undefined {
  if (!/^[1-9]\d{0,15}$/.test(ref)) return undefined;
  const seq = Number(ref);
  return Number.isSafeInteger(seq) ? seq : undefined;
}

/** @throws {FaasError} `invalid` */
export function eventSeqAfter(ref: string): number {
  const seq = eventSeqOf(ref);
  if (seq === undefined)
    throw new FaasError("invalid", "after: must be the reference of an event, as `next` of an answer");
  return seq;
}

export function toStoredEvent({ seq, head, data, broker, hops, arrivedAt, via }: WireStoredEvent): StoredEvent {
  const [attributes, headers] = JSON.parse(head) as [CloudEvent["attributes"], HeaderList];
  const event: CloudEvent = {
    attributes,
    ...(data && { data: Buffer.from(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength) }),
  };
  return { ref: eventRefOf(seq), broker, event, headers, hops, arrivedAt, via };
}

export function toEventRecord({ event, ...rest }: WireRecord): EventRecord {
  return { event: toStoredEvent(event), ...rest };
}
