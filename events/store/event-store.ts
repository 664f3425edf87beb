import type { CloudEvent, EventValue } from "../codec/cloud-event.ts";

/** A broker, by name in its namespace. */
export interface BrokerRef {
  readonly namespace: string;
  readonly name: string;
}

export type HeaderList = readonly (readonly [name: string, value: string])[];

/** An event that a broker is asked to take. */
export interface NewEvent {
  readonly broker: BrokerRef;
  readonly event: CloudEvent;
  /** What goes to subscribers beside the event, e.g. `X-Request-Id`, `Knative-*` and what a connector of OpenFaaS sends. */
  readonly headers: HeaderList;
  /** How many replies may follow one from another until they end. */
  readonly hops: number;
  /** Milliseconds since the epoch, as the other times here. */
  readonly arrivedAt: number;
  /** Who brought it: `http`, `source/NAMESPACE/NAME`, `reply/TRIGGER`. */
  readonly via: string;
  /** An event with a key that the broker has taken in the last 24 hours is not taken again. */
  readonly once?: string;
  /** Goes to these alone, whatever they filter; the broker's triggers are not asked. */
  readonly directed?: readonly NewDelivery[];
}

export interface Appended {
  /** Names the event in its store: longer and later ones sort after it. Never chosen by a caller. */
  readonly ref: string;
  /** It was there already, by its `once`. */
  readonly duplicate: boolean;
}

/** An event as a broker has it. */
export interface StoredEvent extends Omit<NewEvent, "once" | "directed"> {
  readonly ref: string;
}

/** One delivery to make. */
export interface NewDelivery {
  /** Identity of a trigger. */
  readonly trigger: string;
  /** Those of a trigger with one key are made one after another, in order of arrival. */
  readonly orderKey?: string;
  readonly notBefore?: number;
  /** Name of the replay that it belongs to. */
  readonly replay?: string;
  /** What a replay is answered goes on to the broker too, as other replies do. */
  readonly replies?: boolean;
  /** Goes there instead of to the trigger's subscriber: `function/NAMESPACE/NAME[@VERSION]`. */
  readonly target?: string;
  /** To the trigger's dead-letter sink, of what could not be delivered to its subscriber. */
  readonly deadLetter?: boolean;
  /** Set in the event as it is delivered, beside its own attributes. */
  readonly attributes?: Readonly<Record<string, EventValue>>;
}

/** A delivery that is due. */
export interface EventDelivery extends NewDelivery {
  /** Unique in the store. */
  readonly id: string;
  readonly event: StoredEvent;
  /** Tries that have failed. */
  readonly failures: number;
}

/** What a trigger says of an event. */
export interface TriggerVerdict {
  readonly trigger: string;
  readonly matched: boolean;
  /** Why not: the clause that decided, and the value it saw. */
  readonly reason?: string;
}

/** Who gets an event, and who does not. */
export interface Routing {
  readonly ref: string;
  readonly verdicts: readonly TriggerVerdict[];
  readonly deliveries: readonly NewDelivery[];
  /** What is kept of it once it is delivered: all; not its data; nothing. */
  readonly keep: "full" | "meta" | "off";
}

/** One try, as the ledger tells it. */
export interface AttemptRecord {
  readonly at: number;
  /** Milliseconds with fractions. */
  readonly durationMs: number;
  readonly status?: number;
  /** Version and replica that answered, where that is known. */
  readonly version?: string;
  readonly replica?: string;
  /** Why it failed. */
  readonly error?: string;
  /** What else is to be told of it, e.g. that a reply was not sent on, and why. */
  readonly note?: string;
}

/** What becomes of a delivery after a try. All of it is stored together, or none. */
export type DeliverySettlement =
  | { readonly kind: "done"; readonly attempt: AttemptRecord; readonly appended?: readonly NewEvent[] }
  | { readonly kind: "retry"; readonly afterMs: number; readonly attempt: AttemptRecord }
  | {
      readonly kind: "dead";
      readonly reason: string;
      readonly attempt?: AttemptRecord;
      /** To the dead-letter sink, of the same event. */
      readonly next?: NewDelivery;
      readonly appended?: readonly NewEvent[];
    }
  /** Not tried; at once due again. */
  | { readonly kind: "back" };

/** Tries a delivery. @param signal aborts when the store gives it to somebody else, or closes */
export type DeliverEvent = (delivery: EventDelivery, signal: AbortSignal) => Promise<DeliverySettlement>;

/** Says of events who gets them; called with those of one broker at a time, in order of arrival. */
export type RouteEvents = (events: readonly StoredEvent[]) => Promise<readonly Routing[]>;

export interface EventConsumerOptions {
  /** Deliveries under way at a time in this process. */
  readonly concurrency: number;
  /** Deliveries of a trigger at a time; 0 for one that is suspended or not known here, whose deliveries wait. */
  readonly perTrigger: (trigger: string) => number;
}

export interface EventConsumer {
  /** `perTrigger` says something else. */
  changed(): void;
  /** Waits for what is under way; the rest stays for others. */
  close(): Promise<void>;
}

export type DeliveryState = "waiting" | "delivering" | "retrying" | "delivered" | "dead" | "dropped";

/** What has become of one delivery. */
export interface DeliveryRecord extends NewDelivery {
  readonly id: string;
  readonly state: DeliveryState;
  /** Why it is dead or dropped. */
  readonly reason?: string;
  /** The latest {@link MAX_ATTEMPTS_KEPT}. */
  readonly attempts: readonly AttemptRecord[];
  /** All of them. */
  readonly tries: number;
  readonly nextAttemptAt?: number;
}

/** All that is known of an event. */
export interface EventRecord {
  /** Without data where that is not kept, or not asked for. */
  readonly event: StoredEvent;
  readonly dataBytes: number;
  /** Of its data, in hex. */
  readonly sha256?: string;
  /** Not yet given to the triggers. */
  readonly pending: boolean;
  readonly verdicts: readonly TriggerVerdict[];
  readonly deliveries: readonly DeliveryRecord[];
}

export interface EventQuery {
  readonly namespace: string;
  readonly broker?: string;
  readonly id?: string;
  readonly source?: string;
  readonly type?: string;
  /** Those with a verdict or delivery of it. */
  readonly trigger?: string;
  /** Those with a delivery in one of these states; `unmatched` have none. */
  readonly states?: readonly (DeliveryState | "unmatched")[];
  /** From, and before, by arrival. */
  readonly since?: number;
  readonly until?: number;
}

export interface EventPage {
  /** Oldest first, for those who follow or replay; newest first otherwise. */
  readonly order: "oldest" | "newest";
  /** After the event that an answer's `next` names. */
  readonly after?: string;
  readonly limit: number;
  readonly withData?: boolean;
}

export interface BrokerLimits {
  /** How long an event is kept from its arrival on, in milliseconds, whatever has become of it. */
  readonly maxAgeMs: number;
  /** Of events and data. What is delivered makes room; with none left, no more are taken. */
  readonly maxBytes: number;
  readonly maxEvents: number;
}

export interface BrokerStats {
  readonly broker: BrokerRef;
  readonly events: number;
  readonly bytes: number;
  /** Not yet given to the triggers. */
  readonly pending: number;
  /** Deliveries that wait or are under way, by trigger. */
  readonly open: Readonly<Record<string, number>>;
  readonly dead: number;
  /** Arrival of the oldest that is not delivered. */
  readonly oldestOpenAt?: number;
}

export const MAX_ATTEMPTS_KEPT = 20;
/** How long a `once` is remembered, in milliseconds. */
export const ONCE_MS = 24 * 3600_000;
export const DEFAULT_BROKER_LIMITS: BrokerLimits = {
  maxAgeMs: 24 * 3600_000,
  maxBytes: 1024 ** 3,
  maxEvents: 1_000_000,
};

/** Where brokers keep events: the log, the deliveries and what came of them. */
export interface EventStore {
  /** Of one event: attributes, headers and data. */
  readonly maxEventBytes: number;
  /**
   * Resolves once all of them are stored for good. All are taken, or none.
   * @throws {FaasError} `tooLarge`; `overloaded` with code `broker_full`; `unavailable` while the store is away
   */
  append(events: readonly NewEvent[]): Promise<readonly Appended[]>;
  /** Sets a broker's limits; {@link DEFAULT_BROKER_LIMITS} until then. */
  limit(broker: BrokerRef, limits: BrokerLimits): Promise<void>;
  /**
   * Gives arrived events to `route`, and due deliveries to `deliver`. After a crash both get again what was not settled.
   * Any number of processes share the work; the order of a key holds among them all.
   */
  consume(route: RouteEvents, deliver: DeliverEvent, options: EventConsumerOptions): Promise<EventConsumer>;
  list(
    query: EventQuery,
    page: EventPage,
  ): Promise<{ readonly events: readonly EventRecord[]; readonly next?: string }>;
  /** By `ref`, with its data. */
  find(namespace: string, ref: string): Promise<EventRecord | undefined>;
  /** Adds deliveries of an event that is kept. @throws {FaasError} `notFound`, or `conflict` when its data is not kept */
  deliverAgain(namespace: string, ref: string, deliveries: readonly NewDelivery[]): Promise<void>;
  /** Ends what is open of a trigger as `dropped`. @returns how many */
  drop(trigger: string, reason: string): Promise<number>;
  stats(namespace: string): Promise<readonly BrokerStats[]>;
  close(): Promise<void>;
}
