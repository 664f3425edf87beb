import { isUnderWay, type RolloutState } from "../../contract/versions/rollout-state.ts";
import { sleep } from "../../kit/sleep.ts";
import type { NamedFunction, VersionsClient } from "../client/versions-client.ts";
import { SilentFailure } from "../errors.ts";

export interface FollowOptions {
  /** Gets each state that is another than the one before. */
  readonly report: (rollout: RolloutState) => void;
  /** Whether to go on where somebody has to approve. */
  readonly throughPauses: boolean;
  /** Ends it when that is what the user wants. */
  readonly signal?: AbortSignal | undefined;
}

const EVERY_MS = 1_000;

/**
 * Looks at a rollout until it has ended, or waits for somebody.
 * @returns its last state; undefined when there is none
 */
export async function followRollout(
  client: Pick<VersionsClient, "rollout">,
  fn: NamedFunction,
  { report, throughPauses, signal }: FollowOptions,
): Promise<RolloutState | undefined> {
  let told = "";
  for (;;) {
    const { rollout } = await client.rollout(fn);
    if (!rollout) return undefined;
    const seen = [rollout.id, rollout.phase, rollout.step, rollout.reason, rollout.measurements.at(-1)?.at].join();
    if (seen !== told) report(rollout);
    told = seen;
    if (!isUnderWay(rollout) || (!throughPauses && rollout.phase === "paused")) return rollout;
    await sleep(EVERY_MS, signal);
    if (signal?.aborted) return rollout;
  }
}

/** What scripts are told: done 0, aborted or superseded 2, paused 3. */
export function exitByPhase({ phase }: Pick<RolloutState, "phase">): void {
  if (phase === "aborted" || phase === "superseded") throw new SilentFailure(2);
  if (phase === "paused") throw new SilentFailure(3);
}
