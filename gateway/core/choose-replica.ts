/** What the choice depends on. */
export interface Candidate {
  readonly ready: boolean;
  /** Calls under way through this gateway. */
  readonly outstanding: number;
  /** Others answer while it does not: it is left to those for whom there is no other. */
  readonly lagging: boolean;
}

export type Choice<R> =
  | { readonly kind: "replica"; readonly replica: R }
  /** Some replicas are ready, but each has all the calls it takes. */
  | { readonly kind: "full" }
  /** No replica is ready. */
  | { readonly kind: "none" };

const FULL: Choice<never> = { kind: "full" };
const NONE: Choice<never> = { kind: "none" };

/**
 * The ready replica with the fewest calls outstanding, of those that lag only when there are no others; among equals the
 * first after `start`, so that idle replicas take turns.
 * @param maxInflight calls one replica takes at a time; 0 means no limit
 * @param start any whole number, e.g. a counter
 */
export function chooseReplica<R extends Candidate>(
  replicas: readonly R[],
  maxInflight: number,
  start: number,
): Choice<R> {
  const count = replicas.length;
  let best: R | undefined;
  let someReady = false;
  for (let i = 0; i < count; i++) {
    const replica = replicas[(start + i) % count] as R;
    if (!replica.ready) continue;
    someReady = true;
    if (maxInflight > 0 && replica.outstanding >= maxInflight) continue;
    if (!best || isBetter(replica, best)) best = replica;
    if (best.outstanding === 0 && !best.lagging) break;
  }
  if (best) return { kind: "replica", replica: best };
  return someReady ? FULL : NONE;
}

function isBetter(one: Candidate, other: Candidate): boolean {
  return one.lagging === other.lagging ? one.outstanding < other.outstanding : other.lagging;
}
