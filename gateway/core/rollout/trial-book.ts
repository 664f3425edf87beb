import type { TrialNumbers } from "./evaluate-gates.ts";
import { TrialCounts, type TrialReport } from "./trial-counts.ts";

/** What one gateway has counted since a step began. */
export interface TrialSides {
  /** Of the step; see `trialKey`. */
  readonly key: string;
  readonly candidate: TrialReport;
  readonly stable: TrialReport;
}

/** Gateways whose counts are kept, also when they have gone since: what they saw is true still. */
const MAX_GATEWAYS = 64;

/** Adds up what several gateways have counted of one function's rollout. */
export class TrialBook {
  readonly #functions = new Map<string, Map<string, TrialSides>>();

  /** @param gateway its name, its own for each start */
  write(gateway: string, trials: Readonly<Record<string, TrialSides>>): void {
    for (const [name, sides] of Object.entries(trials)) {
      const pages = this.#functions.get(name) ?? new Map<string, TrialSides>();
      pages.delete(gateway);
      pages.set(gateway, sides);
      for (const [oldest] of pages) {
        if (pages.size <= MAX_GATEWAYS) break;
        pages.delete(oldest);
      }
      this.#functions.set(name, pages);
    }
  }

  /** All gateways together, of the step with that `key` alone. */
  sum(name: string, key: string | undefined): TrialNumbers {
    const candidate = new TrialCounts("");
    const stable = new TrialCounts("");
    for (const sides of this.#functions.get(name)?.values() ?? []) {
      if (sides.key !== key) continue;
      candidate.add(sides.candidate);
      stable.add(sides.stable);
    }
    return { candidate: candidate.counts(), stable: stable.counts() };
  }

  /** Forgets all functions but these, by `name.namespace`. */
  keep(names: ReadonlySet<string>): void {
    for (const name of this.#functions.keys()) if (!names.has(name)) this.#functions.delete(name);
  }
}
