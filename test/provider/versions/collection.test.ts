import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { FunctionVersions } from "../../../contract/versions/function-versions.ts";
import { WHOLE } from "../../../contract/versions/traffic.ts";
import { collect, referenceTo } from "../../../provider/versions/collect.ts";
import { requireVersions } from "../../../provider/versions/plan-deploy.ts";
import { planRollback } from "../../../provider/versions/plan-rollback.ts";
import { amend, resolveTargets } from "../../../provider/versions/resolve-targets.ts";

const MINUTE = 60_000;
const version = (number: number, more: object = {}) => ({
  version: `v${number}`,
  content: { image: `app:${number}` },
  createdAt: "2026-11-30T14:00:00Z",
  ...more,
});

function versions(count: number, more: Partial<FunctionVersions> = {}): FunctionVersions {
  const newest = `v${count}`;
  return {
    generation: 1,
    last: count,
    versions: Array.from({ length: count }, (_, i) => version(i + 1)),
    latest: newest,
    main: newest,
    stable: newest,
    previous: `v${count - 1}`,
    history: [],
    ...more,
  };
}

const rule = { keep: 0, windowMs: 30 * MINUTE, beside: true, now: 100 * MINUTE };
const names = ({ versions: all }: Pick<FunctionVersions, "versions">) => all.map((each) => each.version);

describe("collection", () => {
  test("keeps the newest that nothing refers to, as many as it is told", () => {
    expect(names({ versions: collect(versions(8), { ...rule, keep: 2 }) })).toEqual(["v5", "v6", "v7", "v8"]);
    expect(names({ versions: collect(versions(8), { ...rule, keep: 10 }) })).toHaveLength(8);
  });

  test.each<[why: string, Partial<FunctionVersions>]>([
    ["has traffic or a tag", { traffic: [{ version: "v2", share: WHOLE }] }],
    [
      "has traffic or a tag",
      {
        traffic: [
          { version: "v8", share: WHOLE },
          { version: "v2", share: 0, tag: "old" },
        ],
      },
    ],
    ["has traffic or a tag", { latest: "v2" }],
    ["is the stable one", { stable: "v2" }],
    ["is the one before the stable one", { previous: "v2" }],
    ["runs under the function's own name", { main: "v2" }],
    ["is within the rollback window", { versions: [version(2, { retiredAt: 80 * MINUTE }), version(8)] }],
  ])("never takes a version that %s", (why, more) => {
    const all = versions(8, more);
    expect(names({ versions: collect(all, rule) })).toContain("v2");
    expect(referenceTo(all, "v2", rule)).toContain(why);
  });

  test("takes a version whose rollback window is over", () => {
    const all = versions(8, { versions: [version(2, { retiredAt: 60 * MINUTE }), version(8)] });
    expect(names({ versions: collect(all, rule) })).toEqual(["v8"]);
  });
});

/** What several providers share; each write says what it has read. */
class Store {
  versions = versions(5);
  readonly #checks: boolean;

  constructor(checks: boolean) {
    this.#checks = checks;
  }

  put(next: FunctionVersions, generation: number): boolean {
    if (this.#checks && this.versions.generation !== generation) return false;
    this.versions = next;
    return true;
  }
}

/** One that reads, and writes what it has decided upon that; again when another was faster. */
interface Actor {
  decide(read: FunctionVersions): FunctionVersions;
}

const cause = { now: rule.now, reason: "test" };
const collector: Actor = {
  decide: (read) => ({ ...read, generation: read.generation + 1, versions: collect(read, rule) }),
};
const repoint = (to: string, tag: boolean): Actor => ({
  decide(read) {
    const targets = tag
      ? [
          { version: "latest", share: WHOLE },
          { version: to, share: 0, tag: "t" },
        ]
      : [{ version: to, share: WHOLE }];
    requireVersions(read, targets, "targets");
    return amend(read, { traffic: targets }, cause);
  },
});
const rollback = (to: string): Actor => ({ decide: (read) => planRollback(read, { to }, cause).versions });
const reset: Actor = { decide: (read) => amend(read, { traffic: undefined }, cause) };

const actor = fc.oneof(
  fc.constant(collector),
  fc.constant(reset),
  fc.tuple(fc.integer({ min: 1, max: 5 }), fc.boolean()).map(([n, tag]) => repoint(`v${n}`, tag)),
  fc.integer({ min: 1, max: 5 }).map((n) => rollback(`v${n}`)),
);
const interleaving = fc.tuple(
  fc.array(actor, { minLength: 2, maxLength: 6 }),
  fc.array(fc.nat({ max: 5 }), { minLength: 4, maxLength: 30 }),
);

interface Outcome {
  /** What is pointed to, and there is no version for. */
  readonly dangling: readonly string[];
  /** Whether calls go where the last who was told that they do has sent them. */
  readonly obeyed: boolean;
}

/** Runs actors in the order of `turns`, a read or a write at each. */
function run(actors: readonly Actor[], turns: readonly number[], checks: boolean): Outcome {
  const store = new Store(checks);
  const read = new Map<Actor, FunctionVersions>();
  let told = resolveTargets(store.versions);
  for (const turn of turns) {
    const one = actors[turn % actors.length] as Actor;
    const before = read.get(one);
    if (!before) {
      read.set(one, store.versions);
      continue;
    }
    read.delete(one);
    try {
      const next = one.decide(before);
      if (store.put(next, before.generation) && one !== collector) told = resolveTargets(next);
    } catch {
      // There is no such version any more, or nothing to go back to: it is told so.
    }
  }
  const known = new Set(names(store.versions));
  const { latest, main, stable, traffic = [] } = store.versions;
  const targets = resolveTargets(store.versions);
  const named = [...traffic, ...targets].map((target) => target.version);
  return {
    dangling: [latest, main, stable, ...named].filter((name) => name !== "latest" && !known.has(name)),
    obeyed: JSON.stringify(targets) === JSON.stringify(told),
  };
}

test("in no order of collection and changes of traffic does anything point to a version that is gone", () => {
  fc.assert(
    fc.property(interleaving, ([actors, turns]) => {
      expect(run(actors, turns, true)).toEqual({ dangling: [], obeyed: true });
    }),
    { numRuns: 2_000 },
  );
});

test("without the generation that a write was decided at, a collection would take traffic back", () => {
  const found = fc.check(
    fc.property(interleaving, ([actors, turns]) => run(actors, turns, false).obeyed),
    { numRuns: 5_000 },
  );
  expect(found.failed).toBe(true);
});
