/** A Lease of `coordination.k8s.io/v1`. */
export interface LeaseResource {
  readonly apiVersion: "coordination.k8s.io/v1";
  readonly kind: "Lease";
  readonly metadata: { readonly name: string; readonly namespace: string; readonly resourceVersion?: string };
  readonly spec?: LeaseSpec;
}

export interface LeaseSpec {
  /** Absent or "": nobody. */
  readonly holderIdentity?: string;
  readonly leaseDurationSeconds?: number;
  /** RFC 3339 with microseconds, here and below. */
  readonly acquireTime?: string;
  readonly renewTime?: string;
  readonly leaseTransitions?: number;
}

/** When a version of the lease was first seen, by our own clock: those of others may be wrong. */
export interface Sighting {
  readonly version: string;
  readonly atMs: number;
}

/** Ours to write, or another's for `waitMs` more unless it is renewed. */
export type LeaseDecision = { readonly kind: "take" | "renew" } | { readonly kind: "wait"; readonly waitMs: number };

const versionOf = (lease: LeaseResource) => lease.metadata.resourceVersion ?? "";

/** What was seen of `lease` so far. */
export function sight(lease: LeaseResource, before: Sighting | undefined, nowMs: number): Sighting {
  const version = versionOf(lease);
  return before?.version === version ? before : { version, atMs: nowMs };
}

/** @param seen of this very `lease` */
export function decideLease(lease: LeaseResource, me: string, seen: Sighting, nowMs: number): LeaseDecision {
  const { holderIdentity = "", leaseDurationSeconds = 0 } = lease.spec ?? {};
  if (holderIdentity === me) return { kind: "renew" };
  const waitMs = seen.atMs + leaseDurationSeconds * 1000 - nowMs;
  return holderIdentity === "" || waitMs <= 0 ? { kind: "take" } : { kind: "wait", waitMs };
}

const microTime = (time: Date) => time.toISOString().replace("Z", "000Z");

/** `before` in the hands of `me`. */
export function heldLease(
  before: Omit<LeaseResource, "apiVersion" | "kind">,
  { me, durationMs, time }: { readonly me: string; readonly durationMs: number; readonly time: Date },
): LeaseResource {
  const { holderIdentity, acquireTime, leaseTransitions = 0 } = before.spec ?? {};
  const { name, namespace, resourceVersion } = before.metadata;
  const isMine = holderIdentity === me;
  return {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: { name, namespace, ...(resourceVersion && { resourceVersion }) },
    spec: {
      holderIdentity: me,
      leaseDurationSeconds: durationMs / 1000,
      acquireTime: isMine && acquireTime ? acquireTime : microTime(time),
      renewTime: microTime(time),
      leaseTransitions: isMine || holderIdentity === undefined ? leaseTransitions : leaseTransitions + 1,
    },
  };
}

/** Nobody's, so that the next one need not wait. */
export function releasedLease(lease: LeaseResource, time: Date): LeaseResource {
  const { leaseTransitions = 0 } = lease.spec ?? {};
  return {
    ...heldLease(lease, { me: "", durationMs: 1000, time }),
    // The API server wants a duration above 0 all the same.
    spec: { holderIdentity: "", leaseDurationSeconds: 1, renewTime: microTime(time), leaseTransitions },
  };
}
