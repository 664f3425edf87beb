import type { BrokerTable } from "../db/broker-table.ts";
import type { DeliveryTable } from "../db/delivery-table.ts";
import { DELIVERY_STATE } from "../db/delivery-table.ts";
import type { EventClaimAnswer, WireEventDelivery } from "../protocol.ts";

/** Who has which deliveries, and which triggers may have some that are due. In memory: a crash gives all back. */
export class EventDispatch {
  readonly #deliveries: DeliveryTable;
  readonly #brokers: BrokerTable;
  /** Given out, with their triggers. */
  readonly #underWay = new Map<number, number>();
  readonly #underWayOf = new Map<number, number>();
  /** Given back by the transaction that is not committed. */
  #backs: (readonly [id: number, trigger: number])[] = [];
  /** Triggers whose owners know that they may have deliveries that are due. */
  readonly #told = new Set<number>();
  /** To be told. */
  #ready = new Set<number>();
  /** When triggers that are not told of have something due. */
  readonly #due = new Map<number, number>();

  constructor(deliveries: DeliveryTable, brokers: BrokerTable) {
    this.#deliveries = deliveries;
    this.#brokers = brokers;
    this.lookAtAll();
  }

  /** What was known of times is not so any more. */
  lookAtAll(): void {
    for (const trigger of this.#brokers.openTriggers()) this.due(trigger, 0);
  }

  /** Deliveries that are given out. */
  get underWay(): Iterable<number> {
    return this.#underWay.keys();
  }

  isUnderWay(id: number): boolean {
    return this.#underWay.has(id);
  }

  /** A trigger has a delivery that is due at once, or at a time. */
  due(trigger: number, at: number): void {
    if (this.#told.has(trigger)) return;
    if (at === 0) {
      this.#told.add(trigger);
      this.#ready.add(trigger);
      this.#due.delete(trigger);
    } else this.#due.set(trigger, Math.min(at, this.#due.get(trigger) ?? Number.POSITIVE_INFINITY));
  }

  /** @returns whether it was given out */
  back(id: number): boolean {
    const trigger = this.#underWay.get(id);
    if (trigger === undefined) return false;
    this.#backs.push([id, trigger]);
    this.#underWay.delete(id);
    const left = (this.#underWayOf.get(trigger) ?? 1) - 1;
    if (left > 0) this.#underWayOf.set(trigger, left);
    else this.#underWayOf.delete(trigger);
    return true;
  }

  /** A transaction begins; what the one before gave back is so. */
  begin(): void {
    this.#backs = [];
  }

  /** The transaction came to nothing. */
  undo(): void {
    for (const [id, trigger] of this.#backs) this.#giveOut(id, trigger);
    this.#backs = [];
  }

  #giveOut(id: number, trigger: number): void {
    this.#underWay.set(id, trigger);
    this.#underWayOf.set(trigger, (this.#underWayOf.get(trigger) ?? 0) + 1);
  }

  /** Triggers to tell of. */
  takeReady(now: number): string[] {
    for (const [trigger, at] of this.#due) if (at <= now) this.due(trigger, 0);
    const ready = [...this.#ready].map((no) => this.#brokers.triggerId(no));
    this.#ready = new Set();
    return ready;
  }

  get nextDue(): number | undefined {
    let next: number | undefined;
    for (const at of this.#due.values()) if (next === undefined || at < next) next = at;
    return next;
  }

  /** Gives out up to `count` deliveries of a trigger. */
  claim(consumer: number, trigger: string, count: number, now: number): EventClaimAnswer {
    const no = this.#brokers.triggerNo(trigger);
    const deliveries = no === undefined ? [] : this.#take(no, count, now);
    const missed = count - deliveries.length;
    if (no !== undefined && missed > 0) {
      this.#told.delete(no);
      this.#ready.delete(no);
      const next = this.#deliveries.nextDue(no, now);
      if (next !== undefined) this.due(no, next);
    }
    return { consumer, trigger, deliveries, missed };
  }

  #take(trigger: number, count: number, now: number): WireEventDelivery[] {
    const limit = count + (this.#underWayOf.get(trigger) ?? 0);
    const free = (ids: readonly number[]) => ids.filter((id) => !this.#underWay.has(id));
    const timed = free(this.#deliveries.timed(trigger, now, limit));
    const fresh = free(this.#deliveries.fresh(trigger, limit));
    // Half to each, as far as there are some: neither what is new nor what is tried again waits for all of the other.
    const half = Math.max(count - fresh.length, Math.ceil(count / 2));
    const chosen = [...timed.slice(0, half), ...fresh].slice(0, count);
    return chosen.flatMap((id) => {
      const row = this.#deliveries.row(id);
      if (!row || row.state >= DELIVERY_STATE.delivered) return [];
      this.#giveOut(id, trigger);
      return [this.#deliveries.wire(row)];
    });
  }
}
