/**
 * Milliseconds since the epoch by the clock that the system had when this process began. It goes on evenly whenever that
 * is set, so it is for intervals; what people read, and times that they have named, go by `Date.now`.
 */
export function steadyNow(): number {
  return Math.floor(performance.timeOrigin + performance.now());
}

/**
 * Now, by whichever clock is behind: what is over by it is over. The system's may have been set forward since this process
 * began, or have been wrong when it did.
 */
export function earliestNow(): number {
  return Math.min(Date.now(), steadyNow());
}

/** Now, by whichever clock is ahead: what is kept until a while after it is kept for that while, see {@link earliestNow}. */
export function latestNow(): number {
  return Math.max(Date.now(), steadyNow());
}

/** Less is how clocks that agree differ between two looks at them. */
const LEAST_JUMP_MS = 1_000;

/** Notices when the system's clock has been set, or has gone on without this process. */
export class ClockJumps {
  readonly #wall: () => number;
  readonly #steady: () => number;
  #ahead: number;

  /** @param wall the system's clock @param steady one that only goes forward */
  constructor(wall: () => number, steady: () => number) {
    this.#wall = wall;
    this.#steady = steady;
    this.#ahead = wall() - steady();
  }

  /** @returns by how many milliseconds the clock has been set since the last time; negative for back */
  take(): number {
    const ahead = this.#wall() - this.#steady();
    const jump = ahead - this.#ahead;
    if (Math.abs(jump) < LEAST_JUMP_MS) return 0;
    this.#ahead = ahead;
    return jump;
  }
}
