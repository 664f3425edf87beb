/** With so many failures it gives up, or a platform that is gone would be called forever. */
const MAX_FAILURES = 20;
/** Of one call. */
const LIMIT_MS = 60_000;

/** Calls one address over and over, as many at a time as it is told. */
export class Callers {
  readonly #url: string;
  readonly #running = new Set<Promise<void>>();
  #wanted = 0;
  done = 0;
  /** What went wrong, if anything did: a status with its text, or an error. */
  readonly failures: string[] = [];

  constructor(url: string) {
    this.#url = url;
  }

  /** Calls in flight at a time from now on; too many of them end with their present call. */
  set(parallel: number): void {
    const before = this.#wanted;
    this.#wanted = parallel;
    for (let i = before; i < parallel; i++) {
      const running: Promise<void> = this.#run(i).finally(() => this.#running.delete(running));
      this.#running.add(running);
    }
  }

  get parallel(): number {
    return this.#wanted;
  }

  /** Resolves when the last call has ended. */
  async stop(): Promise<void> {
    this.#wanted = 0;
    await Promise.all(this.#running);
  }

  async #run(index: number): Promise<void> {
    while (index < this.#wanted && this.failures.length < MAX_FAILURES) {
      try {
        const response = await fetch(this.#url, { signal: AbortSignal.timeout(LIMIT_MS) });
        const text = await response.text();
        if (response.status === 200) this.done++;
        else this.failures.push(`${response.status} ${text}`);
      } catch (error) {
        this.failures.push(String((error as Error).cause ?? error));
      }
    }
  }
}
