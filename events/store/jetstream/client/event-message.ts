import { FaasError } from "../../../../contract/errors.ts";
import type { CloudEvent } from "../../../codec/cloud-event.ts";
import type { HeaderList, NewDelivery, NewEvent, StoredEvent } from "../../event-store.ts";
import { eventRef } from "./names.ts";

/** What is said of an event beside its data. */
export interface EventMeta {
  readonly broker: StoredEvent["broker"];
  readonly attributes: CloudEvent["attributes"];
  readonly headers: HeaderList;
  readonly hops: number;
  readonly arrivedAt: number;
  readonly via: string;
  readonly mark: string;
  /** Absent where there is no data, which is not the same as none of it. */
  readonly dataBytes?: number;
  readonly directed?: readonly NewDelivery[];
}

/** An event's message: a line of JSON, then its data as it is. */
export interface LoggedEvent {
  readonly meta: EventMeta;
  readonly data: Buffer | undefined;
}

const LINE_END = 0x0a;

export function encodeEvent(
  { broker, event, headers, hops, arrivedAt, via, directed }: NewEvent,
  mark: string,
): Buffer {
  const { data, attributes } = event;
  const meta: EventMeta = {
    broker: { namespace: broker.namespace, name: broker.name },
    attributes,
    headers,
    hops,
    arrivedAt,
    via,
    mark,
    ...(data && { dataBytes: data.byteLength }),
    ...(directed && { directed }),
  };
  const line = Buffer.from(`${JSON.stringify(meta)}\n`);
  return data ? Buffer.concat([line, data]) : line;
}

/** @throws {FaasError} `internal` for what is no event of this release */
export function decodeEvent(bytes: Uint8Array): LoggedEvent {
  const message = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = message.indexOf(LINE_END);
  let meta: EventMeta;
  try {
    meta = JSON.parse(message.toString("utf8", 0, end)) as EventMeta;
  } catch (cause) {
    throw new FaasError("internal", "an event in NATS cannot be read", { cause });
  }
  if (typeof meta?.mark !== "string" || typeof meta.attributes !== "object") {
    throw new FaasError("internal", "an event in NATS cannot be read");
  }
  // A copy of its own: the message's memory may be a part of much more.
  return { meta, data: meta.dataBytes === undefined ? undefined : Buffer.from(message.subarray(end + 1)) };
}

/** Undefined for what cannot be read. */
export function readableEvent(bytes: Uint8Array): LoggedEvent | undefined {
  try {
    return decodeEvent(bytes);
  } catch {
    return undefined;
  }
}

export function storedEvent(seq: number, meta: EventMeta, data: Buffer | undefined): StoredEvent {
  return eventOf(eventRef(seq, meta.mark), meta, data);
}

export function eventOf(ref: string, meta: EventMeta, data: Buffer | undefined): StoredEvent {
  const { broker, attributes, headers, hops, arrivedAt, via } = meta;
  return { ref, broker, event: { attributes, ...(data && { data }) }, headers, hops, arrivedAt, via };
}
