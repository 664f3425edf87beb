/**
 * What somebody outside says about one rollout. Nobody waits for it: until there is an answer there is none, and the numbers
 * are watched meanwhile.
 */
export class AskedAnswers<T> {
  readonly #isOld: (answer: T, ageMs: number) => boolean;
  #key: string | undefined;
  #answer: { readonly is: T } | undefined;
  #askedAt = 0;
  /** While it is being asked for. */
  #pending: symbol | undefined;

  /** @param isOld whether an answer is to be asked for anew; `ageMs` since it was asked for */
  constructor(isOld: (answer: T, ageMs: number) => boolean) {
    this.#isOld = isOld;
  }

  /**
   * @param key of what is asked
   * @param ask comes to an end, and never rejects
   * @returns the newest answer; undefined while there is none to this
   */
  read(key: string, now: number, ask: () => Promise<T>): { readonly is: T } | undefined {
    if (key !== this.#key) [this.#key, this.#answer, this.#pending] = [key, undefined, undefined];
    const answer = this.#answer;
    if (this.#pending || (answer && !this.#isOld(answer.is, now - this.#askedAt))) return answer;
    const turn = Symbol(key);
    this.#pending = turn;
    this.#askedAt = now;
    void ask().then((is) => {
      if (this.#pending !== turn) return;
      this.#pending = undefined;
      this.#answer = { is };
    });
    return answer;
  }
}
