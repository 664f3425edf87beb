import type { Dice } from "./dice.ts";

/** One case, made of dice alone. */
export interface FuzzCase {
  /** What is sent, to be saved when it does harm. */
  readonly input: Buffer;
  /** Does it. @throws when what came of it must not be; a refusal is fine */
  run(): Promise<void>;
}

/** Something that takes input from outside. */
export interface FuzzTarget {
  readonly name: string;
  /** Cases at a time. */
  readonly lanes: number;
  prepare(dice: Dice): FuzzCase;
  /** Called between cases of all lanes now and then, and at the end. */
  tidy?(): Promise<void>;
  /** @throws when what is left must not be */
  close(): Promise<void>;
}
