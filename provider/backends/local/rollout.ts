import type { CallsInFlight } from "../backend.ts";

/** `unready`: it was ready, and is to get no calls until it is again. */
export type ReplicaState = "starting" | "ready" | "unready" | "waiting" | "draining" | "gone";

/** What a decision about replicas needs to know of one. */
export interface ReplicaView {
  readonly instance: string;
  readonly generation: number;
  readonly state: ReplicaState;
  /** Whether it has ever been ready. */
  readonly proven: boolean;
  /** Grows from replica to replica. */
  readonly order: number;
  /** `host:port`, once it has one. */
  readonly address?: string | undefined;
}

export interface RolloutDecision {
  /** Replicas of the wanted generation to add. */
  readonly start: number;
  /** Instances to drain and stop. */
  readonly stop: readonly string[];
}

/** Those that matter least first: not ready before ready, then those with the fewest calls, then the youngest. */
function leastWorthFirst(inFlight: CallsInFlight): (a: ReplicaView, b: ReplicaView) => number {
  const calls = ({ address = "" }: ReplicaView) => inFlight[address] ?? 0;
  return (a, b) =>
    Number(a.state === "ready") - Number(b.state === "ready") || calls(a) - calls(b) || b.order - a.order;
}

/**
 * What brings `replicas` closer to `wanted` ones of `generation`. Replicas of an earlier generation go one by one as
 * new ones become ready, so that at no time fewer serve than before; while no new one comes up they stay.
 * @param inFlight calls at each replica, as far as known
 */
export function decideRollout(
  replicas: readonly ReplicaView[],
  wanted: number,
  generation: number,
  inFlight: CallsInFlight = {},
): RolloutDecision {
  const order = leastWorthFirst(inFlight);
  const alive = replicas.filter(({ state }) => state !== "draining" && state !== "gone");
  const current = alive.filter((replica) => replica.generation === generation).sort(order);
  const old = alive.filter((replica) => replica.generation !== generation).sort(order);

  const surplus = current.slice(0, Math.max(0, current.length - wanted));
  const readyAfter = current.slice(surplus.length).filter(({ state }) => state === "ready").length;
  const keep = Math.max(0, wanted - readyAfter);
  // One that has served before and just restarts is still the best there is until a new one is ready.
  const serving = old.filter(({ proven }) => proven);
  const unable = old.filter(({ proven }) => !proven);
  const replaced = serving.slice(0, Math.max(0, serving.length - keep));

  return {
    start: Math.max(0, wanted - current.length),
    stop: [...surplus, ...unable, ...replaced].map(({ instance }) => instance),
  };
}
