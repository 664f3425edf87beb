/** What a gateway writes when it takes or renews the lease. */
export interface Claim {
  readonly gateway: string;
  /** Its own number for this write: by it the gateway recognizes a write whose answer it never got. */
  readonly write: number;
  /** How long the others have to wait after they saw this claim, in milliseconds. */
  readonly leaseMs: number;
}

/** What is stored. */
export interface LeaseEntry {
  /** 0 when nothing was ever stored. */
  readonly revision: number;
  /** Undefined when nothing was ever stored, or when the lease was given back. */
  readonly claim?: Claim;
}

export type LeaseStep =
  | { readonly kind: "look" }
  /** `revision` must still be the last one when the claim is stored. */
  | { readonly kind: "write"; readonly revision: number; readonly claim: Claim }
  | { readonly kind: "wait"; readonly untilMs: number };

export interface LeadershipLeaseOptions {
  readonly gateway: string;
  readonly leaseMs: number;
  /** From 0 to 1, of a part of the lease, so that many do not try at once. */
  readonly random?: () => number;
}

/** Safety margin: it stops leading this long before the lease expires: clocks differ, and orders take their time. */
const MARGIN = 0.1;
const RENEW = 1 / 3;
const LOOK = 1 / 12;
const JITTER = 1 / 20;
/** Writes without an answer that are remembered. */
const MAX_UNANSWERED = 16;

/**
 * Who of several leads, decided without I/O. It does not matter how long requests and answers take, or whether they
 * arrive at all. A write counts for its writer from when it was sent; for the others, from when they saw it. The others
 * saw it later than it was sent, so who leads has stopped when they take over. Times are milliseconds of a clock of this
 * process that only goes forward; clocks of processes need not agree, only go at nearly the same speed.
 */
export class LeadershipLease {
  readonly #options: LeadershipLeaseOptions;
  readonly #random: () => number;
  #until = Number.NEGATIVE_INFINITY;
  /** Revision of its own last known write, as long as nobody has overwritten it. */
  #own: number | undefined;
  #renewAt = 0;
  #writes = 0;
  /** By number: its last known write and those after it. */
  readonly #sentAt = new Map<number, number>();
  /** Another's claim, or none, and since when it is there unchanged. */
  #seen: { readonly entry: LeaseEntry; readonly since: number; readonly jitterMs: number } | undefined;
  #lookAt = 0;

  constructor(options: LeadershipLeaseOptions) {
    this.#options = options;
    this.#random = options.random ?? Math.random;
  }

  leading(now: number): boolean {
    return now < this.#until;
  }

  /** Name of the one that leads, as far as it is known. */
  leader(now: number): string | undefined {
    if (this.leading(now)) return this.#options.gateway;
    if (!this.#seen) return undefined;
    const { entry, since } = this.#seen;
    return now < since + this.#waitMs(entry) ? entry.claim?.gateway : undefined;
  }

  /** What to do now. What came of it is told to {@link looked}, {@link stored} or {@link refused}; or to nobody. */
  next(now: number): LeaseStep {
    const own = this.#own;
    if (own !== undefined) return now < this.#renewAt ? wait(this.#renewAt) : this.#write(own, now);
    if (!this.#seen) return { kind: "look" };
    const { entry, since, jitterMs } = this.#seen;
    const givenBack = entry.revision > 0 && !entry.claim;
    const takeAt = givenBack ? now : since + this.#waitMs(entry) + jitterMs;
    if (now >= takeAt) return this.#write(entry.revision, now);
    return now >= this.#lookAt ? { kind: "look" } : wait(Math.min(takeAt, this.#lookAt));
  }

  #waitMs({ claim }: LeaseEntry): number {
    return Math.max(this.#options.leaseMs, claim?.leaseMs ?? 0);
  }

  /** @param now before the request is sent */
  #write(revision: number, now: number): LeaseStep {
    const { gateway, leaseMs } = this.#options;
    const write = ++this.#writes;
    this.#sentAt.set(write, now);
    this.#sentAt.delete(write - MAX_UNANSWERED);
    return { kind: "write", revision, claim: { gateway, write, leaseMs } };
  }

  /** A write of its own is stored: it leads, unless that took too long. */
  stored(write: number, revision: number): void {
    const sentAt = this.#sentAt.get(write);
    if (sentAt === undefined) return;
    for (const older of this.#sentAt.keys()) if (older < write) this.#sentAt.delete(older);
    const { leaseMs } = this.#options;
    this.#own = revision;
    this.#seen = undefined;
    this.#until = sentAt + leaseMs * (1 - MARGIN);
    this.#renewAt = sentAt + leaseMs * (RENEW - JITTER * this.#random());
  }

  /** A write was not stored as there was a newer revision; its own, if an earlier write got no answer. */
  refused(): void {
    this.#until = Number.NEGATIVE_INFINITY;
    this.#own = undefined;
    this.#seen = undefined;
  }

  looked(entry: LeaseEntry, now: number): void {
    const { gateway, leaseMs } = this.#options;
    this.#lookAt = now + leaseMs * LOOK;
    const { claim, revision } = entry;
    if (claim?.gateway === gateway && this.#sentAt.has(claim.write)) this.stored(claim.write, revision);
    else if (this.#seen?.entry.revision !== revision) {
      this.#seen = { entry, since: now, jitterMs: leaseMs * JITTER * this.#random() };
    }
  }

  /** The store may have lost what was written last: revisions that were seen before say nothing any more. */
  doubt(): void {
    this.#own = undefined;
    this.#seen = undefined;
  }

  /**
   * Leads no longer.
   * @returns the revision of its own claim, which may be deleted if it is still the last; undefined when it has none
   */
  release(): number | undefined {
    const own = this.#own;
    this.#until = Number.NEGATIVE_INFINITY;
    this.#own = undefined;
    this.#sentAt.clear();
    return own;
  }
}

function wait(untilMs: number): LeaseStep {
  return { kind: "wait", untilMs };
}
