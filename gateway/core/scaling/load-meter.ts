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
  /** What other threads saw, by their numbers; their `started` is what was not read yet. */
  readonly #others = new Map<number, LoadReading>();

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
    let concurrency = elapsed > 0 ? area / elapsed : this.#inFlight;
    let started = this.#started;
    let inFlight = this.#inFlight;
    for (const [thread, other] of this.#others) {
      concurrency += other.concurrency;
      started += other.started;
      inFlight += other.inFlight;
      if (other.started > 0) this.#others.set(thread, { ...other, started: 0 });
    }
    this.#area = 0;
    this.#started = 0;
    this.#changedAt = now;
    this.#readAt = now;
    return { concurrency, started, inFlight };
  }

  /** Another thread has read its own meter: that holds until it does so again. */
  note(thread: number, reading: LoadReading): void {
    const unread = this.#others.get(thread)?.started ?? 0;
    this.#others.set(thread, { ...reading, started: reading.started + unread });
  }

  /** Another thread has died. */
  forget(thread: number): void {
    this.#others.delete(thread);
  }
}
