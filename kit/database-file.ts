import { statSync } from "node:fs";
import { EmbeddedDatabase, isBusy } from "./embedded-database.ts";

const PAGE_BYTES = 4096;
/** Of the log, once its content has been moved to the file. */
const LOG_KEEPS_BYTES = 1024 ** 2;

/** A database of this process alone, durable with each commit, whose file can be made smaller again. */
export class DatabaseFile {
  readonly db: EmbeddedDatabase;
  readonly #path: string;

  /**
   * @param prepare makes the schema, or sees that it is there
   * @throws {Error} when the file is locked or damaged, and what `prepare` throws
   */
  constructor(path: string, maxBytes: number, prepare: (db: EmbeddedDatabase) => void) {
    this.#path = path;
    this.db = new EmbeddedDatabase(path);
    try {
      // Exclusive locking keeps a second platform off the same file, and spares the shared-memory index.
      this.db.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA auto_vacuum = INCREMENTAL;");
      this.db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 0;");
      this.db.exec(`PRAGMA wal_autocheckpoint = 1500; PRAGMA journal_size_limit = ${LOG_KEEPS_BYTES};`);
      prepare(this.db);
      this.db.exec(`PRAGMA max_page_count = ${Math.max(64, Math.floor(maxBytes / PAGE_BYTES))}`);
    } catch (cause) {
      this.db.close();
      if (isBusy(cause)) throw new Error("another process has it open", { cause });
      throw cause;
    }
  }

  /** Gives up to `pages` unused pages back to the file system, but keeps `spare` of them. @returns whether to go on */
  shrink(pages: number, spare: number): boolean {
    const surplus = (this.db.number("PRAGMA freelist_count") ?? 0) - spare;
    if (surplus <= 0) return false;
    this.db.exec(`PRAGMA incremental_vacuum(${Math.min(pages, surplus)})`);
    return surplus > pages;
  }

  /** In the file, for what comes next. */
  unusedBytes(): number {
    return (this.db.number("PRAGMA freelist_count") ?? 0) * PAGE_BYTES;
  }

  /** Moves the log's content into the database file. The log keeps some room, for when there is no other. */
  checkpoint(): void {
    this.db.exec("PRAGMA wal_checkpoint(PASSIVE)");
    // It is only cut to its limit by what is written next, which may be long in coming.
    const version = this.db.number("PRAGMA user_version");
    if (logBytes(this.#path) > LOG_KEEPS_BYTES) this.db.exec(`PRAGMA user_version = ${version}`);
  }

  close(): void {
    this.db.close();
  }
}

function logBytes(path: string): number {
  return statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
}
