/**
 * A signal that aborts with `parent` or after a time. Unlike `AbortSignal.any` with `AbortSignal.timeout` it leaves no
 * timer behind: at thousands of calls a second, minutes' worth of those add up.
 */
export class Deadline {
  readonly #controller = new AbortController();
  readonly #parent: AbortSignal;
  readonly #timer: NodeJS.Timeout;
  readonly #onParent = () => this.#controller.abort(this.#parent.reason);
  /** On the clock of `performance`. */
  readonly #extendUntil: number;
  #expired = false;

  /** @param longestMs the time with all extensions */
  constructor(parent: AbortSignal, timeoutMs: number, longestMs = timeoutMs) {
    this.#parent = parent;
    this.#extendUntil = performance.now() + longestMs - timeoutMs;
    this.#timer = setTimeout(() => {
      this.#expired = true;
      this.#controller.abort(new Error(`not finished after ${timeoutMs} ms`));
    }, timeoutMs);
    if (parent.aborted) this.#onParent();
    else parent.addEventListener("abort", this.#onParent, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Whether the time ran out before {@link clear}. */
  get expired(): boolean {
    return this.#expired;
  }

  /** There is progress: the time begins anew, but for the longest one. */
  extend(): void {
    if (!this.#expired && performance.now() <= this.#extendUntil) this.#timer.refresh();
  }

  /** To be called when the work is over. */
  clear(): void {
    clearTimeout(this.#timer);
    this.#parent.removeEventListener("abort", this.#onParent);
  }
}
