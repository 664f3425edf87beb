const NEWLINE = 0x0a;

/** Cuts a byte stream into lines of bounded length; what is longer is split, never lost. */
export class LineSplitter {
  readonly #maxBytes: number;
  // Copied rather than kept as views: a view would hold on to the whole chunk it came in.
  #held: Buffer;
  #heldBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
    this.#held = Buffer.allocUnsafe(Math.min(maxBytes, 256));
  }

  /** The lines that `chunk` completes, without their line ends. Views into `chunk` where possible. */
  push(chunk: Buffer): Buffer[] {
    const lines: Buffer[] = [];
    let start = 0;
    while (start < chunk.length) {
      const newline = chunk.indexOf(NEWLINE, start);
      const end = newline === -1 ? chunk.length : newline;
      while (this.#heldBytes + end - start > this.#maxBytes) {
        const cut = start + this.#maxBytes - this.#heldBytes;
        lines.push(this.#complete(chunk, start, cut));
        start = cut;
      }
      if (newline === -1) this.#hold(chunk, start, end);
      else lines.push(this.#complete(chunk, start, end));
      start = end + 1;
    }
    return lines;
  }

  /** The unfinished last line, or undefined when there is none. */
  flush(): Buffer | undefined {
    return this.#heldBytes === 0 ? undefined : this.#take();
  }

  #complete(chunk: Buffer, start: number, end: number): Buffer {
    if (this.#heldBytes === 0) return chunk.subarray(start, end);
    this.#hold(chunk, start, end);
    return this.#take();
  }

  #hold(chunk: Buffer, start: number, end: number): void {
    const needed = this.#heldBytes + end - start;
    if (needed > this.#held.length) {
      const grown = Buffer.allocUnsafe(Math.min(this.#maxBytes, Math.max(needed, this.#held.length * 2)));
      this.#held.copy(grown, 0, 0, this.#heldBytes);
      this.#held = grown;
    }
    chunk.copy(this.#held, this.#heldBytes, start, end);
    this.#heldBytes = needed;
  }

  #take(): Buffer {
    const line = Buffer.from(this.#held.subarray(0, this.#heldBytes));
    this.#heldBytes = 0;
    return line;
  }
}
