import type { Link } from "../../../../gateway/nats/connection.ts";
import type { Publisher } from "../../../../gateway/nats/publisher.ts";
import { deleteMessage, readMessage } from "../../../../gateway/nats/stored-message.ts";
import { decodeDelivery, deliveryId, encodeDelivery, type OpenDelivery } from "./delivery-message.ts";
import { dueSubject, EVENT_SIGNALS, EVENT_STREAMS, laneSubject, laterDeliverySubject } from "./names.ts";
import type { ServerClock } from "./server-clock.ts";

/** What a date can say. */
const LAST_TIME_MS = Date.UTC(9999, 11, 31);

/** What is due so soon goes to a worker, which waits: the server looks at its schedules a few times a second. */
export const SOON_MS = 1000;
/** A trigger is told of so often at most; who knows of it asks for more. */
const TELL_EVERY_MS = 500;
const MAX_TOLD = 10_000;

/**
 * Puts open deliveries where they wait. Those of one key stand in a lane, a subject of its own; the first of them is
 * given out like any other delivery, and stays in the lane until it is over.
 */
export class OpenDeliveries {
  readonly #link: Link;
  readonly #publisher: Publisher;
  readonly #clock: ServerClock;
  readonly #told = new Map<string, number>();
  readonly #listeners = new Set<(trigger: string) => void>();

  constructor(link: Link, publisher: Publisher, clock: ServerClock) {
    this.#link = link;
    this.#publisher = publisher;
    this.#clock = clock;
  }

  /** Calls `listener` when this process has made a delivery due. @returns what takes it off again */
  onDue(listener: (trigger: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Adds a delivery. Those of one key are to be added one after another. What is added twice is there once, for minutes. */
  async add(message: OpenDelivery): Promise<void> {
    if (message.delivery.orderKey === undefined) return await this.give(message);
    const lane = this.#laneOf(message);
    const stored = await this.#publisher.publish(lane, encodeDelivery(message), { id: `l.${deliveryId(message)}` });
    // Whoever takes away the one before it looks for the next one afterwards: one of both sees it.
    const first = await this.#firstOf(lane);
    if (first === undefined || first.seq === stored.seq) await this.give({ ...message, lane: stored.seq });
  }

  /** Gives a delivery out, now or when it is due. */
  async give(message: OpenDelivery): Promise<void> {
    const { delivery, broker, dueAt, failures } = message;
    const order = message.lane === undefined ? "u" : "o";
    const id = deliveryId(message);
    const request = { id: `d.${id}.${failures}` };
    if (dueAt !== undefined && dueAt > Date.now() + SOON_MS) {
      const due = dueSubject(delivery.trigger, broker, order);
      const headers: [string, string][] = [
        ["Nats-Schedule", `@at ${scheduleTime(this.#clock.toServer(dueAt))}`],
        ["Nats-Schedule-Target", due],
      ];
      const subject = laterDeliverySubject(delivery.trigger, broker, order, id);
      await this.#publisher.publish(subject, encodeDelivery(message), { ...request, headers });
      return;
    }
    await this.#publisher.publish(dueSubject(delivery.trigger, broker, order), encodeDelivery(message), request);
    this.#tell(delivery.trigger);
  }

  /** The first one of a lane is over: the next one's turn. May be called again for the same one. */
  async advance(message: OpenDelivery): Promise<void> {
    if (message.lane === undefined) return;
    for (let gone = message.lane; ; ) {
      await deleteMessage(this.#link, EVENT_STREAMS.deliveries, gone);
      const next = await this.#firstOf(this.#laneOf(message));
      if (!next) return;
      const delivery = decodeDelivery(next.data);
      if (delivery) return await this.give({ ...delivery, lane: next.seq });
      gone = next.seq;
    }
  }

  async #firstOf(lane: string) {
    return await readMessage(this.#link, EVENT_STREAMS.deliveries, { seq: 1, next_by_subj: lane });
  }

  #laneOf({ delivery, broker }: OpenDelivery): string {
    return laneSubject(delivery.trigger, broker, delivery.orderKey ?? "");
  }

  #tell(trigger: string): void {
    for (const listener of this.#listeners) listener(trigger);
    const now = performance.now();
    if (now - (this.#told.get(trigger) ?? Number.NEGATIVE_INFINITY) < TELL_EVERY_MS) return;
    if (this.#told.size >= MAX_TOLD) this.#told.clear();
    this.#told.set(trigger, now);
    this.#link.send({ subject: EVENT_SIGNALS.due, payload: trigger });
  }
}

function scheduleTime(time: number): string {
  return new Date(Math.min(time, LAST_TIME_MS)).toISOString();
}
