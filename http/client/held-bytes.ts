/** Beginnings are looked at again when they have grown by a quarter: who sends bytes one by one is not to cost more. */
const GROWTH = 1.25;

/** The beginning of something that has come in pieces, until its end is there too. */
export class HeldBytes {
  #bytes = Buffer.alloc(0);
  #length = 0;
  #dueAt = 1;

  get length(): number {
    return this.#length;
  }

  /** Whether it is time to look at it: now and then, each time true once. */
  get isDue(): boolean {
    if (this.#length < this.#dueAt) return false;
    this.#dueAt = this.#length * GROWTH;
    return true;
  }

  /** What is held, in Latin-1. */
  text(): string {
    return this.#bytes.toString("latin1", 0, this.#length);
  }

  /**
   * Looks for the end in what is held and in `buffer` from `at` on, seen as one.
   * @returns index in `buffer` behind it; -1 when it is not there
   */
  find(buffer: Buffer, at: number, terminator: Buffer): number {
    if (this.#length > 0) {
      const overlap = terminator.length - 1;
      const before = this.#bytes.subarray(Math.max(0, this.#length - overlap), this.#length);
      const seam = Buffer.concat([before, buffer.subarray(at, at + overlap)]).indexOf(terminator);
      if (seam >= 0) return at + seam + terminator.length - before.length;
    }
    const found = buffer.indexOf(terminator, at);
    return found < 0 ? -1 : found + terminator.length;
  }

  /** Holds the rest of `buffer` too. */
  add(buffer: Buffer, from: number, to: number = buffer.length): void {
    const length = this.#length + to - from;
    if (length > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(256, 2 * length));
      this.#bytes.copy(larger, 0, 0, this.#length);
      this.#bytes = larger;
    }
    buffer.copy(this.#bytes, this.#length, from, to);
    this.#length = length;
  }

  /**
   * Gives away what is held and what of `buffer` belongs to it, in Latin-1.
   * @param cut bytes at its end to leave out
   */
  take(buffer: Buffer, from: number, to: number, cut: number): string {
    if (this.#length === 0) return buffer.toString("latin1", from, to - cut);
    this.add(buffer, from, to);
    const text = this.#bytes.toString("latin1", 0, this.#length - cut);
    this.#bytes = Buffer.alloc(0);
    this.#length = 0;
    this.#dueAt = 1;
    return text;
  }
}
