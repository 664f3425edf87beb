import { DEFAULT_BROKER } from "../../contract/events/default-broker.ts";
import { decodeTriggerSpec } from "../../contract/events/trigger-spec.ts";
import type { Logger } from "../../kit/log.ts";
import { FollowedDocuments } from "../store/followed-documents.ts";
import type { EventResource, ResourceStore } from "../store/resource-store.ts";
import type { BrokerDeliveries } from "./broker-deliveries.ts";
import { problemTrigger } from "./problem-trigger.ts";
import { readTrigger } from "./read-trigger.ts";
import type { Trigger, TriggerSet } from "./trigger.ts";

interface ReadDocument {
  readonly version: number;
  readonly trigger: Trigger;
}

/** Triggers that are declared: the documents of kind `trigger`. */
export class DocumentTriggers implements TriggerSet {
  readonly ready: Promise<void>;
  readonly #documents: FollowedDocuments;
  readonly #brokers: BrokerDeliveries;
  readonly #log: Pick<Logger, "warn">;
  readonly #endBrokers: () => void;
  readonly #listeners = new Set<() => void>();
  #read: ReadonlyMap<string, ReadDocument> = new Map();

  constructor(resources: Pick<ResourceStore, "list" | "watch">, brokers: BrokerDeliveries, log: Pick<Logger, "warn">) {
    this.#brokers = brokers;
    this.#log = log;
    this.#documents = new FollowedDocuments(resources, "trigger", log);
    this.#documents.onChange(() => this.#refresh());
    this.#endBrokers = brokers.onChange(() => {
      this.#read = new Map();
      this.#refresh();
    });
    this.ready = this.#documents.ready;
  }

  get all(): readonly Trigger[] {
    return [...this.#read.values()].map(({ trigger }) => trigger);
  }

  #refresh(): void {
    const before = this.#read;
    this.#read = new Map(
      this.#documents.all.map((document) => {
        const id = `trigger/${document.namespace}/${document.name}`;
        const known = before.get(id);
        return [id, known?.version === document.version ? known : this.#readOne(id, document)];
      }),
    );
    for (const listener of this.#listeners) listener();
  }

  #readOne(id: string, { namespace, name, spec, version }: EventResource): ReadDocument {
    const declared = String(version);
    try {
      const trigger = readTrigger(decodeTriggerSpec(spec), { namespace, name }, (broker) =>
        this.#brokers.deliveryOf(broker),
      );
      return { version, trigger: { ...trigger, declared } };
    } catch (err) {
      const broker = { namespace, name: brokerOf(spec) };
      const subscriber = { kind: "uri", uri: "" } as const;
      const unsound = problemTrigger({ id, namespace, broker, subscriber }, err);
      this.#log.warn({ trigger: id, problem: unsound.problem }, "a declared trigger is not sound");
      return { version, trigger: { ...unsound, declared } };
    }
  }

  /** Resolves once they are no older than this call. */
  refresh(): Promise<void> {
    return this.#documents.refresh();
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.#endBrokers();
    this.#documents.close();
  }
}

function brokerOf(spec: unknown): string {
  const broker = (spec as { broker?: unknown } | null)?.broker;
  return typeof broker === "string" ? broker : DEFAULT_BROKER;
}
