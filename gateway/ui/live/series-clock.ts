/** A clock that is set back by less stands still for that long. */
const STILL_S = 2;

/**
 * Numbers seconds for what is kept over time: by the system's clock, but never back. When that is set back, what is kept goes with it, so
 * that what was ten minutes ago stays so.
 */
export class SeriesClock {
  /** Number of the current second. */
  second: number;
  /** How far it is ahead of the system's clock. */
  shift: number;

  /** @param now milliseconds since the epoch */
  constructor(now: number, shift = 0) {
    this.shift = shift;
    this.second = Math.floor(now / 1000) + shift;
  }

  /** Goes on from a time that is stored, which may be ahead of the clock. */
  static after({ second, shift }: Pick<SeriesClock, "second" | "shift">, now: number): SeriesClock {
    const clock = new SeriesClock(now, shift);
    if (clock.second < second) {
      clock.shift += second - clock.second;
      clock.second = second;
    }
    return clock;
  }

  /** @returns how many seconds have begun since the last time */
  tick(now: number): number {
    const second = Math.floor(now / 1000) + this.shift;
    const passed = second - this.second;
    if (passed < -STILL_S) {
      this.shift += 1 - passed;
      this.second++;
      return 1;
    }
    if (passed <= 0) return 0;
    this.second = second;
    return passed;
  }

  /** Milliseconds since the epoch at which a second begins. */
  timeOf(second: number): number {
    return (second - this.shift) * 1000;
  }

  secondOf(time: number): number {
    return Math.floor(time / 1000) + this.shift;
  }
}
