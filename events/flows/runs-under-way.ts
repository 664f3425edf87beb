import { FaasError } from "../../contract/errors.ts";
import type { RunState } from "../../contract/events/flow-run.ts";
import type { NamedRun } from "./run-store.ts";

/** Of one flow; what starts more of them waits until some have ended. */
const MAX_UNDER_WAY = 10_000;

type Counts = Map<string, number>;

/** How many runs a flow has in one state. */
export interface CountedRuns {
  readonly namespace: string;
  readonly flow: string;
  readonly state: RunState;
  readonly count: number;
}

/** How many runs each flow has that have not ended: as of the last look at them, and what was begun here since. */
export class RunsUnderWay {
  #counts: Counts = new Map();
  /** Begun since the look that is under way has begun, which may miss them. */
  #since: Counts = new Map();
  readonly #most: number;
  #states: ReadonlyMap<string, CountedRuns> = new Map();

  constructor(most = MAX_UNDER_WAY) {
    this.#most = most;
  }

  /** Before all runs are looked at. */
  looking(): void {
    this.#since = new Map();
  }

  /** What was found since {@link looking}. */
  count(runs: readonly NamedRun[]): void {
    this.#counts = new Map(this.#since);
    const states = new Map<string, CountedRuns>();
    for (const { namespace, run } of runs) {
      const { flow, state } = run;
      if (state === "running") add(this.#counts, `${namespace}/${flow}`);
      const key = `${namespace}/${flow}/${state}`;
      states.set(key, { namespace, flow, state, count: (states.get(key)?.count ?? 0) + 1 });
    }
    this.#states = states;
  }

  /** All that are kept, as of the last look at them. */
  get states(): readonly CountedRuns[] {
    return [...this.#states.values()];
  }

  /** Counts one more. @throws {FaasError} `overloaded` when there are too many */
  admit({ namespace, name }: { readonly namespace: string; readonly name: string }): void {
    const key = `${namespace}/${name}`;
    if ((this.#counts.get(key) ?? 0) >= this.#most) {
      throw new FaasError("overloaded", `flow ${name} has ${this.#most} runs under way`);
    }
    add(this.#counts, key);
    add(this.#since, key);
  }
}

function add(counts: Counts, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
