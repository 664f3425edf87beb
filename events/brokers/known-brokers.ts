import { type DecodedBrokerSpec, decodeBrokerSpec } from "../../contract/events/broker-spec.ts";
import { DEFAULT_BROKER } from "../../contract/events/default-broker.ts";
import type { EventDeliverySpec } from "../../contract/events/delivery-spec.ts";
import type { Logger } from "../../kit/log.ts";
import { type BrokerLimits, type BrokerRef, DEFAULT_BROKER_LIMITS, type EventStore } from "../store/event-store.ts";
import type { EventResource, ResourceStore } from "../store/resource-store.ts";

/** A broker that takes events. */
export interface Broker extends BrokerRef {
  readonly spec: DecodedBrokerSpec;
  /** The same as its owner has written it. */
  readonly written: unknown;
  /** Somebody has declared it. */
  readonly declared: boolean;
  /** By an object of a cluster. */
  readonly byObject?: boolean;
}

export interface KnownBrokersOptions {
  readonly resources: Pick<ResourceStore, "list" | "watch">;
  readonly events: Pick<EventStore, "limit">;
  /** Whether the platform has a namespace, for those whose brokers nobody has declared. */
  readonly hasNamespace: (namespace: string) => Promise<boolean>;
  /** What brokers keep that do not say. */
  readonly defaults?: BrokerLimits;
  readonly log: Pick<Logger, "warn">;
}

/** The brokers that there are, as they are declared. */
export class KnownBrokers {
  readonly #options: KnownBrokersOptions;
  readonly #unwatch: () => void;
  readonly #defaults: BrokerLimits;
  readonly #listeners = new Set<() => void>();
  #declared: ReadonlyMap<string, Broker> = new Map();
  /** Limits that the store has been told, by broker. */
  readonly #told = new Map<string, string>();
  /** Of what is declared; another one is begun after each change. */
  #reading: Promise<void> | undefined;
  #isRead = false;

  constructor(options: KnownBrokersOptions) {
    this.#options = options;
    this.#defaults = options.defaults ?? DEFAULT_BROKER_LIMITS;
    this.#unwatch = options.resources.watch("broker", () => {
      this.refresh().catch((err: unknown) => options.log.warn({ err }, "could not read which brokers are declared"));
    });
  }

  /**
   * @returns undefined when there is none of that name
   * @throws {FaasError} `unavailable` while it cannot be known
   */
  async find({ namespace, name }: BrokerRef): Promise<Broker | undefined> {
    await this.read();
    const declared = this.#declared.get(keyOf({ namespace, name }));
    if (declared || name !== DEFAULT_BROKER) return declared;
    if (!(await this.#options.hasNamespace(namespace))) return undefined;
    return await this.#undeclared({ namespace, name });
  }

  /** One that is there as the platform uses it, declared or not. @throws as {@link find} */
  async ofPlatform({ namespace, name }: BrokerRef): Promise<Broker> {
    await this.read();
    const declared = this.#declared.get(keyOf({ namespace, name }));
    return declared ?? (await this.#undeclared({ namespace, name }));
  }

  /** Of those that are declared or have been found, each once. */
  namespaces(): readonly string[] {
    return [...new Set([...this.#told.keys()].map((key) => key.slice(0, key.indexOf("/"))))];
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

  /** Resolves once it is known what is declared. */
  async read(): Promise<void> {
    if (!this.#isRead) await this.#readOnce();
  }

  /** Resolves once all that was declared before is known. */
  async refresh(): Promise<void> {
    this.#reading = undefined;
    this.#isRead = false;
    await this.#readOnce();
  }

  async #undeclared({ namespace, name }: BrokerRef): Promise<Broker> {
    await this.#limit({ namespace, name }, this.#defaults);
    return { namespace, name, spec: {}, written: {}, declared: false };
  }

  async #readOnce(): Promise<void> {
    if (this.#reading) return await this.#reading;
    const reading = this.#read(() => this.#reading === reading);
    this.#reading = reading;
    try {
      await reading;
    } finally {
      if (this.#reading === reading) this.#reading = undefined;
    }
  }

  /** @param isLatest whether nothing has changed since it began */
  async #read(isLatest: () => boolean): Promise<void> {
    const found = await this.#options.resources.list("broker");
    const declared = new Map(found.map((resource) => [keyOf(resource), this.#brokerOf(resource)]));
    for (const broker of declared.values()) await this.#limit(broker, limitsOf(broker.spec, this.#defaults));
    for (const key of this.#told.keys()) {
      const [namespace = "", name = ""] = key.split("/");
      if (!declared.has(key)) await this.#limit({ namespace, name }, this.#defaults);
    }
    if (!isLatest()) return;
    this.#declared = declared;
    this.#isRead = true;
    for (const listener of this.#listeners) listener();
  }

  #brokerOf({ namespace, name, spec: written, origin }: EventResource): Broker {
    const broker = { namespace, name, written, declared: true, ...(origin && { byObject: true }) };
    try {
      return { ...broker, spec: decodeBrokerSpec(written) };
    } catch (err) {
      // Another release may have written it: events must not get lost over that.
      this.#options.log.warn({ err, namespace, broker: name }, "a broker's declaration cannot be read; using defaults");
      return { ...broker, spec: {} };
    }
  }

  async #limit({ namespace, name }: BrokerRef, limits: BrokerLimits): Promise<void> {
    const key = keyOf({ namespace, name });
    const text = JSON.stringify(limits);
    if (this.#told.get(key) === text) return;
    this.#told.set(key, text);
    try {
      await this.#options.events.limit({ namespace, name }, limits);
    } catch (error) {
      this.#told.delete(key);
      throw error;
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
function limitsOf({ maxAge, maxSize, maxEvents }: DecodedBrokerSpec, defaults: BrokerLimits): BrokerLimits {
  return {
    maxAgeMs: maxAge ?? defaults.maxAgeMs,
    maxBytes: maxSize ?? defaults.maxBytes,
    maxEvents: maxEvents ?? defaults.maxEvents,
  };
}
