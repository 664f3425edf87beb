import type { CallPermit } from "../queue.ts";
import { maxSlotless } from "./slots.ts";

/** What a call under way takes: its process's slot and one of its function's limit; the latter only; nothing. */
export type Hold = "both" | "function" | "nothing";

/** The calls of one process that are under way without a place of their own. */
export class SlotlessCalls {
  readonly #max: number;
  #count = 0;

  /** @param concurrency slots of the process */
  constructor(concurrency: number) {
    this.#max = maxSlotless(concurrency);
  }

  /**
   * Of a call that begins, which takes both.
   * @param left told each time that it gives up something, with what it takes from then on and what it took before
   */
  begin(left: (now: Hold, before: Hold) => void): CallSlots {
    return new CallSlots(left, {
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
export class CallSlots implements CallPermit {
  readonly #left: (now: Hold, before: Hold) => void;
  readonly #slotless: { enter(): boolean; leave(): void };
  #hold: Hold = "both";
  #ended = false;

  constructor(left: (now: Hold, before: Hold) => void, slotless: { enter(): boolean; leave(): void }) {
    this.#left = left;
    this.#slotless = slotless;
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
    if (this.#hold !== "both") this.#slotless.leave();
    return this.#hold;
  }

  #leave(now: Hold): void {
    const before = this.#hold;
    if (this.#ended || (before === "both" && !this.#slotless.enter())) return;
    this.#hold = now;
    this.#left(now, before);
  }
}
