import { statfsSync } from "node:fs";
import { formatBytes } from "../../provider/contract/bytes.ts";

/** How long a look at the disk holds. */
const LOOK_EVERY_MS = 1000;

/** Watches how much of a disk is free, so that a queue leaves some of it to others. */
export class FreeSpace {
  readonly #path: string;
  readonly #minBytes: number;
  #lookedAt = Number.NEGATIVE_INFINITY;
  /** As of the last look, without what has been taken since. */
  #freeBytes = Number.POSITIVE_INFINITY;

  /** @param path of a file or folder that is there */
  constructor(path: string, minBytes: number) {
    this.#path = path;
    this.#minBytes = minBytes;
  }

  /**
   * Takes some bytes, if that leaves enough.
   * @param now milliseconds that only go forward
   * @returns why not
   */
  take(bytes: number, now: number): string | undefined {
    if (now - this.#lookedAt >= LOOK_EVERY_MS) {
      this.#lookedAt = now;
      this.#freeBytes = this.#look();
    }
    this.#freeBytes -= bytes;
    if (this.#freeBytes >= this.#minBytes) return undefined;
    return `less than ${formatBytes(this.#minBytes)} of its disk would be free (async_min_free)`;
  }

  /** A file system that cannot tell does not keep anybody from writing. */
  #look(): number {
    try {
      const { bavail, bsize } = statfsSync(this.#path);
      return bavail * bsize;
    } catch {
      return Number.POSITIVE_INFINITY;
    }
  }
}
