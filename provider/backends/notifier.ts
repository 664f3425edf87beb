/** Tells waiters that something has changed, without losing a change that happens between two waits. */
export class Notifier {
  #version = 0;
  #waiting = Promise.withResolvers<void>();

  /** Grows with every {@link notify}. */
  get version(): number {
    return this.#version;
  }

  notify(): void {
    this.#version += 1;
    this.#waiting.resolve();
    this.#waiting = Promise.withResolvers();
  }

  /** Resolves once the version is past `seen`, or `signal` aborts. */
  async after(seen: number, signal: AbortSignal): Promise<void> {
    if (this.#version > seen || signal.aborted) return;
    const aborted = Promise.withResolvers<void>();
    const onAbort = () => aborted.resolve();
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      await Promise.race([this.#waiting.promise, aborted.promise]);
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }
}
