import type { EmbeddedDatabase } from "../../../../kit/embedded-database.ts";
import { type AttemptRecord, type DeliveryRecord, MAX_ATTEMPTS_KEPT, type NewDelivery } from "../../event-store.ts";
import type { WireEventDelivery } from "../protocol.ts";
import type { BrokerTable } from "./broker-table.ts";

export const DELIVERY_STATE = { waiting: 0, retrying: 1, delivered: 2, dead: 3, dropped: 4 } as const;

export interface DeliveryRow {
  readonly id: number;
  readonly event: number;
  readonly broker: number;
  readonly trigger: number;
  readonly state: number;
  readonly blocked: number;
  readonly due: number;
  readonly failures: number;
  readonly tries: number;
  readonly key: string | undefined;
  readonly extra: string | undefined;
  readonly reason: string | undefined;
  readonly attempts: string | undefined;
}

const FIELDS = [
  ...["id", "event", "broker", "trigger", "state", "blocked", "due", "failures", "tries", "key", "extra", "reason"],
  "attempts",
];
const COLUMNS = "id, event, broker, trigger, state, blocked, due, failures, tries, order_key, extra, reason, attempts";

export class DeliveryTable {
  readonly #db: EmbeddedDatabase;
  readonly #brokers: BrokerTable;
  #next = 1;
  /** As the file has it. */
  #written = 1;

  constructor(db: EmbeddedDatabase, brokers: BrokerTable) {
    this.#db = db;
    this.#brokers = brokers;
    this.reload();
  }

  /** From the file, after a transaction that came to nothing. */
  reload(): void {
    this.#next = this.#db.number("SELECT next_delivery FROM marks") ?? 1;
    this.#written = this.#next;
  }

  flush(): void {
    if (this.#next === this.#written) return;
    this.#db.run("UPDATE marks SET next_delivery = ?", this.#next);
    this.#written = this.#next;
  }

  /** @returns whether it is due at once, or the time when it is; undefined when another one of its key is before it */
  insert(event: number, broker: number, delivery: NewDelivery, now: number): number | undefined {
    const { trigger, orderKey, notBefore, ...rest } = delivery;
    const no = this.#brokers.ensureTrigger(trigger);
    const blocked = orderKey !== undefined && this.#firstOf(no, orderKey) !== undefined;
    const due =
      notBefore !== undefined && notBefore > now ? Math.min(Number.MAX_SAFE_INTEGER, Math.ceil(notBefore)) : 0;
    const all = notBefore === undefined ? rest : { ...rest, notBefore };
    const extra = Object.values(all).some((value) => value !== undefined) ? JSON.stringify(all) : null;
    this.#db.run(
      "INSERT INTO deliveries VALUES (?, ?, ?, ?, 0, ?, ?, 0, 0, 0, ?, ?, NULL, NULL)",
      ...[this.#next++, event, broker, no, +blocked, due, orderKey ?? null, extra],
    );
    this.#brokers.saw(broker, no, event, 1);
    return blocked ? undefined : due;
  }

  row(id: number): DeliveryRow | undefined {
    return this.#db.object<DeliveryRow>(FIELDS, `SELECT ${COLUMNS} FROM deliveries WHERE id = ?`, id);
  }

  ofEvent(event: number): DeliveryRow[] {
    return this.#db
      .numbers("SELECT id FROM deliveries WHERE event = ? ORDER BY id", event)
      .map((id) => this.row(id) as DeliveryRow);
  }

  /** Whether an event has a delivery of a trigger. */
  isOf(event: number, trigger: number): boolean {
    return this.#db.get("SELECT 1 FROM deliveries WHERE event = ? AND trigger = ?", event, trigger) !== undefined;
  }

  retry(row: DeliveryRow, due: number, waitMs: number, attempt: AttemptRecord): void {
    this.#db.run(
      "UPDATE deliveries SET state = 1, due = ?, wait = ?, failures = failures + 1, tries = tries + 1, attempts = ? WHERE id = ?",
      ...[due, waitMs, withAttempt(row.attempts, attempt), row.id],
    );
  }

  /** @returns the delivery of the same key whose turn it is now, with the time when it is due */
  end(row: DeliveryRow, state: number, reason?: string, attempt?: AttemptRecord): { readonly due: number } | undefined {
    const failed = attempt && state !== DELIVERY_STATE.delivered ? 1 : 0;
    this.#db.run(
      "UPDATE deliveries SET state = ?, blocked = 0, due = 0, failures = failures + ?, tries = tries + ?, reason = ?, attempts = ? WHERE id = ?",
      ...[
        state,
        failed,
        attempt ? 1 : 0,
        reason ?? null,
        attempt ? withAttempt(row.attempts, attempt) : (row.attempts ?? null),
      ],
      row.id,
    );
    this.#brokers.saw(row.broker, row.trigger, row.event, -1);
    if (row.key === undefined || row.blocked === 1) return undefined;
    const next = this.#firstOf(row.trigger, row.key);
    if (next === undefined) return undefined;
    this.#db.run("UPDATE deliveries SET blocked = 0 WHERE id = ?", next);
    return { due: this.row(next)?.due ?? 0 };
  }

  #firstOf(trigger: number, key: string): number | undefined {
    return this.#db.number(
      "SELECT id FROM deliveries WHERE trigger = ? AND order_key = ? AND state < 2 ORDER BY id LIMIT 1",
      ...[trigger, key],
    );
  }

  /** Ids of a trigger's deliveries whose turn it is: those that are due at once in order, or those due by a time. */
  fresh(trigger: number, limit: number): number[] {
    return this.#db.numbers(
      "SELECT id FROM deliveries WHERE trigger = ? AND state < 2 AND blocked = 0 AND due = 0 ORDER BY id LIMIT ?",
      ...[trigger, limit],
    );
  }

  timed(trigger: number, now: number, limit: number): number[] {
    return this.#db.numbers(
      "SELECT id FROM deliveries WHERE trigger = ? AND state < 2 AND blocked = 0 AND due > 0 AND due <= ? ORDER BY due, id LIMIT ?",
      ...[trigger, now, limit],
    );
  }

  /** When the next of a trigger's that is not due yet is. */
  nextDue(trigger: number, now: number): number | undefined {
    return this.#db.number(
      "SELECT due FROM deliveries WHERE trigger = ? AND state < 2 AND blocked = 0 AND due > ? ORDER BY due LIMIT 1",
      ...[trigger, now],
    );
  }

  /** Open ones of a trigger that are not behind others of their key. */
  openOf(trigger: number, upTo: number, limit: number): number[] {
    return this.#db.numbers(
      "SELECT id FROM deliveries WHERE trigger = ? AND state < 2 AND blocked = 0 AND id <= ? LIMIT ?",
      ...[trigger, upTo, limit],
    );
  }

  get last(): number {
    return this.#next - 1;
  }

  /** Waits of retries, when the clock has been set by so much. */
  shift(ms: number): void {
    this.#db.run("UPDATE deliveries SET due = max(1, due + ?) WHERE state = 1", Math.round(ms));
  }

  /** No retry waits longer than it was told to, whatever the clock said then. */
  boundWaits(now: number): void {
    this.#db.run("UPDATE deliveries SET due = ?1 + wait WHERE state = 1 AND due > ?1 + wait", now);
  }

  /** For the one who makes it. */
  wire(row: DeliveryRow): WireEventDelivery {
    return {
      ...this.#described(row),
      id: row.id,
      event: row.event,
      failures: row.failures,
    };
  }

  record(row: DeliveryRow, underWay: boolean): DeliveryRecord {
    const { state, reason, attempts, tries, due, blocked } = row;
    const open = state < DELIVERY_STATE.delivered;
    return {
      ...this.#described(row),
      id: String(row.id),
      state: open && underWay ? "delivering" : (Object.keys(DELIVERY_STATE)[state] as keyof typeof DELIVERY_STATE),
      ...(reason !== undefined && { reason }),
      attempts: attempts === undefined ? [] : (JSON.parse(attempts) as AttemptRecord[]),
      tries,
      ...(open && !underWay && due > 0 && blocked === 0 && { nextAttemptAt: due }),
    };
  }

  #described({ trigger, key, extra }: DeliveryRow): NewDelivery {
    return {
      trigger: this.#brokers.triggerId(trigger),
      ...(key !== undefined && { orderKey: key }),
      ...(extra !== undefined && (JSON.parse(extra) as Omit<NewDelivery, "trigger">)),
    };
  }
}

function withAttempt(attempts: string | undefined, attempt: AttemptRecord): string {
  if (attempts === undefined) return JSON.stringify([attempt]);
  const all = JSON.parse(attempts) as AttemptRecord[];
  return JSON.stringify([...all, attempt].slice(-MAX_ATTEMPTS_KEPT));
}
