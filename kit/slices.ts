/**
 * Lets long work share the event loop with everything else: of all that is run here, one slice has its turn each time
 * round the loop.
 */
export class Slices {
  readonly #waiting: (() => void)[] = [];

  /**
   * Runs `work` to its end. Its first slice has its turn at once, so what is short does not wait.
   * @param work yields wherever it can be interrupted, every millisecond or two
   * @throws what `work` throws
   */
  async run<T>(work: Iterator<unknown, T>): Promise<T> {
    for (;;) {
      const step = work.next();
      if (step.done) return step.value;
      await this.turn();
    }
  }

  /** Resolves when the next slice may begin. */
  turn(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#waiting.push(resolve) === 1) setImmediate(this.#next);
    });
  }

  readonly #next = (): void => {
    this.#waiting.shift()?.();
    if (this.#waiting.length > 0) setImmediate(this.#next);
  };
}
