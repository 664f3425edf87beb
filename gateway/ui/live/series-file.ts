import { open, readFile, rename, rm, stat } from "node:fs/promises";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Logger } from "../../../kit/log.ts";
import { FunctionSeries } from "./function-series.ts";
import type { SeriesBook } from "./series-book.ts";
import { SeriesClock } from "./series-clock.ts";
import { encodePreface, encodeSeries, SeriesReader } from "./series-text.ts";

export interface SeriesFileOptions {
  readonly path: string;
  readonly book: Pick<SeriesBook, "clock" | "entries" | "recall">;
  readonly log: Pick<Logger, "warn">;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
  readonly everyMs?: number;
}

const EVERY_MS = 60_000;
/** Several times what is kept in memory at most. */
const MAX_FILE_BYTES = 128 * 1024 ** 2;
/** Are read, or written at once, before calls get their turn. */
const PIECE_BYTES = 256 * 1024;

/** Keeps series over restarts. A disk that fails costs what is in the file, and nothing else. */
export class SeriesFile {
  readonly #options: SeriesFileOptions;
  #timer: NodeJS.Timeout | undefined;
  #storing: Promise<void> = Promise.resolve();
  #failing = false;
  #isClosed = false;

  constructor(options: SeriesFileOptions) {
    this.#options = options;
  }

  /** Gives the book what was kept, and writes it from then on. What cannot be read is put aside. */
  async open(): Promise<void> {
    const { path, log, everyMs = EVERY_MS } = this.#options;
    try {
      await this.#read();
    } catch (err) {
      const aside = `${path}.broken`;
      const moved = await rename(path, aside).then(
        () => true,
        () => false,
      );
      log.warn({ err, path, ...(moved && { aside }) }, "cannot read the dashboard's graphs of before; they begin anew");
    }
    if (!this.#isClosed) this.#timer = setInterval(() => void this.store(), everyMs).unref();
  }

  async #read(): Promise<void> {
    const { path, book, now = Date.now } = this.#options;
    let file: Buffer;
    try {
      if ((await stat(path)).size > MAX_FILE_BYTES) throw new RangeError("too large to be ours");
      file = await readFile(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
      throw error;
    }
    const reader = new SeriesReader(file);
    const clock = SeriesClock.after(reader.preface(), now());
    const kept: [key: string, series: FunctionSeries][] = [];
    for (let count = 1; !reader.isOver; count++) {
      const { key, rings } = reader.series();
      kept.push([key, FunctionSeries.restore(rings)]);
      if (count % 50 === 0) await nextTurn();
    }
    book.recall(kept, clock);
  }

  /** Writes all of it. The old file stays whole until the new one is. */
  store(): Promise<void> {
    const { path, log } = this.#options;
    this.#storing = this.#storing.then(async () => {
      try {
        await this.#write(`${path}.new`);
        await rename(`${path}.new`, path);
        this.#failing = false;
      } catch (err) {
        await rm(`${path}.new`, { force: true }).catch(() => {}); // the first failure is the one to tell
        // Tried again by itself; once is enough for a disk that stays full.
        if (!this.#failing) log.warn({ err, path }, "cannot keep the dashboard's graphs over a restart");
        this.#failing = true;
      }
    });
    return this.#storing;
  }

  async #write(draft: string): Promise<void> {
    const { book } = this.#options;
    const file = await open(draft, "w", 0o600);
    try {
      let piece = [encodePreface(book.clock)];
      let bytes = 0;
      for (const [key, series] of book.entries()) {
        const record = encodeSeries({ key, rings: series.rings.map((ring) => ring.store()) });
        piece.push(record);
        bytes += record.length;
        if (bytes < PIECE_BYTES) continue;
        await file.write(Buffer.concat(piece));
        piece = [];
        bytes = 0;
      }
      await file.write(Buffer.concat(piece));
      await file.datasync();
    } finally {
      await file.close();
    }
  }

  /** Writes it once more. May be called twice. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearInterval(this.#timer);
    await this.store();
  }
}
