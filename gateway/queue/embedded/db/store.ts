import { statSync } from "node:fs";
import type { IdKey } from "../call-ids.ts";
import { EmbeddedBatches } from "./batches.ts";
import { EmbeddedCallbacks } from "./callbacks.ts";
import { EmbeddedCalls } from "./calls.ts";
import { EmbeddedDatabase, isBusy } from "./database.ts";
import { EmbeddedDead } from "./dead.ts";
import { EmbeddedHistory } from "./history.ts";
import { EmbeddedListing } from "./listing.ts";
import { LOG_KEEPS_BYTES, PAGE_BYTES, prepareDatabase } from "./schema.ts";

/** The queue's file. */
export class EmbeddedStore {
  readonly calls: EmbeddedCalls;
  readonly history: EmbeddedHistory;
  readonly batches: EmbeddedBatches;
  readonly dead: EmbeddedDead;
  readonly listing: EmbeddedListing;
  readonly callbacks: EmbeddedCallbacks;
  readonly key: IdKey;
  readonly #db: EmbeddedDatabase;
  readonly #path: string;

  /** @throws {Error} when the file is locked, damaged, someone else's or of another schema */
  constructor(path: string, maxBytes: number) {
    this.#path = path;
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
    this.listing = new EmbeddedListing(this.#db);
    this.callbacks = new EmbeddedCallbacks(this.#db);
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

  /** In the file, for what comes next. */
  unusedBytes(): number {
    return (this.#db.number("PRAGMA freelist_count") ?? 0) * PAGE_BYTES;
  }

  /** Moves the log's content into the database file. The log keeps some room, for when there is no other. */
  checkpoint(): void {
    this.#db.exec("PRAGMA wal_checkpoint(PASSIVE)");
    // It is only cut to its limit by what is written next, which may be long in coming.
    const version = this.#db.number("PRAGMA user_version");
    if (logBytes(this.#path) > LOG_KEEPS_BYTES) this.#db.exec(`PRAGMA user_version = ${version}`);
  }

  close(): void {
    this.#db.close();
  }
}

function logBytes(path: string): number {
  return statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
}
