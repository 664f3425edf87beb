/** Waits that can be cut short. */
export class Waits {
  #stopped = false;
  #cut: (() => void) | undefined;
  #isWakeable = false;

  /** Resolves when the time is up, or at once when `stop` is called; with `wakeable` also by `wake`. One at a time. */
  async pause(delayMs: number, wakeable = false): Promise<void> {
    if (delayMs <= 0 || this.#stopped) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, delayMs).unref();
    this.#cut = resolve;
    this.#isWakeable = wakeable;
    await promise;
    clearTimeout(timer);
    this.#cut = undefined;
  }

  wake(): void {
    if (this.#isWakeable) this.#cut?.();
  }

  /** There will be no more waiting. */
  stop(): void {
    this.#stopped = true;
    this.#cut?.();
  }
}
