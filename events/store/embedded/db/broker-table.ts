import type { EmbeddedDatabase } from "../../../../kit/embedded-database.ts";
import { type BrokerLimits, type BrokerRef, DEFAULT_BROKER_LIMITS } from "../../event-store.ts";

/** A broker as memory has it; its row says the same after each transaction. */
export interface BrokerRow {
  readonly no: number;
  readonly ref: BrokerRef;
  limits: BrokerLimits;
  events: number;
  bytes: number;
  pending: number;
  dead: number;
}

/** What a trigger has at a broker. */
interface Load {
  open: number;
  first: number;
  last: number;
}

/** Brokers, triggers, and counts of both. What a transaction changes is written at its end by {@link flush}. */
export class BrokerTable {
  readonly #db: EmbeddedDatabase;
  readonly #byNo = new Map<number, BrokerRow>();
  readonly #byName = new Map<string, BrokerRow>();
  readonly #triggers = new Map<string, number>();
  readonly #triggerIds = new Map<number, string>();
  readonly #loads = new Map<number, Map<number, Load>>();
  readonly #changed = new Set<BrokerRow>();
  readonly #changedLoads = new Map<number, Set<number>>();

  constructor(db: EmbeddedDatabase) {
    this.#db = db;
    this.reload();
  }

  /** From the file, after a transaction that came to nothing. */
  reload(): void {
    for (const map of [this.#byNo, this.#byName, this.#triggers, this.#triggerIds, this.#loads]) map.clear();
    this.#changed.clear();
    this.#changedLoads.clear();
    for (const row of this.#db.all("SELECT * FROM brokers")) {
      const { no, namespace, name, max_age, max_bytes, max_events, events, bytes, pending, dead } = row;
      this.#enter({
        no: no as number,
        ref: { namespace: namespace as string, name: name as string },
        limits: { maxAgeMs: max_age as number, maxBytes: max_bytes as number, maxEvents: max_events as number },
        events: events as number,
        bytes: bytes as number,
        pending: pending as number,
        dead: dead as number,
      });
    }
    for (const { no, id } of this.#db.all("SELECT no, id FROM triggers"))
      this.#enterTrigger(no as number, id as string);
    for (const { broker, trigger, open, first, last } of this.#db.all("SELECT * FROM loads")) {
      const load = { open: open as number, first: first as number, last: last as number };
      this.#loadsOf(broker as number).set(trigger as number, load);
    }
  }

  all(): Iterable<BrokerRow> {
    return this.#byNo.values();
  }

  get(no: number): BrokerRow {
    const broker = this.#byNo.get(no);
    if (!broker) throw new Error(`no broker has the number ${no}`);
    return broker;
  }

  find({ namespace, name }: BrokerRef): BrokerRow | undefined {
    return this.#byName.get(`${namespace}/${name}`);
  }

  /** Those of a namespace, or the one of a name in it. */
  of(namespace: string, name?: string): BrokerRow[] {
    if (name !== undefined) return [this.find({ namespace, name }) ?? []].flat();
    return [...this.#byNo.values()].filter(({ ref }) => ref.namespace === namespace);
  }

  ensure(ref: BrokerRef): BrokerRow {
    const known = this.find(ref);
    if (known) return known;
    const limits = DEFAULT_BROKER_LIMITS;
    const no = this.#byNo.size + 1;
    this.#db.run(
      "INSERT INTO brokers VALUES (?, ?, ?, ?, ?, ?, 0, 0, 0, 0)",
      ...[no, ref.namespace, ref.name, limits.maxAgeMs, limits.maxBytes, limits.maxEvents],
    );
    return this.#enter({ no, ref, limits, events: 0, bytes: 0, pending: 0, dead: 0 });
  }

  /** What it returns is to be changed, and written by {@link flush}. */
  change(no: number): BrokerRow {
    const broker = this.get(no);
    this.#changed.add(broker);
    return broker;
  }

  triggerNo(id: string): number | undefined {
    return this.#triggers.get(id);
  }

  triggerId(no: number): string {
    return this.#triggerIds.get(no) ?? "";
  }

  ensureTrigger(id: string): number {
    const known = this.#triggers.get(id);
    if (known !== undefined) return known;
    const no = this.#triggers.size + 1;
    this.#db.run("INSERT INTO triggers VALUES (?, ?)", no, id);
    return this.#enterTrigger(no, id);
  }

  /** A trigger has seen an event, and has so many open deliveries more. */
  saw(broker: number, trigger: number, seq: number, opened: number): void {
    const loads = this.#loadsOf(broker);
    const load = loads.get(trigger);
    if (load) {
      load.open += opened;
      load.first = Math.min(load.first, seq);
      load.last = Math.max(load.last, seq);
    } else loads.set(trigger, { open: opened, first: seq, last: seq });
    let changed = this.#changedLoads.get(broker);
    if (!changed) {
      changed = new Set();
      this.#changedLoads.set(broker, changed);
    }
    changed.add(trigger);
  }

  /** Between which events a trigger has seen some of the broker's. */
  span(broker: number, trigger: number): { readonly first: number; readonly last: number } | undefined {
    return this.#loads.get(broker)?.get(trigger);
  }

  /** Open deliveries by trigger. */
  open(broker: number): Record<string, number> {
    const open = [...this.#loadsOf(broker)].filter(([, load]) => load.open > 0);
    return Object.fromEntries(open.map(([trigger, load]) => [this.triggerId(trigger), load.open]));
  }

  /** Numbers of all triggers that have open deliveries. */
  openTriggers(): Set<number> {
    const open = new Set<number>();
    for (const loads of this.#loads.values()) for (const [no, load] of loads) if (load.open > 0) open.add(no);
    return open;
  }

  flush(): void {
    for (const { no, limits, events, bytes, pending, dead } of this.#changed) {
      this.#db.run(
        "UPDATE brokers SET max_age = ?, max_bytes = ?, max_events = ?, events = ?, bytes = ?, pending = ?, dead = ? WHERE no = ?",
        ...[limits.maxAgeMs, limits.maxBytes, limits.maxEvents, events, bytes, pending, dead, no],
      );
    }
    this.#changed.clear();
    for (const [broker, triggers] of this.#changedLoads) {
      for (const trigger of triggers) {
        const { open, first, last } = this.#loadsOf(broker).get(trigger) as Load;
        this.#db.run("INSERT OR REPLACE INTO loads VALUES (?, ?, ?, ?, ?)", broker, trigger, open, first, last);
      }
    }
    this.#changedLoads.clear();
  }

  #enter(broker: BrokerRow): BrokerRow {
    this.#byNo.set(broker.no, broker);
    this.#byName.set(`${broker.ref.namespace}/${broker.ref.name}`, broker);
    return broker;
  }

  #enterTrigger(no: number, id: string): number {
    this.#triggers.set(id, no);
    this.#triggerIds.set(no, id);
    return no;
  }

  #loadsOf(broker: number): Map<number, Load> {
    let loads = this.#loads.get(broker);
    if (!loads) {
      loads = new Map();
      this.#loads.set(broker, loads);
    }
    return loads;
  }
}
