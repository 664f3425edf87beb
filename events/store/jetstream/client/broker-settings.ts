import type { Link } from "../../../../gateway/nats/connection.ts";
import { lastOf } from "../../../../gateway/nats/direct-get.ts";
import type { Publisher } from "../../../../gateway/nats/publisher.ts";
import { earliestNow } from "../../../../kit/steady-clock.ts";
import { type BrokerLimits, type BrokerRef, DEFAULT_BROKER_LIMITS } from "../../event-store.ts";
import { brokerKey, EVENT_SIGNALS, EVENT_STREAMS, LIMITS_FILTER, limitsSubject, newId, parseLimits } from "./names.ts";

/** How long an event is kept that was not delivered in its time, to tell so. */
export const OVERDUE_KEPT_MS = 3600_000;

/** The limits of brokers, as all processes have them. */
export class BrokerSettings {
  readonly #link: Link;
  readonly #publisher: Publisher;
  #limits = new Map<string, BrokerLimits>();

  constructor(link: Link, publisher: Publisher) {
    this.#link = link;
    this.#publisher = publisher;
  }

  of(broker: BrokerRef): BrokerLimits {
    return this.#limits.get(brokerKey(broker)) ?? DEFAULT_BROKER_LIMITS;
  }

  /** When an event's time is over. */
  endOf({ broker, arrivedAt }: { readonly broker: BrokerRef; readonly arrivedAt: number }): number {
    return arrivedAt + this.of(broker).maxAgeMs;
  }

  /** Seconds for which the server is to keep what belongs to an event. */
  ttlOf(event: { readonly broker: BrokerRef; readonly arrivedAt: number }): number {
    // One that has come while a clock was ahead is not kept until that time has come.
    const leftMs = Math.min(this.endOf(event) - earliestNow(), this.of(event.broker).maxAgeMs);
    return (leftMs + OVERDUE_KEPT_MS) / 1000;
  }

  async set(broker: BrokerRef, limits: BrokerLimits): Promise<void> {
    const { maxAgeMs, maxBytes, maxEvents } = limits;
    const text = JSON.stringify({ maxAgeMs, maxBytes, maxEvents });
    const known = this.#limits.get(brokerKey(broker));
    if (known && JSON.stringify(known) === text) return;
    await this.#publisher.publish(limitsSubject(broker), Buffer.from(text), { id: newId() });
    this.#limits.set(brokerKey(broker), JSON.parse(text) as BrokerLimits);
    this.#link.send({ subject: EVENT_SIGNALS.changed, payload: "limits" });
  }

  /** Reads what other processes have set. */
  async refresh(): Promise<void> {
    const messages = await lastOf(this.#link, EVENT_STREAMS.resources, [LIMITS_FILTER]);
    this.#limits = new Map(
      messages.map(({ subject, data }) => [
        brokerKey(parseLimits(subject)),
        JSON.parse(data.toString()) as BrokerLimits,
      ]),
    );
  }
}
