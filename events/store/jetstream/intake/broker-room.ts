import { FaasError } from "../../../../contract/errors.ts";
import type { Link } from "../../../../gateway/nats/connection.ts";
import type { BrokerRef } from "../../event-store.ts";
import { type BrokerUse, countBroker } from "../client/broker-count.ts";
import type { BrokerSettings } from "../client/broker-settings.ts";
import { brokerKey } from "../client/names.ts";

interface Counted extends BrokerUse {
  readonly at: number;
}

/** How old a count may be while there is plenty of room. */
const COUNT_AGE_MS = 1000;
/** Of the limits, up to which a count need not be fresh. */
const PLENTY = 0.8;
/** Of the limits; so much is made room for at a time. */
const STEP = 1 / 50;
const FULL_MS = 500;

/**
 * Keeps brokers to their limits. Counts are asked for in the background while there is plenty of room, and what this process
 * has added since is added to them; near the limits they are asked for before something is taken.
 */
export class BrokerRoom {
  readonly #link: Link;
  readonly #brokers: BrokerSettings;
  readonly #makeRoom: (broker: BrokerRef, need: BrokerUse) => Promise<boolean>;
  readonly #counted = new Map<string, Counted>();
  readonly #making = new Map<string, Promise<Counted>>();
  /** By the monotonic clock, for brokers in which nothing has been found that may go. */
  readonly #fullUntil = new Map<string, number>();
  readonly #counting = new Map<string, Promise<Counted>>();

  /** @param makeRoom lets events go that are delivered, for `need` at least */
  constructor(link: Link, brokers: BrokerSettings, makeRoom: (broker: BrokerRef, need: BrokerUse) => Promise<boolean>) {
    this.#link = link;
    this.#brokers = brokers;
    this.#makeRoom = makeRoom;
  }

  /** @throws {FaasError} `overloaded` when the broker has no room for so much */
  async admit(broker: BrokerRef, need: BrokerUse): Promise<void> {
    let count = this.#counted.get(brokerKey(broker));
    const isOld = !count || performance.now() - count.at > COUNT_AGE_MS;
    if (!count || !this.#fits(broker, count, need, PLENTY)) count = await this.#count(broker);
    else if (isOld) this.#count(broker).catch(() => undefined); // asked for again next time
    if (!this.#fits(broker, count, need, 1)) {
      count = await this.#makeSure(broker, need);
    }
    const { events, bytes, at } = count;
    this.#counted.set(brokerKey(broker), { events: events + need.events, bytes: bytes + need.bytes, at });
  }

  #fits(broker: BrokerRef, count: BrokerUse, need: BrokerUse, share: number): boolean {
    const { maxEvents, maxBytes } = this.#brokers.of(broker);
    return count.events + need.events <= maxEvents * share && count.bytes + need.bytes <= maxBytes * share;
  }

  /** One at a time for a broker: what one has made room for may do for others, too. */
  async #makeSure(broker: BrokerRef, need: BrokerUse): Promise<Counted> {
    const key = brokerKey(broker);
    const before = this.#making.get(key);
    const making = (async () => {
      await before?.catch(() => undefined); // its own caller is told
      return await this.#evict(broker, await this.#count(broker), need);
    })();
    this.#making.set(key, making);
    try {
      return await making;
    } finally {
      if (this.#making.get(key) === making) this.#making.delete(key);
    }
  }

  async #evict(broker: BrokerRef, count: Counted, need: BrokerUse): Promise<Counted> {
    if (this.#fits(broker, count, need, 1)) return count;
    const key = brokerKey(broker);
    const { maxEvents, maxBytes } = this.#brokers.of(broker);
    const isPossible = need.events <= maxEvents && need.bytes <= maxBytes;
    if (!isPossible || performance.now() < (this.#fullUntil.get(key) ?? 0)) throw this.#full(broker, count);
    const least = {
      events: Math.max(0, count.events + need.events - maxEvents),
      bytes: Math.max(0, count.bytes + need.bytes - maxBytes),
    };
    await this.#makeRoom(broker, {
      events: least.events > 0 ? least.events + Math.floor(maxEvents * STEP) : 0,
      bytes: least.bytes > 0 ? least.bytes + Math.floor(maxBytes * STEP) : 0,
    });
    const left = await this.#count(broker);
    if (this.#fits(broker, left, need, 1)) return left;
    // To look through all of it costs the server something.
    this.#fullUntil.set(key, performance.now() + FULL_MS);
    throw this.#full(broker, left);
  }

  #full(broker: BrokerRef, { events, bytes }: BrokerUse): FaasError {
    const { maxEvents, maxBytes } = this.#brokers.of(broker);
    return new FaasError(
      "overloaded",
      `broker ${brokerKey(broker)} is full of events that are not delivered yet ` +
        `(${events} of ${maxEvents} events, ${bytes} of ${maxBytes} bytes)`,
      { code: "broker_full" },
    );
  }

  #count(broker: BrokerRef): Promise<Counted> {
    const key = brokerKey(broker);
    const known = this.#counting.get(key);
    if (known) return known;
    const counting = countBroker(this.#link, broker).then((use) => {
      const counted = { ...use, at: performance.now() };
      this.#counted.set(key, counted);
      return counted;
    });
    this.#counting.set(key, counting);
    const forget = () => this.#counting.delete(key);
    counting.then(forget, forget);
    return counting;
  }
}
