import { type FunctionRef, qualifiedName } from "../../contract/functions.ts";
import { Tally } from "../../kit/histogram.ts";
import type { ColdStartPhase, ColdStartTallies, TotalTime } from "./backend.ts";

/** Seconds: from a process on this machine to an image that has to be pulled. */
const BOUNDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60] as const;

/** Those that depend on the function: how its image starts, how it loads, and the whole. */
const OF_FUNCTIONS: ReadonlySet<ColdStartPhase> = new Set<ColdStartPhase>(["started", "listening", "offered"]);

interface Sum {
  count: number;
  seconds: number;
}

/**
 * How long replicas took to come up. The distribution is kept for all functions together, as a series for each bucket,
 * phase and function would be 100,000 with a thousand functions; of each function only the mean can be told.
 */
export class ColdStarts implements ColdStartTallies {
  readonly #byPhase = new Map<ColdStartPhase, Tally>();
  readonly #byFunction = new Map<string, Map<ColdStartPhase, Sum>>();

  /**
   * @param key `name.namespace`
   * @param ms from the replica's creation until it had reached the phase
   */
  observe(key: string, phase: ColdStartPhase, ms: number): void {
    const seconds = ms / 1000;
    const tally = this.#byPhase.get(phase) ?? new Tally(BOUNDS);
    tally.observe(seconds);
    this.#byPhase.set(phase, tally);
    if (!OF_FUNCTIONS.has(phase)) return;
    const phases = this.#byFunction.get(key) ?? new Map<ColdStartPhase, Sum>();
    const sum = phases.get(phase) ?? { count: 0, seconds: 0 };
    sum.count++;
    sum.seconds += seconds;
    this.#byFunction.set(key, phases.set(phase, sum));
  }

  /** The function is gone. */
  forget(ref: FunctionRef): void {
    this.#byFunction.delete(qualifiedName(ref));
  }

  *phases(): Generator<{ readonly phase: ColdStartPhase; readonly tally: Tally }> {
    for (const [phase, tally] of this.#byPhase) yield { phase, tally };
  }

  *functions(): Generator<TotalTime> {
    for (const [key, phases] of this.#byFunction) {
      for (const [phase, { count, seconds }] of phases) yield { function: key, phase, count, seconds };
    }
  }
}
