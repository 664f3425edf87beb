import { type FSWatcher, watch } from "node:fs";
import { changedFiles, type Snapshot, takeSnapshot } from "./snapshot.ts";

export interface WatchOptions {
  /** Files and folders to look at, absolute; asked each time. */
  readonly roots: () => readonly string[];
  readonly isIgnored?: (path: string) => boolean;
  /** Ends the watching. */
  readonly signal?: AbortSignal | undefined;
}

/** Editors write in several steps; what comes within this time is one change. */
const SETTLE_MS = 40;
/** Network and container file systems, and full tables of watches, tell nothing. */
const POLL_MS = 1_000;

/** Yields the files that have changed since the last time, for ever. What changes meanwhile is in the next turn. */
export async function* watchFiles({ roots, isIgnored, signal }: WatchOptions): AsyncGenerator<string[]> {
  const bell = new Bell(signal);
  const watchers = new Watchers(bell);
  try {
    let before = await takeSnapshot(roots(), isIgnored);
    for (;;) {
      watchers.follow(before);
      await bell.rung(POLL_MS);
      if (signal?.aborted) return;
      await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
      const after = await takeSnapshot(roots(), isIgnored);
      const changed = changedFiles(before, after);
      before = after;
      if (changed.length > 0) yield changed;
    }
  } finally {
    watchers.close();
  }
}

/** Lets one wait for something that others tell of; a ring that nobody waits for counts for the next wait. */
class Bell {
  #rung = false;
  #wake: () => void = () => {};

  constructor(signal: AbortSignal | undefined) {
    signal?.addEventListener("abort", () => this.ring(), { once: true });
  }

  ring(): void {
    this.#rung = true;
    this.#wake();
  }

  async rung(timeoutMs: number): Promise<void> {
    if (!this.#rung) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, timeoutMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.#rung = false;
  }
}

/** Watches of single folders: those of whole trees include what need not be looked at, such as `node_modules`. */
class Watchers {
  readonly #bell: Bell;
  readonly #byFolder = new Map<string, FSWatcher>();

  constructor(bell: Bell) {
    this.#bell = bell;
  }

  follow({ folders }: Snapshot): void {
    for (const [folder, watcher] of this.#byFolder) if (!folders.has(folder)) this.#drop(folder, watcher);
    for (const folder of folders) if (!this.#byFolder.has(folder)) this.#add(folder);
  }

  close(): void {
    for (const [folder, watcher] of this.#byFolder) this.#drop(folder, watcher);
  }

  #add(folder: string): void {
    try {
      const watcher = watch(folder, () => this.#bell.ring());
      this.#byFolder.set(folder, watcher);
      watcher.on("error", () => this.#drop(folder, watcher));
    } catch {
      // Then it is looked at every now and then.
    }
  }

  #drop(folder: string, watcher: FSWatcher): void {
    this.#byFolder.delete(folder);
    watcher.close();
  }
}
