/** What a {@link LoadMeter} saw between two readings. */
export interface LoadReading {
  /** Calls in flight, averaged over the time between. */
  readonly concurrency: number;
  /** Calls that began. */
  readonly started: number;
  /** Calls in flight now. */
  readonly inFlight: number;
}

/**
 * Measures the calls of one function as an area over time, from arrival to last byte, so that short calls between two
 * readings count for what they are. Runs for every call.
 */
export class LoadMeter {
  #inFlight = 0;
  #started = 0;
  #area = 0;
  #changedAt: number;
  #readAt: number;

  /** @param now milliseconds of any clock that only goes forward, as all times here */
  constructor(now: number) {
    this.#changedAt = now;
    this.#readAt = now;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  enter(now: number): void {
    this.#area += this.#inFlight * (now - this.#changedAt);
    this.#changedAt = now;
    this.#inFlight++;
    this.#started++;
  }

  leave(now: number): void {
    this.#area += this.#inFlight * (now - this.#changedAt);
    this.#changedAt = now;
    this.#inFlight--;
  }

  /** Tells about the time since the last reading, and begins anew. */
  read(now: number): LoadReading {
    const area = this.#area + this.#inFlight * (now - this.#changedAt);
    const elapsed = now - this.#readAt;
    const reading = {
      concurrency: elapsed > 0 ? area / elapsed : this.#inFlight,
      started: this.#started,
      inFlight: this.#inFlight,
    };
    this.#area = 0;
    this.#started = 0;
    this.#changedAt = now;
    this.#readAt = now;
    return reading;
  }
}
