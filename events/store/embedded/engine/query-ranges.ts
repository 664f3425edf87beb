import type { EmbeddedDatabase } from "../../../../kit/embedded-database.ts";
import type { DeliveryState, EventQuery } from "../../event-store.ts";
import type { BrokerTable } from "../db/broker-table.ts";
import { DELIVERY_STATE } from "../db/delivery-table.ts";
import { EVENT_PHASE, type EventTable, idBlocks, idKeyOf } from "../db/event-table.ts";
import { eventHash } from "../event-hash.ts";
import type { EventDispatch } from "./dispatch.ts";
import type { EventRange } from "./ranges.ts";

export interface QueryRangesContext {
  readonly db: EmbeddedDatabase;
  readonly brokers: BrokerTable;
  readonly events: Pick<EventTable, "next" | "lag">;
  readonly dispatch: Pick<EventDispatch, "underWay">;
}

/** Where events that a query asks for are to be looked for. */
export class QueryRanges {
  readonly #context: QueryRangesContext;

  constructor(context: QueryRangesContext) {
    this.#context = context;
  }

  /** By the most telling of its fields. */
  of(query: EventQuery): EventRange[] {
    const { db, brokers } = this.#context;
    return brokers.of(query.namespace, query.broker).flatMap(({ no, ref }) => {
      const bounds = this.#bounds(no, query);
      if (!bounds) return [];
      const range = (sql: string, ...values: number[]): EventRange => ({ db, sql, values, ...bounds });
      const { id, source, type, states } = query;
      if (id !== undefined) return [{ places: this.#withId(eventHash(ref, id), bounds.first, bounds.last), ...bounds }];
      if (states?.length === 1 && states[0] === "delivering") return [{ places: this.#underWay(), ...bounds }];
      if (isRare(states)) {
        const rows = new Set(states.flatMap((state) => ROW_STATES[state as keyof typeof ROW_STATES]));
        return [...rows].map((state) =>
          range("DISTINCT event AS seq FROM deliveries WHERE broker = ? AND state = ? AND state <> 2", no, state),
        );
      }
      if (source !== undefined) return [range("seq FROM events WHERE source_hash = ?", eventHash(ref, source))];
      if (type !== undefined) return [range("seq FROM events WHERE type_hash = ?", eventHash(ref, type))];
      const phases = isUnmatched(query) ? [EVENT_PHASE.ended] : Object.values(EVENT_PHASE);
      return phases.map((phase) => range("seq FROM events WHERE broker = ? AND phase = ?", no, phase));
    });
  }

  #withId(hash: number, first: number, last: number): number[] {
    return idBlocks(first, last).flatMap((block) =>
      this.#context.db.numbers(
        "SELECT seq FROM events WHERE id_key = ? AND seq BETWEEN ? AND ? ORDER BY seq",
        ...[idKeyOf(block, hash), first, last],
      ),
    );
  }

  /** Events of which something is being delivered, at whatever broker. */
  #underWay(): number[] {
    const { db, dispatch } = this.#context;
    const events = [...dispatch.underWay].map((id) => db.number("SELECT event FROM deliveries WHERE id = ?", id));
    return [...new Set(events.filter((event) => event !== undefined))].sort((a, b) => a - b);
  }

  /** Between which places they are; undefined when there are none. */
  #bounds(broker: number, { trigger, since, until }: EventQuery): { first: number; last: number } | undefined {
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
    if (until !== undefined) last = Math.min(last, this.#firstHigh(until + events.lag) - 1);
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
}

const ROW_STATES = {
  waiting: [DELIVERY_STATE.waiting],
  delivering: [DELIVERY_STATE.waiting, DELIVERY_STATE.retrying],
  retrying: [DELIVERY_STATE.retrying],
  dead: [DELIVERY_STATE.dead],
  dropped: [DELIVERY_STATE.dropped],
} as const;

/** Only what nobody wants: with a trigger, that may be wanted by others. */
function isUnmatched({ states, trigger }: EventQuery): boolean {
  return trigger === undefined && states?.length === 1 && states[0] === "unmatched";
}

/** States of few deliveries, which have an index. */
function isRare(states: EventQuery["states"]): states is readonly DeliveryState[] {
  return states !== undefined && !states.some((state) => state === "unmatched" || state === "delivered");
}
