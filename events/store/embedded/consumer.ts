import type { Logger } from "../../../kit/log.ts";
import { sleep } from "../../../kit/sleep.ts";
import { mayTakeMore } from "../delivery-share.ts";
import type {
  DeliverEvent,
  DeliverySettlement,
  EventConsumer,
  EventConsumerOptions,
  EventDelivery,
  StoredEvent,
} from "../event-store.ts";
import type { EventClaimAnswer, WireEventDelivery } from "./protocol.ts";

export interface EventConsumerPort {
  claim(claims: readonly (readonly [trigger: string, count: number])[]): void;
  settle(delivery: number, settlement: DeliverySettlement): void;
  /** Events by their places, from memory or the store. */
  events(seqs: readonly number[]): Promise<ReadonlyMap<number, StoredEvent>>;
  closed(): void;
  readonly log: Pick<Logger, "error">;
}

interface Try {
  readonly wire: WireEventDelivery;
  readonly trigger: string;
  readonly controller: AbortController;
}

/** Pause before a delivery is made again whose maker failed to say what became of it. */
const FAILED_PAUSE_MS = 1000;

/** Claims deliveries for one consumer, as many as it makes at a time, and settles them. */
export class EmbeddedEventConsumer implements EventConsumer {
  readonly #deliver: DeliverEvent;
  readonly #options: EventConsumerOptions;
  readonly #port: EventConsumerPort;
  /** Triggers that may have something due; shared by all consumers. */
  readonly #ready: ReadonlySet<string>;
  /** Those of them that may have more than they have, in the order of their turns. */
  readonly #candidates = new Set<string>();
  /** Under way or claimed, by trigger. */
  readonly #taken = new Map<string, number>();
  #takenInAll = 0;
  readonly #underWay = new Map<number, Try>();
  #turning = false;
  #closing: PromiseWithResolvers<void> | undefined;
  #interrupted: PromiseWithResolvers<void> | undefined;

  constructor(
    deliver: DeliverEvent,
    options: EventConsumerOptions,
    ready: ReadonlySet<string>,
    port: EventConsumerPort,
  ) {
    this.#deliver = deliver;
    this.#options = options;
    this.#ready = ready;
    this.#port = port;
  }

  changed(): void {
    for (const trigger of this.#ready) this.#candidates.add(trigger);
    this.#turnSoon();
  }

  /** These may have something due, too. */
  ready(triggers: readonly string[]): void {
    for (const trigger of triggers) this.#candidates.add(trigger);
    this.#turnSoon();
  }

  #turnSoon(): void {
    if (this.#turning || this.#closing || this.#interrupted) return;
    this.#turning = true;
    queueMicrotask(() => this.#turn());
  }

  /** Claims in rounds, one delivery of each trigger at a time, so that none waits for all of another one's. */
  #turn(): void {
    this.#turning = false;
    if (this.#closing || this.#interrupted) return;
    const { concurrency, perTrigger } = this.#options;
    const counts = new Map<string, number>();
    for (let more = true; more; ) {
      more = false;
      // One that gets something goes to the end, where this round does not come to it again.
      let left = this.#candidates.size;
      for (const trigger of this.#candidates) {
        if (left-- === 0 || this.#takenInAll >= concurrency) break;
        const taken = this.#taken.get(trigger) ?? 0;
        const limit = perTrigger(trigger);
        if (taken >= limit) this.#candidates.delete(trigger);
        else if (mayTakeMore(taken, limit, this.#takenInAll, concurrency)) {
          this.#count(trigger, 1);
          counts.set(trigger, (counts.get(trigger) ?? 0) + 1);
          this.#candidates.delete(trigger);
          this.#candidates.add(trigger);
          more = true;
        }
      }
    }
    if (counts.size > 0) this.#port.claim([...counts]);
  }

  #count(trigger: string, change: number): void {
    const taken = (this.#taken.get(trigger) ?? 0) + change;
    if (taken > 0) this.#taken.set(trigger, taken);
    else this.#taken.delete(trigger);
    this.#takenInAll += change;
    if (change < 0 && this.#ready.has(trigger)) this.#candidates.add(trigger);
  }

  receive({ trigger, deliveries, missed }: EventClaimAnswer): void {
    this.#count(trigger, -missed);
    if (!this.#ready.has(trigger)) this.#candidates.delete(trigger);
    if (this.#closing || this.#interrupted) {
      this.#count(trigger, -deliveries.length);
      for (const { id } of deliveries) this.#port.settle(id, { kind: "back" });
      this.#mayEnd();
    } else if (deliveries.length > 0) void this.#make(trigger, deliveries);
    else this.#mayEnd();
    if (missed > 0) this.#turnSoon();
  }

  async #make(trigger: string, deliveries: readonly WireEventDelivery[]): Promise<void> {
    const tries = deliveries.map((wire) => ({ wire, trigger, controller: new AbortController() }));
    for (const one of tries) this.#underWay.set(one.wire.id, one);
    let events: ReadonlyMap<number, StoredEvent>;
    try {
      events = await this.#port.events(deliveries.map(({ event }) => event));
    } catch {
      // The store is away; it gives them out again when it is back.
      for (const one of tries) this.#settled(one, { kind: "back" });
      return;
    }
    for (const one of tries) {
      const event = events.get(one.wire.event);
      if (event) void this.#try(one, { ...one.wire, id: String(one.wire.id), event });
      else this.#settled(one, { kind: "dead", reason: "the event is gone" });
    }
  }

  async #try(one: Try, delivery: EventDelivery): Promise<void> {
    const { signal } = one.controller;
    let settlement: DeliverySettlement;
    try {
      settlement = await this.#deliver(delivery, signal);
    } catch (error) {
      this.#port.log.error(
        { err: error, trigger: one.trigger, delivery: delivery.id },
        "a delivery ended without a result",
      );
      await sleep(FAILED_PAUSE_MS, signal);
      settlement = { kind: "back" };
    }
    this.#settled(one, settlement);
  }

  #settled(one: Try, settlement: DeliverySettlement): void {
    const { id } = one.wire;
    // Somebody else has it now.
    if (this.#underWay.get(id) !== one) return;
    this.#underWay.delete(id);
    this.#count(one.trigger, -1);
    this.#port.settle(id, settlement);
    this.#turnSoon();
    this.#mayEnd();
  }

  /** Ended by others. */
  abort(ids: readonly number[]): void {
    for (const id of ids) this.#underWay.get(id)?.controller.abort();
  }

  #abortAll(): void {
    for (const { controller } of this.#underWay.values()) controller.abort();
  }

  /** The store has lost its memory of what it gave out. Resolves once nothing is under way. */
  interrupt(): Promise<void> {
    this.#interrupted ??= Promise.withResolvers<void>();
    this.#abortAll();
    // Claims that were sent are not answered any more.
    this.#candidates.clear();
    this.#taken.clear();
    this.#takenInAll = 0;
    for (const { trigger } of this.#underWay.values()) this.#count(trigger, 1);
    this.#mayEnd();
    return this.#interrupted.promise;
  }

  /** The store is back, and gives out anew what has not been settled. */
  resume(): void {
    this.#interrupted = undefined;
    this.#underWay.clear();
    this.#taken.clear();
    this.#takenInAll = 0;
    this.changed();
    this.#mayEnd();
  }

  #mayEnd(): void {
    if (this.#underWay.size > 0) return;
    this.#interrupted?.resolve();
    if (!this.#closing || (this.#takenInAll > 0 && !this.#interrupted)) return;
    this.#port.closed();
    this.#closing.resolve();
  }

  close(): Promise<void> {
    this.#closing ??= Promise.withResolvers<void>();
    this.#mayEnd();
    return this.#closing.promise;
  }

  /** The store closes: what is under way is for others. */
  end(): void {
    this.#closing ??= Promise.withResolvers<void>();
    this.#abortAll();
    this.#port.closed();
    this.#closing.resolve();
  }
}
