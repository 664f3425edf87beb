import type { EmbeddedDatabase } from "../../../../kit/embedded-database.ts";
import type { BrokerStats, EventQuery } from "../../event-store.ts";
import type { BrokerTable } from "../db/broker-table.ts";
import type { DeliveryTable } from "../db/delivery-table.ts";
import { EVENT_PHASE, type EventRow, type EventTable } from "../db/event-table.ts";
import type { EventAnswers, EventAskOf, WireRecord, WireStoredEvent } from "../protocol.ts";
import type { EventDispatch } from "./dispatch.ts";
import { QueryRanges } from "./query-ranges.ts";
import { mergedRanges } from "./ranges.ts";

/** How long one answer may take, so that what arrives meanwhile hardly waits. */
const SLICE_MS = 10;
/** Data in one answer. */
const MAX_ANSWER_BYTES = 16 * 1024 ** 2;

export interface EventReaderContext {
  readonly db: EmbeddedDatabase;
  readonly brokers: BrokerTable;
  readonly events: EventTable;
  readonly deliveries: DeliveryTable;
  readonly dispatch: Pick<EventDispatch, "isUnderWay" | "underWay">;
  readonly clock?: () => number;
}

/** EventAnswers what is asked of events. */
export class EventReader {
  readonly #context: EventReaderContext;
  readonly #ranges: QueryRanges;

  constructor(context: EventReaderContext) {
    this.#context = context;
    this.#ranges = new QueryRanges(context);
  }

  find(namespace: string, seq: number): WireRecord | undefined {
    const row = this.#context.events.row(seq);
    if (!row || this.#context.brokers.get(row.broker).ref.namespace !== namespace) return undefined;
    return this.#record(row, this.#context.events.stored(row, true));
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
    for (const seq of mergedRanges(this.#ranges.of(query), newest, after)) {
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
    return this.#context.brokers.of(namespace).map(({ no, ref, events, bytes, pending, dead }) => {
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

  #match(seq: number, query: EventQuery, withData: boolean): WireRecord | undefined {
    const row = this.#context.events.row(seq);
    if (!row || !this.#isMeant(row, query)) return undefined;
    if (query.trigger !== undefined && !this.#hasSeen(query.trigger, row)) return undefined;
    const event = this.#context.events.stored(row, withData);
    if (!hasAttributes(event.head, query)) return undefined;
    const record = this.#record(row, event);
    return hasState(record, query) ? record : undefined;
  }

  /** Whether there is a verdict or delivery of a trigger. */
  #hasSeen(trigger: string, { seq }: EventRow): boolean {
    const { brokers, deliveries, events } = this.#context;
    const no = brokers.triggerNo(trigger);
    return no !== undefined && (deliveries.isOf(seq, no) || events.hasVerdict(seq, no));
  }

  #isMeant({ arrived, broker }: EventRow, { namespace, broker: name, since, until }: EventQuery): boolean {
    const { ref } = this.#context.brokers.get(broker);
    if (ref.namespace !== namespace || (name !== undefined && ref.name !== name)) return false;
    return (since === undefined || arrived >= since) && (until === undefined || arrived < until);
  }

  #record(row: EventRow, event: WireStoredEvent): WireRecord {
    const { deliveries, dispatch, events } = this.#context;
    return {
      event,
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

function hasAttributes(head: string, { id, source, type }: EventQuery): boolean {
  if (id === undefined && source === undefined && type === undefined) return true;
  const [attributes] = JSON.parse(head) as [Record<string, unknown>];
  const is = (name: string, wanted: string | undefined) => wanted === undefined || attributes[name] === wanted;
  return is("id", id) && is("source", source) && is("type", type);
}

/** By the deliveries of the trigger, where one is named. */
function hasState({ pending, deliveries }: WireRecord, { states, trigger }: EventQuery): boolean {
  if (states === undefined) return true;
  const own = trigger === undefined ? deliveries : deliveries.filter((delivery) => delivery.trigger === trigger);
  if (own.length === 0) return states.includes("unmatched") && !pending;
  return own.some(({ state }) => states.includes(state));
}
