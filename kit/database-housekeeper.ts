import { isOutOfSpace } from "../contract/shortages.ts";
import type { DatabaseFile } from "./database-file.ts";
import type { SpareSpace } from "./spare-space.ts";

/** How long after a change the file is tidied, and the pause between two steps of that. */
const TIDY_AFTER_MS = 1000;
const TIDY_PAUSE_MS = 50;
/** Pages given back at a time, few enough that a call that arrives meanwhile hardly waits. */
const SHRINK_PAGES = 512;
/** Unused pages (4 KiB each) that stay, for the next burst. */
const SPARE_PAGES = 1024;
/** How often a reserve that was given up is tried to be had again. */
const RESERVE_RETRY_MS = 2000;

type Tidied = Pick<DatabaseFile, "shrink" | "checkpoint">;

export interface HousekeepingNote {
  readonly kind: "log";
  readonly level: "info" | "warn" | "error";
  readonly message: string;
  readonly facts: object;
}

/** How the log speaks of it. */
export interface HousekeepingWords {
  /** Whose file, e.g. `queue's`. */
  readonly file: string;
  /** What it does not take without its reserve. */
  readonly takesNo: string;
}

/** Keeps a database's files small, and their reserve whole, in small steps between other work. */
export class DatabaseHousekeeper {
  readonly #store: Tidied;
  readonly #spare: SpareSpace;
  readonly #words: HousekeepingWords;
  readonly #post: (message: HousekeepingNote) => void;
  #timer: NodeJS.Timeout | undefined;
  #failing = false;
  #poor = false;

  constructor(store: Tidied, spare: SpareSpace, words: HousekeepingWords, post: (message: HousekeepingNote) => void) {
    this.#store = store;
    this.#spare = spare;
    this.#words = words;
    this.#post = post;
    this.#ensureReserve();
  }

  /** Tells that something has been written. */
  changed(): void {
    if (this.#timer === undefined) this.#tidyIn(TIDY_AFTER_MS);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #tidyIn(ms: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#tidy();
    }, ms);
  }

  #tidy(): void {
    try {
      if (this.#store.shrink(SHRINK_PAGES, this.#spare.held ? SPARE_PAGES : 0)) {
        this.#tidyIn(TIDY_PAUSE_MS);
        return;
      }
      this.#emptyLog();
      this.#failing = false;
      this.#ensureReserve();
    } catch (error) {
      const facts = { reason: error instanceof Error ? error.message : String(error) };
      if (!this.#failing)
        this.#post({ kind: "log", level: "warn", message: `cannot tidy the ${this.#words.file} file`, facts });
      this.#failing = true;
      this.#tidyIn(RESERVE_RETRY_MS);
    }
  }

  /** While what is new is only in the log, the database depends on room for it; the reserve is given up for that at once. */
  #emptyLog(): void {
    try {
      this.#store.checkpoint();
    } catch (error) {
      if (!isOutOfSpace(error) || !this.#spare.release()) throw error;
      this.#store.checkpoint();
    }
  }

  #ensureReserve(): void {
    if (this.#spare.ensure()) {
      this.#poor = false;
      return;
    }
    if (!this.#poor) {
      const facts = { reason: this.#spare.problem };
      const message = `the ${this.#words.file} reserve of disk space is not to be had; it takes no ${this.#words.takesNo} until it is`;
      this.#post({ kind: "log", level: "error", message, facts });
    }
    this.#poor = true;
    this.#tidyIn(RESERVE_RETRY_MS);
  }
}
