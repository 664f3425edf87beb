import { type DecodedBrokerSpec, decodeBrokerSpec } from "../../contract/events/broker-spec.ts";
import { DEFAULT_BROKER } from "../../contract/events/default-broker.ts";
import type { EventDeliverySpec } from "../../contract/events/delivery-spec.ts";
import type { Logger } from "../../kit/log.ts";
import { type BrokerLimits, type BrokerRef, DEFAULT_BROKER_LIMITS, type EventStore } from "../store/event-store.ts";
import type { EventResource, ResourceStore } from "../store/resource-store.ts";

/** A broker that takes events. */
export interface Broker extends BrokerRef {
  readonly spec: DecodedBrokerSpec;
  /** Somebody has declared it. */
  readonly declared: boolean;
}

export interface KnownBrokersOptions {
  readonly resources: Pick<ResourceStore, "list" | "watch">;
  readonly events: Pick<EventStore, "limit">;
  /** Whether the platform has a namespace, for those whose brokers nobody has declared. */
  readonly hasNamespace: (namespace: string) => Promise<boolean>;
  readonly log: Pick<Logger, "warn">;
}

/** The brokers that there are, as they are declared. */
export class KnownBrokers {
  readonly #options: KnownBrokersOptions;
  readonly #unwatch: () => void;
  readonly #listeners = new Set<() => void>();
  #declared: ReadonlyMap<string, Broker> = new Map();
  /** Limits that the store has been told, by broker. */
  readonly #told = new Map<string, string>();
  /** Of what is declared; another one is begun after each change. */
  #reading: Promise<void> | undefined;
  #isRead = false;

  constructor(options: KnownBrokersOptions) {
    this.#options = options;
    this.#unwatch = options.resources.watch("broker", () => {
      this.#reading = undefined;
      this.#isRead = false;
      this.read().catch((err: unknown) => options.log.warn({ err }, "could not read which brokers are declared"));
    });
  }

  /**
   * @returns undefined when there is none of that name
   * @throws {FaasError} `unavailable` while it cannot be known
   */
  async find({ namespace, name }: BrokerRef): Promise<Broker | undefined> {
    if (!this.#isRead) await this.read();
    const declared = this.#declared.get(keyOf({ namespace, name }));
    if (declared || name !== DEFAULT_BROKER) return declared;
    return (await this.#options.hasNamespace(namespace)) ? { namespace, name, spec: {}, declared: false } : undefined;
  }

  /** Those that are declared, as far as that has been read. */
  get declared(): readonly Broker[] {
    return [...this.#declared.values()];
  }

  /** What a broker's triggers have that say nothing else; as it is declared. */
  deliveryOf(ref: BrokerRef): EventDeliverySpec | undefined {
    return this.#declared.get(keyOf(ref))?.spec.delivery;
  }

  /** @returns ends it */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Resolves once all that was declared before is known. */
  async read(): Promise<void> {
    this.#reading ??= this.#read();
    const reading = this.#reading;
    try {
      await reading;
    } catch (error) {
      if (this.#reading === reading) this.#reading = undefined;
      throw error;
    }
  }

  async #read(): Promise<void> {
    const found = await this.#options.resources.list("broker");
    const declared = new Map(found.flatMap((resource) => this.#brokerOf(resource)));
    await this.#limit(declared);
    this.#declared = declared;
    this.#isRead = true;
    for (const listener of this.#listeners) listener();
  }

  #brokerOf({ namespace, name, spec }: EventResource): [string, Broker][] {
    try {
      return [[keyOf({ namespace, name }), { namespace, name, spec: decodeBrokerSpec(spec), declared: true }]];
    } catch (err) {
      // Another release may have written it: events must not get lost over that.
      this.#options.log.warn({ err, namespace, broker: name }, "a broker's declaration cannot be read; using defaults");
      return [[keyOf({ namespace, name }), { namespace, name, spec: {}, declared: true }]];
    }
  }

  async #limit(declared: ReadonlyMap<string, Broker>): Promise<void> {
    for (const [key, { namespace, name, spec }] of declared) {
      const limits = limitsOf(spec);
      const text = JSON.stringify(limits);
      if (this.#told.get(key) === text) continue;
      await this.#options.events.limit({ namespace, name }, limits);
      this.#told.set(key, text);
    }
    for (const key of this.#told.keys()) {
      if (declared.has(key)) continue;
      const [namespace = "", name = ""] = key.split("/");
      await this.#options.events.limit({ namespace, name }, DEFAULT_BROKER_LIMITS);
      this.#told.delete(key);
    }
  }

  close(): void {
    this.#unwatch();
    this.#listeners.clear();
  }
}

function keyOf({ namespace, name }: BrokerRef): string {
  return `${namespace}/${name}`;
}

/** What is declared of a broker's size, with defaults for the rest. */
export function limitsOf({ maxAge, maxSize, maxEvents }: DecodedBrokerSpec): BrokerLimits {
  return {
    maxAgeMs: maxAge ?? DEFAULT_BROKER_LIMITS.maxAgeMs,
    maxBytes: maxSize ?? DEFAULT_BROKER_LIMITS.maxBytes,
    maxEvents: maxEvents ?? DEFAULT_BROKER_LIMITS.maxEvents,
  };
}
