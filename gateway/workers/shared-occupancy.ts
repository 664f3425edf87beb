import type { Occupancy } from "../proxy/occupancy.ts";

/** The cell of whoever looks and takes at this moment; then one cell for each thread. */
const LOCK = 0;
const FREE = 0;

/** Looks at a lock in turn before its holder is waited for, which takes far less than this when it runs. */
const SPINS = 200;
const WAIT_MS = 1;
/** A holder that takes so many waits is dead, or stands still; a call more than there should be is better than none. */
const MOST_WAITS = 50;

/**
 * A number that threads share, as one cell for each of them: what a thread has added is known when it dies. Taking the
 * last place is exact: a limit is looked at under a lock, which is held for a few loads.
 */
export class SharedOccupancy implements Occupancy {
  readonly buffer: SharedArrayBuffer;
  readonly #cells: Int32Array;
  readonly #own: number;
  readonly #closed: (() => void) | undefined;

  /** @param threads that may have a part in it */
  static allocate(threads: number): SharedArrayBuffer {
    return new SharedArrayBuffer((threads + 1) * Int32Array.BYTES_PER_ELEMENT);
  }

  /**
   * @param thread number of the thread that this is for, from 0
   * @param closed called when it is closed here
   */
  constructor(buffer: SharedArrayBuffer, thread: number, closed?: () => void) {
    this.buffer = buffer;
    this.#cells = new Int32Array(buffer);
    this.#own = thread + 1;
    this.#closed = closed;
  }

  get count(): number {
    const cells = this.#cells;
    let sum = 0;
    for (let cell = 1; cell < cells.length; cell++) sum += cells[cell] as number;
    return sum;
  }

  /** Of one thread. */
  of(thread: number): number {
    return Atomics.load(this.#cells, thread + 1);
  }

  enter(limit: number): boolean {
    if (limit === 0) {
      Atomics.add(this.#cells, this.#own, 1);
      return true;
    }
    this.#lock();
    const free = this.count < limit;
    if (free) Atomics.add(this.#cells, this.#own, 1);
    Atomics.compareExchange(this.#cells, LOCK, this.#own, FREE);
    return free;
  }

  /** Needs no lock: nobody finds too many places because one more is free. */
  leave(): void {
    Atomics.sub(this.#cells, this.#own, 1);
  }

  close(): void {
    this.#closed?.();
  }

  /** A thread has died: nothing of it is under way any more. */
  forget(thread: number): void {
    Atomics.compareExchange(this.#cells, LOCK, thread + 1, FREE);
    Atomics.store(this.#cells, thread + 1, 0);
  }

  #lock(): void {
    const cells = this.#cells;
    for (let spin = 0; spin < SPINS; spin++) {
      if (Atomics.compareExchange(cells, LOCK, FREE, this.#own) === FREE) return;
    }
    for (let waits = 0; waits < MOST_WAITS; waits++) {
      const holder = Atomics.compareExchange(cells, LOCK, FREE, this.#own);
      if (holder === FREE) return;
      Atomics.wait(cells, LOCK, holder, WAIT_MS);
    }
    Atomics.store(cells, LOCK, this.#own);
  }
}
