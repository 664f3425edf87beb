import type { Deployment } from "../workloads.ts";

/** What a rollout knows of a ReplicaSet. */
export interface SetCounts {
  readonly replicas: number;
  readonly available: number;
}

export interface RolloutPlan {
  readonly current: number;
  /** Replicas of each older set, in the order given. */
  readonly old: readonly number[];
}

export interface Bounds {
  readonly surge: number;
  readonly unavailable: number;
}

/** How many pods more and fewer than wanted a rollout may have. Both none would mean that it cannot move. */
export function boundsOf({ spec }: Deployment): Bounds {
  const { maxSurge = 0, maxUnavailable = 0 } = spec.strategy.rollingUpdate ?? {};
  const surge = portionOf(maxSurge, spec.replicas, Math.ceil);
  const unavailable = portionOf(maxUnavailable, spec.replicas, Math.floor);
  return surge === 0 && unavailable === 0 ? { surge: 0, unavailable: 1 } : { surge, unavailable };
}

function portionOf(portion: number | string, of: number, round: (value: number) => number): number {
  return typeof portion === "number" ? portion : round((Number.parseInt(portion, 10) * of) / 100);
}

/** One step of a rolling update: up as far as the surge allows, down as far as availability does. Old sets: oldest first. */
export function planRollout(
  wanted: number,
  bounds: Bounds,
  current: SetCounts,
  old: readonly SetCounts[],
): RolloutPlan {
  const oldTotal = old.reduce((sum, { replicas }) => sum + replicas, 0);
  const room = Math.max(0, wanted + bounds.surge - oldTotal - current.replicas);
  const next = current.replicas > wanted ? wanted : Math.min(wanted, current.replicas + room);
  const missing = Math.max(0, next - current.available);
  let spare = oldTotal + next - (wanted - bounds.unavailable) - missing;
  const left = old.map(({ replicas, available }) => {
    // Those that do not serve go first, whichever set they are of.
    const unhealthy = Math.max(0, Math.min(replicas - available, spare));
    spare -= unhealthy;
    return replicas - unhealthy;
  });
  const available = old.reduce((sum, set) => sum + set.available, 0) + Math.min(next, current.available);
  let surplus = Math.max(0, available - (wanted - bounds.unavailable));
  return {
    current: next,
    old: left.map((replicas, index) => {
      const serving = Math.min(replicas, old[index]?.available ?? 0);
      const cut = Math.min(serving, surplus);
      surplus -= cut;
      return replicas - cut;
    }),
  };
}
