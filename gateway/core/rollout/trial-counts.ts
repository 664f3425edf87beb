import { isUnderWay, type RolloutState, type VersionCounts } from "../../../contract/versions/rollout-state.ts";
import { LatencyCounts, type LatencyReport } from "./latency-counts.ts";

/** What was counted of one version, as it crosses to another thread or gateway. */
export interface TrialReport {
  readonly calls: number;
  readonly errors: number;
  /** Calls that had to wait for a replica. */
  readonly cold: number;
  readonly latencies: LatencyReport;
}

/** The function's limit of calls, or its queue's, was reached; and the caller has left. Neither says how the version is. */
const NO_EVIDENCE: ReadonlySet<number> = new Set([429, 499]);

/** Counts the calls of one version since a step of a rollout began. */
export class TrialCounts {
  /** Which step of which rollout; see {@link trialKey}. */
  readonly key: string;
  #calls = 0;
  #errors = 0;
  #cold = 0;
  readonly #latencies = new LatencyCounts();

  constructor(key: string) {
    this.key = key;
  }

  /** Whether there is anything to tell. */
  get any(): boolean {
    return this.#calls > 0;
  }

  /** @param ms from the sending of a call to its last byte */
  observe(status: number, ms: number, cold: boolean): void {
    if (NO_EVIDENCE.has(status)) return;
    this.#calls++;
    if (status >= 500) this.#errors++;
    if (cold) this.#cold++;
    this.#latencies.observe(ms);
  }

  add({ calls, errors, cold, latencies }: TrialReport): void {
    this.#calls += calls;
    this.#errors += errors;
    this.#cold += cold;
    this.#latencies.add(latencies);
  }

  report(): TrialReport {
    return { calls: this.#calls, errors: this.#errors, cold: this.#cold, latencies: this.#latencies.report() };
  }

  /** As a rollout keeps it. */
  counts(): VersionCounts {
    const [p50, p95, p99] = [0.5, 0.95, 0.99].map((share) => this.#latencies.quantile(share));
    return {
      calls: this.#calls,
      errors: this.#errors,
      cold: this.#cold,
      ...(p50 !== undefined && { p50: tidy(p50) }),
      ...(p95 !== undefined && { p95: tidy(p95) }),
      ...(p99 !== undefined && { p99: tidy(p99) }),
    };
  }
}

/** Microseconds are the finest that is worth keeping. */
function tidy(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}

/** Names the step under way, so that no count of another gets mixed in; undefined while there is nothing to count. */
export function trialKey(rollout: RolloutState | undefined): string | undefined {
  if (!rollout || !isUnderWay(rollout) || rollout.phase === "warming") return undefined;
  return `${rollout.startedAt}/${rollout.id}/${rollout.step}`;
}
