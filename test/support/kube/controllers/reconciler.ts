/**
 * Runs a function for keys that something has happened to: soon, once for all that happened until then, never two at a
 * time. Writes made in it may enqueue keys again.
 */
export class Reconciler {
  readonly #reconcile: (key: string) => void;
  readonly #pending = new Set<string>();
  readonly #timers = new Map<string, NodeJS.Timeout>();
  #scheduled: NodeJS.Immediate | undefined;
  #closed = false;

  constructor(reconcile: (key: string) => void) {
    this.#reconcile = reconcile;
  }

  enqueue(key: string): void {
    if (this.#closed) return;
    this.#pending.add(key);
    this.#scheduled ??= setImmediate(() => this.#run());
  }

  /** Enqueues a key later; an earlier wish for the same key is forgotten. */
  enqueueIn(key: string, delayMs: number): void {
    if (this.#closed) return;
    clearTimeout(this.#timers.get(key));
    const timer = setTimeout(() => {
      this.#timers.delete(key);
      this.enqueue(key);
    }, delayMs);
    this.#timers.set(key, timer.unref());
  }

  close(): void {
    this.#closed = true;
    this.#pending.clear();
    clearImmediate(this.#scheduled);
    for (const timer of this.#timers.values()) clearTimeout(timer);
  }

  #run(): void {
    this.#scheduled = undefined;
    const keys = [...this.#pending];
    this.#pending.clear();
    for (const key of keys) this.#reconcile(key);
  }
}
