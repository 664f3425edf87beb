import { formatDuration } from "../../../../contract/duration.ts";
import type { EmbeddedDatabase } from "../../../../kit/embedded-database.ts";
import { ONCE_MS } from "../../event-store.ts";
import type { BrokerRow, BrokerTable } from "../db/broker-table.ts";
import { EVENT_PHASE, type EventTable } from "../db/event-table.ts";

/** Events that one step removes at most, so that what arrives meanwhile hardly waits. */
const STEP = 200;
/** Pause between looks at what is old, while there is not more than one step removes. */
const SWEEP_EVERY_MS = 1000;
/** How long it is told of an event that its time was over before it was delivered. */
const OVERDUE_KEPT_MS = 3600_000;

/** How long events are kept, and how many. */
export class EventRetention {
  readonly #db: EmbeddedDatabase;
  readonly #brokers: BrokerTable;
  readonly #events: EventTable;
  /** When something is to be looked at next, by what is sure. */
  #nextAt: number | undefined = 0;

  constructor(db: EmbeddedDatabase, brokers: BrokerTable, events: EventTable) {
    this.#db = db;
    this.#brokers = brokers;
    this.#events = events;
  }

  get nextAt(): number | undefined {
    return this.#nextAt;
  }

  look(): void {
    this.#nextAt = 0;
  }

  arrived(broker: BrokerRow, at: number): void {
    this.#lookAt(at + broker.limits.maxAgeMs);
  }

  remembered(until: number): void {
    this.#lookAt(until);
  }

  #lookAt(at: number): void {
    if (this.#nextAt === undefined || at < this.#nextAt) this.#nextAt = at;
  }

  /** Lets the oldest go that nothing is to be delivered of. @returns whether there is room, with nothing gone if not */
  makeRoom(broker: BrokerRow, need: { readonly events: number; readonly bytes: number }): boolean {
    const { maxEvents, maxBytes } = broker.limits;
    let events = broker.events + need.events - maxEvents;
    let bytes = broker.bytes + need.bytes - maxBytes;
    if (events <= 0 && bytes <= 0) return true;
    const leaving: number[] = [];
    for (let after = 0; events > 0 || bytes > 0; ) {
      const ended = this.#db.all(
        "SELECT seq, bytes FROM events WHERE broker = ? AND phase = ? AND seq > ? ORDER BY seq LIMIT ?",
        // Mostly one comes and one goes.
        ...[broker.no, EVENT_PHASE.ended, after, Math.min(STEP, Math.max(events, 8))],
      );
      if (ended.length === 0) return false;
      for (const row of ended) {
        if (events <= 0 && bytes <= 0) break;
        after = row.seq as number;
        leaving.push(after);
        events--;
        bytes -= row.bytes as number;
      }
    }
    for (const seq of leaving) this.#events.remove(seq);
    return true;
  }

  /**
   * Removes what has been kept for its time. To be called in a transaction, when {@link nextAt} has come.
   * @param expire ends what is open of an event
   */
  sweep(sure: number, expire: (seq: number, reason: string) => void): void {
    if (this.#nextAt === undefined || sure < this.#nextAt) return;
    let left = STEP;
    let next = Number.POSITIVE_INFINITY;
    for (const broker of this.#brokers.all()) {
      const { maxAgeMs } = broker.limits;
      const reason = `not delivered within ${formatDuration(maxAgeMs)}, the time for which its broker keeps events`;
      for (const overdue of [0, 1]) {
        const keptMs = maxAgeMs + overdue * OVERDUE_KEPT_MS;
        const rows = this.#db.all(
          "SELECT seq, arrived, phase FROM events WHERE broker = ? AND overdue = ? ORDER BY arrived LIMIT ?",
          ...[broker.no, overdue, left + 1],
        );
        for (const { seq, arrived, phase } of rows) {
          const end = (arrived as number) + keptMs;
          if (end > sure || left === 0) {
            next = Math.min(next, end);
            break;
          }
          left--;
          if (phase === EVENT_PHASE.ended) this.#events.remove(seq as number);
          else {
            this.#overdue(seq as number, expire, reason);
            next = Math.min(next, end + OVERDUE_KEPT_MS);
          }
        }
      }
    }
    left -= this.#forgetOnce(sure, left);
    const once = this.#db.number("SELECT min(at) FROM once");
    if (once !== undefined) next = Math.min(next, once + ONCE_MS);
    // Not for each event alone.
    this.#nextAt =
      next === Number.POSITIVE_INFINITY ? undefined : left > 0 ? Math.max(next, sure + SWEEP_EVERY_MS) : next;
  }

  #overdue(seq: number, expire: (seq: number, reason: string) => void, reason: string): void {
    this.#db.run("UPDATE events SET overdue = 1 WHERE seq = ?", seq);
    this.#events.routed(seq, [], 0, 0);
    expire(seq, reason);
    const row = this.#events.row(seq);
    if (row) this.#events.dropData(row);
  }

  #forgetOnce(sure: number, limit: number): number {
    const old = this.#db.all("SELECT broker, key FROM once WHERE at <= ? ORDER BY at LIMIT ?", sure - ONCE_MS, limit);
    for (const { broker, key } of old) {
      this.#db.run("DELETE FROM once WHERE broker = ? AND key = ?", broker as number, key as string);
    }
    return old.length;
  }
}
