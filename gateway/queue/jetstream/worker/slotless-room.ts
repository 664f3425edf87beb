const SMALLEST_STEP = 16;
/** A step back down waits for so long: each is a change that the server stores. */
const STICKY_MS = 60_000;

/**
 * Room beside a function's limit on the server, which counts calls that are without a slot as it counts all others. In
 * steps: powers of two from 16, of which some is left always, so that the limit holds good until the next step is there.
 */
export class SlotlessRoom {
  #room = 0;
  #neededAt = Number.NEGATIVE_INFINITY;

  /** As of the last time it was asked {@link for}. */
  get latest(): number {
    return this.#room;
  }

  /**
   * @param free calls that are without a slot, over all processes
   * @param now milliseconds that only go forward
   */
  for(free: number, now: number): number {
    const step = stepAbove(free);
    if (step >= this.#room || now - this.#neededAt > STICKY_MS) {
      this.#room = step;
      this.#neededAt = now;
    }
    return this.#room;
  }
}

function stepAbove(free: number): number {
  if (free <= 0) return 0;
  let step = SMALLEST_STEP;
  while (step <= free) step *= 2;
  return step;
}
