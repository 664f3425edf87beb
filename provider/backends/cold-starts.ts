import { type FunctionRef, qualifiedName } from "../contract/functions.ts";
import { Tally } from "../kit/histogram.ts";
import type { ColdStartTally } from "./backend.ts";

type Phase = ColdStartTally["phase"];

/** Seconds: from a process on this machine to an image that has to be pulled. */
const BOUNDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60] as const;

/** How long replicas of each function took to come up. */
export class ColdStarts {
  readonly #byFunction = new Map<string, Map<Phase, Tally>>();

  /** @param ms from the replica's creation until it had reached the phase */
  observe(key: string, phase: Phase, ms: number): void {
    const phases = this.#byFunction.get(key) ?? new Map<Phase, Tally>();
    const tally = phases.get(phase) ?? new Tally(BOUNDS);
    tally.observe(ms / 1000);
    this.#byFunction.set(key, phases.set(phase, tally));
  }

  /** The function is gone. */
  forget(ref: FunctionRef): void {
    this.#byFunction.delete(qualifiedName(ref));
  }

  *tallies(): Generator<ColdStartTally> {
    for (const [key, phases] of this.#byFunction) {
      for (const [phase, tally] of phases) yield { function: key, phase, tally };
    }
  }
}
