import { formatDuration } from "../../../../contract/duration.ts";
import { readOn } from "../../../../gateway/nats/direct-get.ts";
import { deleteMessage, purgeSubject } from "../../../../gateway/nats/stored-message.ts";
import { earliestNow } from "../../../../kit/steady-clock.ts";
import type { BrokerRef } from "../../event-store.ts";
import type { BrokerUse } from "../client/broker-count.ts";
import type { EventContext } from "../client/context.ts";
import { decodeDelivery } from "../client/delivery-message.ts";
import {
  brokerKey,
  deadFilter,
  EVENT_STREAMS,
  openFilters,
  parseRef,
  parseRouted,
  recordsOf,
  routedFilter,
  routedOf,
} from "../client/names.ts";
import { type DeliveryDoc, isOver, newDoc, parseWhole, type WholeRecord } from "../client/records.ts";

const PAGE = 128;
const PAGE_BYTES = 4 * 1024 ** 2;
/** Events that are looked at for room at a time: those before them are older, and not delivered. */
const MAX_LOOKED_AT = 20_000;

interface Looked {
  readonly ref: string;
  readonly seq: number;
  readonly whole: WholeRecord;
  readonly docs: ReadonlyMap<string, DeliveryDoc>;
}

/** Why what is open of an event is dropped once its time is over. */
export function overdueReason(maxAgeMs: number): string {
  return `not delivered within ${formatDuration(maxAgeMs)}, the time for which its broker keeps events`;
}

/** Lets events go: those that are in the way of others, and those whose time is over. */
export class JetStreamRetention {
  readonly #context: EventContext;
  /** By broker, up to where everything that is overdue has been dealt with. */
  readonly #swept = new Map<string, number>();
  /** By broker, up to where has been looked for events that may go. */
  readonly #searched = new Map<string, number>();

  constructor(context: EventContext) {
    this.#context = context;
  }

  /** Lets the oldest events go of which nothing is open. @returns whether there is as much room more as asked for */
  async makeRoom(broker: BrokerRef, need: BrokerUse): Promise<boolean> {
    const key = brokerKey(broker);
    let [events, bytes, looked] = [need.events, need.bytes, 0];
    let seq = this.#searched.get(key) ?? 1;
    let mayBegin = seq > 1;
    while ((events > 0 || bytes > 0) && looked < MAX_LOOKED_AT) {
      const page = await this.#page(broker, seq);
      if (page.length === 0 && mayBegin) {
        // Those before may have been delivered meanwhile.
        mayBegin = false;
        seq = 1;
        continue;
      }
      if (page.length === 0) break;
      looked += page.length;
      const leaving = [];
      for (const event of page) {
        seq = event.seq + 1;
        if ((events <= 0 && bytes <= 0) || !isEventOver(event)) continue;
        leaving.push(event);
        events--;
        bytes -= sizeOf(event.whole);
      }
      await Promise.all(leaving.map(({ ref }) => this.remove(broker, ref)));
    }
    this.#searched.set(key, seq);
    return events <= 0 && bytes <= 0;
  }

  /** All there is of an event. */
  async remove(broker: BrokerRef, ref: string): Promise<void> {
    const { link, cache } = this.#context;
    cache.remove(ref);
    await this.dropData(ref);
    await purgeSubject(link, EVENT_STREAMS.records, deadFilter(broker, ref));
    await purgeSubject(link, EVENT_STREAMS.records, recordsOf(broker, ref));
    await purgeSubject(link, EVENT_STREAMS.records, routedOf(broker.namespace, ref, broker.name));
  }

  /** What is known of the event stays. */
  async dropData(ref: string): Promise<void> {
    this.#context.cache.remove(ref);
    const seq = parseRef(ref)?.seq;
    if (seq !== undefined) await deleteMessage(this.#context.link, EVENT_STREAMS.log, seq);
  }

  /**
   * Ends what is open of events whose time is over, and lets the others go. To be called by one process at a time.
   * @returns how many it has dealt with
   */
  async sweep(broker: BrokerRef): Promise<number> {
    const key = brokerKey(broker);
    const { maxAgeMs } = this.#context.brokers.of(broker);
    let count = 0;
    for (const { ref, seq, whole, docs } of await this.#page(broker, (this.#swept.get(key) ?? 0) + 1)) {
      if (whole.meta.arrivedAt + maxAgeMs > earliestNow()) break;
      if (isEventOver({ whole, docs })) await this.remove(broker, ref);
      else {
        await this.#drop(broker, ref, whole, docs, overdueReason(maxAgeMs));
        await this.dropData(ref);
      }
      this.#swept.set(key, seq);
      count++;
    }
    return count;
  }

  /** Takes away what is open of events whose time is over, and told to be. Most of it lies in order of arrival. */
  async sweepOpen(broker: BrokerRef): Promise<void> {
    const { link, brokers } = this.#context;
    for (const subject of openFilters(broker)) {
      for (let expired = PAGE; expired === PAGE; ) {
        const { messages } = await readOn(link, EVENT_STREAMS.deliveries, {
          seq: 1,
          subject,
          limit: PAGE,
          maxBytes: PAGE_BYTES,
        });
        const over = messages.filter(({ data }) => {
          const message = decodeDelivery(data);
          return message && brokers.endOf(message) <= earliestNow();
        });
        await Promise.all(over.map(({ seq }) => deleteMessage(link, EVENT_STREAMS.deliveries, seq)));
        expired = over.length;
      }
    }
  }

  async #drop(
    broker: BrokerRef,
    ref: string,
    { meta, deliveries }: WholeRecord,
    docs: ReadonlyMap<string, DeliveryDoc>,
    reason: string,
  ): Promise<void> {
    const { records, brokers } = this.#context;
    const numbers = new Set([...deliveries.keys()].map(String).concat([...docs.keys()]));
    for (const n of numbers) {
      const place = { broker, ref, n };
      const found = await records.delivery(place);
      const doc = found?.doc ?? newDoc(deliveries[Number(n)] as WholeRecord["deliveries"][number]);
      if (isOver(doc)) continue;
      const { nextAttemptAt: _, ...rest } = doc;
      await records.write(place, { ...rest, state: "dropped", reason }, found?.seq ?? 0, brokers.ttlOf(meta));
    }
  }

  async #page(broker: BrokerRef, seq: number): Promise<Looked[]> {
    const { link, records } = this.#context;
    const subject = routedFilter(broker.namespace, broker.name);
    const bounds = { seq, subject, limit: PAGE, maxBytes: PAGE_BYTES };
    const { messages } = await readOn(link, EVENT_STREAMS.records, bounds);
    const found = messages.flatMap((message) => {
      const ref = parseRouted(message.subject);
      const whole = parseWhole(message.data);
      return ref !== undefined && whole ? [{ ref, seq: message.seq, whole }] : [];
    });
    const docs = await records.deliveriesOfAll(found.map(({ ref }) => ({ broker, ref })));
    return found.map((event) => ({ ...event, docs: docs.get(event.ref) ?? new Map() }));
  }
}

/** Whether nothing is open of an event. */
export function isEventOver({ whole, docs }: Pick<Looked, "whole" | "docs">): boolean {
  for (const doc of docs.values()) if (!isOver(doc) || doc.outbox) return false;
  return whole.deliveries.every((_, n) => docs.has(String(n)));
}

function sizeOf({ meta }: WholeRecord): number {
  return (meta.dataBytes ?? 0) + JSON.stringify(meta).length;
}
