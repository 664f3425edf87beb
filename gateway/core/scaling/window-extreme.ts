/** Largest (or least) of the values of the last while: what holds a desired number back until it has lasted. */
export class WindowExtreme {
  readonly #better: (a: number, b: number) => boolean;
  /** Oldest first; each is worse than all before it, which is why it may still count when they are too old. */
  #kept: { readonly at: number; readonly value: number }[] = [];
  #since = -1;

  constructor(which: "largest" | "least") {
    this.#better = which === "largest" ? (a, b) => a >= b : (a, b) => a <= b;
  }

  /**
   * Adds `value` and tells the extreme of the last `delayMs`.
   * @returns undefined while it has not watched for so long: a least value says nothing then
   */
  record(now: number, value: number, delayMs: number): number | undefined {
    if (this.#since < 0) this.#since = now;
    while (this.#kept.length > 0 && this.#better(value, (this.#kept.at(-1) as { value: number }).value))
      this.#kept.pop();
    this.#kept.push({ at: now, value });
    while ((this.#kept[0] as { at: number }).at < now - delayMs) this.#kept.shift();
    return now - this.#since < delayMs ? undefined : (this.#kept[0] as { value: number }).value;
  }

  /** The extreme so far, however short it has watched. */
  get value(): number {
    return this.#kept[0]?.value ?? 0;
  }
}
