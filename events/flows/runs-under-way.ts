import { FaasError } from "../../contract/errors.ts";
import type { NamedRun } from "./run-store.ts";

/** Of one flow; what starts more of them waits until some have ended. */
const MAX_UNDER_WAY = 10_000;

type Counts = Map<string, number>;

/** How many runs each flow has that have not ended: as of the last look at them, and what was begun here since. */
export class RunsUnderWay {
  #counts: Counts = new Map();
  /** Begun since the look that is under way has begun, which may miss them. */
  #since: Counts = new Map();
  readonly #most: number;

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
    for (const { namespace, run } of runs) {
      if (run.state === "running") add(this.#counts, `${namespace}/${run.flow}`);
    }
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
