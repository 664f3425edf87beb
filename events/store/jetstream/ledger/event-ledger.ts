import type { StreamInfo } from "nats";
import { type DirectMessage, lastOf, readOn } from "../../../../gateway/nats/direct-get.ts";
import { readMessage } from "../../../../gateway/nats/stored-message.ts";
import { earliestNow } from "../../../../kit/steady-clock.ts";
import type { EventPage, EventQuery, EventRecord } from "../../event-store.ts";
import { readRoutedUpTo } from "../client/broker-count.ts";
import type { EventContext } from "../client/context.ts";
import { eventOf, readableEvent } from "../client/event-message.ts";
import {
  EVENT_STREAMS,
  eventRef,
  isBefore,
  logFilter,
  parseRef,
  parseRouted,
  routedFilter,
  routedOf,
  routedSubject,
} from "../client/names.ts";
import { parseWhole, type WholeRecord } from "../client/records.ts";
import { fitsEvent, fitsRecord, pendingRecord, recordOf } from "./event-record.ts";
import { isEventOver } from "./retention.ts";

const PAGE = 256;
const PAGE_BYTES = 4 * 1024 ** 2;
/** Events that are looked at for one answer; a caller that wants more asks on. */
const MAX_LOOKED_AT = 20_000;
const MAX_DATA_BYTES = 32 * 1024 ** 2;
const MIN_WINDOW = 256;
const MAX_WINDOW = 65_536;
/** By how much clocks may differ. */
const CLOCK_SKEW_MS = 60_000;

interface Candidate {
  readonly ref: string;
  readonly record: EventRecord;
}

/** Collects what is listed. */
interface Collector {
  readonly found: Candidate[];
  looked: number;
  bytes: number;
  /** The last one that was looked at. */
  last: string | undefined;
}

/**
 * Answers what is asked of events. Those that have been routed have a record each, in order, behind which come those that
 * have not, in the log.
 */
export class EventLedger {
  readonly #context: EventContext;

  constructor(context: EventContext) {
    this.#context = context;
  }

  async find(namespace: string, ref: string): Promise<EventRecord | undefined> {
    if (!parseRef(ref)) return undefined;
    const [message, [found]] = await Promise.all([
      this.#context.message(ref),
      lastOf(this.#context.link, EVENT_STREAMS.records, [routedOf(namespace, ref)]),
    ]);
    if (!found) {
      if (message?.meta.broker.namespace !== namespace) return undefined;
      // A copy may be behind.
      const whole = await this.#context.records.whole(message.meta.broker, ref);
      if (!whole) return pendingRecord(ref, message, true);
      return (await this.#recordsOf([{ ref, whole }]))[0]?.record;
    }
    const whole = parseWhole(found.data);
    if (!whole) return undefined;
    const [listed] = await this.#recordsOf([{ ref, whole }]);
    if (!listed) return undefined;
    const { record } = listed;
    return message?.data ? { ...record, event: eventOf(ref, whole.meta, message.data) } : record;
  }

  async list(query: EventQuery, page: EventPage): Promise<{ events: readonly EventRecord[]; next?: string }> {
    const collector: Collector = { found: [], looked: 0, bytes: 0, last: undefined };
    const more =
      page.order === "oldest"
        ? await this.#listOldest(query, page, collector)
        : await this.#listNewest(query, page, collector);
    const events = collector.found.slice(0, page.limit);
    // With more found than asked for, the next page begins after the last one that is given.
    const next = collector.found.length > page.limit ? events.at(-1)?.ref : more ? collector.last : undefined;
    return { events: events.map(({ record }) => record), ...(next !== undefined && { next }) };
  }

  /** @returns whether there may be more */
  async #listOldest(query: EventQuery, page: EventPage, collector: Collector): Promise<boolean> {
    const subject = routedFilter(query.namespace, query.broker, query);
    const { after } = page;
    let seq =
      after === undefined ? await this.#firstSince(subject, query.since) : await this.#behind(query, subject, after);
    for (;;) {
      const { messages } = await this.#read(EVENT_STREAMS.records, seq, subject);
      if (messages.length === 0) break;
      seq = (messages.at(-1)?.seq as number) + 1;
      await this.#collect(messages, query, page, collector, after);
      if (isFull(collector, page)) return true;
    }
    const cursor = await readRoutedUpTo(this.#context.link);
    const afterSeq = after === undefined ? 0 : (parseRef(after)?.seq ?? 0);
    for (let logSeq = Math.max(cursor, afterSeq) + 1; ; ) {
      const { messages } = await this.#read(EVENT_STREAMS.log, logSeq, logFilter(query.namespace, query.broker));
      if (messages.length === 0) return false;
      logSeq = (messages.at(-1)?.seq as number) + 1;
      await this.#collectPending(messages, query, page, collector);
      if (isFull(collector, page)) return true;
    }
  }

  /** @returns whether there may be more */
  async #listNewest(query: EventQuery, page: EventPage, collector: Collector): Promise<boolean> {
    const { after } = page;
    const subject = routedFilter(query.namespace, query.broker, query);
    const afterPlace = after === undefined ? undefined : await this.#placeOf(query.namespace, after);
    if (afterPlace === undefined && (await this.#listNewestPending(query, page, collector))) return true;
    const newest = await readMessage(this.#context.link, EVENT_STREAMS.records, { last_by_subj: subject });
    if (!newest) return false;
    const last = Math.min(newest.seq, afterPlace === undefined ? newest.seq : afterPlace - 1);
    const first = (await this.#read(EVENT_STREAMS.records, 1, subject, 1)).messages[0]?.seq ?? Number.POSITIVE_INFINITY;
    for (let high = last, window = MIN_WINDOW; high >= first; ) {
      const low = Math.max(1, high - window + 1);
      const messages = await this.#window(EVENT_STREAMS.records, subject, low, high);
      await this.#collect(messages.toReversed(), query, page, collector, after);
      if (isFull(collector, page)) return true;
      const oldest = messages[0];
      if (query.since !== undefined && oldest && oldest.storedAt < query.since - CLOCK_SKEW_MS) return false;
      high = low - 1;
      if (messages.length < PAGE / 4) window = Math.min(MAX_WINDOW, window * 2);
    }
    return false;
  }

  async #listNewestPending(query: EventQuery, page: EventPage, collector: Collector): Promise<boolean> {
    const subject = logFilter(query.namespace, query.broker);
    const cursor = await readRoutedUpTo(this.#context.link);
    const before = page.after === undefined ? undefined : parseRef(page.after)?.seq;
    let high = before === undefined ? await this.#lastSeq(EVENT_STREAMS.log) : before - 1;
    for (; high > cursor; high -= PAGE) {
      const messages = await this.#window(EVENT_STREAMS.log, subject, Math.max(cursor + 1, high - PAGE + 1), high);
      await this.#collectPending(messages.toReversed(), query, page, collector);
      if (isFull(collector, page)) return true;
    }
    return false;
  }

  async #collect(
    messages: readonly DirectMessage[],
    query: EventQuery,
    page: EventPage,
    collector: Collector,
    after: string | undefined,
  ): Promise<void> {
    const fitting = messages.flatMap((message) => {
      const ref = parseRouted(message.subject);
      if (ref === undefined || ref === after) return [];
      const whole = parseWhole(message.data);
      collector.last = ref;
      collector.looked++;
      return whole && fitsEvent(eventOf(ref, whole.meta, undefined), query) ? [{ ref, whole }] : [];
    });
    for (const candidate of await this.#recordsOf(fitting)) {
      if (!fitsRecord(candidate.record, query)) continue;
      await this.#add(candidate, page, collector);
    }
  }

  async #collectPending(
    messages: readonly DirectMessage[],
    query: EventQuery,
    page: EventPage,
    collector: Collector,
  ): Promise<void> {
    const pending = messages.flatMap((message) => {
      const decoded = readableEvent(message.data);
      return decoded ? [{ ref: eventRef(message.seq, decoded.meta.mark), decoded }] : [];
    });
    const subjects = pending.map(({ ref, decoded }) =>
      routedSubject(decoded.meta.broker, ref, decoded.meta.attributes),
    );
    const routed = new Map(
      (await lastOf(this.#context.link, EVENT_STREAMS.records, subjects)).map(({ subject, data }) => [
        parseRouted(subject),
        parseWhole(data),
      ]),
    );
    for (const { ref, decoded } of pending) {
      collector.last = ref;
      collector.looked++;
      if (collector.found.some((known) => known.ref === ref)) continue;
      const whole = routed.get(ref);
      const [candidate] = whole
        ? await this.#recordsOf([{ ref, whole }])
        : [{ ref, record: pendingRecord(ref, decoded, page.withData === true) }];
      if (candidate && fitsRecord(candidate.record, query)) await this.#add(candidate, page, collector);
    }
  }

  async #add({ ref, record }: Candidate, page: EventPage, collector: Collector): Promise<void> {
    if (collector.found.some((known) => known.ref === ref)) return;
    if (page.withData !== true || collector.found.length >= page.limit || record.event.event.data) {
      collector.found.push({ ref, record });
      return;
    }
    const message = await this.#context.message(ref);
    collector.bytes += message?.data?.byteLength ?? 0;
    const withData = message?.data ? { ...record, event: eventOf(ref, message.meta, message.data) } : record;
    collector.found.push({ ref, record: withData });
  }

  /** Of those whose time is not over; or which were not delivered in it, to tell so. */
  async #recordsOf(events: readonly { readonly ref: string; readonly whole: WholeRecord }[]): Promise<Candidate[]> {
    const { records, brokers } = this.#context;
    const docs = await records.deliveriesOfAll(events.map(({ ref, whole }) => ({ ref, broker: whole.meta.broker })));
    return events.flatMap(({ ref, whole }) => {
      const own = docs.get(ref) ?? new Map();
      const { maxAgeMs } = brokers.of(whole.meta.broker);
      const isOld = whole.meta.arrivedAt + maxAgeMs <= earliestNow();
      const wasDropped = [...own.values()].some(({ state }) => state === "dropped");
      if (isOld && isEventOver({ whole, docs: own }) && !wasDropped) return [];
      return [{ ref, record: recordOf(ref, whole, own, maxAgeMs) }];
    });
  }

  async #read(stream: string, seq: number, subject: string, limit = PAGE) {
    return await readOn(this.#context.link, stream, { seq, subject, limit, maxBytes: PAGE_BYTES });
  }

  /** All messages of a part of a stream. */
  async #window(stream: string, subject: string, low: number, high: number): Promise<DirectMessage[]> {
    const all: DirectMessage[] = [];
    for (let seq = low; seq <= high; ) {
      const { messages } = await this.#read(stream, seq, subject);
      for (const message of messages) if (message.seq <= high) all.push(message);
      const last = messages.at(-1);
      if (!last || last.seq >= high) break;
      seq = last.seq + 1;
    }
    return all;
  }

  /** Number of an event's record, if it has been routed. */
  async #placeOf(namespace: string, ref: string): Promise<number | undefined> {
    if (!parseRef(ref)) return undefined;
    const [found] = await lastOf(this.#context.link, EVENT_STREAMS.records, [routedOf(namespace, ref)]);
    if (found) return found.seq;
    const cursor = await readRoutedUpTo(this.#context.link);
    if ((parseRef(ref)?.seq ?? 0) > cursor) return undefined;
    return await this.#firstBehind(routedFilter(namespace), ref);
  }

  async #behind({ namespace }: EventQuery, subject: string, ref: string): Promise<number> {
    const place = await this.#placeOf(namespace, ref);
    // A record is written once, so what is behind it has been written later.
    return place ?? (await this.#firstBehind(subject, ref));
  }

  /** Where the records of later events begin, when the event's own is gone. */
  async #firstBehind(subject: string, ref: string): Promise<number> {
    return await this.#search(subject, (message) => {
      const found = parseRouted(message.subject);
      return found !== undefined && isBefore(ref, found);
    });
  }

  async #firstSince(subject: string, since: number | undefined): Promise<number> {
    if (since === undefined || since > Date.now()) return 1;
    return await this.#search(subject, ({ storedAt }) => storedAt >= since - CLOCK_SKEW_MS);
  }

  /** Number from which on messages are as wanted; one behind all when there is none. */
  async #search(subject: string, isBehind: (message: DirectMessage) => boolean): Promise<number> {
    let low = 1;
    let high = (await this.#lastSeq(EVENT_STREAMS.records)) + 1;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const [message] = (await this.#read(EVENT_STREAMS.records, middle, subject, 1)).messages;
      if (!message || message.seq >= high || isBehind(message)) high = middle;
      else low = message.seq + 1;
    }
    return low;
  }

  async #lastSeq(stream: string): Promise<number> {
    return (await this.#context.link.api<StreamInfo>(`STREAM.INFO.${stream}`)).state.last_seq;
  }
}

function isFull({ found, looked, bytes }: Collector, { limit }: EventPage): boolean {
  return found.length > limit || looked >= MAX_LOOKED_AT || bytes >= MAX_DATA_BYTES;
}
