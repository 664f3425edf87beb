import { seededRandom } from "../support/seeded-random.ts";

/** Choices that are the same for the same seed. */
export class Dice {
  readonly #random: () => number;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  /** The dice of one case: those of no other, whichever cases come before it. */
  static ofCase(seed: number, target: string, index: number): Dice {
    let mixed = seed >>> 0;
    for (const byte of Buffer.from(`${target}:${index}`)) mixed = Math.imul(mixed ^ byte, 0x01000193) >>> 0;
    return new Dice(mixed);
  }

  /** From 0 up to, not including, `limit`. */
  below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  /** Both included. */
  between(least: number, most: number): number {
    return least + this.below(most - least + 1);
  }

  /** @param probability from 0 to 1 */
  chance(probability: number): boolean {
    return this.#random() < probability;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }

  /** Small numbers often, large ones now and then. */
  size(most: number): number {
    return Math.floor(most ** this.#random());
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.below(256)));
  }
}
