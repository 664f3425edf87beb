import { API_ERRORS, isApiError, type Link } from "../../../../gateway/nats/connection.ts";
import { lastOf } from "../../../../gateway/nats/direct-get.ts";
import type { Publisher } from "../../../../gateway/nats/publisher.ts";
import { readMessage } from "../../../../gateway/nats/stored-message.ts";
import {
  type AttemptRecord,
  type BrokerRef,
  type DeliveryState,
  MAX_ATTEMPTS_KEPT,
  type NewDelivery,
  type Routing,
} from "../../event-store.ts";
import type { EventMeta } from "./event-message.ts";
import {
  EVENT_STREAMS,
  newId,
  parseRecordSubject,
  recordSubject,
  recordsOf,
  routedOf,
  routedSubject,
} from "./names.ts";

/** What is told of an event as a whole; written once, when it has been routed. */
export interface WholeRecord {
  readonly meta: EventMeta;
  readonly sha256?: string;
  readonly verdicts: Routing["verdicts"];
  /** Each has its place as its number. */
  readonly deliveries: readonly NewDelivery[];
  readonly keep: Routing["keep"];
}

/** What follows from an end, and is stored with it until it has been done. */
export interface SettlementOutbox {
  /** Messages of events, in base64. */
  readonly appended: readonly string[];
  readonly next?: NewDelivery;
}

/** What has become of one delivery. */
export interface DeliveryDoc {
  readonly delivery: NewDelivery;
  readonly state: DeliveryState;
  readonly reason?: string;
  readonly attempts: readonly AttemptRecord[];
  readonly tries: number;
  readonly failures: number;
  readonly nextAttemptAt?: number;
  readonly outbox?: SettlementOutbox;
}

/** More than any broker keeps events. */
const MAX_TTL_S = 60 * 24 * 3600;

export interface Found<T> {
  readonly doc: T;
  /** Of its message, for {@link EventRecords.write}. */
  readonly seq: number;
  /** By the server's clock; absent when this process has just written it. */
  readonly storedAt?: number;
}

export interface RecordPlace {
  readonly broker: BrokerRef;
  readonly ref: string;
  readonly n: string;
}

export function isOver({ state }: Pick<DeliveryDoc, "state">): boolean {
  return state === "delivered" || state === "dead" || state === "dropped";
}

export function newDoc(delivery: NewDelivery): DeliveryDoc {
  return { delivery, state: "waiting", attempts: [], tries: 0, failures: 0 };
}

export function withAttempt(attempts: readonly AttemptRecord[], attempt: AttemptRecord): readonly AttemptRecord[] {
  return [...attempts, attempt].slice(-MAX_ATTEMPTS_KEPT);
}

/** The records of events in their stream, one message each. */
export class EventRecords {
  readonly #link: Link;
  readonly #publisher: Publisher;

  constructor(link: Link, publisher: Publisher) {
    this.#link = link;
    this.#publisher = publisher;
  }

  async whole(broker: BrokerRef, ref: string): Promise<WholeRecord | undefined> {
    const last_by_subj = routedOf(broker.namespace, ref, broker.name);
    const message = await readMessage(this.#link, EVENT_STREAMS.records, { last_by_subj });
    return message && parseWhole(message.data);
  }

  async delivery(place: RecordPlace): Promise<Found<DeliveryDoc> | undefined> {
    return await this.#read<DeliveryDoc>(place);
  }

  /** What has been told of the deliveries of an event, by number. A copy that is behind may answer. */
  async deliveriesOf(broker: BrokerRef, ref: string): Promise<Map<string, DeliveryDoc>> {
    return (await this.deliveriesOfAll([{ broker, ref }])).get(ref) ?? new Map();
  }

  async deliveriesOfAll(
    events: readonly { readonly broker: BrokerRef; readonly ref: string }[],
  ): Promise<Map<string, Map<string, DeliveryDoc>>> {
    const all = new Map<string, Map<string, DeliveryDoc>>();
    const filters = events.map(({ broker, ref }) => recordsOf(broker, ref));
    for (const { subject, data } of await lastOf(this.#link, EVENT_STREAMS.records, filters)) {
      const place = parseRecordSubject(subject);
      if (!place) continue;
      const docs = all.get(place.ref) ?? new Map<string, DeliveryDoc>();
      const doc = parseReadable<DeliveryDoc>(data, ({ delivery, attempts }) => delivery?.trigger && attempts);
      if (doc) docs.set(place.n, doc);
      all.set(place.ref, docs);
    }
    return all;
  }

  /** @returns whether it was the first for the event */
  async writeWhole(broker: BrokerRef, ref: string, doc: WholeRecord, ttlS: number): Promise<boolean> {
    try {
      const id = `w.${newId()}`;
      await this.#publish(routedSubject(broker, ref, doc.meta.attributes), doc, {
        id,
        first: true,
        headers: ttl(ttlS),
      });
      return true;
    } catch (error) {
      if (isApiError(error, API_ERRORS.wrongLastSequence)) return false;
      throw error;
    }
  }

  /**
   * @param after number of the record's last message, 0 for none
   * @returns the new number; undefined when another one has been written meanwhile
   */
  async write(place: RecordPlace, doc: DeliveryDoc, after: number, ttlS: number): Promise<number | undefined> {
    try {
      const subject = recordSubject(place.broker, place.ref, place.n);
      return await this.#publish(subject, doc, { id: `r.${newId()}`, after, headers: ttl(ttlS) });
    } catch (error) {
      if (isApiError(error, API_ERRORS.wrongLastSequence)) return undefined;
      throw error;
    }
  }

  async mark(subject: string, ttlS: number): Promise<void> {
    await this.#publisher.publish(subject, Buffer.alloc(0), { headers: ttl(ttlS) });
  }

  async #publish(
    subject: string,
    doc: object,
    request: { id: string; first?: boolean; after?: number; headers: [string, string][] },
  ): Promise<number> {
    return (await this.#publisher.publish(subject, Buffer.from(JSON.stringify(doc)), request)).seq;
  }

  async #read<T>({ broker, ref, n }: RecordPlace): Promise<Found<T> | undefined> {
    const subject = recordSubject(broker, ref, n);
    const message = await readMessage(this.#link, EVENT_STREAMS.records, { last_by_subj: subject });
    if (!message) return undefined;
    return { doc: JSON.parse(message.data.toString()) as T, seq: message.seq, storedAt: message.storedAt };
  }
}

/** As the server takes it, whatever the event says of its arrival. */
export function ttl(seconds: number): [string, string][] {
  return [["Nats-TTL", ttlText(seconds)]];
}

export function ttlText(seconds: number): string {
  return String(Math.min(MAX_TTL_S, Math.max(1, Math.ceil(Number.isFinite(seconds) ? seconds : 0))));
}

/** Undefined for what is none, or of another release: who lists leaves it out. */
export function parseWhole(data: Buffer): WholeRecord | undefined {
  return parseReadable<WholeRecord>(
    data,
    ({ meta, verdicts, deliveries }) => meta?.attributes && verdicts && deliveries,
  );
}

function parseReadable<T extends object>(data: Buffer, isSound: (value: Partial<T>) => unknown): T | undefined {
  try {
    const value = JSON.parse(data.toString()) as T | null;
    return value && isSound(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
