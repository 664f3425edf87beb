import type { EmbeddedDatabase } from "../../../../kit/embedded-database.ts";
import type { BrokerStats, DeliveryState, EventQuery } from "../../event-store.ts";
import type { BrokerRow, BrokerTable } from "../db/broker-table.ts";
import { DELIVERY_STATE, type DeliveryTable } from "../db/delivery-table.ts";
import { EVENT_PHASE, type EventRow, type EventTable } from "../db/event-table.ts";
import { eventHash } from "../event-hash.ts";
import type { EventAnswers, EventAskOf, WireRecord, WireStoredEvent } from "../protocol.ts";
import type { EventDispatch } from "./dispatch.ts";
import { type EventRange, mergedRanges } from "./ranges.ts";

/** How long one answer may take, so that what arrives meanwhile hardly waits. */
const SLICE_MS = 10;
/** Data in one answer. */
const MAX_ANSWER_BYTES = 16 * 1024 ** 2;

export interface EventReaderContext {
  readonly db: EmbeddedDatabase;
  readonly brokers: BrokerTable;
  readonly events: EventTable;
  readonly deliveries: DeliveryTable;
  readonly dispatch: Pick<EventDispatch, "isUnderWay">;
  readonly clock?: () => number;
}

/** EventAnswers what is asked of events. */
export class EventReader {
  readonly #context: EventReaderContext;

  constructor(context: EventReaderContext) {
    this.#context = context;
  }

  find(namespace: string, seq: number): WireRecord | undefined {
    const row = this.#context.events.row(seq);
    if (!row || this.#context.brokers.get(row.broker).ref.namespace !== namespace) return undefined;
    return this.#record(row, true);
  }

  /** Those that are there, by their places. */
  stored(seqs: readonly number[]): WireStoredEvent[] {
    return seqs.flatMap((seq) => {
      const row = this.#context.events.row(seq);
      return row ? [this.#context.events.stored(row, true)] : [];
    });
  }

  /** `next` is where to go on, whether or not as many have been found as were asked for. */
  list({ query, newest, after, limit, withData }: EventAskOf<"list">): EventAnswers["list"] {
    const clock = this.#context.clock ?? (() => performance.now());
    const until = clock() + SLICE_MS;
    const records: WireRecord[] = [];
    let bytes = 0;
    let last = after;
    for (const seq of mergedRanges(this.#ranges(query), newest, after)) {
      if (seq === undefined) continue;
      last = seq;
      const record = this.#match(seq, query, withData);
      if (record) {
        records.push(record);
        bytes += record.event.data?.byteLength ?? 0;
      }
      if (records.length >= limit || bytes > MAX_ANSWER_BYTES || clock() > until) {
        return { records, ...(last !== undefined && { next: last }) };
      }
    }
    return { records };
  }

  stats(namespace: string): BrokerStats[] {
    return this.#brokersOf(namespace).map(({ no, ref, events, bytes, pending, dead }) => {
      const oldest = this.#context.db.number(
        `SELECT min(arrived) FROM (
          SELECT * FROM (SELECT arrived FROM events WHERE broker = ?1 AND phase = 0 ORDER BY seq LIMIT 1)
          UNION ALL SELECT * FROM (SELECT arrived FROM events WHERE broker = ?1 AND phase = 1 ORDER BY seq LIMIT 1)
        )`,
        no,
      );
      const open = this.#context.brokers.open(no);
      return { broker: ref, events, bytes, pending, open, dead, ...(oldest !== undefined && { oldestOpenAt: oldest }) };
    });
  }

  #brokersOf(namespace: string, name?: string): BrokerRow[] {
    return [...this.#context.brokers.all()].filter(
      ({ ref }) => ref.namespace === namespace && (name === undefined || ref.name === name),
    );
  }

  /** Where events that a query asks for are to be looked for, by the most telling of its fields. */
  #ranges(query: EventQuery): EventRange[] {
    const { db } = this.#context;
    return this.#brokersOf(query.namespace, query.broker).flatMap(({ no, ref }) => {
      const bounds = this.#bounds(no, query);
      if (!bounds) return [];
      const range = (sql: string, ...values: number[]): EventRange => ({ db, sql, values, ...bounds });
      for (const field of ["id", "source", "type"] as const) {
        const text = query[field];
        if (text !== undefined && (field !== "type" || !isRare(query.states))) {
          return [range(`seq FROM events WHERE ${field}_hash = ?`, eventHash(ref, text))];
        }
      }
      if (isRare(query.states)) {
        const states = new Set(query.states.flatMap((state) => ROW_STATES[state as keyof typeof ROW_STATES]));
        return [...states].map((state) =>
          range("DISTINCT event AS seq FROM deliveries WHERE broker = ? AND state = ? AND state <> 2", no, state),
        );
      }
      return Object.values(EVENT_PHASE).map((phase) =>
        range("seq FROM events WHERE broker = ? AND phase = ?", no, phase),
      );
    });
  }

  /** Between which places they are; undefined when there are none. */
  #bounds(broker: number, { trigger, since }: EventQuery): { first: number; last: number } | undefined {
    const { brokers, events } = this.#context;
    let first = 1;
    let last = events.next - 1;
    if (trigger !== undefined) {
      const no = brokers.triggerNo(trigger);
      const span = no === undefined ? undefined : brokers.span(broker, no);
      if (!span) return undefined;
      first = span.first;
      last = span.last;
    }
    if (since !== undefined) first = Math.max(first, this.#firstHigh(since));
    return first > last ? undefined : { first, last };
  }

  /** None before it has arrived at that time or later: `high` only goes up. */
  #firstHigh(time: number): number {
    const { db, events } = this.#context;
    let low = 1;
    let high = events.next;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const row = db.get("SELECT seq, high FROM events WHERE seq >= ? ORDER BY seq LIMIT 1", middle);
      if (!row || (row.high as number) >= time) high = middle;
      else low = (row.seq as number) + 1;
    }
    return low;
  }

  #match(seq: number, query: EventQuery, withData: boolean): WireRecord | undefined {
    const row = this.#context.events.row(seq);
    if (!row) return undefined;
    if (query.since !== undefined && row.arrived < query.since) return undefined;
    if (query.until !== undefined && row.arrived >= query.until) return undefined;
    const record = this.#record(row, false);
    if (!hasAttributes(record, query) || !hasTrigger(record, query) || !hasState(record, query)) return undefined;
    return withData ? { ...record, event: this.#context.events.stored(row, true) } : record;
  }

  #record(row: EventRow, withData: boolean): WireRecord {
    const { deliveries, dispatch, events } = this.#context;
    return {
      event: events.stored(row, withData),
      dataBytes: Math.max(0, row.dataBytes),
      ...(row.sha && { sha256: Buffer.from(row.sha).toString("hex") }),
      pending: row.phase === EVENT_PHASE.pending,
      verdicts: events.verdicts(row.seq),
      deliveries: deliveries
        .ofEvent(row.seq)
        .map((delivery) => deliveries.record(delivery, dispatch.isUnderWay(delivery.id))),
    };
  }
}

const ROW_STATES = {
  waiting: [DELIVERY_STATE.waiting],
  delivering: [DELIVERY_STATE.waiting, DELIVERY_STATE.retrying],
  retrying: [DELIVERY_STATE.retrying],
  dead: [DELIVERY_STATE.dead],
  dropped: [DELIVERY_STATE.dropped],
} as const;

/** States of few deliveries, which have an index. */
function isRare(states: EventQuery["states"]): states is readonly DeliveryState[] {
  return states !== undefined && !states.some((state) => state === "unmatched" || state === "delivered");
}

function hasAttributes({ event }: WireRecord, { id, source, type }: EventQuery): boolean {
  if (id === undefined && source === undefined && type === undefined) return true;
  const [attributes] = JSON.parse(event.head) as [Record<string, unknown>];
  const is = (name: string, wanted: string | undefined) => wanted === undefined || attributes[name] === wanted;
  return is("id", id) && is("source", source) && is("type", type);
}

function hasTrigger({ verdicts, deliveries }: WireRecord, { trigger }: EventQuery): boolean {
  return trigger === undefined || [...verdicts, ...deliveries].some((told) => told.trigger === trigger);
}

/** By the deliveries of the trigger, where one is named. */
function hasState({ pending, deliveries }: WireRecord, { states, trigger }: EventQuery): boolean {
  if (states === undefined) return true;
  const own = trigger === undefined ? deliveries : deliveries.filter((delivery) => delivery.trigger === trigger);
  if (own.length === 0) return states.includes("unmatched") && !pending;
  return own.some(({ state }) => states.includes(state));
}
