import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { chooseByKey, chooseByShare, type Share, sharesOf } from "../../../../gateway/core/traffic/choose-version.ts";

const CALLS = 100_000;
/** Seeded, so that what chance does is the same each time. */
const SIGMAS = 3;

const split = (...shares: number[]): Share[] => shares.map((share, at) => ({ version: `v${at + 1}`, share }));

function expectShares(shares: readonly Share[], choose: (call: number) => number, calls = CALLS): void {
  const counts = shares.map(() => 0);
  for (let call = 0; call < calls; call++) {
    const at = choose(call);
    counts[at] = (counts[at] as number) + 1;
  }
  for (const [at, { share }] of shares.entries()) {
    const p = share / 10_000;
    const tolerance = SIGMAS * Math.sqrt(calls * p * (1 - p)) + 1;
    expect(Math.abs((counts[at] as number) - calls * p)).toBeLessThanOrEqual(tolerance);
  }
}

/** Two to five shares that add up to all calls. */
const shares = fc
  .uniqueArray(fc.integer({ min: 1, max: 9_999 }), { minLength: 1, maxLength: 4 })
  .map((cuts) => [0, ...cuts.sort((a, b) => a - b), 10_000])
  .map((edges) => split(...edges.slice(1).map((edge, at) => edge - (edges[at] as number))));

test("calls for themselves get their shares, of any split", () => {
  fc.assert(
    fc.property(shares, fc.integer({ min: 0, max: 2 ** 31 }), (drawn, seed) => {
      let state = seed;
      expectShares(drawn, () => {
        state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
        return chooseByShare(drawn, state / 2 ** 32);
      });
    }),
    { numRuns: 8, seed: 7 },
  );
});

test("keys get their shares, of any split", () => {
  fc.assert(
    fc.property(shares, fc.integer(), (drawn, salt) => {
      expectShares(drawn, (call) => chooseByKey(drawn, `${salt}-user-${call}`), 10_000);
    }),
    { numRuns: 8, seed: 7 },
  );
});

test("a tenth of a percent is one in a thousand", () => {
  expectShares(split(9_990, 10), (call) => chooseByKey(split(9_990, 10), `k${call}`));
});

test("keys move only to or from the version whose share changes", () => {
  fc.assert(
    fc.property(shares, fc.nat(), fc.integer({ min: 1, max: 10_000 }), (before, pick, share) => {
      const changed = pick % before.length;
      const after = before.map((one, at) => (at === changed ? { ...one, share } : one));
      const astray: number[] = [];
      for (let key = 0; key < 1_000; key++) {
        const [from, to] = [chooseByKey(before, `k${key}`), chooseByKey(after, `k${key}`)];
        if (from !== to && from !== changed && to !== changed) astray.push(key);
      }
      expect(astray).toEqual([]);
    }),
    { numRuns: 50 },
  );
});

test("while a share grows, nobody who is on the new version goes back", () => {
  const steps = [100, 500, 1_000, 2_500, 5_000, 9_000, 10_000];
  let before = new Set<string>();
  for (const [step, share] of steps.entries()) {
    const now = new Set<string>();
    for (let key = 0; key < 10_000; key++) {
      const shares = sharesOf(split(10_000 - share, share));
      if (shares[chooseByKey(shares, `user${key}`)]?.version === "v2") now.add(`user${key}`);
    }
    expect([...before].filter((key) => !now.has(key))).toEqual([]);
    // What moved is the difference, within two hundredths.
    const moved = (now.size - before.size) / 10_000;
    expect(Math.abs(moved - (share - (steps[step - 1] ?? 0)) / 10_000)).toBeLessThan(0.02);
    before = now;
  }
});

test("the order in which versions are named does not matter", () => {
  fc.assert(
    fc.property(shares, fc.string(), (drawn, key) => {
      const reversed = [...drawn].reverse();
      expect(reversed[chooseByKey(reversed, key)]?.version).toBe(drawn[chooseByKey(drawn, key)]?.version);
    }),
  );
});

test("targets of one version count together, and those without calls not at all", () => {
  const targets = [
    { version: "v5", share: 1_000 },
    { version: "v6", share: 8_000 },
    { version: "v5", share: 1_000, tag: "old" },
    { version: "v4", share: 0, tag: "older" },
  ];
  expect(sharesOf(targets)).toEqual([
    { version: "v5", share: 2_000 },
    { version: "v6", share: 8_000 },
  ]);
});
