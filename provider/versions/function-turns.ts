/** One piece of work at a time for each key, in the order in which they came. */
export class FunctionTurns {
  readonly #last = new Map<string, Promise<unknown>>();

  async take<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key);
    const turn = before ? before.then(work, work) : work();
    this.#last.set(key, turn);
    try {
      return await turn;
    } finally {
      if (this.#last.get(key) === turn) this.#last.delete(key);
    }
  }

  /** Resolves when all that has begun is over. */
  async end(): Promise<void> {
    await Promise.allSettled(this.#last.values());
  }
}
