import { randomFillSync } from "node:crypto";
import { closeSync, openSync, rmSync, statSync, writeSync } from "node:fs";

const PIECE_BYTES = 128 * 1024;

/**
 * Disk space held by a file that is given up when the disk is full. To finish calls the database has to write, too:
 * without a reserve, a queue that has filled its disk could never be emptied again.
 */
export class SpareSpace {
  readonly #path: string;
  readonly #bytes: number;
  #held: boolean;
  #problem: string | undefined;

  constructor(path: string, bytes: number) {
    this.#path = path;
    this.#bytes = bytes;
    this.#held = statSync(path, { throwIfNoEntry: false })?.size === bytes;
  }

  get held(): boolean {
    return this.#held;
  }

  /** Why it was not to be had when that was tried last; not always because the disk is full. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Takes the space if it does not have it. @returns whether it has it now */
  ensure(): boolean {
    if (this.#held) return true;
    try {
      this.#write();
      this.#held = true;
      this.#problem = undefined;
    } catch (error) {
      this.#problem = error instanceof Error ? error.message : String(error);
      this.release(); // there is no room yet: what was written of it must not stay
    }
    return this.#held;
  }

  #write(): void {
    // Random, so that no file system can compress it away.
    const piece = randomFillSync(Buffer.allocUnsafe(PIECE_BYTES));
    const file = openSync(this.#path, "w", 0o600);
    try {
      for (let left = this.#bytes; left > 0; ) left -= writeSync(file, piece, 0, Math.min(left, PIECE_BYTES));
    } finally {
      closeSync(file);
    }
  }

  /** Gives the space up. @returns whether it had any */
  release(): boolean {
    const held = this.#held;
    this.#held = false;
    rmSync(this.#path, { force: true });
    return held;
  }
}
