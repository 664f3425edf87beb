import { readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { qualifiedName } from "../../contract/functions.ts";
import type { Logger } from "../../kit/log.ts";
import type { FunctionTable } from "../proxy/function-table.ts";

export interface CallCountsOptions {
  readonly table: Pick<FunctionTable, "find" | "entries" | "onChange" | "whenSynced" | "synced">;
  /** File that they are kept in over restarts; without one they begin at 0 with each start. */
  readonly path?: string;
  /** Default 15 s. */
  readonly storeEveryMs?: number;
  readonly log: Pick<Logger, "warn">;
}

/** Thousands of functions fit many times over. */
const MAX_FILE_BYTES = 32 * 1024 ** 2;

/** How often each function has been called since it was deployed, whichever version: before this start, and since. */
export class CallCounts {
  readonly #options: CallCountsOptions;
  /** Calls before this start, by qualified name. */
  readonly #before: Map<string, number>;
  readonly #stopListening: () => void;
  readonly #timer: NodeJS.Timeout | undefined;
  #stored: string;
  #storing: Promise<void> = Promise.resolve();
  #failing = false;
  #isClosed = false;

  /** Reads the stored counts; a file that is damaged or cannot be read is logged, and the counts begin at 0. */
  static async open(options: CallCountsOptions): Promise<CallCounts> {
    let before = new Map<string, number>();
    if (options.path !== undefined) {
      try {
        before = await readCounts(options.path);
      } catch (err) {
        options.log.warn({ err, path: options.path }, "cannot read how often functions were called; counting anew");
      }
    }
    return new CallCounts(options, before);
  }

  private constructor(options: CallCountsOptions, before: Map<string, number>) {
    const { table, path, storeEveryMs = 15_000 } = options;
    this.#options = options;
    this.#before = before;
    this.#stored = this.#text();
    this.#stopListening = table.onChange((ref) => {
      const name = qualifiedName(ref);
      // Before all are known, one may only not be known yet.
      if (table.synced && !table.find(name)) before.delete(name);
    });
    void table.whenSynced.then(() => {
      for (const name of before.keys()) if (!table.find(name)) before.delete(name);
    });
    if (path !== undefined) this.#timer = setInterval(() => void this.#store(path), storeEveryMs).unref();
  }

  /** Calls that ended of the function `name.namespace`. */
  of(name: string): number {
    return (this.#before.get(name) ?? 0) + (this.#options.table.find(name)?.wholeMeter.ended ?? 0);
  }

  #text(): string {
    const counts = new Map(this.#before);
    for (const entry of this.#options.table.entries()) {
      if (entry.isBeside) continue;
      const calls = this.of(entry.qualifiedName);
      if (calls > 0) counts.set(entry.qualifiedName, calls);
    }
    return JSON.stringify(Object.fromEntries(counts));
  }

  #store(path: string): Promise<void> {
    this.#storing = this.#storing.then(async () => {
      const text = this.#text();
      if (text === this.#stored) return;
      try {
        await replaceFile(path, text);
        this.#stored = text;
        this.#failing = false;
      } catch (err) {
        // Tried again by itself; once is enough for a disk that stays full.
        if (!this.#failing) this.#options.log.warn({ err, path }, "cannot keep how often functions were called");
        this.#failing = true;
      }
    });
    return this.#storing;
  }

  /** May be called twice. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearInterval(this.#timer);
    this.#stopListening();
    if (this.#options.path !== undefined) await this.#store(this.#options.path);
  }
}

/** @returns none when there is no such file. @throws when it is not one of ours */
async function readCounts(path: string): Promise<Map<string, number>> {
  try {
    if ((await stat(path)).size > MAX_FILE_BYTES) throw new Error("too large to be ours");
    const counts: unknown = JSON.parse(await readFile(path, "utf8"));
    if (typeof counts !== "object" || counts === null || Array.isArray(counts)) throw new Error("no object");
    const entries = Object.entries(counts);
    if (!entries.every(([, count]) => Number.isSafeInteger(count) && count > 0)) throw new Error("no counts");
    return new Map(entries);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return new Map();
    throw error;
  }
}

/** The old file stays whole until the new one is. */
async function replaceFile(path: string, text: string): Promise<void> {
  const draft = `${path}.new`;
  try {
    await writeFile(draft, text, { mode: 0o600, flush: true });
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true }).catch(() => {}); // the first failure is the one to tell
    throw error;
  }
}
