import { FaasError } from "../../../contract/errors.ts";
import { sleep } from "../../../kit/sleep.ts";
import { EventCache } from "../event-cache.ts";
import type {
  Appended,
  BrokerLimits,
  BrokerRef,
  BrokerStats,
  DeliverEvent,
  EventConsumer,
  EventConsumerOptions,
  EventPage,
  EventQuery,
  EventRecord,
  EventStore,
  NewDelivery,
  NewEvent,
  RouteEvents,
  StoredEvent,
} from "../event-store.ts";
import { EmbeddedEventConsumer } from "./consumer.ts";
import { EventLink, type EventLinkOptions } from "./link.ts";
import type { EventAnswers, EventThreadAnswer } from "./protocol.ts";
import { EventRouter } from "./routing.ts";
import {
  eventBytesOf,
  eventHeadOf,
  eventRefOf,
  eventSeqAfter,
  eventSeqOf,
  toEventRecord,
  toStoredEvent,
  toWireEvent,
  toWireSettlement,
} from "./wire.ts";

export interface EmbeddedEventStoreOptions extends EventLinkOptions {
  readonly maxEventBytes: number;
  /** Of events that are kept in memory for those who are about to get them. */
  readonly cacheBytes: number;
  /** Whether there is nothing stored yet, so that nothing needs to be opened to be looked at. */
  readonly isEmpty: boolean;
}

/** What an event takes on its way to the disk, beside its data. */
const HEAD_BYTES = 1024;

/** How long what is under way may take to end before it is given out again, when the thread has died. */
const INTERRUPT_MS = 10_000;

/** Events in a file, as its users see it: speaks with the thread that has the file. */
export class EmbeddedEventStore implements EventStore {
  readonly maxEventBytes: number;
  readonly link: EventLink;
  readonly #options: EmbeddedEventStoreOptions;
  readonly #cache: EventCache<number>;
  readonly #ready = new Set<string>();
  readonly #pending = new Map<number, BrokerRef>();
  readonly #consumers = new Map<number, EmbeddedEventConsumer>();
  readonly #routers = new Map<number, EventRouter>();
  /** Set before there was a file. */
  readonly #limits = new Map<string, readonly [broker: BrokerRef, limits: BrokerLimits]>();
  #lastConsumer = 0;
  #closing: Promise<void> | undefined;

  constructor(options: EmbeddedEventStoreOptions) {
    this.#options = options;
    this.maxEventBytes = options.maxEventBytes;
    this.#cache = new EventCache<number>(options.cacheBytes);
    this.link = new EventLink(options, {
      opened: (again) => {
        if (again) for (const consumer of this.#consumers.values()) consumer.resume();
        for (const [broker, limits] of this.#limits.values())
          void this.#setLimits(broker, limits).catch(() => undefined);
        this.#limits.clear();
      },
      told: (stored) => this.#told(stored),
      lost: async () => {
        this.#ready.clear();
        this.#pending.clear();
        const ended = Promise.all([...this.#consumers.values()].map((consumer) => consumer.interrupt()));
        await settledWithin(ended, INTERRUPT_MS);
      },
    });
  }

  /** Nothing has been stored, and nothing is being. */
  get #untouched(): boolean {
    return this.#options.isEmpty && !this.link.started;
  }

  async append(events: readonly NewEvent[]): Promise<readonly Appended[]> {
    if (events.length === 0) return [];
    const heads = events.map(eventHeadOf);
    let bytes = 0;
    for (const [i, event] of events.entries()) {
      const own = eventBytesOf(event, heads[i] as string);
      if (own > this.maxEventBytes) {
        throw new FaasError(
          "tooLarge",
          `an event has at most ${this.maxEventBytes} bytes with its attributes, not ${own}`,
        );
      }
      bytes += own + HEAD_BYTES;
    }
    await this.link.open();
    this.link.ensureRoom(bytes);
    const places = (await this.link.request(
      (name) => ({
        kind: "append",
        name,
        events: events.map((event, i) => toWireEvent(event, heads[i] as string, this.link.packer)),
      }),
      bytes,
    )) as readonly (readonly [seq: number, known: boolean])[];
    return places.map(([seq, duplicate], i) => {
      const { once, directed, ...event } = events[i] as NewEvent;
      if (!duplicate && this.#consumers.size > 0) this.#cache.set(seq, { ...event, ref: eventRefOf(seq) });
      return { ref: eventRefOf(seq), duplicate };
    });
  }

  async limit(broker: BrokerRef, limits: BrokerLimits): Promise<void> {
    if (this.#untouched) this.#limits.set(`${broker.namespace}/${broker.name}`, [broker, limits]);
    else await this.#setLimits(broker, limits);
  }

  async #setLimits(broker: BrokerRef, limits: BrokerLimits): Promise<void> {
    await this.link.ask({ kind: "limit", broker, limits });
  }

  async consume(route: RouteEvents, deliver: DeliverEvent, options: EventConsumerOptions): Promise<EventConsumer> {
    if (this.#closing) throw new FaasError("unavailable", "the store of events is closed");
    if (!this.#untouched) await this.link.open();
    const no = ++this.#lastConsumer;
    const { log } = this.#options;
    const events = (seqs: readonly number[]) => this.#events(seqs);
    const router = new EventRouter(route, {
      pending: (broker, after, limit) => this.link.ask({ kind: "pending", broker, after, limit }),
      events,
      route: (broker, routings) => this.link.send(() => ({ kind: "route", broker, routings })),
      routed: (broker) => this.#pending.delete(broker),
      log,
    });
    const consumer = new EmbeddedEventConsumer(deliver, options, this.#ready, {
      claim: (claims) => this.link.send(() => ({ kind: "claim", consumer: no, claims })),
      settle: (delivery, settlement) =>
        this.link.send(() => ({
          kind: "settle",
          delivery,
          settlement: toWireSettlement(settlement, this.maxEventBytes, this.link.packer),
        })),
      events,
      closed: () => this.#consumers.delete(no),
      log,
    });
    this.#consumers.set(no, consumer);
    this.#routers.set(no, router);
    this.#routePending();
    consumer.changed();
    return {
      changed: () => consumer.changed(),
      close: async () => {
        this.#routers.delete(no);
        await router.close();
        this.#routePending();
        await consumer.close();
      },
    };
  }

  /** By the first that consumes: two would not keep the order. */
  #routePending(): void {
    const [router] = this.#routers.values();
    if (router) for (const [broker, ref] of this.#pending) router.work(broker, ref);
  }

  #told({ claims, ready, pending, abort }: EventThreadAnswer): void {
    for (const trigger of ready) this.#ready.add(trigger);
    for (const answer of claims) {
      if (answer.missed > 0 && !ready.includes(answer.trigger)) this.#ready.delete(answer.trigger);
      const consumer = this.#consumers.get(answer.consumer);
      if (consumer) consumer.receive(answer);
      else
        for (const { id } of answer.deliveries)
          this.link.send(() => ({ kind: "settle", delivery: id, settlement: { kind: "back" } }));
    }
    if (ready.length > 0) for (const consumer of this.#consumers.values()) consumer.ready(ready);
    if (abort.length > 0) for (const consumer of this.#consumers.values()) consumer.abort(abort);
    for (const [broker, ref] of pending) this.#pending.set(broker, ref);
    if (pending.length > 0) this.#routePending();
  }

  async #events(seqs: readonly number[]): Promise<ReadonlyMap<number, StoredEvent>> {
    const events = new Map<number, StoredEvent>();
    const missing: number[] = [];
    for (const seq of new Set(seqs)) {
      const known = this.#cache.get(seq);
      if (known) events.set(seq, known);
      else missing.push(seq);
    }
    if (missing.length > 0) {
      for (const wire of await this.link.ask({ kind: "events", seqs: missing })) {
        const event = toStoredEvent(wire);
        events.set(wire.seq, event);
        this.#cache.set(wire.seq, event);
      }
    }
    return events;
  }

  async list(
    query: EventQuery,
    { order, after, limit, withData }: EventPage,
  ): Promise<{ readonly events: readonly EventRecord[]; readonly next?: string }> {
    let at = after === undefined ? undefined : eventSeqAfter(after);
    if (this.#untouched || !(limit >= 1)) return { events: [] };
    const events: EventRecord[] = [];
    for (;;) {
      const page: EventAnswers["list"] = await this.link.ask({
        kind: "list",
        query,
        newest: order === "newest",
        after: at,
        limit: limit - events.length,
        withData: withData === true,
      });
      for (const record of page.records) events.push(toEventRecord(record));
      if (page.next === undefined) return { events };
      if (events.length >= limit) return { events, next: eventRefOf(page.next) };
      at = page.next;
    }
  }

  async find(namespace: string, ref: string): Promise<EventRecord | undefined> {
    const seq = eventSeqOf(ref);
    if (seq === undefined || this.#untouched) return undefined;
    const record = await this.link.ask({ kind: "find", namespace, seq });
    return record && toEventRecord(record);
  }

  async deliverAgain(namespace: string, ref: string, deliveries: readonly NewDelivery[]): Promise<void> {
    const seq = eventSeqOf(ref);
    if (seq === undefined || this.#untouched) throw new FaasError("notFound", "there is no such event (any more)");
    await this.link.ask({ kind: "again", namespace, seq, deliveries });
  }

  async drop(trigger: string, reason: string): Promise<number> {
    if (this.#untouched) return 0;
    let count = 0;
    for (let upTo: number | undefined; ; ) {
      const dropped: EventAnswers["drop"] = await this.link.ask({ kind: "drop", trigger, reason, upTo });
      if (dropped.count === 0) return count;
      count += dropped.count;
      // Those that come while this goes on are not meant.
      upTo = dropped.upTo;
    }
  }

  async stats(namespace: string): Promise<readonly BrokerStats[]> {
    return this.#untouched ? [] : await this.link.ask({ kind: "stats", namespace });
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    for (const router of this.#routers.values()) void router.close();
    for (const consumer of [...this.#consumers.values()]) consumer.end();
    await this.link.close();
  }
}

async function settledWithin(promise: Promise<unknown>, ms: number): Promise<void> {
  const over = new AbortController();
  await Promise.race([promise, sleep(ms, over.signal)]);
  over.abort();
}
