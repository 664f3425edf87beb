import { STARTUP_PHASES, type Startup, type StartupPhase } from "../../contract/endpoints.ts";
import { Tally } from "../../kit/histogram.ts";

/** Upper bounds in seconds, as the provider has them for the same phases. */
const BOUNDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60] as const;

/** When replicas that calls waited for had reached each phase. Of all functions together, as each series costs memory. */
export class StartupTallies {
  readonly #phases = new Map<StartupPhase, Tally>();

  observe(startup: Startup): void {
    for (const phase of STARTUP_PHASES) {
      const ms = startup[phase];
      if (ms === undefined) continue;
      let tally = this.#phases.get(phase);
      if (!tally) {
        tally = new Tally(BOUNDS);
        this.#phases.set(phase, tally);
      }
      tally.observe(ms / 1000);
    }
  }

  phases(): Iterable<[phase: StartupPhase, tally: Tally]> {
    return this.#phases;
  }
}
