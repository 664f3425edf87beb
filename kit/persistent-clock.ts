import { ClockJumps } from "./steady-clock.ts";

/**
 * What an embedded database goes by. Times on disk are the system's, as they have to outlive the process; that clock may be
 * set, though, and intervals must not change by that.
 */
export class PersistentClock {
  readonly #wall: () => number;
  readonly #steady: () => number;
  readonly #jumps: ClockJumps;
  readonly #knownMs: number;
  /** By how much the clock has been set forward since some of what is remembered was written. */
  #ahead = 0;
  #aheadUntil = 0;

  /** @param knownMs how long what has ended is remembered */
  constructor(wall: () => number, steady: () => number, knownMs: number) {
    this.#wall = wall;
    this.#steady = steady;
    this.#jumps = new ClockJumps(wall, steady);
    this.#knownMs = knownMs;
  }

  /** By the system's clock. */
  get now(): number {
    return this.#wall();
  }

  /** Milliseconds that only go forward, for what is not on disk. */
  get steady(): number {
    return this.#steady();
  }

  /** What began before this is as old as it seems: not younger, should the clock have been set forward since. */
  get sure(): number {
    if (this.#ahead > 0 && this.#steady() >= this.#aheadUntil) this.#ahead = 0;
    return this.#wall() - this.#ahead;
  }

  /** @returns by how much the clock has been set since the last time */
  takeJump(): number {
    const jump = this.#jumps.take();
    if (jump !== 0) {
      this.#ahead = Math.max(0, this.#ahead + jump);
      this.#aheadUntil = this.#steady() + this.#knownMs;
    }
    return jump;
  }
}
