/** Something with a time limit. The list's links live in the object itself, so that a request costs no allocation. */
export interface Expiring {
  /** Milliseconds on the clock of `performance.now()`. */
  expiresAt: number;
  earlier: Expiring | null;
  later: Expiring | null;
  /** The list it waits in; null when no deadline runs. */
  waitsIn: DeadlineList | null;
  /** Called once when the time is up. */
  expire(): void;
}

/** Deadlines of one duration: they end in the order they began, so one timer watches the oldest. */
export class DeadlineList {
  readonly #durationMs: number;
  readonly #onEmpty: (durationMs: number) => void;
  #oldest: Expiring | null = null;
  #newest: Expiring | null = null;
  #timer: NodeJS.Timeout | undefined;

  constructor(durationMs: number, onEmpty: (durationMs: number) => void) {
    this.#durationMs = durationMs;
    this.#onEmpty = onEmpty;
  }

  add(entry: Expiring, now: number): void {
    entry.expiresAt = now + this.#durationMs;
    entry.waitsIn = this;
    entry.earlier = this.#newest;
    entry.later = null;
    if (this.#newest === null) this.#oldest = entry;
    else this.#newest.later = entry;
    this.#newest = entry;
    this.#timer ??= setTimeout(this.#sweep, this.#durationMs);
  }

  remove(entry: Expiring): void {
    if (entry.earlier === null) this.#oldest = entry.later;
    else entry.earlier.later = entry.later;
    if (entry.later === null) this.#newest = entry.earlier;
    else entry.later.earlier = entry.earlier;
    entry.earlier = null;
    entry.later = null;
    entry.waitsIn = null;
  }

  // The timer is left running when the list empties: under load it would be set and cleared for every request.
  readonly #sweep = (): void => {
    const now = performance.now();
    this.#timer = undefined;
    for (let entry = this.#oldest; entry !== null && entry.expiresAt <= now; entry = this.#oldest) {
      this.remove(entry);
      entry.expire();
    }
    if (this.#oldest === null) this.#onEmpty(this.#durationMs);
    else this.#timer ??= setTimeout(this.#sweep, Math.max(1, this.#oldest.expiresAt - now));
  };

  close(): void {
    clearTimeout(this.#timer);
  }
}

/** The time limits of all requests under way: one timer per distinct duration instead of one per request. */
export class Deadlines {
  readonly #lists = new Map<number, DeadlineList>();

  /** Starts a time limit that has none running. A duration of 0 is no limit. */
  start(entry: Expiring, durationMs: number, now: number): void {
    if (durationMs <= 0) return;
    let list = this.#lists.get(durationMs);
    if (list === undefined) {
      list = new DeadlineList(durationMs, this.#forget);
      this.#lists.set(durationMs, list);
    }
    list.add(entry, now);
  }

  /** Ends a time limit; does nothing when none runs. */
  stop(entry: Expiring): void {
    entry.waitsIn?.remove(entry);
  }

  close(): void {
    for (const list of this.#lists.values()) list.close();
    this.#lists.clear();
  }

  readonly #forget = (durationMs: number): void => {
    this.#lists.delete(durationMs);
  };
}
