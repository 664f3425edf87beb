import type { CallPermit } from "../queue.ts";
import { maxAside } from "./places.ts";

/** What a call under way takes: its process's place and one of its function's limit; the latter only; nothing. */
export type Hold = "both" | "function" | "nothing";

/** The calls of one process that are under way without a place of their own. */
export class Aside {
  readonly #max: number;
  #count = 0;

  /** @param concurrency places of the process */
  constructor(concurrency: number) {
    this.#max = maxAside(concurrency);
  }

  /**
   * Of a call that begins, which takes both places.
   * @param left told each time that it gives up something, with what it takes from then on and what it took before
   */
  begin(left: (now: Hold, before: Hold) => void): HeldPlace {
    return new HeldPlace(left, {
      enter: () => {
        if (this.#count >= this.#max) return false;
        this.#count++;
        return true;
      },
      leave: () => {
        this.#count--;
      },
    });
  }
}

/** The place of one call, from its beginning to its end. */
export class HeldPlace implements CallPermit {
  readonly #left: (now: Hold, before: Hold) => void;
  readonly #aside: { enter(): boolean; leave(): void };
  #hold: Hold = "both";
  #ended = false;

  constructor(left: (now: Hold, before: Hold) => void, aside: { enter(): boolean; leave(): void }) {
    this.#left = left;
    this.#aside = aside;
  }

  lendSlot(): void {
    if (this.#hold === "both") this.#leave("function");
  }

  release(): void {
    if (this.#hold !== "nothing") this.#leave("nothing");
  }

  /** The call is over. To be called once. @returns what it has taken to the end */
  end(): Hold {
    this.#ended = true;
    if (this.#hold !== "both") this.#aside.leave();
    return this.#hold;
  }

  #leave(now: Hold): void {
    const before = this.#hold;
    if (this.#ended || (before === "both" && !this.#aside.enter())) return;
    this.#hold = now;
    this.#left(now, before);
  }
}
