import { FaasError } from "../../../contract/errors.ts";
import type { Link } from "../../../gateway/nats/connection.ts";
import type {
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
} from "../event-store.ts";
import { EventContext } from "./client/context.ts";
import { JetStreamEventConsumer } from "./deliver/consumer.ts";
import { DeliverySettler } from "./deliver/settlement.ts";
import { BrokerRoom } from "./intake/broker-room.ts";
import { EventIntake } from "./intake/intake.ts";
import { deliverAgain, dropDeliveries } from "./ledger/actions.ts";
import { EventLedger } from "./ledger/event-ledger.ts";
import { countEvents } from "./ledger/event-stats.ts";
import { JetStreamRetention } from "./ledger/retention.ts";
import type { JetStreamEventsSettings } from "./options.ts";
import { JetStreamResources } from "./resources.ts";
import { JetStreamEventRouter } from "./route/router.ts";

/** Events in JetStream; see the README beside. */
export class JetStreamEventStore implements EventStore {
  readonly resources: JetStreamResources;
  readonly #context: EventContext;
  readonly #intake: EventIntake;
  readonly #retention: JetStreamRetention;
  readonly #ledger: EventLedger;
  readonly #appending = new Set<Promise<unknown>>();
  readonly #consumers = new Set<JetStreamEventConsumer>();
  #closing: Promise<void> | undefined;

  private constructor(context: EventContext) {
    this.#context = context;
    this.resources = new JetStreamResources(context);
    this.#retention = new JetStreamRetention(context);
    this.#ledger = new EventLedger(context);
    const makeRoom = (broker: BrokerRef, need: Parameters<JetStreamRetention["makeRoom"]>[1]) =>
      this.#retention.makeRoom(broker, need);
    this.#intake = new EventIntake(context, new BrokerRoom(context.link, context.brokers, makeRoom));
  }

  /** @throws {Error} when the server cannot have the streams */
  static async open(link: Link, settings: JetStreamEventsSettings): Promise<JetStreamEventStore> {
    const context = new EventContext(link, settings);
    try {
      await context.ensureStreams();
      await context.brokers.refresh();
      await context.clock.measure();
    } catch (error) {
      context.publisher.close();
      throw error;
    }
    const store = new JetStreamEventStore(context);
    link.onReconnect(() => {
      context.renewStreams().catch((err: unknown) => settings.log.debug({ err }, "streams cannot be looked at yet"));
    });
    store.resources.start(() => {
      context.brokers
        .refresh()
        .catch((err: unknown) => settings.log.debug({ err }, "the limits of brokers cannot be read yet"));
    });
    return store;
  }

  get maxEventBytes(): number {
    return this.#context.maxEventBytes;
  }

  async append(events: readonly NewEvent[]) {
    this.#assertOpen();
    const appending = this.#intake.append(events);
    this.#appending.add(appending);
    try {
      return await appending;
    } finally {
      this.#appending.delete(appending);
    }
  }

  async limit(broker: BrokerRef, limits: BrokerLimits): Promise<void> {
    this.#assertOpen();
    await this.#context.brokers.set(broker, limits);
  }

  async consume(route: RouteEvents, deliver: DeliverEvent, options: EventConsumerOptions): Promise<EventConsumer> {
    this.#assertOpen();
    const router = new JetStreamEventRouter(this.#context, route, this.#retention);
    const settler = new DeliverySettler(this.#context, this.#intake, this.#retention);
    const consumer = new JetStreamEventConsumer(this.#context, deliver, options, settler, async () => {
      await router.close();
      this.#consumers.delete(consumer);
    });
    this.#consumers.add(consumer);
    consumer.start();
    router.start();
    return consumer;
  }

  async list(query: EventQuery, page: EventPage) {
    this.#assertOpen();
    return await this.#ledger.list(query, page);
  }

  async find(namespace: string, ref: string): Promise<EventRecord | undefined> {
    this.#assertOpen();
    return await this.#ledger.find(namespace, ref);
  }

  async deliverAgain(namespace: string, ref: string, deliveries: readonly NewDelivery[]): Promise<void> {
    this.#assertOpen();
    await deliverAgain(this.#context, this.#ledger, namespace, ref, deliveries);
  }

  async drop(trigger: string, reason: string): Promise<number> {
    this.#assertOpen();
    return await dropDeliveries(this.#context, trigger, reason);
  }

  async stats(namespace: string): Promise<readonly BrokerStats[]> {
    this.#assertOpen();
    return await countEvents(this.#context, namespace);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#consumers].map((consumer) => consumer.leave()));
    this.resources.close();
    await Promise.allSettled(this.#appending);
    this.#context.publisher.close();
    await this.#context.link.close();
  }

  #assertOpen(): void {
    if (this.#closing) throw new FaasError("unavailable", "the event store is closed");
  }
}
