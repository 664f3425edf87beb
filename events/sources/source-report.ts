import { problemText } from "./problem-text.ts";
import type { SourceStatus } from "./source.ts";

type State = SourceStatus["state"];

/** What is known of one source in this process. Counts go on when it is run again. */
export class SourceReport {
  /** Texts of secrets that it has read, which no problem may quote. */
  readonly secrets = new Set<string>();
  #state: State = "connecting";
  #problem: string | undefined;
  #events = 0;
  #errors = 0;
  #lag: number | undefined;
  #lastEventAt: number | undefined;
  #lastErrorAt: number | undefined;
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** @param problem why it is not as it should be */
  is(state: State, problem?: string): void {
    this.#state = state;
    this.#problem = problem;
    if (state === "suspended" || state === "elsewhere") this.#lag = undefined;
  }

  emitted(count: number): void {
    if (count === 0) return;
    this.#events += count;
    if (this.#state === "connected") this.#problem = undefined;
    this.#lastEventAt = this.#now();
  }

  /** It has stopped because of that. */
  failed(thrown: unknown): string {
    const problem = this.#count(thrown);
    this.is("failing", problem);
    return problem;
  }

  /** It goes on. @returns what went wrong, without secrets */
  warned(thrown: unknown): string {
    this.#problem = this.#count(thrown);
    return this.#problem;
  }

  set lag(count: number) {
    this.#lag = count;
  }

  get status(): SourceStatus {
    return {
      state: this.#state,
      ...(this.#problem !== undefined && { problem: this.#problem }),
      events: this.#events,
      errors: this.#errors,
      ...(this.#lag !== undefined && { lag: this.#lag }),
      ...(this.#lastEventAt !== undefined && { lastEventAt: this.#lastEventAt }),
      ...(this.#lastErrorAt !== undefined && { lastErrorAt: this.#lastErrorAt }),
    };
  }

  #count(thrown: unknown): string {
    this.#errors++;
    this.#lastErrorAt = this.#now();
    return problemText(thrown, this.secrets);
  }
}
