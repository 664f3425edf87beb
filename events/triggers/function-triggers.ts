import { FaasError } from "../../contract/errors.ts";
import { DEFAULT_BROKER } from "../../contract/events/default-broker.ts";
import { type FunctionRef, qualifiedName } from "../../contract/functions.ts";
import type { Logger } from "../../kit/log.ts";
import {
  eventAnnotations,
  functionTriggerId,
  readEventAnnotations,
  TRANSFORM,
  wantsEvents,
} from "./annotation-trigger.ts";
import type { BrokerDeliveries } from "./broker-deliveries.ts";
import { problemTrigger } from "./problem-trigger.ts";
import type { Trigger, TriggerSet } from "./trigger.ts";

/** A function, as far as it subscribes to events. */
export interface SubscribingFunction extends FunctionRef {
  readonly annotations: Readonly<Record<string, string>>;
  /** Changes with each deploy. */
  readonly generation: number;
}

/** All functions, as they are known here. */
export interface KnownFunctions {
  /** Resolves once all of them are known. */
  readonly whenSynced: Promise<void>;
  /** Versions beside a function, `NAME@VERSION`, subscribe to nothing of their own. */
  entries(): Iterable<SubscribingFunction>;
  /** @returns ends it */
  onChange(listener: () => void): () => void;
}

/** Looks at an expression of JSONata. @throws {FaasError} `invalid` */
export type CheckTransform = (expression: string, field: string) => Promise<void>;

interface ReadFunction {
  /** As they were told; the same object is the same text. */
  readonly annotations: SubscribingFunction["annotations"];
  readonly generation: number;
  readonly key: string;
  readonly trigger: Trigger;
}

/** Triggers that functions' annotations make. */
export class FunctionTriggers implements TriggerSet {
  readonly ready: Promise<void>;
  readonly #functions: KnownFunctions;
  readonly #brokers: BrokerDeliveries;
  readonly #log: Pick<Logger, "warn">;
  readonly #checkTransform: CheckTransform;
  readonly #endings: (() => void)[];
  readonly #listeners = new Set<() => void>();
  /** Whether functions with these annotations subscribe. */
  readonly #wanting = new WeakMap<SubscribingFunction["annotations"], boolean>();
  #read: ReadonlyMap<string, ReadFunction> = new Map();
  /** What is wrong has been logged for these keys. */
  readonly #logged = new Map<string, string>();
  /** What has come of looking at transforms, by function. */
  readonly #transforms = new Map<string, { readonly key: string; error?: unknown }>();
  #stale = true;
  #telling = false;
  #untold = false;

  constructor(
    functions: KnownFunctions,
    brokers: BrokerDeliveries,
    log: Pick<Logger, "warn">,
    checkTransform: CheckTransform = async () => {},
  ) {
    this.#checkTransform = checkTransform;
    this.#functions = functions;
    this.#brokers = brokers;
    this.#log = log;
    this.#endings = [functions.onChange(() => this.#changed(false)), brokers.onChange(() => this.#changed(true))];
    this.ready = functions.whenSynced;
  }

  get all(): readonly Trigger[] {
    this.#refresh();
    return [...this.#read.values()].map(({ trigger }) => trigger);
  }

  /** News of replicas are many, and most have nothing to do with events: they are looked at together, later. */
  #changed(all: boolean): void {
    this.#stale = true;
    if (all) {
      this.#read = new Map();
      this.#untold = true;
    }
    if (this.#telling) return;
    this.#telling = true;
    setImmediate(() => {
      this.#telling = false;
      this.#refresh();
      if (!this.#untold) return;
      this.#untold = false;
      for (const listener of this.#listeners) listener();
    });
  }

  #refresh(): void {
    if (!this.#stale) return;
    this.#stale = false;
    const before = this.#read;
    const now = new Map<string, ReadFunction>();
    let changed = false;
    for (const each of this.#functions.entries()) {
      if (!this.#wants(each)) continue;
      const name = qualifiedName(each);
      const known = before.get(name);
      const read = known?.annotations === each.annotations && known.generation === each.generation ? known : undefined;
      const next = read ?? this.#readOne(each, known);
      if (next.trigger !== known?.trigger) changed = true;
      now.set(name, next);
    }
    this.#read = now;
    if (changed || now.size !== before.size) this.#untold = true;
    for (const kept of [this.#logged, this.#transforms]) {
      for (const name of kept.keys()) if (!now.has(name)) kept.delete(name);
    }
  }

  /** Asked of all functions with each piece of news, so it is remembered. */
  #wants({ name, annotations }: SubscribingFunction): boolean {
    let wants = this.#wanting.get(annotations);
    if (wants === undefined) {
      wants = wantsEvents(annotations);
      this.#wanting.set(annotations, wants);
    }
    return wants && !name.includes("@");
  }

  #readOne(each: SubscribingFunction, known: ReadFunction | undefined): ReadFunction {
    const { annotations, generation } = each;
    const key = JSON.stringify([generation, eventAnnotations(annotations)]);
    const trigger = known?.key === key ? known.trigger : this.#triggerOf(each, key);
    return { annotations, generation, key, trigger };
  }

  #triggerOf({ name, namespace, annotations, generation }: SubscribingFunction, key: string): Trigger {
    const ref = { name, namespace };
    const declared = String(generation);
    try {
      const trigger = readEventAnnotations(ref, annotations, (broker) => this.#brokers.deliveryOf(broker));
      if (trigger.transform !== undefined) this.#lookAtTransform(qualifiedName(ref), key, trigger.transform);
      return { ...trigger, declared };
    } catch (err) {
      const broker = { namespace, name: DEFAULT_BROKER };
      const subscriber = { kind: "function", function: ref } as const;
      const unsound = problemTrigger({ id: functionTriggerId(ref), namespace, broker, subscriber }, err);
      if (this.#logged.get(qualifiedName(ref)) !== key) {
        this.#logged.set(qualifiedName(ref), key);
        const facts = { function: name, namespace, problem: unsound.problem };
        this.#log.warn(facts, "a function's annotations about events are not sound");
      }
      return { ...unsound, declared };
    }
  }

  /** Once for each declaration, and by others, who take their time. @throws what came of it */
  #lookAtTransform(name: string, key: string, expression: string): void {
    const known = this.#transforms.get(name);
    if (known?.key === key) {
      if (known.error !== undefined) throw known.error;
      return;
    }
    const looked: { key: string; error?: unknown } = { key };
    this.#transforms.set(name, looked);
    this.#checkTransform(expression, TRANSFORM).catch((error: unknown) => {
      if (!(error instanceof FaasError) || error.kind !== "invalid") return;
      looked.error = error;
      if (this.#transforms.get(name) === looked) this.#changed(true);
    });
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    for (const end of this.#endings) end();
  }
}
