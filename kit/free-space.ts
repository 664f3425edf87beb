import { statfsSync } from "node:fs";
import { formatBytes } from "../contract/bytes.ts";

/** How long a look at the disk holds, unless much is written meanwhile. */
const LOOK_EVERY_MS = 1000;
/** Part of what may be taken that is taken without another look. */
const UNSEEN = 1 / 8;
/** What is stored lies in the log and in the file for a while. */
const COPIES = 3;

/** Watches how much of a disk is free, so that a database leaves some of it to others. */
export class FreeSpace {
  readonly #path: string;
  readonly #minBytes: number;
  readonly #setting: string | undefined;
  readonly #reusableBytes: () => number;
  #lookedAt = Number.NEGATIVE_INFINITY;
  /** That may be taken before the next look. */
  #budget = 0;

  /**
   * @param path of a file or folder that is there
   * @param setting that says `minBytes`, where it can be set
   * @param reusableBytes that are taken already, and not in use
   */
  constructor(path: string, minBytes: number, setting: string | undefined, reusableBytes: () => number) {
    this.#path = path;
    this.#minBytes = minBytes;
    this.#setting = setting;
    this.#reusableBytes = reusableBytes;
  }

  /**
   * Takes room for so many bytes, if that leaves enough.
   * @param now milliseconds
   * @returns why not
   */
  take(bytes: number, now: number): string | undefined {
    const needed = bytes * COPIES;
    if (needed > this.#budget || Math.abs(now - this.#lookedAt) >= LOOK_EVERY_MS) {
      const left = this.#freeBytes() + this.#reusableBytes() - this.#minBytes;
      this.#lookedAt = now;
      this.#budget = Math.max(needed, left * UNSEEN);
      if (left < needed) {
        this.#budget = 0;
        const setting = this.#setting === undefined ? "" : ` (${this.#setting})`;
        return `less than ${formatBytes(this.#minBytes)} of its disk would be free${setting}`;
      }
    }
    this.#budget -= needed;
    return undefined;
  }

  /** A file system that cannot tell does not keep anybody from writing. */
  #freeBytes(): number {
    try {
      const { bavail, bsize } = statfsSync(this.#path);
      return bavail * bsize;
    } catch {
      return Number.POSITIVE_INFINITY;
    }
  }
}
