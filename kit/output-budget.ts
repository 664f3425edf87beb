/** How much of a program's output may be shown, of all its sources (stdout, stderr) together. */
export class OutputBudget {
  #left: number;
  #told = false;

  constructor(maxBytes: number) {
    this.#left = maxBytes;
  }

  /** What of `chunk` may be shown; `cut` is true once, when the budget runs out. */
  take(chunk: Buffer): { readonly shown: Buffer; readonly cut: boolean } {
    const shown = chunk.subarray(0, this.#left);
    this.#left -= shown.length;
    const cut = shown.length < chunk.length && !this.#told;
    this.#told ||= cut;
    return { shown, cut };
  }
}
