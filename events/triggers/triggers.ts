import type { BrokerRef } from "../store/event-store.ts";
import type { SubscriberHealth } from "./subscriber-health.ts";
import type { Trigger, TriggerSet } from "./trigger.ts";

/** All triggers, whatever declares them, by their ids and brokers. */
export class Triggers implements TriggerSet {
  readonly ready: Promise<void>;
  readonly #sets: readonly TriggerSet[];
  readonly #health: SubscriberHealth;
  readonly #endings: (() => void)[];
  readonly #listeners = new Set<() => void>();
  #byId = new Map<string, Trigger>();
  #byBroker = new Map<string, Trigger[]>();
  #stale = true;

  /** @param known resolves once all else is known that triggers are made of */
  constructor(sets: readonly TriggerSet[], health: SubscriberHealth, known: Promise<void>) {
    this.#sets = sets;
    this.#health = health;
    const changed = () => this.#changed();
    this.#endings = [...sets.map((set) => set.onChange(changed)), health.onChange(changed)];
    this.ready = Promise.all([...sets.map((set) => set.ready), health.ready, known]).then(changed);
  }

  #changed(): void {
    this.#stale = true;
    for (const listener of this.#listeners) listener();
  }

  #refresh(): void {
    if (!this.#stale) return;
    this.#stale = false;
    this.#byId = new Map();
    this.#byBroker = new Map();
    for (const set of this.#sets) for (const trigger of set.all) this.#add(trigger);
  }

  #add(declared: Trigger): void {
    if (this.#byId.has(declared.id)) return;
    const stopped = declared.stopped ?? this.#health.stopped(declared);
    const trigger = stopped === declared.stopped ? declared : { ...declared, stopped: stopped as string };
    this.#byId.set(trigger.id, trigger);
    if (!trigger.broker) return;
    const key = `${trigger.broker.namespace}/${trigger.broker.name}`;
    const others = this.#byBroker.get(key);
    if (others) others.push(trigger);
    else this.#byBroker.set(key, [trigger]);
  }

  get all(): readonly Trigger[] {
    this.#refresh();
    return [...this.#byId.values()];
  }

  find(id: string): Trigger | undefined {
    this.#refresh();
    return this.#byId.get(id);
  }

  /** Those of a broker. */
  of({ namespace, name }: BrokerRef): readonly Trigger[] {
    this.#refresh();
    return this.#byBroker.get(`${namespace}/${name}`) ?? [];
  }

  /** Lets one that stopped by itself start again. @returns whether it had */
  resume(id: string): Promise<boolean> {
    return this.#health.release(id);
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    for (const end of this.#endings) end();
  }
}
