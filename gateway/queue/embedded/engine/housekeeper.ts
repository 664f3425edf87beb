import { isOutOfSpace } from "../../../../contract/shortages.ts";
import type { SpareSpace } from "../../../../kit/spare-space.ts";
import type { EmbeddedStore } from "../db/store.ts";
import type { FromWorker } from "../protocol.ts";

/** How long after a change the file is tidied, and the pause between two steps of that. */
const TIDY_AFTER_MS = 1000;
const TIDY_PAUSE_MS = 50;
/** Pages given back at a time, few enough that a call that arrives meanwhile hardly waits. */
const SHRINK_PAGES = 512;
/** Unused pages (4 KiB each) that stay, for the next burst. */
const SPARE_PAGES = 1024;
/** How often a reserve that was given up is tried to be had again. */
const RESERVE_RETRY_MS = 2000;

/** Keeps the queue's files small, and their reserve whole, in small steps between other work. */
export class EmbeddedHousekeeper {
  readonly #store: EmbeddedStore;
  readonly #spare: SpareSpace;
  readonly #post: (message: FromWorker) => void;
  #timer: NodeJS.Timeout | undefined;
  #failing = false;
  #poor = false;

  constructor(store: EmbeddedStore, spare: SpareSpace, post: (message: FromWorker) => void) {
    this.#store = store;
    this.#spare = spare;
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
      if (!this.#failing) this.#post({ kind: "log", level: "warn", message: "cannot tidy the queue's file", facts });
      this.#failing = true;
      this.#tidyIn(RESERVE_RETRY_MS);
    }
  }

  /** While what is new is only in the log, the queue depends on room for it; the reserve is given up for that at once. */
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
      const message = "the queue's reserve of disk space is not to be had; it takes no new calls until it is";
      this.#post({ kind: "log", level: "error", message, facts });
    }
    this.#poor = true;
    this.#tidyIn(RESERVE_RETRY_MS);
  }
}
