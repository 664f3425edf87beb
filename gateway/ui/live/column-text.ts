/** Numbers of one column: one for all points while they are the same. */
export type Column = number | ArrayLike<number>;

const CONSTANT = 0;
const CHANGING = 1;
/** Tokens for what does not change: how often comes next, or once. Others are a change, one more than it is. */
const RUN = 0;
const SAME = 1;
/** Of the highest of the seven bits at a time. */
const MAX_UNIT = 2 ** 42;

/**
 * Columns as text with a character for each byte: changes from point to point, in as few bytes as they need. Columns of nothing but
 * zeros take no room. As text, because a small string costs a tenth of what a small array does.
 */
export function encodeColumns(columns: readonly Column[], points: number): string {
  const bytes: number[] = [];
  for (const [place, column] of columns.entries()) {
    const value = (point: number) => (typeof column === "number" ? column : (column[point] ?? 0));
    let same = 1;
    while (same < points && value(same) === value(0)) same++;
    if (same < points) {
      bytes.push(place, CHANGING);
      write(bytes, value(0));
      writeChanges(bytes, value, points);
    } else if (value(0) !== 0) {
      bytes.push(place, CONSTANT);
      write(bytes, value(0));
    }
  }
  return Buffer.from(bytes).toString("latin1");
}

function writeChanges(bytes: number[], value: (point: number) => number, points: number): void {
  let run = 0;
  const endRun = () => {
    if (run === 1) write(bytes, SAME);
    else if (run > 1) write(bytes, RUN, run);
    run = 0;
  };
  for (let point = 1; point < points; point++) {
    const change = value(point) - value(point - 1);
    if (change === 0) {
      run++;
      continue;
    }
    endRun();
    write(bytes, change > 0 ? change * 2 : -change * 2 + 1);
  }
  endRun();
}

/**
 * Reads what {@link encodeColumns} has written.
 * @param put gets all points that are not 0
 * @throws {RangeError} for what it has not
 */
export function decodeColumns(
  text: string,
  { columns, points }: { readonly columns: number; readonly points: number },
  put: (column: number, point: number, value: number) => void,
): void {
  const reader = new TextReader(text);
  while (!reader.isOver) {
    const column = reader.byte();
    const kind = reader.number();
    if (column >= columns || kind > CHANGING) throw new RangeError("no such column");
    if (kind === CHANGING) readChanges(reader, points, (point, value) => put(column, point, value));
    else {
      const value = reader.number();
      for (let point = 0; point < points; point++) put(column, point, value);
    }
  }
}

function readChanges(reader: TextReader, points: number, put: (point: number, value: number) => void): void {
  let value = reader.number();
  if (value !== 0) put(0, value);
  for (let point = 1; point < points; ) {
    const token = reader.number();
    const times = token === RUN ? reader.number() : 1;
    if (token > SAME) value += token % 2 === 0 ? token / 2 : -(token - 1) / 2;
    if (times < 1 || point + times > points || value < 0) throw new RangeError("more points than there are");
    const end = point + times;
    for (; point < end; point++) if (value !== 0) put(point, value);
  }
}

class TextReader {
  readonly #text: string;
  #place = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get isOver(): boolean {
    return this.#place >= this.#text.length;
  }

  byte(): number {
    const byte = this.#text.charCodeAt(this.#place++);
    if (byte < 256) return byte;
    throw new RangeError("ends too early");
  }

  number(): number {
    let value = 0;
    for (let unit = 1; unit <= MAX_UNIT; unit *= 128) {
      const byte = this.byte();
      value += (byte % 128) * unit;
      if (byte < 128) return value;
    }
    throw new RangeError("a number that is too large");
  }
}

function write(bytes: number[], ...values: number[]): void {
  for (let value of values) {
    while (value >= 128) {
      bytes.push((value % 128) + 128);
      value = Math.floor(value / 128);
    }
    bytes.push(value);
  }
}
