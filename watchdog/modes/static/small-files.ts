import type { Stats } from "node:fs";

/** Files up to this size are kept, so many bytes of them together. */
export const SMALL_BYTES = 64 * 1024;
const LIMIT_BYTES = 4 * 1024 * 1024;

/** The system's clock for files ticks slowly: what changed a moment ago may change again without another time. */
const SETTLED_MS = 2000;

interface SmallFile {
  readonly stats: Stats;
  readonly bytes: Buffer;
}

/** Small files as they were last read. Each is good for as long as the system tells the same of it. */
export class SmallFiles {
  /** Those that were asked for last are at the end. */
  readonly #files = new Map<string, SmallFile>();
  #bytes = 0;

  has(path: string): boolean {
    return this.#files.has(path);
  }

  /** @returns undefined when it is not as it was, or not kept */
  get(path: string, stats: Stats): Buffer | undefined {
    const file = this.#files.get(path);
    if (file === undefined) return undefined;
    this.#remove(path, file);
    if (!isSame(file.stats, stats)) return undefined;
    this.#add(path, file);
    return file.bytes;
  }

  forget(path: string): void {
    const file = this.#files.get(path);
    if (file !== undefined) this.#remove(path, file);
  }

  /**
   * @param stats from before it was read
   * @param now milliseconds since the epoch
   */
  keep(path: string, stats: Stats, bytes: Buffer, now: number): void {
    const isSettled = now - Math.max(stats.mtimeMs, stats.ctimeMs) > SETTLED_MS;
    if (!isSettled || bytes.length !== stats.size || bytes.length > SMALL_BYTES) return;
    this.forget(path);
    this.#add(path, { stats, bytes });
    for (const [oldest, file] of this.#files) {
      if (this.#bytes <= LIMIT_BYTES) break;
      this.#remove(oldest, file);
    }
  }

  #add(path: string, file: SmallFile): void {
    this.#files.set(path, file);
    this.#bytes += costOf(path, file);
  }

  #remove(path: string, file: SmallFile): void {
    this.#files.delete(path);
    this.#bytes -= costOf(path, file);
  }
}

/** With what the name and the facts take, so that many empty files do not add up to nothing. */
function costOf(path: string, { bytes }: SmallFile): number {
  return bytes.length + path.length + 1024;
}

function isSame(left: Stats, right: Stats): boolean {
  return (
    left.ino === right.ino &&
    left.dev === right.dev &&
    left.size === right.size &&
    left.mtimeMs === right.mtimeMs &&
    left.ctimeMs === right.ctimeMs
  );
}
