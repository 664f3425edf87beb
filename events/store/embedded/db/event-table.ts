import { hash } from "node:crypto";
import type { EmbeddedDatabase } from "../../../../kit/embedded-database.ts";
import { ONCE_MS, type TriggerVerdict } from "../../event-store.ts";
import type { WireEvent, WireStoredEvent } from "../protocol.ts";
import type { BrokerRow, BrokerTable } from "./broker-table.ts";

export const EVENT_PHASE = { pending: 0, open: 1, ended: 2 } as const;
export const EVENT_KEEP = { full: 0, meta: 1, off: 2 } as const;

/** An event's row without what is large. */
export interface EventRow {
  readonly seq: number;
  readonly broker: number;
  readonly phase: number;
  readonly open: number;
  readonly dead: number;
  readonly keep: number;
  readonly arrived: number;
  readonly bytes: number;
  readonly dataBytes: number;
  readonly hops: number;
  readonly via: string;
  readonly sha: Uint8Array | undefined;
}

const FIELDS = [
  ...["seq", "broker", "phase", "open", "dead", "keep", "arrived", "bytes", "dataBytes", "hops", "via", "sha"],
] as const;
const COLUMNS = "seq, broker, phase, open, dead, keep, arrived, bytes, data_bytes, hops, via, sha";
/** What an event takes beside its text and data. */
const ROW_BYTES = 200;

/** Events that have keys of their ids beside each other. */
const ID_BLOCK = 4096;

/**
 * Key of an event's id for the index of them. Ids are random; keys of events that come one after another are near each
 * other all the same, so that few pages are written. Who looks for an id looks in each block of places.
 */
export function idKeyOf(seq: number, hash: number): number {
  return (Math.floor(seq / ID_BLOCK) % 2 ** 20) * 2 ** 32 + hash;
}

/** First places of the blocks between two places. */
export function idBlocks(first: number, last: number): number[] {
  const from = Math.floor(first / ID_BLOCK);
  const count = Math.floor(last / ID_BLOCK) - from + 1;
  return Array.from({ length: Math.max(0, count) }, (_, i) => (from + i) * ID_BLOCK);
}

/** Events: rows, contents and verdicts. */
export class EventTable {
  readonly #db: EmbeddedDatabase;
  readonly #brokers: BrokerTable;
  #next = 1;
  /** As the file has it. */
  #written = 1;
  #high = 0;
  #lag = 0;

  constructor(db: EmbeddedDatabase, brokers: BrokerTable) {
    this.#db = db;
    this.#brokers = brokers;
    this.reload();
  }

  /** From the file, after a transaction that came to nothing. */
  reload(): void {
    this.#next = this.#db.number("SELECT next_event FROM marks") ?? 1;
    this.#written = this.#next;
    this.#high = this.#db.number("SELECT high FROM events ORDER BY seq DESC LIMIT 1") ?? 0;
    this.#lag = this.#db.number("SELECT lag FROM marks") ?? 0;
  }

  flush(): void {
    if (this.#next === this.#written) return;
    this.#db.run("UPDATE marks SET next_event = ?", this.#next);
    this.#written = this.#next;
  }

  /** The place that no event has yet. */
  get next(): number {
    return this.#next;
  }

  static bytesOf({ head, data, via }: Pick<WireEvent, "head" | "data" | "via">): number {
    return ROW_BYTES + head.length + via.length + (data?.bytes ?? 0);
  }

  /** @returns its place */
  insert(broker: BrokerRow, event: WireEvent, bodies: ArrayBuffer): number {
    const seq = this.#next++;
    const { data, hashes } = event;
    const body = data && new Uint8Array(bodies, data.at, data.bytes);
    const bytes = EventTable.bytesOf(event);
    const arrived = Math.floor(event.arrivedAt);
    this.#high = Math.max(this.#high, arrived);
    if (this.#high - arrived > this.#lag) {
      // Doubled, so that it is written seldom.
      this.#lag = 2 * (this.#high - arrived);
      this.#db.run("UPDATE marks SET lag = ?", this.#lag);
    }
    const directed = event.directed !== undefined;
    this.#db.run(
      "INSERT INTO events VALUES (?, ?, ?, 0, 0, 0, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      ...[
        seq,
        broker.no,
        directed ? EVENT_PHASE.ended : EVENT_PHASE.pending,
        Math.floor(event.arrivedAt),
        this.#high,
        bytes,
      ],
      ...[
        data?.bytes ?? -1,
        event.hops,
        idKeyOf(seq, hashes[0]),
        hashes[1],
        hashes[2],
        event.via,
        body ? hash("sha256", body, "buffer") : null,
      ],
    );
    this.#db.run("INSERT INTO contents VALUES (?, ?, ?)", seq, event.head, body ?? null);
    const row = this.#brokers.change(broker.no);
    row.events++;
    row.bytes += bytes;
    if (!directed) row.pending++;
    return seq;
  }

  /** The event that was taken with the key, if that was in the time that it is remembered. */
  findOnce(broker: number, key: string, now: number): number | undefined {
    const row = this.#db.get("SELECT seq, at FROM once WHERE broker = ? AND key = ?", broker, key);
    return row && (row.at as number) > now - ONCE_MS ? (row.seq as number) : undefined;
  }

  rememberOnce(broker: number, key: string, seq: number, now: number): void {
    this.#db.run("INSERT OR REPLACE INTO once VALUES (?, ?, ?, ?)", broker, key, seq, now);
  }

  row(seq: number): EventRow | undefined {
    return this.#db.object<EventRow>(FIELDS, `SELECT ${COLUMNS} FROM events WHERE seq = ?`, seq);
  }

  /** Counts deliveries that open (or, below 0, end), and dead ones. @returns the row as it is then */
  count(seq: number, opened: number, dead: number): EventRow | undefined {
    const row = this.row(seq);
    if (!row) return undefined;
    const counted = { ...row, open: row.open + opened, dead: row.dead + dead };
    const phase = row.phase === EVENT_PHASE.pending ? EVENT_PHASE.pending : phaseOf(counted.open);
    const values = [counted.open, counted.dead, phase, seq];
    this.#db.run("UPDATE events SET open = ?, dead = ?, phase = ? WHERE seq = ?", ...values);
    if (dead !== 0) this.#brokers.change(row.broker).dead += dead;
    return { ...counted, phase };
  }

  /**
   * It has been given to the triggers, which opens so many deliveries.
   * @returns the row as it is then; undefined when it was not pending
   */
  routed(
    seq: number,
    verdicts: readonly (readonly [trigger: number, verdict: TriggerVerdict])[],
    keep: number,
    opened: number,
  ): EventRow | undefined {
    const row = this.row(seq);
    if (row?.phase !== EVENT_PHASE.pending) return undefined;
    const open = row.open + opened;
    const phase = phaseOf(open);
    this.#db.run("UPDATE events SET open = ?, phase = ?, keep = ? WHERE seq = ?", open, phase, keep, seq);
    if (verdicts.length > 0) {
      const told = verdicts.map(([no, { matched, reason }]) =>
        reason === undefined ? [no, +matched] : [no, +matched, reason],
      );
      this.#db.run("INSERT OR REPLACE INTO verdicts VALUES (?, ?)", seq, JSON.stringify(told));
    }
    this.#brokers.change(row.broker).pending--;
    return { ...row, open, phase, keep };
  }

  hasVerdict(seq: number, trigger: number): boolean {
    // Most that do not have it need not be read for that.
    const sql = "SELECT verdicts FROM verdicts WHERE seq = ? AND instr(verdicts, ?) > 0";
    const text = this.#db.get(sql, seq, `[${trigger},`)?.verdicts as string | undefined;
    return text !== undefined && (JSON.parse(text) as [number][]).some(([no]) => no === trigger);
  }

  verdicts(seq: number): TriggerVerdict[] {
    const text = this.#db.get("SELECT verdicts FROM verdicts WHERE seq = ?", seq)?.verdicts as string | undefined;
    if (text === undefined) return [];
    return (JSON.parse(text) as [number, number, string?][]).map(([no, matched, reason]) => ({
      trigger: this.#brokers.triggerId(no),
      matched: matched === 1,
      ...(reason !== undefined && { reason }),
    }));
  }

  /** Gives up the data, and keeps what is known of it. */
  dropData({ seq, broker, dataBytes }: EventRow): void {
    if (dataBytes <= 0) return;
    const { changes } = this.#db.run("UPDATE contents SET data = NULL WHERE seq = ? AND data IS NOT NULL", seq);
    if (changes === 0) return;
    this.#db.run("UPDATE events SET bytes = bytes - ? WHERE seq = ?", dataBytes, seq);
    this.#brokers.change(broker).bytes -= dataBytes;
  }

  /** Whether its data is there, if it has any. */
  hasData({ seq, dataBytes }: EventRow): boolean {
    return (
      dataBytes <= 0 || this.#db.get("SELECT 1 FROM contents WHERE seq = ? AND data IS NOT NULL", seq) !== undefined
    );
  }

  remove(seq: number): void {
    const row = this.row(seq);
    if (!row) return;
    for (const table of ["events", "contents", "verdicts"]) this.#db.run(`DELETE FROM ${table} WHERE seq = ?`, seq);
    this.#db.run("DELETE FROM deliveries WHERE event = ?", seq);
    const broker = this.#brokers.change(row.broker);
    broker.events--;
    broker.bytes -= row.bytes;
    broker.dead -= row.dead;
    if (row.phase === EVENT_PHASE.pending) broker.pending--;
  }

  /** The event as it was appended. */
  stored(row: EventRow, withData: boolean): WireStoredEvent {
    const columns = withData ? "head, data" : "head";
    const content = this.#db.get(`SELECT ${columns} FROM contents WHERE seq = ?`, row.seq);
    const data = row.dataBytes === 0 && withData ? new Uint8Array(0) : (content?.data as Uint8Array | null | undefined);
    return {
      seq: row.seq,
      broker: this.#brokers.get(row.broker).ref,
      head: content?.head as string,
      ...(data && { data }),
      hops: row.hops,
      arrivedAt: row.arrived,
      via: row.via,
    };
  }

  /** Some of a broker's events that are not routed, in order: at least one if there is one. */
  pending(broker: number, after: number, limit: number, maxBytes: number): { seqs: number[]; more: boolean } {
    const rows = this.#db.all(
      "SELECT seq, data_bytes FROM events WHERE broker = ? AND phase = ? AND seq > ? ORDER BY seq LIMIT ?",
      ...[broker, EVENT_PHASE.pending, after, limit],
    );
    const seqs: number[] = [];
    let bytes = 0;
    for (const { seq, data_bytes } of rows) {
      bytes += data_bytes as number;
      if (seqs.length > 0 && bytes > maxBytes) return { seqs, more: true };
      seqs.push(seq as number);
    }
    return { seqs, more: rows.length === limit };
  }

  /** By how much events came after later ones at most, in milliseconds. */
  get lag(): number {
    return this.#lag;
  }
}

function phaseOf(open: number): number {
  return open > 0 ? EVENT_PHASE.open : EVENT_PHASE.ended;
}
