export interface WorkQueueOptions {
  /** Most keys at a time. */
  readonly concurrency: number;
  /** Must not fail: what goes wrong with a key is for `work` itself to deal with. */
  work(key: string): Promise<void>;
}

interface Waiting {
  readonly due: number;
  readonly timer: NodeJS.Timeout;
}

/** Works on keys, each once at a time; a key that is added while it is worked on comes again afterwards. */
export class WorkQueue {
  readonly #options: WorkQueueOptions;
  /** In order of coming. */
  readonly #ready = new Set<string>();
  readonly #running = new Map<string, Promise<void>>();
  readonly #later = new Map<string, Waiting>();
  #closed = false;

  constructor(options: WorkQueueOptions) {
    this.#options = options;
  }

  /** What is due earlier already stays so. */
  add(key: string, delayMs = 0): void {
    if (this.#closed || this.#ready.has(key)) return;
    const due = performance.now() + delayMs;
    const waiting = this.#later.get(key);
    if (waiting && waiting.due <= due) return;
    clearTimeout(waiting?.timer);
    this.#later.delete(key);
    if (delayMs > 0) {
      this.#later.set(key, { due, timer: setTimeout(() => this.#becomeReady(key), delayMs) });
    } else {
      this.#becomeReady(key);
    }
  }

  /** Forgets what waits; resolves once nothing is worked on any more. May be called twice. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#ready.clear();
    for (const { timer } of this.#later.values()) clearTimeout(timer);
    this.#later.clear();
    await Promise.all(this.#running.values());
  }

  #becomeReady(key: string): void {
    this.#later.delete(key);
    this.#ready.add(key);
    this.#next();
  }

  #next(): void {
    for (const key of this.#ready) {
      if (this.#running.size >= this.#options.concurrency) return;
      if (this.#running.has(key)) continue;
      this.#ready.delete(key);
      const { promise, resolve } = Promise.withResolvers<void>();
      // Before the work begins, as that may add keys.
      this.#running.set(key, promise);
      void this.#options.work(key).finally(() => {
        this.#running.delete(key);
        resolve();
        this.#next();
      });
    }
  }
}
