/** Remembers what has come already, for as long as its signature would be accepted again. */
export class ReplayGuard {
  readonly #seen = new Map<string, number>();
  readonly #forgetAfterMs: number;
  readonly #most: number;

  /** @param most deliveries that are remembered; the oldest are forgotten before their time when there are more */
  constructor(forgetAfterMs: number, most = 100_000) {
    this.#forgetAfterMs = forgetAfterMs;
    this.#most = most;
  }

  /** Whether `id` comes for the first time. */
  admit(id: string, nowMs: number): boolean {
    this.#forget(nowMs);
    if (this.#seen.has(id)) return false;
    this.#seen.set(id, nowMs);
    return true;
  }

  /** What could not be stored may come again. */
  release(id: string): void {
    this.#seen.delete(id);
  }

  /** Entries are in the order of their times, as nobody's time is changed. */
  #forget(nowMs: number): void {
    for (const [id, at] of this.#seen) {
      const isOld = nowMs - at > this.#forgetAfterMs;
      if (!isOld && this.#seen.size < this.#most) return;
      this.#seen.delete(id);
    }
  }
}
