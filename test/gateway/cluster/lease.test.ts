import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { LeadershipLease, type LeaseEntry, type LeaseStep } from "../../../gateway/cluster/lease.ts";

const LEASE_MS = 6000;
const open = (gateway: string) => new LeadershipLease({ gateway, leaseMs: LEASE_MS, random: () => 0 });
const EMPTY: LeaseEntry = { revision: 0 };
const claimOf = (gateway: string, leaseMs = LEASE_MS) => ({ gateway, write: 1, leaseMs });

function writeAt(lease: LeadershipLease, now: number): Extract<LeaseStep, { kind: "write" }> {
  const step = lease.next(now);
  if (step.kind !== "write") throw new Error(`${step.kind} at ${now}`);
  return step;
}

/** A gateway that has led since a write that was sent at `now`. */
function leaderSince(now: number): LeadershipLease {
  const lease = open("a");
  lease.looked({ revision: 3 }, now);
  const { claim } = writeAt(lease, now);
  lease.stored(claim.write, 4);
  return lease;
}

describe("one gateway's view", () => {
  test("a lease that was given back is taken at once", () => {
    const lease = open("a");
    expect(lease.next(0)).toEqual({ kind: "look" });
    lease.looked({ revision: 3 }, 10);
    expect(lease.next(10)).toEqual({
      kind: "write",
      revision: 3,
      claim: { gateway: "a", write: 1, leaseMs: LEASE_MS },
    });
    expect(lease.leading(10)).toBe(false);
    lease.stored(1, 4);
    expect([lease.leading(10), lease.leader(10)]).toEqual([true, "a"]);
  });

  test("an empty store may have lost a claim, so it waits as for one", () => {
    const lease = open("a");
    lease.looked(EMPTY, 0);
    for (let now = 500; now < LEASE_MS; now += 500) {
      expect(lease.next(now).kind).toBe("look");
      lease.looked(EMPTY, now);
    }
    expect(writeAt(lease, LEASE_MS).revision).toBe(0);
  });

  test("it stops to lead before its lease is over, counted from when it asked", () => {
    const lease = leaderSince(1000);
    expect([lease.leading(6399), lease.leading(6400), lease.leader(6400)]).toEqual([true, false, undefined]);
  });

  test("it renews after a third, again and again while there is no answer, and goes on with one", () => {
    const lease = leaderSince(0);
    expect(lease.next(1999)).toEqual({ kind: "wait", untilMs: 2000 });
    expect(writeAt(lease, 2000).revision).toBe(4);
    const again = writeAt(lease, 3000);
    expect([again.revision, again.claim.write]).toEqual([4, 3]);
    lease.stored(again.claim.write, 5);
    expect([lease.leading(8399), lease.leading(8400)]).toEqual([true, false]);
  });

  test("a refused renewal ends it at once", () => {
    const lease = leaderSince(0);
    writeAt(lease, 2000);
    lease.refused();
    expect([lease.leading(2000), lease.next(2000)]).toEqual([false, { kind: "look" }]);
  });

  test("a renewal that was stored without an answer counts from when it was sent", () => {
    const lease = leaderSince(0);
    const lost = writeAt(lease, 2000);
    writeAt(lease, 3000);
    lease.refused();
    lease.looked({ revision: 5, claim: lost.claim }, 3100);
    expect([lease.leading(7399), lease.leading(7400)]).toEqual([true, false]);
    expect(lease.next(3999).kind).toBe("wait");
    expect(writeAt(lease, 4000).revision).toBe(5);
  });

  test("another's claim is left alone until it has not changed for its whole time, however seldom one looks", () => {
    const lease = open("b");
    lease.looked({ revision: 7, claim: claimOf("a") }, 0);
    lease.looked({ revision: 7, claim: claimOf("a") }, 5999);
    expect([lease.next(5999).kind, lease.leader(5999)]).toEqual(["wait", "a"]);
    lease.looked({ revision: 8, claim: claimOf("a") }, 6000);
    expect(lease.next(11_999).kind).toBe("look");
    expect([writeAt(lease, 12_000).revision, lease.leader(12_000)]).toEqual([8, undefined]);
  });

  test("a claim for longer than one's own lease is waited for", () => {
    const lease = open("b");
    lease.looked({ revision: 7, claim: claimOf("a", 9000) }, 0);
    expect(lease.next(8999).kind).toBe("look");
    expect(lease.next(9000).kind).toBe("write");
  });

  test("what was seen before a doubt does not count, what it wrote itself does", () => {
    const other = open("b");
    other.looked({ revision: 7, claim: claimOf("a") }, 0);
    other.doubt();
    other.looked({ revision: 7, claim: claimOf("a") }, 5000);
    expect([other.next(10_999).kind, other.next(11_000).kind]).toEqual(["look", "write"]);

    const lease = leaderSince(0);
    lease.doubt();
    expect([lease.leading(1000), lease.next(2500)]).toEqual([true, { kind: "look" }]);
    lease.looked({ revision: 4, claim: claimOf("a") }, 2500);
    expect(writeAt(lease, 2500).revision).toBe(4);
  });

  test("who gives it back does not lead by an answer that comes later", () => {
    const lease = leaderSince(0);
    const { claim } = writeAt(lease, 2000);
    expect(lease.release()).toBe(4);
    lease.stored(claim.write, 5);
    lease.looked({ revision: 5, claim }, 2100);
    expect([lease.leading(2100), lease.release()]).toEqual([false, undefined]);
  });
});

/** A store and gateways on a network that delays and loses what it likes. Time is simulated. */
class World {
  now = 0;
  overlaps: string[] = [];
  /** Times at which somebody began to lead. */
  readonly begun: number[] = [];
  entry: LeaseEntry = EMPTY;
  #revision = 0;
  /** What is under way on the network at a reset is lost. */
  #epoch = 0;
  #events: { readonly at: number; readonly run: () => void }[] = [];
  readonly #nodes: Node[] = [];
  readonly #dice: () => number;
  readonly #worstMs: number;

  constructor(dice: () => number, worstMs: number) {
    this.#dice = dice;
    this.#worstMs = worstMs;
  }

  after(ms: number, run: () => void): void {
    this.#events.push({ at: this.now + ms, run });
  }

  /** Arrives after a while, now and then never. */
  send(run: () => void): void {
    const epoch = this.#epoch;
    const dice = this.#dice();
    if (dice > 0.97) return;
    // Mostly fast, sometimes very slow.
    this.after(dice ** 4 * this.#worstMs, () => {
      if (epoch === this.#epoch) run();
    });
  }

  store(expected: number, claim: LeaseEntry["claim"]): number | undefined {
    if (expected !== this.entry.revision) return undefined;
    this.entry = { revision: ++this.#revision, ...(claim && { claim }) };
    return this.#revision;
  }

  /** The server comes back without its data. */
  wipe(): void {
    this.#epoch++;
    this.#revision = 0;
    this.entry = EMPTY;
    for (const node of this.#nodes) node.lease.doubt();
  }

  join(node: Node): void {
    this.#nodes.push(node);
    node.step();
  }

  run(untilMs: number): void {
    while (this.now < untilMs && this.#events.length > 0) {
      const next = this.#events.reduce((first, event) => (event.at < first.at ? event : first));
      this.#events.splice(this.#events.indexOf(next), 1);
      this.now = next.at;
      next.run();
      this.#check();
    }
  }

  /** Belief begins at events only and ends by itself, so looking at events sees every overlap. */
  #check(): void {
    const leading = this.#nodes.filter((node) => node.leading);
    if (leading.length > 1) this.overlaps.push(`${this.now}: ${leading.map(({ name }) => name)}`);
    for (const node of this.#nodes) {
      if (node.leading && !node.led) this.begun.push(this.now);
      node.led = node.leading;
    }
  }
}

class Node {
  readonly name: string;
  lease: LeadershipLease;
  led = false;
  dead = false;
  readonly #world: World;
  readonly #offset: number;
  readonly #rate: number;
  readonly #dice: () => number;

  constructor(world: World, name: string, clock: { offset: number; rate: number }, dice: () => number) {
    this.#world = world;
    this.name = name;
    this.#offset = clock.offset;
    this.#rate = clock.rate;
    this.#dice = dice;
    this.lease = new LeadershipLease({ gateway: name, leaseMs: LEASE_MS, random: dice });
  }

  get clock(): number {
    return this.#offset + this.#world.now * this.#rate;
  }

  get leading(): boolean {
    return !this.dead && this.lease.leading(this.clock);
  }

  step(): void {
    if (this.dead) return;
    const world = this.#world;
    const step = this.lease.next(this.clock);
    if (step.kind === "wait") {
      // Timers are late at times.
      world.after(Math.max(0, step.untilMs - this.clock) + this.#dice() ** 6 * 5000, () => this.step());
      return;
    }
    let waiting = true;
    const answered = (take: () => void) =>
      world.send(() => {
        if (!waiting || this.dead) return;
        waiting = false;
        take();
        world.after(1, () => this.step());
      });
    world.after(1000, () => {
      if (!waiting) return;
      waiting = false;
      this.step();
    });
    world.send(() => {
      if (step.kind === "look") {
        const { entry } = world;
        answered(() => this.lease.looked(entry, this.clock));
      } else {
        const revision = world.store(step.revision, step.claim);
        answered(() => {
          if (revision === undefined) this.lease.refused();
          else this.lease.stored(step.claim.write, revision);
        });
      }
    });
  }

  release(): void {
    const revision = this.lease.release();
    if (revision !== undefined) this.#world.send(() => void this.#world.store(revision, undefined));
  }
}

/** Numbers from 0 to 1 from a seed (mulberry32). */
function diceOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const incident = fc.record({
  at: fc.integer({ min: 0, max: 120_000 }),
  who: fc.nat(3),
  what: fc.constantFrom("kill" as const, "release" as const, "wipe" as const),
});

describe("any number of gateways", () => {
  test("never do two believe to lead, whatever becomes of requests, answers, gateways and the store", () => {
    let leaders = 0;
    fc.assert(
      fc.property(
        fc.integer(),
        fc.constantFrom(50, 1500, 20_000),
        fc.array(fc.record({ offset: fc.nat(1_000_000), rate: fc.double({ min: 0.98, max: 1.02, noNaN: true }) }), {
          minLength: 2,
          maxLength: 4,
        }),
        fc.array(incident, { maxLength: 8 }),
        (seed, worstMs, clocks, incidents) => {
          const dice = diceOf(seed);
          const world = new World(dice, worstMs);
          const nodes = clocks.map((clock, i) => new Node(world, `g${i}`, clock, dice));
          for (const node of nodes) world.join(node);
          for (const { at, who, what } of incidents) {
            world.after(at, () => {
              const node = nodes[who % nodes.length] as Node;
              if (what === "kill") node.dead = true;
              else if (what === "release") node.release();
              else world.wipe();
            });
          }
          world.run(120_000);
          leaders += world.begun.length;
          expect(world.overlaps).toEqual([]);
        },
      ),
      { numRuns: 300 },
    );
    // The worlds were not so hostile that nobody ever led.
    expect(leaders).toBeGreaterThan(300);
  });

  test("when the leader dies another leads within the lease and a second", () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 20_000, max: 26_000 }), (seed, killAt) => {
        const quick = diceOf(seed);
        const world = new World(() => quick() * 0.5, 400);
        const still = () => quick() * 0.3;
        const nodes = [0, 1, 2].map((i) => new Node(world, `g${i}`, { offset: i * 1000, rate: 1 }, still));
        for (const node of nodes) world.join(node);
        world.after(killAt, () => {
          for (const node of nodes) node.dead ||= node.leading;
        });
        world.run(killAt + LEASE_MS + 1000);
        expect(nodes.filter(({ dead }) => dead)).toHaveLength(1);
        expect(nodes.filter(({ leading }) => leading)).toHaveLength(1);
      }),
      { numRuns: 100 },
    );
  });
});
