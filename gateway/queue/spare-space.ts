import { randomFillSync } from "node:crypto";
import { rmSync, statSync, writeFileSync } from "node:fs";

/**
 * Disk space held by a file that is given up when the disk is full. To finish calls the database has to write, too:
 * without a reserve, a queue that has filled its disk could never be emptied again.
 */
export class SpareSpace {
  readonly #path: string;
  readonly #bytes: number;
  #held: boolean;

  constructor(path: string, bytes: number) {
    this.#path = path;
    this.#bytes = bytes;
    this.#held = statSync(path, { throwIfNoEntry: false })?.size === bytes;
  }

  get held(): boolean {
    return this.#held;
  }

  /** Takes the space if it does not have it. @returns whether it has it now */
  ensure(): boolean {
    if (this.#held) return true;
    try {
      // Random, so that no file system can compress it away.
      writeFileSync(this.#path, randomFillSync(Buffer.allocUnsafe(this.#bytes)), { mode: 0o600 });
      this.#held = true;
    } catch {
      this.release(); // there is no room yet: what was written of it must not stay
    }
    return this.#held;
  }

  /** Gives the space up. @returns whether it had any */
  release(): boolean {
    const held = this.#held;
    this.#held = false;
    rmSync(this.#path, { force: true });
    return held;
  }
}
