import { FaasError } from "../../../contract/errors.ts";
import { keepTrying } from "../../../kit/keep-trying.ts";
import type { Logger } from "../../../kit/log.ts";
import { StartError } from "../../../kit/process.ts";
import type {
  BrokerLimits,
  BrokerRef,
  DeliverEvent,
  EventConsumer,
  EventConsumerOptions,
  EventPage,
  EventQuery,
  EventStore,
  NewDelivery,
  NewEvent,
  RouteEvents,
} from "../event-store.ts";
import type { EventResource, EventResourceName, ResourceKind, ResourceStore } from "../resource-store.ts";
import type { JetStreamEventStore } from "./store.ts";

export interface LateStoreOptions {
  /** Opens the store itself; tried until it succeeds, or fails with a {@link StartError}. */
  readonly open: () => Promise<JetStreamEventStore>;
  /** Told when it has failed for good: it is not tried again. */
  readonly onFailure: (error: StartError) => void;
  /** Of an event, as long as the server has not said what it takes. */
  readonly maxEventBytes: number;
  readonly log: Pick<Logger, "info" | "warn">;
}

const WAIT_MS = [250, 5000] as const;

/** A store whose server may not be there yet: everything is `unavailable` until then, and who consumes begins then. */
export class LateEventStore implements EventStore {
  readonly resources: ResourceStore = new LateResources(this);
  readonly #options: LateStoreOptions;
  readonly #whenTried = Promise.withResolvers<void>();
  readonly #whenOpen = Promise.withResolvers<JetStreamEventStore>();
  readonly #closing = new AbortController();
  readonly #opening: Promise<void>;
  #store: JetStreamEventStore | undefined;

  constructor(options: LateStoreOptions) {
    this.#options = options;
    this.#opening = this.#open();
  }

  /** Resolves once it has been tried to open it for the first time, whatever came of that. */
  get whenTried(): Promise<void> {
    return this.#whenTried.promise;
  }

  /** Resolves once it is open; never when it is closed before. */
  get whenOpen(): Promise<JetStreamEventStore> {
    return this.#whenOpen.promise;
  }

  get maxEventBytes(): number {
    return this.#store?.maxEventBytes ?? this.#options.maxEventBytes;
  }

  async append(events: readonly NewEvent[]) {
    return await this.opened().append(events);
  }

  async limit(broker: BrokerRef, limits: BrokerLimits) {
    await this.opened().limit(broker, limits);
  }

  async consume(route: RouteEvents, deliver: DeliverEvent, options: EventConsumerOptions): Promise<EventConsumer> {
    if (this.#store) return await this.#store.consume(route, deliver, options);
    if (this.#closing.signal.aborted) return this.opened().consume(route, deliver, options);
    let isClosed = false;
    const consuming = this.whenOpen.then((store) => (isClosed ? undefined : store.consume(route, deliver, options)));
    let consumer: EventConsumer | undefined;
    consuming.then(
      (begun) => {
        consumer = begun;
      },
      (err: unknown) => this.#options.log.warn({ err }, "events cannot be consumed"),
    );
    return {
      changed: () => consumer?.changed(),
      close: async () => {
        isClosed = true;
        if (this.#store) await (await consuming)?.close();
      },
    };
  }

  async list(query: EventQuery, page: EventPage) {
    return await this.opened().list(query, page);
  }

  async find(namespace: string, ref: string) {
    return await this.opened().find(namespace, ref);
  }

  async deliverAgain(namespace: string, ref: string, deliveries: readonly NewDelivery[]) {
    await this.opened().deliverAgain(namespace, ref, deliveries);
  }

  async drop(trigger: string, reason: string) {
    return await this.opened().drop(trigger, reason);
  }

  async stats(namespace: string) {
    return await this.opened().stats(namespace);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#opening;
    await this.#store?.close();
  }

  /** @throws {FaasError} `unavailable` */
  opened(): JetStreamEventStore {
    if (this.#store) return this.#store;
    throw new FaasError("unavailable", "the event store is not there yet: NATS cannot be reached, or is not ready");
  }

  async #open(): Promise<void> {
    const { open, log, onFailure } = this.#options;
    const attempt = async (before: number) => {
      try {
        this.#store = await open();
        if (before > 0) log.info("the event store has been opened");
        this.#whenOpen.resolve(this.#store);
        return true;
      } catch (err) {
        if (err instanceof StartError) {
          onFailure(err);
          return true;
        }
        log.warn({ err }, "the event store cannot be opened; trying again");
        return false;
      } finally {
        this.#whenTried.resolve();
      }
    };
    await keepTrying(attempt, WAIT_MS, this.#closing.signal);
  }
}

class LateResources implements ResourceStore {
  readonly #store: LateEventStore;

  constructor(store: LateEventStore) {
    this.#store = store;
  }

  async list(kind: ResourceKind, namespace?: string) {
    return await this.#store.opened().resources.list(kind, namespace);
  }

  async get(name: EventResourceName) {
    return await this.#store.opened().resources.get(name);
  }

  async put(resource: Omit<EventResource, "version">, expected?: number) {
    return await this.#store.opened().resources.put(resource, expected);
  }

  async remove(name: EventResourceName) {
    return await this.#store.opened().resources.remove(name);
  }

  watch(kind: ResourceKind, onChange: () => void): () => void {
    let end = () => {};
    let isOver = false;
    let isLate = false;
    void this.#store.whenOpen.then(({ resources }) => {
      if (isOver) return;
      end = resources.watch(kind, onChange);
      if (isLate) onChange();
    });
    isLate = true;
    return () => {
      isOver = true;
      end();
    };
  }
}
