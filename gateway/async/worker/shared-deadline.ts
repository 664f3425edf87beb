/**
 * One timer for many deadlines of one length: what was added first is due first. At thousands of calls a second, a timer
 * for each costs more than what it guards.
 */
export class SharedDeadline<T> {
  readonly #timeoutMs: number;
  readonly #expired: (item: T) => void;
  /** When each was added, by `performance.now()`. */
  readonly #items = new Map<T, number>();
  #timer: NodeJS.Timeout | undefined;

  /** @param expired called once for each item that was not deleted in time */
  constructor(timeoutMs: number, expired: (item: T) => void) {
    this.#timeoutMs = timeoutMs;
    this.#expired = expired;
  }

  add(item: T): void {
    this.#items.set(item, performance.now());
    this.#timer ??= this.#after(this.#timeoutMs);
  }

  delete(item: T): void {
    this.#items.delete(item);
  }

  /** How many there are whose time runs. */
  get size(): number {
    return this.#items.size;
  }

  /** Does not keep the process alive; those who wait for an item do. */
  #after(ms: number): NodeJS.Timeout {
    return setTimeout(() => this.#look(), ms).unref();
  }

  #look(): void {
    this.#timer = undefined;
    const now = performance.now();
    for (const [item, addedAt] of this.#items) {
      const leftMs = addedAt + this.#timeoutMs - now;
      if (leftMs > 0) {
        this.#timer = this.#after(Math.ceil(leftMs));
        return;
      }
      this.#items.delete(item);
      this.#expired(item);
    }
  }

  /** Forgets all of them. */
  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#items.clear();
  }
}
