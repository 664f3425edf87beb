import { createHash } from "node:crypto";
import { countSubjects } from "../../../../gateway/nats/count-subjects.ts";
import { readOn } from "../../../../gateway/nats/direct-get.ts";
import type { Delivery } from "../../../../gateway/nats/pull.ts";
import { sleep } from "../../../../kit/sleep.ts";
import type { NewDelivery, RouteEvents, Routing, StoredEvent } from "../../event-store.ts";
import type { EventContext } from "../client/context.ts";
import { decodeEvent, type LoggedEvent, readableEvent, storedEvent } from "../client/event-message.ts";
import { brokerKey, brokersIn, EVENT_STREAMS, eventRef, LOG_FILTER } from "../client/names.ts";
import type { WholeRecord } from "../client/records.ts";
import type { JetStreamRetention } from "../ledger/retention.ts";
import { LogReader } from "./log-reader.ts";
import { ROUTE_START, RouteLease, type RoutePlace } from "./route-lease.ts";

/** Events that are routed together. */
const CHUNK = 256;
const TROUBLE_MIN_MS = 100;
const TROUBLE_MAX_MS = 5000;
const LOOKS = 5;
const RENEWALS = 4;
const SWEEP_MS = 5000;

interface Arrived {
  readonly seq: number;
  readonly ref: string;
  readonly message: LoggedEvent;
  readonly event: StoredEvent;
}

interface Routed {
  readonly event: StoredEvent;
  readonly doc: WholeRecord;
  readonly again: boolean;
}

/** Gives arrived events to the triggers, as long as this process is the one that does. */
export class JetStreamEventRouter {
  readonly #context: EventContext;
  readonly #route: RouteEvents;
  readonly #retention: JetStreamRetention;
  readonly #lease: RouteLease;
  readonly #closing = new AbortController();
  readonly #off: () => void;
  #running: Promise<void> = Promise.resolve();
  #place: RoutePlace = ROUTE_START;
  #reader: LogReader | undefined;
  /** The server may be another one, or may have forgotten something. */
  #doubtful = false;
  #saving: Promise<boolean> | undefined;
  #sweeping: Promise<void> | undefined;

  constructor(context: EventContext, route: RouteEvents, retention: JetStreamRetention) {
    this.#context = context;
    this.#route = route;
    this.#retention = retention;
    this.#lease = new RouteLease(context);
    this.#off = context.link.onReconnect(() => {
      this.#doubtful = true;
      this.#reader?.interrupt();
    });
  }

  start(): void {
    this.#running = this.#run();
  }

  async close(): Promise<void> {
    this.#off();
    this.#closing.abort();
    this.#reader?.interrupt();
    await this.#running;
    await this.#sweeping;
  }

  async #run(): Promise<void> {
    const { link, settings } = this.#context;
    const { signal } = this.#closing;
    for (let troubleMs = 0; !signal.aborted; ) {
      try {
        const place = link.connected ? await this.#lease.tryToLead() : undefined;
        if (place) await this.#lead(place);
        troubleMs = 0;
      } catch (err) {
        troubleMs = Math.min(TROUBLE_MAX_MS, Math.max(TROUBLE_MIN_MS, troubleMs * 2));
        settings.log.warn({ err }, "events cannot be routed just now; trying again");
        await sleep(troubleMs * (0.5 + Math.random() / 2), signal);
        continue;
      }
      await sleep((settings.leaseMs / LOOKS) * (0.75 + Math.random() / 2), signal);
    }
  }

  async #lead(place: RoutePlace): Promise<void> {
    const { settings, link } = this.#context;
    settings.log.debug({ seq: place.seq }, "this process routes events now");
    this.#place = await this.#checked(place);
    this.#doubtful = false;
    const renewing = setInterval(() => this.#save(), settings.leaseMs / RENEWALS);
    try {
      this.#reader = await LogReader.open(link, this.#place.seq + 1);
      while (!this.#closing.signal.aborted && this.#lease.leads && !this.#doubtful && !this.#reader.lost) {
        const messages = await this.#reader.next(CHUNK, settings.leaseMs / RENEWALS);
        if (messages.length > 0) await this.#routeAll(messages);
        this.#sweeping ??= this.#sweep();
      }
    } finally {
      clearInterval(renewing);
      await this.#reader?.close().catch(() => undefined); // it vanishes by itself
      this.#reader = undefined;
      await this.#saving?.catch(() => undefined); // told where it was begun
      if (this.#lease.leads && link.connected) await this.#lease.giveBack(this.#place);
      else this.#lease.lose();
    }
  }

  /** A server that lost its last messages has given their numbers to others, or does so next. */
  async #checked(place: RoutePlace): Promise<RoutePlace> {
    if (place.ref === "") return place;
    const { messages } = await readOn(this.#context.link, EVENT_STREAMS.log, {
      seq: place.seq,
      subject: LOG_FILTER,
      limit: 1,
    });
    const [there] = messages;
    const same =
      there?.seq === place.seq && eventRef(there.seq, readableEvent(there.data)?.meta.mark ?? "") === place.ref;
    if (same || (there && there.seq > place.seq)) return place;
    // Gone since, as it was not to be kept; or never written down. What is routed already is not routed again.
    const { state } = await this.#context.link.api<{ state: { first_seq: number; last_seq: number } }>(
      `STREAM.INFO.${EVENT_STREAMS.log}`,
    );
    if (!there && state.last_seq >= place.seq) return place;
    this.#context.settings.log.warn({ seq: place.seq }, "NATS has lost events; those that it has are looked through");
    return ROUTE_START;
  }

  async #routeAll(messages: readonly Delivery[]): Promise<void> {
    const { signal } = this.#closing;
    for (let waitMs = TROUBLE_MIN_MS; ; waitMs = Math.min(TROUBLE_MAX_MS, waitMs * 2)) {
      try {
        await this.#routeChunk(messages);
        break;
      } catch (err) {
        this.#context.settings.log.warn({ err }, "arrived events cannot be routed yet");
        await sleep(waitMs * (0.5 + Math.random() / 2), signal);
        if (signal.aborted || this.#doubtful || !this.#lease.leads) return;
      }
    }
    this.#save();
  }

  async #routeChunk(messages: readonly Delivery[]): Promise<void> {
    const arrived = messages.flatMap((message) => this.#arrived(message));
    const routings = new Map<string, Routing>();
    const byBroker = Map.groupBy(
      arrived.filter(({ message }) => !message.meta.directed),
      ({ event }) => brokerKey(event.broker),
    );
    for (const events of byBroker.values()) {
      for (const routing of await this.#route(events.map(({ event }) => event))) routings.set(routing.ref, routing);
    }
    if (!this.#lease.leads) return;
    const routed = await Promise.all(arrived.map((each) => this.#store(each, routings.get(each.ref))));
    await this.#addAll(routed);
    const last = messages.at(-1) as Delivery;
    const ref = arrived.at(-1)?.seq === last.seq ? (arrived.at(-1) as Arrived).ref : "";
    this.#place = { seq: last.seq, ref };
  }

  #arrived({ seq, data }: Delivery): Arrived[] {
    try {
      const message = decodeEvent(data);
      const event = storedEvent(seq, message.meta, message.data);
      this.#context.cache.set(event.ref, event);
      return [{ seq, ref: event.ref, message, event }];
    } catch (err) {
      this.#context.settings.log.error({ err, seq }, "an event cannot be read; nobody gets it");
      return [];
    }
  }

  /** What was said of an event before counts, when somebody has routed it who may not have come to an end. */
  async #store({ ref, message, event }: Arrived, routing: Routing | undefined): Promise<Routed> {
    const { records, brokers } = this.#context;
    const doc: WholeRecord = {
      meta: message.meta,
      ...(message.data && { sha256: createHash("sha256").update(message.data).digest("hex") }),
      verdicts: routing?.verdicts ?? [],
      deliveries: message.meta.directed ?? routing?.deliveries ?? [],
      keep: routing?.keep ?? "full",
    };
    if (await records.writeWhole(event.broker, ref, doc, brokers.ttlOf(event))) return { event, doc, again: false };
    return { event, doc: (await records.whole(event.broker, ref)) ?? doc, again: true };
  }

  /** Those of one key one after another, all others together. */
  async #addAll(routed: readonly Routed[]): Promise<void> {
    const lanes = new Map<string, Promise<void>>();
    const adding: Promise<void>[] = [];
    for (const each of routed) {
      for (const [n, delivery] of each.doc.deliveries.entries()) {
        const key = delivery.orderKey === undefined ? undefined : `${delivery.trigger}\n${delivery.orderKey}`;
        const before = key === undefined ? undefined : lanes.get(key);
        const one = before ? before.then(() => this.#add(each, n, delivery)) : this.#add(each, n, delivery);
        if (key !== undefined) lanes.set(key, one);
        adding.push(one);
      }
      if (each.doc.deliveries.length === 0) adding.push(this.#unwanted(each));
    }
    await Promise.all(adding);
  }

  async #add({ event, doc, again }: Routed, n: number, delivery: NewDelivery): Promise<void> {
    const drops = doc.keep !== "full" || (doc.meta.dataBytes ?? 0) > this.#context.settings.keepDataBytes;
    await this.#context.open.add({
      broker: event.broker,
      ref: event.ref,
      n: String(n),
      delivery,
      failures: 0,
      arrivedAt: event.arrivedAt,
      record: 0,
      ...(delivery.notBefore !== undefined && { dueAt: delivery.notBefore }),
      ...(again && { again }),
      ...(drops && { drops }),
    });
  }

  /** Nobody wants it, so it is over. */
  async #unwanted({ event: { ref, broker }, doc: { keep, meta } }: Routed): Promise<void> {
    if (keep === "off") await this.#retention.remove(broker, ref);
    else if (keep === "meta" || (meta.dataBytes ?? 0) > this.#context.settings.keepDataBytes) {
      await this.#retention.dropData(ref);
    }
  }

  /** One at a time; what has come up meanwhile goes with the next one. */
  #save(): void {
    if (this.#saving) return;
    const place = this.#place;
    this.#saving = this.#lease.move(place).finally(() => {
      this.#saving = undefined;
      if (this.#place !== place && this.#lease.leads) this.#save();
    });
    this.#saving.catch((err: unknown) =>
      this.#context.settings.log.debug({ err }, "how far events are routed cannot be written down yet"),
    );
  }

  /** Once in a while; never rejects. */
  async #sweep(): Promise<void> {
    const { link, brokers, settings } = this.#context;
    try {
      await brokers.refresh();
      for (const broker of brokersIn(await countSubjects(link, EVENT_STREAMS.log, LOG_FILTER))) {
        while (this.#lease.leads && (await this.#retention.sweep(broker)) > 0);
        await this.#retention.sweepOpen(broker);
      }
    } catch (err) {
      settings.log.debug({ err }, "old events cannot be removed yet");
    }
    await sleep(SWEEP_MS, this.#closing.signal);
    this.#sweeping = undefined;
  }
}
