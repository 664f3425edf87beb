import type { ScalePolicy } from "../../../contract/scale-policy.ts";

/** What floating-point division adds by mistake must not cost a replica. */
const EPSILON = 1e-9;

type Target = Pick<ScalePolicy, "target">;

/** Replicas that carry `load` when each may be used to `proportion` of its target. */
export function replicasFor(load: number, { target }: Target, proportion: number): number {
  return Math.max(0, Math.ceil(load / (target * proportion) - EPSILON));
}

/** Most and least replicas in one step from `ready`. */
export function rateLimits(
  ready: number,
  policy: Pick<ScalePolicy, "upRate" | "downRate">,
): [up: number, down: number] {
  const effective = Math.max(1, ready);
  return [Math.ceil(policy.upRate * effective - EPSILON), Math.floor(effective / policy.downRate + EPSILON)];
}

/** Calls that still fit beside `load` and the burst to be ready for; negative when there is not enough room. */
export function excessBurstCapacity(ready: number, load: number, policy: Target & Pick<ScalePolicy, "burst">): number {
  return Math.floor(ready * policy.target - policy.burst - load + EPSILON);
}
