import type { Logger } from "../../kit/log.ts";
import { sleep } from "../../kit/sleep.ts";
import { endRun, type Run } from "./run.ts";
import type { NamedRun, RunStore } from "./run-store.ts";
import type { RunsUnderWay } from "./runs-under-way.ts";

/** What is kept of runs that have ended. */
export interface RunRetention {
  readonly maxAgeMs: number;
  /** Of one flow. */
  readonly maxRuns: number;
}

export const DEFAULT_RUN_RETENTION: RunRetention = { maxAgeMs: 24 * 3600_000, maxRuns: 1_000 };

export interface RunHousekeeperOptions {
  readonly runs: Pick<RunStore, "list" | "change" | "remove">;
  readonly retention: RunRetention;
  readonly now: () => number;
  /** For deadlines, as of the flows. */
  readonly overNow: () => number;
  /** Told of all runs that have not ended. */
  readonly underWay: Pick<RunsUnderWay, "looking" | "count">;
  /** Between two looks. */
  readonly everyMs: number;
  readonly log: Pick<Logger, "warn">;
}

/** Those to forget: too old, or more than are kept of their flow. */
export function decideForgotten(
  runs: readonly NamedRun[],
  { maxAgeMs, maxRuns }: RunRetention,
  now: number,
): NamedRun[] {
  const ended = runs.filter(({ run }) => run.endedAt !== undefined);
  ended.sort((one, other) => (other.run.endedAt ?? 0) - (one.run.endedAt ?? 0));
  const kept = new Map<string, number>();
  return ended.filter(({ namespace, run }) => {
    const flow = `${namespace}/${run.flow}`;
    const count = (kept.get(flow) ?? 0) + 1;
    kept.set(flow, count);
    return count > maxRuns || now - (run.endedAt ?? 0) > maxAgeMs;
  });
}

/** Ends runs that take too long, and forgets those that have ended long ago. Several may do so at a time. */
export class RunHousekeeper {
  readonly #options: RunHousekeeperOptions;
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;

  constructor(options: RunHousekeeperOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    for (let failed = false; !signal.aborted; ) {
      await sleep(this.#options.everyMs, signal);
      if (signal.aborted) return;
      try {
        await this.look();
        failed = false;
      } catch (err) {
        if (!failed && !signal.aborted) this.#options.log.warn({ err }, "runs of flows cannot be looked through");
        failed = true;
      }
    }
  }

  async look(): Promise<void> {
    const { runs, retention, now, overNow, underWay } = this.#options;
    underWay.looking();
    const all = await runs.list();
    const at = now();
    const over = overNow();
    underWay.count(all);
    for (const { namespace, name, run } of all) {
      if (run.state === "running" && over >= run.deadlineAt) {
        await runs.change(namespace, name, (run) => timedOut(run, over, at));
      }
    }
    for (const { namespace, name, run } of decideForgotten(all, retention, at)) {
      if (this.#closing.signal.aborted) return;
      await runs.remove(namespace, name, run);
    }
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }
}

function timedOut(run: Run, over: number, now: number): Run {
  return over >= run.deadlineAt ? endRun(run, { state: "timed-out" }, now) : run;
}
