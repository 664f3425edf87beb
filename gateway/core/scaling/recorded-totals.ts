import type { ScalePolicy } from "../../../contract/scale-policy.ts";
import { loadOf, type Sample } from "./sample.ts";
import { everySecond, type Simulation } from "./simulate.ts";

export type RecordedTotals = Omit<Simulation, "seconds">;

/** What really happened, in the measures of a simulation; overload by the target that is simulated. */
export function recordedTotals(
  history: readonly Sample[],
  policy: Pick<ScalePolicy, "type" | "target">,
): RecordedTotals {
  const totals = { coldStarts: 0, replicaSeconds: 0, overloadedSeconds: 0, changes: 0 };
  let before: Sample | undefined;
  for (const sample of everySecond(history)) {
    const { t, replicas, ready, started } = sample;
    if (ready === 0) totals.coldStarts += started;
    if (before) {
      const elapsed = (t - before.t) / 1000;
      if (before.replicas !== replicas) totals.changes++;
      totals.replicaSeconds += Math.max(replicas, ready) * elapsed;
      if ((loadOf(policy.type, sample) ?? 0) > ready * policy.target) totals.overloadedSeconds += elapsed;
    }
    before = sample;
  }
  return totals;
}
