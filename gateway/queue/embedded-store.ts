import { EmbeddedBatches } from "./embedded-batches.ts";
import { EmbeddedCalls } from "./embedded-calls.ts";
import { EmbeddedDatabase, isBusy } from "./embedded-database.ts";
import { EmbeddedDead } from "./embedded-dead.ts";
import { EmbeddedHistory } from "./embedded-history.ts";
import type { IdKey } from "./embedded-ids.ts";
import { prepareDatabase } from "./embedded-schema.ts";

/** The queue's file. */
export class EmbeddedStore {
  readonly calls: EmbeddedCalls;
  readonly history: EmbeddedHistory;
  readonly batches: EmbeddedBatches;
  readonly dead: EmbeddedDead;
  readonly key: IdKey;
  readonly #db: EmbeddedDatabase;

  /** @throws {Error} when the file is locked, damaged, someone else's or of another schema */
  constructor(path: string, maxBytes: number) {
    this.#db = new EmbeddedDatabase(path);
    try {
      prepareDatabase(this.#db, maxBytes);
      const identity = this.#db.get("SELECT key, hidden_from FROM identity");
      this.key = { secret: identity?.key as Uint8Array, hiddenFrom: identity?.hidden_from as number };
    } catch (cause) {
      this.#db.close();
      if (isBusy(cause)) throw new Error("another process has it open", { cause });
      throw cause;
    }
    this.calls = new EmbeddedCalls(this.#db);
    this.history = new EmbeddedHistory(this.#db);
    this.batches = new EmbeddedBatches(this.#db);
    this.dead = new EmbeddedDead(this.#db);
  }

  /** See {@link EmbeddedDatabase.transaction}. */
  transaction<T>(change: () => T, flush = true): T {
    return this.#db.transaction(change, flush);
  }

  /** Gives up to `pages` unused pages back to the file system, but keeps `spare` of them. @returns whether to go on */
  shrink(pages: number, spare: number): boolean {
    const surplus = (this.#db.number("PRAGMA freelist_count") ?? 0) - spare;
    if (surplus <= 0) return false;
    this.#db.exec(`PRAGMA incremental_vacuum(${Math.min(pages, surplus)})`);
    return surplus > pages;
  }

  /** Moves the log's content into the database file. Its room stays its own, so that it is there when the disk is full. */
  checkpoint(): void {
    this.#db.exec("PRAGMA wal_checkpoint(PASSIVE)");
  }

  close(): void {
    this.#db.close();
  }
}
