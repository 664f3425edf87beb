const NEWLINE = 0x0a;

/** Longest line kept whole, in bytes; what is longer becomes several lines. */
export const MAX_LINE_BYTES = 64 * 1024;

/** Cuts a stream of bytes into lines, holding at most one unfinished line of {@link MAX_LINE_BYTES}. */
export class LogLineSplitter {
  #rest: Buffer[] = [];
  #restBytes = 0;
  /** Set after a gap: what follows up to the next newline belongs to a line whose beginning is lost. */
  #skipping = false;
  readonly #emit: (line: Buffer) => void;

  /** @param emit gets each line without its newline; the buffer is only valid during the call */
  constructor(emit: (line: Buffer) => void) {
    this.#emit = emit;
  }

  push(chunk: Buffer): void {
    let start = 0;
    while (start < chunk.length) {
      const newline = chunk.indexOf(NEWLINE, start);
      const end = newline < 0 ? chunk.length : newline;
      if (!this.#skipping) this.#take(chunk.subarray(start, end), newline >= 0);
      else if (newline >= 0) this.#skipping = false;
      start = newline < 0 ? chunk.length : newline + 1;
    }
  }

  /** Ends the unfinished line, if any. */
  flush(): void {
    if (this.#restBytes > 0) this.#finish();
  }

  /** Bytes are missing from here on. */
  gap(): void {
    this.flush();
    this.#skipping = true;
  }

  #take(part: Buffer, ended: boolean): void {
    let piece = part;
    while (this.#restBytes + piece.length > MAX_LINE_BYTES) {
      const room = MAX_LINE_BYTES - this.#restBytes;
      this.#append(piece.subarray(0, room));
      this.#finish();
      piece = piece.subarray(room);
    }
    if (ended && this.#restBytes === 0) this.#emit(piece);
    else {
      this.#append(piece);
      if (ended) this.#finish();
    }
  }

  #append(piece: Buffer): void {
    if (piece.length === 0) return;
    // A copy, so that a few bytes of rest do not keep a whole chunk in memory.
    this.#rest.push(Buffer.from(piece));
    this.#restBytes += piece.length;
  }

  #finish(): void {
    const line = this.#rest.length === 1 ? (this.#rest[0] as Buffer) : Buffer.concat(this.#rest, this.#restBytes);
    this.#rest = [];
    this.#restBytes = 0;
    this.#emit(line);
  }
}
