import { type Column, decodeColumns, encodeColumns } from "./column-text.ts";
import { addStep, COLUMNS, FIRST_GAUGE, numberAt } from "./columns.ts";

/** Points that are packed together. */
export const CHUNK = 60;

export interface StepRingShape {
  /** Of one point. */
  readonly seconds: number;
  /** How many are kept. */
  readonly points: number;
  /** Latest points that can be read at any time without unpacking anything, up to {@link CHUNK}. */
  readonly atHand: number;
}

/** A ring as it is written to a file. */
export interface StoredRing {
  /** Index of the first point. */
  readonly start: number;
  /** {@link CHUNK} points each, one after the other. */
  readonly chunks: readonly string[];
  /** Those after them. */
  readonly open: string;
  readonly openPoints: number;
}

const NOTHING = new Int32Array(COLUMNS);

/**
 * Points of one function at equal steps of time, up to a week of them. The latest are plain numbers; what is older is packed, and what is
 * the same as before is there once. A point is known by its index: seconds of its beginning by steps.
 */
export class StepRing {
  readonly shape: StepRingShape;
  #chunks: string[] = [];
  /** Index of the first open point; a multiple of {@link CHUNK}. */
  #start: number;
  /** Open points that are over; the next one is {@link #point}. */
  #count: number;
  #open: (number | Int32Array)[] = new Array<number>(COLUMNS).fill(0);
  readonly #point = new Int32Array(COLUMNS);

  constructor(shape: StepRingShape, index: number) {
    this.shape = shape;
    this.#start = index - (index % CHUNK);
    this.#count = index - this.#start;
  }

  /** Index of the point that is being added to. */
  get last(): number {
    return this.#start + this.#count;
  }

  /** Index of the first point that is kept. */
  get first(): number {
    return this.#start - this.#chunks.length * CHUNK;
  }

  /** What the packed points take, roughly. */
  get bytes(): number {
    let bytes = 0;
    for (const [place, text] of this.#chunks.entries()) {
      bytes += 8;
      if (text !== this.#chunks[place - 1]) bytes += text.length;
    }
    return bytes;
  }

  /** Adds to the point at `index`, which must not be before the last one; what lies between is not known. */
  add(index: number, point: Int32Array): void {
    if (index > this.last) this.#go(index);
    addStep(this.#point, point);
  }

  #go(index: number): void {
    this.#push(this.#point);
    this.#point.fill(0);
    if (index - this.last >= CHUNK) this.#leap(index);
    else while (this.last < index) this.#push(this.#point);
  }

  #push(point: Int32Array): void {
    const count = this.#count;
    for (let place = 0; place < COLUMNS; place++) {
      const value = numberAt(point, place);
      const column = this.#open[place] as number | Int32Array;
      if (typeof column !== "number") column[count] = value;
      else if (column !== value) this.#open[place] = count === 0 ? value : this.#spread(column, value);
    }
    this.#count++;
    if (this.#count >= CHUNK + this.shape.atHand) this.#seal();
  }

  /** A column that was the same up to now. */
  #spread(before: number, value: number): Int32Array {
    const column = new Int32Array(CHUNK + this.shape.atHand).fill(before, 0, this.#count);
    column[this.#count] = value;
    return column;
  }

  /** Packs the first of the open points. */
  #seal(): void {
    this.#keep(encodeColumns(this.#open, CHUNK));
    const left = this.#count - CHUNK;
    this.#open = this.#open.map((column) => {
      if (typeof column === "number") return column;
      const rest = column.copyWithin(0, CHUNK).subarray(0, left);
      const [first = 0] = rest;
      return rest.every((value) => value === first) ? first : column;
    });
    this.#start += CHUNK;
    this.#count -= CHUNK;
  }

  #keep(text: string): void {
    const before = this.#chunks.at(-1);
    this.#chunks.push(text === before ? before : text);
    if (this.#chunks.length > Math.ceil(this.shape.points / CHUNK)) this.#chunks.shift();
  }

  /** Over more than is open: nobody has counted for long. */
  #leap(index: number): void {
    if (this.#count >= CHUNK) this.#seal();
    // What is packed is whole.
    while (this.#count > 0 && this.#count < CHUNK) this.#push(NOTHING);
    if (this.#count === CHUNK) this.#seal();
    const start = index - (index % CHUNK);
    const missing = Math.min((start - this.#start) / CHUNK, this.shape.points / CHUNK);
    for (let chunk = 0; chunk < missing; chunk++) this.#keep("");
    this.#start = start;
    this.#count = index - start;
  }

  /** Lets go of what is oldest. @returns whether there was anything */
  shed(): boolean {
    return this.#chunks.shift() !== undefined;
  }

  /** Adds up what was counted from `from` to before `until`, which has to be at hand; what is now is not in it. */
  sum(from: number, until: number): Int32Array {
    const sum = new Int32Array(COLUMNS);
    const first = Math.max(0, from - this.#start);
    const end = Math.min(until - this.#start, this.#count);
    for (let place = 0; place < FIRST_GAUGE; place++) {
      const column = this.#open[place] as number | Int32Array;
      let all = 0;
      if (typeof column === "number") all = end > first ? column * (end - first) : 0;
      else for (let point = first; point < end; point++) all += column[point] as number;
      sum[place] = all;
    }
    if (this.last >= from && this.last < until) addStep(sum, this.#point);
    return sum;
  }

  #pointAt(place: number): Int32Array {
    return Int32Array.from(this.#open, (column) => {
      if (place >= this.#count) return 0;
      return typeof column === "number" ? column : numberAt(column, place);
    });
  }

  /** Points from `from` to before `until`, by column. */
  read(from: number, until: number): Int32Array[] {
    const points = Math.max(0, until - from);
    const columns = Array.from({ length: COLUMNS }, () => new Int32Array(points));
    const put = (column: number, index: number, value: number) => {
      if (index >= from && index < until) (columns[column] as Int32Array)[index - from] = value;
    };
    for (const [place, text] of this.#chunks.entries()) {
      const start = this.first + place * CHUNK;
      if (start + CHUNK <= from || start >= until) continue;
      decodeColumns(text, { columns: COLUMNS, points: CHUNK }, (column, point, value) =>
        put(column, start + point, value),
      );
    }
    for (let index = Math.max(from, this.#start); index < Math.min(until, this.last); index++) {
      for (const [column, value] of this.#pointAt(index - this.#start).entries()) put(column, index, value);
    }
    for (const [column, value] of this.#point.entries()) put(column, this.last, value);
    return columns;
  }

  /** All of it, the point that is not over included. */
  store(): StoredRing {
    const openPoints = this.#count + 1;
    const open: Column[] = this.#open.map((column, place) => {
      const points = new Int32Array(openPoints).fill(typeof column === "number" ? column : 0);
      if (typeof column !== "number") points.set(column.subarray(0, this.#count));
      points[this.#count] = numberAt(this.#point, place);
      return points;
    });
    return { start: this.first, chunks: this.#chunks, open: encodeColumns(open, openPoints), openPoints };
  }

  /** @throws {RangeError} for what is not of {@link store} */
  static restore(shape: StepRingShape, { start, chunks, open, openPoints }: StoredRing): StepRing {
    const isOurs = start % CHUNK === 0 && chunks.length <= shape.points / CHUNK && openPoints >= 1;
    if (!isOurs || openPoints > CHUNK + shape.atHand) throw new RangeError("not a ring of this shape");
    const ring = new StepRing(shape, start);
    for (const text of chunks) {
      decodeColumns(text, { columns: COLUMNS, points: CHUNK }, () => {});
      ring.#keep(text);
    }
    ring.#start = start + chunks.length * CHUNK;
    const points = Array.from({ length: openPoints }, () => new Int32Array(COLUMNS));
    decodeColumns(open, { columns: COLUMNS, points: openPoints }, (column, point, value) => {
      (points[point] as Int32Array)[column] = value;
    });
    const last = points.pop() as Int32Array;
    for (const point of points) ring.#push(point);
    ring.#point.set(last);
    return ring;
  }
}
