import { isUnderWay, type RolloutState } from "./rollout-state.ts";
import { type TrafficTarget, WHOLE } from "./traffic.ts";

/** The share of calls that a rollout gives the new version, in hundredths of a percent. */
export function candidateShare({ phase, step, settings }: Pick<RolloutState, "phase" | "step" | "settings">): number {
  if (phase === "done") return WHOLE;
  if (phase === "warming" || phase === "aborted" || phase === "superseded") return 0;
  const { share = 0, mirror = false } = settings.steps[step] ?? {};
  return mirror ? 0 : share;
}

/** The share of safe calls that it copies to the new version, in hundredths of a percent. */
export function mirrorShare({ phase, step, settings }: RolloutState): number {
  const { share = 0, mirror = false } = settings.steps[step] ?? {};
  return mirror && phase !== "warming" && isUnderWay({ phase }) ? share : 0;
}

/** Where calls go while `rollout` is under way; versions without a share are not named. */
export function rolloutTargets(rollout: RolloutState): TrafficTarget[] {
  const share = candidateShare(rollout);
  return [
    { version: rollout.from, share: WHOLE - share },
    { version: rollout.to, share },
  ].filter((target) => target.share > 0);
}
