import { FaasError } from "../../contract/errors.ts";
import type { NamedRun } from "./run-store.ts";

/** Of one flow; what starts more of them waits until some have ended. */
const MAX_UNDER_WAY = 10_000;

/** How many runs each flow has that have not ended: as of the last look at them, and what was begun here since. */
export class RunsUnderWay {
  #counts = new Map<string, number>();
  readonly #most: number;

  constructor(most = MAX_UNDER_WAY) {
    this.#most = most;
  }

  count(runs: readonly NamedRun[]): void {
    this.#counts = new Map();
    for (const { namespace, run } of runs) {
      if (run.state === "running") this.#add(`${namespace}/${run.flow}`);
    }
  }

  /** Counts one more. @throws {FaasError} `overloaded` when there are too many */
  admit({ namespace, name }: { readonly namespace: string; readonly name: string }): void {
    const key = `${namespace}/${name}`;
    if ((this.#counts.get(key) ?? 0) >= this.#most) {
      throw new FaasError("overloaded", `flow ${name} has ${this.#most} runs under way`);
    }
    this.#add(key);
  }

  #add(key: string): void {
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
  }
}
