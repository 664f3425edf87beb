import { STARTUP_PHASES, type Startup, type StartupPhase } from "../../contract/endpoints.ts";
import { Tally, type TallyReport } from "../../kit/histogram.ts";

/** Upper bounds in seconds, as the provider has them for the same phases. */
const BOUNDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60] as const;

export type StartupReport = readonly (readonly [phase: StartupPhase, tally: TallyReport])[];

/** When replicas that calls waited for had reached each phase. Of all functions together, as each series costs memory. */
export class StartupTallies {
  #phases = new Map<StartupPhase, Tally>();

  observe(startup: Startup): void {
    for (const phase of STARTUP_PHASES) {
      const ms = startup[phase];
      if (ms === undefined) continue;
      this.#tally(phase).observe(ms / 1000);
    }
  }

  #tally(phase: StartupPhase): Tally {
    let tally = this.#phases.get(phase);
    if (!tally) {
      tally = new Tally(BOUNDS);
      this.#phases.set(phase, tally);
    }
    return tally;
  }

  /** Reads off what was counted, and begins anew; undefined when that is nothing. */
  take(): StartupReport | undefined {
    if (this.#phases.size === 0) return undefined;
    const report = [...this.#phases];
    this.#phases = new Map();
    return report;
  }

  /** Adds what was counted elsewhere. */
  add(report: StartupReport): void {
    for (const [phase, tally] of report) this.#tally(phase).add(tally);
  }

  phases(): Iterable<[phase: StartupPhase, tally: Tally]> {
    return this.#phases;
  }
}
