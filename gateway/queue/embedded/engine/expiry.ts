import type { EmbeddedCalls } from "../db/calls.ts";

/** Calls that one transaction ends because their time has passed. */
const AT_A_TIME = 500;

/** Knows when the time of a call that waits passes. */
export class ExpiryWatch {
  readonly #calls: EmbeddedCalls;
  /** Some call has such a time. */
  #any: boolean;
  #next: number | undefined;

  constructor(calls: EmbeddedCalls) {
    this.#calls = calls;
    this.#next = calls.nextExpiry();
    this.#any = this.#next !== undefined;
  }

  /** When there will be something to end. */
  get nextAt(): number | undefined {
    return this.#next === undefined ? undefined : this.#next + 1;
  }

  note(expires: number): void {
    this.#any = true;
    this.#next = Math.min(expires, this.#next ?? expires);
  }

  /** A call waits again: it may be the next. */
  look(): void {
    if (this.#any) this.#next = 0;
  }

  /** Ends those whose time has passed. */
  expire(now: number, end: (seq: number) => void): void {
    if (this.#next === undefined || this.#next >= now) return;
    for (const seq of this.#calls.expired(now, AT_A_TIME)) end(seq);
    this.#next = this.#calls.nextExpiry();
  }
}
