/** A character, and the colour that it is shown in. */
export interface Cell {
  readonly text: string;
  /** Of the palette of terminals, 0 to 15; undefined for the ordinary one. */
  readonly colour: number | undefined;
  readonly bold: boolean;
}

const BLANK: Cell = { text: " ", colour: undefined, bold: false };
const ESCAPE = String.fromCharCode(27);
/** A sequence with its parameters and its command, one without, a line feed and the like, or text. */
const PART = new RegExp(`${ESCAPE}\\[([?\\d;]*)([A-Za-z])|${ESCAPE}[()]?[\\w=>]|\\p{Cc}|\\P{Cc}+`, "gu");

/** As much of a terminal as the programs of this project make use of. */
export class Screen {
  readonly #columns: number;
  readonly #rows: number;
  #lines: Cell[][] = [[]];
  #row = 0;
  #column = 0;
  #colour: number | undefined;
  #bold = false;

  constructor(columns: number, rows: number) {
    this.#columns = columns;
    this.#rows = rows;
  }

  /** The rows that can be seen. */
  get rows(): readonly (readonly Cell[])[] {
    return this.#lines;
  }

  write(text: string): void {
    for (const [whole, parameters, command] of text.matchAll(PART)) {
      if (command !== undefined) this.#control(command, (parameters ?? "").replace("?", "").split(";").map(Number));
      else if (whole === "\n") this.#feed();
      else if (whole === "\r") this.#column = 0;
      else if (whole === "\b") this.#column = Math.max(0, this.#column - 1);
      else if (!/^\p{Cc}/u.test(whole)) for (const character of whole) this.#put(character);
    }
  }

  #put(text: string): void {
    if (this.#column === this.#columns) {
      this.#column = 0;
      this.#feed();
    }
    const line = this.#line();
    while (line.length < this.#column) line.push(BLANK);
    line[this.#column++] = { text, colour: this.#colour, bold: this.#bold };
  }

  #line(): Cell[] {
    while (this.#lines.length <= this.#row) this.#lines.push([]);
    return this.#lines[this.#row] as Cell[];
  }

  #feed(): void {
    this.#row++;
    if (this.#row < this.#rows) return;
    this.#lines.shift();
    this.#row = this.#rows - 1;
  }

  #control(command: string, parameters: readonly number[]): void {
    const [first = 0, second = 0] = parameters;
    const count = first || 1;
    switch (command) {
      case "A":
        this.#row = Math.max(0, this.#row - count);
        break;
      case "B":
        this.#row = Math.min(this.#rows - 1, this.#row + count);
        break;
      case "C":
        this.#column = Math.min(this.#columns - 1, this.#column + count);
        break;
      case "D":
        this.#column = Math.max(0, this.#column - count);
        break;
      case "G":
        this.#column = count - 1;
        break;
      case "H":
        [this.#row, this.#column] = [count - 1, (second || 1) - 1];
        break;
      case "K":
        if (first === 2) this.#line().length = 0;
        else if (first === 0) this.#line().splice(this.#column);
        break;
      case "J":
        this.#line().splice(this.#column);
        if (first === 0) this.#lines.splice(this.#row + 1);
        else this.#lines = [];
        break;
      case "m":
        for (const code of parameters) this.#style(code);
        break;
    }
  }

  #style(code: number): void {
    if (code === 0) [this.#colour, this.#bold] = [undefined, false];
    else if (code === 1) this.#bold = true;
    else if (code === 22) this.#bold = false;
    else if (code >= 30 && code <= 37) this.#colour = code - 30;
    else if (code === 39) this.#colour = undefined;
    else if (code >= 90 && code <= 97) this.#colour = code - 82;
  }
}
