import { StringDecoder } from "node:string_decoder";

/** What becomes of a line that is too long: an error, its beginning alone, or several lines. */
export type LongLines = "refuse" | "cut" | "split";

/** Cuts text that comes in pieces into lines. Each piece is looked at once, however long its line becomes. */
export class LineCutter {
  readonly #limitChars: number;
  readonly #longLines: LongLines;
  readonly #decoder = new StringDecoder("utf8");
  /** Of the unfinished line, as far as it is kept. */
  #parts: string[] = [];
  #length = 0;

  /** @param limitChars of a line */
  constructor(limitChars: number, longLines: LongLines = "refuse") {
    this.#limitChars = limitChars;
    this.#longLines = longLines;
  }

  /**
   * The lines that end in `piece`, without their ends.
   * @throws when one is too long, and such are refused
   */
  push(piece: string | Uint8Array): string[] {
    const text = typeof piece === "string" ? piece : this.#decoder.write(piece);
    const pieces = text.split("\n");
    const rest = pieces.pop() as string;
    const lines: string[] = [];
    for (const part of pieces) {
      this.#keep(part, lines);
      lines.push(this.#take());
    }
    this.#keep(rest, lines);
    return lines;
  }

  /** What came after the last end of a line. */
  get rest(): string {
    if (this.#parts.length > 1) this.#parts = [this.#parts.join("")];
    return this.#parts[0] ?? "";
  }

  /** Takes the {@link rest}, once nothing more comes: with what bytes are left of a character. */
  end(): string {
    return this.#take() + this.#decoder.end();
  }

  #keep(text: string, lines: string[]): void {
    let left = text;
    while (this.#length + left.length > this.#limitChars) {
      if (this.#longLines === "refuse") throw new Error(`a line has more than ${this.#limitChars} characters`);
      const room = this.#limitChars - this.#length;
      this.#append(left.slice(0, room));
      if (this.#longLines === "cut") return;
      lines.push(this.#take());
      left = left.slice(room);
    }
    this.#append(left);
  }

  #append(text: string): void {
    if (text === "") return;
    this.#parts.push(text);
    this.#length += text.length;
  }

  #take(): string {
    const line = this.rest;
    this.#parts = [];
    this.#length = 0;
    return line;
  }
}
