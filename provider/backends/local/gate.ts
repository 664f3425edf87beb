/** Lets only so many through at a time, in the order they came. */
export class Gate {
  #free: number;
  readonly #queue: (() => void)[] = [];

  constructor(places: number) {
    this.#free = places;
  }

  /**
   * Takes a place, at once when one is free.
   * @returns gives the place back; further calls do nothing. Undefined when `signal` aborted first
   */
  async enter(signal: AbortSignal): Promise<(() => void) | undefined> {
    if (signal.aborted) return undefined;
    if (this.#free > 0) this.#free -= 1;
    else if (!(await this.#wait(signal))) return undefined;
    let inside = true;
    return () => {
      if (inside) this.#leave();
      inside = false;
    };
  }

  #wait(signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const onAbort = () => {
        this.#queue.splice(this.#queue.indexOf(admitted), 1);
        resolve(false);
      };
      const admitted = () => {
        signal.removeEventListener("abort", onAbort);
        resolve(true);
      };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#queue.push(admitted);
    });
  }

  #leave(): void {
    const next = this.#queue.shift();
    if (next) next();
    else this.#free += 1;
  }
}
