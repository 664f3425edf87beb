import { FaasError } from "../../../../contract/errors.ts";
import { type AttemptRecord, type NewDelivery, ONCE_MS } from "../../event-store.ts";
import type { BrokerRow, BrokerTable } from "../db/broker-table.ts";
import { DELIVERY_STATE, type DeliveryRow, type DeliveryTable } from "../db/delivery-table.ts";
import { EVENT_KEEP, EVENT_PHASE, type EventRow, EventTable } from "../db/event-table.ts";
import type { WireEvent, WireEventSettlement, WireRouting } from "../protocol.ts";
import type { EventDispatch } from "./dispatch.ts";
import type { EventRetention } from "./retention.ts";
import { LONGEST_MS, storableInteger } from "./storable-integer.ts";

export interface EventChangesContext {
  readonly brokers: BrokerTable;
  readonly events: EventTable;
  readonly deliveries: DeliveryTable;
  readonly dispatch: EventDispatch;
  readonly retention: EventRetention;
  readonly keepDataBytes: number;
}

/** Two times of the transaction: by the system's clock, and one by which nothing is older than it is. */
export interface ChangeTimes {
  readonly now: number;
  readonly sure: number;
}

/** What is appended, routed and settled, as rows. To be called in a transaction. */
export class EventChanges {
  readonly #context: EventChangesContext;
  /** Brokers that got events to route. */
  readonly pending = new Set<number>();
  /** Given out, and ended by others than those who have them. */
  abort: number[] = [];

  constructor(context: EventChangesContext) {
    this.#context = context;
  }

  /** All or none. @throws {FaasError} `overloaded` when a broker has no room, with nothing changed */
  append(
    events: readonly WireEvent[],
    bodies: ArrayBuffer,
    times: ChangeTimes,
  ): (readonly [seq: number, known: boolean])[] {
    this.#makeRoom(events, times);
    return events.map((event) => this.#insert(event, bodies, times));
  }

  #makeRoom(events: readonly WireEvent[], { sure }: ChangeTimes): void {
    const needs = new Map<BrokerRow, { events: number; bytes: number }>();
    for (const event of events) {
      const broker = this.#context.brokers.ensure(event.broker);
      if (event.once !== undefined && this.#context.events.findOnce(broker.no, event.once, sure) !== undefined)
        continue;
      const need = needs.get(broker) ?? { events: 0, bytes: 0 };
      need.events++;
      need.bytes += EventTable.bytesOf(event);
      needs.set(broker, need);
    }
    for (const [broker, need] of needs) {
      if (this.#context.retention.makeRoom(broker, need)) continue;
      const { namespace, name } = broker.ref;
      const { maxEvents, maxBytes } = broker.limits;
      throw new FaasError(
        "overloaded",
        `broker ${namespace}/${name} is full of events that are not delivered yet (${broker.events} of ${maxEvents} events, ${broker.bytes} of ${maxBytes} bytes)`,
        { code: "broker_full" },
      );
    }
  }

  #insert(event: WireEvent, bodies: ArrayBuffer, { now, sure }: ChangeTimes): readonly [number, boolean] {
    const { brokers, events } = this.#context;
    const broker = brokers.ensure(event.broker);
    if (event.once !== undefined) {
      const known = events.findOnce(broker.no, event.once, sure);
      if (known !== undefined) return [known, true];
    }
    const seq = events.insert(broker, event, bodies);
    if (event.once !== undefined) {
      events.rememberOnce(broker.no, event.once, seq, now);
      this.#context.retention.remembered(now + ONCE_MS);
    }
    this.#context.retention.arrived(broker, event.arrivedAt);
    if (event.directed) this.#deliver(seq, broker.no, event.directed, now);
    else this.pending.add(broker.no);
    return [seq, false];
  }

  /** Adds deliveries of an event. */
  #deliver(seq: number, broker: number, deliveries: readonly NewDelivery[], now: number): void {
    if (deliveries.length === 0) return;
    this.#open(seq, broker, deliveries, now);
    this.#context.events.count(seq, deliveries.length, 0);
  }

  #open(seq: number, broker: number, deliveries: readonly NewDelivery[], now: number): void {
    const { brokers, dispatch } = this.#context;
    for (const delivery of deliveries) {
      const due = this.#context.deliveries.insert(seq, broker, delivery, now);
      if (due !== undefined) dispatch.due(brokers.triggerNo(delivery.trigger) as number, due);
    }
  }

  route({ seq, verdicts, deliveries, keep }: WireRouting, now: number): void {
    const { brokers, events } = this.#context;
    const numbered = verdicts.map((verdict) => [brokers.ensureTrigger(verdict.trigger), verdict] as const);
    // Routed twice, when what was settled before could not be stored for a while.
    const row = events.routed(seq, numbered, EVENT_KEEP[keep], deliveries.length);
    if (!row) return;
    for (const [trigger] of numbered) brokers.saw(row.broker, trigger, seq, 0);
    this.#open(seq, row.broker, deliveries, now);
    this.#ended(row);
  }

  settle(id: number, settlement: WireEventSettlement, bodies: ArrayBuffer, times: ChangeTimes): void {
    const row = this.#context.deliveries.row(id);
    if (!this.#context.dispatch.back(id) || !row || row.state >= DELIVERY_STATE.delivered) return;
    switch (settlement.kind) {
      case "back":
        this.#context.dispatch.due(row.trigger, 0);
        return;
      case "retry": {
        const waitMs = storableInteger(settlement.afterMs, 1, LONGEST_MS);
        this.#context.deliveries.retry(row, times.now + waitMs, waitMs, settlement.attempt);
        this.#context.dispatch.due(row.trigger, times.now + waitMs);
        return;
      }
      case "done":
        this.#append(settlement.appended, bodies, times);
        this.end(row, DELIVERY_STATE.delivered, undefined, settlement.attempt);
        return;
      case "dead":
        this.#append(settlement.appended, bodies, times);
        if (settlement.next) this.#deliver(row.event, row.broker, [settlement.next], times.now);
        this.end(row, DELIVERY_STATE.dead, settlement.reason, settlement.attempt);
    }
  }

  /** What follows from a delivery is taken even by a broker that is full: to refuse it would be to lose it. */
  #append(events: readonly WireEvent[] | undefined, bodies: ArrayBuffer, times: ChangeTimes): void {
    for (const event of events ?? []) {
      const broker = this.#context.brokers.ensure(event.broker);
      this.#context.retention.makeRoom(broker, { events: 1, bytes: EventTable.bytesOf(event) });
      this.#insert(event, bodies, times);
    }
  }

  end(row: DeliveryRow, state: number, reason?: string, attempt?: AttemptRecord): void {
    const { deliveries, dispatch, events } = this.#context;
    if (dispatch.back(row.id)) this.abort.push(row.id);
    const next = deliveries.end(row, state, reason, attempt);
    if (next) dispatch.due(row.trigger, next.due);
    const event = events.count(row.event, -1, state === DELIVERY_STATE.dead ? 1 : 0);
    if (event) this.#ended(event);
  }

  /** What is not to be kept goes, once nothing more is to be delivered of it. */
  #ended(row: EventRow): void {
    const { events, keepDataBytes } = this.#context;
    // What could not be delivered is kept for somebody to look at, and to deliver again.
    if (row.phase !== EVENT_PHASE.ended || row.dead > 0) return;
    if (row.keep === EVENT_KEEP.off) events.remove(row.seq);
    else if (row.keep === EVENT_KEEP.meta || row.dataBytes > keepDataBytes) events.dropData(row);
  }

  again(namespace: string, seq: number, deliveries: readonly NewDelivery[], now: number): void {
    const { brokers, events } = this.#context;
    const row = events.row(seq);
    if (!row || brokers.get(row.broker).ref.namespace !== namespace) {
      throw new FaasError("notFound", "there is no such event (any more)");
    }
    if (!events.hasData(row))
      throw new FaasError("conflict", "the event's data is not kept, so it cannot be delivered again");
    this.#deliver(seq, row.broker, deliveries, now);
  }

  /** Ends some open deliveries of a trigger. @param upTo the last one that is meant; all there are when absent */
  drop(trigger: string, reason: string, upTo: number | undefined, limit: number): { count: number; upTo: number } {
    const { brokers, deliveries } = this.#context;
    const last = upTo ?? deliveries.last;
    const no = brokers.triggerNo(trigger);
    let count = 0;
    while (no !== undefined && count < limit) {
      const ids = deliveries.openOf(no, last, limit - count);
      if (ids.length === 0) break;
      for (const id of ids) this.end(deliveries.row(id) as DeliveryRow, DELIVERY_STATE.dropped, reason);
      count += ids.length;
    }
    return { count, upTo: last };
  }

  /** Ends what is open of an event that is too old. */
  expire(seq: number, reason: string): void {
    for (const row of this.#context.deliveries.ofEvent(seq)) {
      if (row.state < DELIVERY_STATE.delivered) this.end(row, DELIVERY_STATE.dropped, reason);
    }
  }
}
