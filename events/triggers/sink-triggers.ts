import { SINK_BROKER } from "../../contract/events/default-broker.ts";
import { DEFAULT_TRIGGER_CONCURRENCY } from "../../contract/events/trigger-spec.ts";
import type { Logger } from "../../kit/log.ts";
import type { BrokerRef, NewEvent } from "../store/event-store.ts";
import { FollowedDocuments } from "../store/followed-documents.ts";
import type { EventResourceName, ResourceStore } from "../store/resource-store.ts";
import type { BrokerDeliveries } from "./broker-deliveries.ts";
import { problemTrigger } from "./problem-trigger.ts";
import { readDelivery } from "./read-trigger.ts";
import type { Trigger, TriggerSet } from "./trigger.ts";

/** A declared sink, by name in its namespace. */
export type SinkName = Pick<EventResourceName, "namespace" | "name">;

/** Where an event goes that is for a sink alone. */
export function towardsSink({ namespace, name }: SinkName): Required<Pick<NewEvent, "broker" | "directed">> {
  return { broker: sinkBroker(namespace), directed: [{ trigger: sinkTriggerId({ namespace, name }) }] };
}

/** Keeps what functions of a namespace send to sinks. */
export function sinkBroker(namespace: string): BrokerRef {
  return { namespace, name: SINK_BROKER };
}

function sinkTriggerId({ namespace, name }: SinkName): string {
  return `sink/${namespace}/${name}`;
}

/** Of each declared sink the trigger that brings it what functions send there. */
export class SinkTriggers implements TriggerSet {
  readonly ready: Promise<void>;
  readonly #documents: FollowedDocuments;
  readonly #brokers: BrokerDeliveries;
  readonly #endBrokers: () => void;
  readonly #listeners = new Set<() => void>();
  #all: readonly Trigger[] = [];

  constructor(resources: Pick<ResourceStore, "list" | "watch">, brokers: BrokerDeliveries, log: Pick<Logger, "warn">) {
    this.#brokers = brokers;
    this.#documents = new FollowedDocuments(resources, "sink", log);
    this.#documents.onChange(() => this.#refresh());
    this.#endBrokers = brokers.onChange(() => this.#refresh());
    this.ready = this.#documents.ready;
  }

  get all(): readonly Trigger[] {
    return this.#all;
  }

  #refresh(): void {
    this.#all = this.#documents.all.map(({ namespace, name, version }) => ({
      ...this.#triggerOf({ namespace, name }),
      declared: String(version),
    }));
    for (const listener of this.#listeners) listener();
  }

  #triggerOf(sink: SinkName): Trigger {
    const { namespace } = sink;
    const id = sinkTriggerId(sink);
    const subscriber = { kind: "sink", ...sink } as const;
    try {
      const delivery = readDelivery({ reply: "none" }, subscriber, {
        namespace,
        broker: sinkBroker(namespace),
        defaultsOf: (broker) => this.#brokers.deliveryOf(broker),
        field: "delivery",
      });
      return {
        id,
        namespace,
        filter: () => ({ passes: false, reason: "gets only what functions send to it" }),
        subscriber,
        ...delivery,
        ordered: false,
        concurrency: DEFAULT_TRIGGER_CONCURRENCY,
        keep: "full",
      };
    } catch (error) {
      return problemTrigger({ id, namespace, subscriber }, error);
    }
  }

  /** @returns ends it */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.#endBrokers();
    this.#documents.close();
  }
}
