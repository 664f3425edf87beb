/** Cuts text that comes in pieces into lines. Each piece is looked at once, however long its line becomes. */
export class LineCutter {
  readonly #limitChars: number;
  #rest = "";

  /** @param limitChars of a line */
  constructor(limitChars: number) {
    this.#limitChars = limitChars;
  }

  /**
   * The lines that end in `piece`, without their ends.
   * @throws when one is too long
   */
  push(piece: string): string[] {
    const lines = piece.split("\n");
    const rest = lines.pop() as string;
    if (lines.length > 0) {
      lines[0] = this.#rest + lines[0];
      this.#rest = "";
    }
    this.#rest += rest;
    const longest = Math.max(this.#rest.length, lines[0]?.length ?? 0);
    if (longest > this.#limitChars) throw new Error(`a line has more than ${this.#limitChars} characters`);
    return lines;
  }

  /** What came after the last end of a line. */
  get rest(): string {
    return this.#rest;
  }
}
