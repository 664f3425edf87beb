import { FaasError } from "../../contract/errors.ts";
import type { FunctionVersions } from "../../contract/versions/function-versions.ts";
import type { RolloutRequest } from "../../contract/versions/requests.ts";
import { isUnderWay, type RolloutState } from "../../contract/versions/rollout-state.ts";
import { WHOLE } from "../../contract/versions/traffic.ts";
import { type Amendment, amend, type Cause, tagsAlone } from "./resolve-targets.ts";

/** What a function's rollout comes to by the next state of it: at its end, `latest` has moved. */
export function withRollout(before: FunctionVersions, rollout: RolloutState, cause: Cause): FunctionVersions {
  const moved: Amendment = rollout.phase === "done" ? { latest: rollout.to } : {};
  return amend(before, { rollout, ...moved }, cause);
}

/**
 * What a user's order makes of a rollout.
 * @throws {FaasError} `conflict` where it does not fit to what is going on
 */
export function applyAction(
  before: FunctionVersions,
  { action, step }: Pick<RolloutRequest, "action" | "step">,
  cause: Cause,
): FunctionVersions {
  const { rollout } = before;
  if (!rollout || !isUnderWay(rollout)) {
    if (action === "promote") return promoteNewest(before, cause);
    throw new FaasError("conflict", "no rollout is under way");
  }
  return withRollout(before, nextState(rollout, action, step, cause), cause);
}

function nextState(
  rollout: RolloutState,
  action: RolloutRequest["action"],
  step: number | undefined,
  { now, reason }: Cause,
): RolloutState {
  const at = { since: now, reason };
  const { phase } = rollout;
  switch (action) {
    case "promote":
      return { ...rollout, ...at, phase: "done", step: rollout.settings.steps.length - 1 };
    case "abort":
      return { ...rollout, ...at, phase: "aborted" };
    case "approve":
      if (step !== undefined && step !== rollout.step)
        throw new FaasError("conflict", `the rollout is at step ${rollout.step}, not ${step}`);
      if (phase !== "paused" && phase !== "holding")
        throw new FaasError("conflict", `nothing waits for approval: ${of(rollout)}`);
      return rollout.step + 1 < rollout.settings.steps.length
        ? { ...rollout, ...at, phase: "step", step: rollout.step + 1 }
        : { ...rollout, ...at, phase: "done" };
    case "pause":
      if (phase !== "step" && phase !== "holding")
        throw new FaasError("conflict", `there is nothing to pause: ${of(rollout)}`);
      return { ...rollout, ...at, phase: "paused" };
    case "resume":
      if (phase !== "paused") throw new FaasError("conflict", `it is not paused: ${of(rollout)}`);
      if (rollout.settings.steps[rollout.step]?.forMs === undefined)
        throw new FaasError("conflict", `step ${rollout.step} waits for approval; approve it`);
      return { ...rollout, ...at, phase: "step" };
  }
}

function of({ to, phase, step }: RolloutState): string {
  return `the rollout of ${to} is ${phase === "step" ? `in step ${step}` : phase}`;
}

/** One that waits for somebody to move it, or was given up, gets all calls as soon as it has a replica. */
function promoteNewest(before: FunctionVersions, cause: Cause): FunctionVersions {
  const to = `v${before.last}`;
  if (before.latest === to || !before.versions.some(({ version }) => version === to))
    throw new FaasError("conflict", `no rollout is under way, and ${before.latest} is the newest version already`);
  const rollout: RolloutState = {
    id: (before.rollout?.id ?? 0) + 1,
    from: before.latest,
    to,
    phase: "warming",
    step: 0,
    since: cause.now,
    startedAt: cause.now,
    reason: cause.reason,
    settings: {
      strategy: "instant",
      steps: [{ share: WHOLE, forMs: 0 }],
      gates: [],
      minRequests: 0,
      onFail: "abort",
      maxMs: 3_600_000,
      warm: 1,
    },
    measurements: [],
  };
  return amend(before, { rollout, traffic: tagsAlone(before.traffic), detached: undefined }, cause);
}

/**
 * What the driver of rollouts has come to.
 * @throws {FaasError} `conflict` when that is not of the rollout that is under way
 */
export function driveRollout(before: FunctionVersions, next: RolloutState, cause: Cause): FunctionVersions {
  const { rollout } = before;
  if (!rollout || !isUnderWay(rollout)) throw new FaasError("conflict", "no rollout is under way");
  const { id, from, to, settings, startedAt } = rollout;
  if (next.id !== id) throw new FaasError("conflict", `rollout ${id} is under way, not ${next.id}`);
  if (next.step >= settings.steps.length)
    throw new FaasError("invalid", `rollout.step: must be below ${settings.steps.length}, the number of steps`);
  // What it is about is not the driver's to change.
  return withRollout(before, { ...next, from, to, settings, startedAt }, cause);
}
