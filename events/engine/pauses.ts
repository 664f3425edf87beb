/** Receivers that asked for a pause: nothing is sent to them until it is over. */
export class Pauses {
  readonly #until = new Map<string, NodeJS.Timeout>();
  readonly #over: () => void;

  /** @param over called after each pause */
  constructor(over: () => void) {
    this.#over = over;
  }

  /** A pause that is under way goes on for as long as the new one lasts. */
  begin(trigger: string, ms: number): void {
    clearTimeout(this.#until.get(trigger));
    const end = () => {
      this.#until.delete(trigger);
      this.#over();
    };
    this.#until.set(trigger, setTimeout(end, Math.min(ms, 2 ** 31 - 1)).unref());
  }

  has(trigger: string): boolean {
    return this.#until.has(trigger);
  }

  close(): void {
    for (const timer of this.#until.values()) clearTimeout(timer);
    this.#until.clear();
  }
}
