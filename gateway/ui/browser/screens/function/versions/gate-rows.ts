import type { RolloutGate } from "../../../../../../contract/versions/rollout-settings.ts";
import type { RolloutState, VersionCounts } from "../../../../../../contract/versions/rollout-state.ts";
import { formatMs, formatNumber, formatShare } from "../../../format.ts";

/** A condition, with what both versions have. */
export interface GateRow {
  /** e.g. `errors < 1 %`. */
  readonly condition: string;
  readonly candidate: string;
  readonly stable: string;
  /** What the candidate has to be below, the stable version's numbers taken into account. */
  readonly limit: string;
  /** As the numbers stand; the verdict waits for enough of them. */
  readonly state: "kept" | "broken" | "open";
}

/** The conditions of a rollout by the latest numbers. */
export function gateRows({ settings, measurements }: Pick<RolloutState, "settings" | "measurements">): GateRow[] {
  const last = measurements.at(-1);
  return settings.gates.map((gate) => {
    const candidate = last && measured(gate, last.candidate);
    const stable = last && measured(gate, last.stable);
    const limit = gate.relative ? stable !== undefined && gate.limit * stable : gate.limit;
    const show = showerOf(gate);
    return {
      condition: `${gate.metric} < ${gate.relative ? `${formatNumber(gate.limit)} × stable` : show(gate.limit)}`,
      candidate: candidate === undefined ? "–" : show(candidate),
      stable: stable === undefined ? "–" : show(stable),
      limit: limit === false ? "–" : show(limit),
      state: candidate === undefined || limit === false ? "open" : candidate < limit ? "kept" : "broken",
    };
  });
}

function measured({ metric }: RolloutGate, counts: VersionCounts): number | undefined {
  const { calls } = counts;
  if (metric === "errors" || metric === "cold") return calls === 0 ? undefined : counts[metric] / calls;
  return counts[metric];
}

function showerOf({ metric }: RolloutGate): (value: number) => string {
  return metric === "errors" || metric === "cold" ? formatShare : formatMs;
}

/** Steps of a rollout in words, with where it is. */
export function stepWords({ settings, step, phase }: Pick<RolloutState, "settings" | "step" | "phase">) {
  const hasEnded = phase === "done" || phase === "aborted" || phase === "superseded";
  return settings.steps.map(({ share, mirror, forMs }, at) => ({
    text: `${mirror ? "a copy of " : ""}${share / 100} %${forMs === undefined ? " until somebody approves" : forMs > 0 ? ` for ${formatMs(forMs)}` : ""}`,
    place:
      phase === "done" || at < step
        ? ("past" as const)
        : at === step && !hasEnded
          ? ("now" as const)
          : ("open" as const),
  }));
}

/** Why an order makes no sense now; undefined when it does. */
export function whyNot(order: "approve" | "pause" | "resume" | "promote" | "abort", phase: string): string | undefined {
  if (order === "approve") return phase === "paused" || phase === "holding" ? undefined : "It waits for nobody";
  if (order === "resume") return phase === "paused" ? undefined : "It is not paused";
  if (order === "pause") return phase === "paused" ? "It is paused" : undefined;
  return undefined;
}
