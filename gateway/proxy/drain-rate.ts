const SPAN_MS = 5_000;
const MAX_SECONDS = 60;

/** How fast a line moves: calls that left it over the last five to ten seconds. */
export class DrainRate {
  #spanBegan = Number.NEGATIVE_INFINITY;
  #before = 0;
  #now = 0;

  /** @param now milliseconds of a clock that only goes forward */
  count(now: number): void {
    this.#turn(now);
    this.#now++;
  }

  #turn(now: number): void {
    const age = now - this.#spanBegan;
    if (age < SPAN_MS) return;
    this.#before = age < 2 * SPAN_MS ? this.#now : 0;
    this.#now = 0;
    this.#spanBegan = age < 2 * SPAN_MS ? this.#spanBegan + SPAN_MS : now;
  }

  /** @returns whole seconds until `waiting` calls have left, 1 to 60; 5 when none has left of late */
  secondsFor(waiting: number, now: number): number {
    if (waiting === 0) return 1;
    this.#turn(now);
    const left = this.#before + this.#now;
    if (left === 0) return 5;
    const perSecond = left / ((now - this.#spanBegan + (this.#before > 0 ? SPAN_MS : 0)) / 1000 || 1);
    return Math.min(MAX_SECONDS, Math.max(1, Math.ceil(waiting / perSecond)));
  }
}
