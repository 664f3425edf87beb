import { expect, test } from "@jest/globals";
import fc from "fast-check";
import type { RolloutGate, RolloutSettings, RolloutStep } from "../../../../contract/versions/rollout-settings.ts";
import { candidateShare } from "../../../../contract/versions/rollout-shares.ts";
import { isUnderWay, type RolloutState } from "../../../../contract/versions/rollout-state.ts";
import { advance } from "../../../../gateway/core/rollout/advance.ts";

const shares = fc.uniqueArray(fc.integer({ min: 1, max: 9_999 }), { maxLength: 5 });
const time = fc.option(fc.integer({ min: 0, max: 30_000 }), { nil: undefined });

const settings: fc.Arbitrary<RolloutSettings> = fc
  .record({
    shares,
    times: fc.array(time, { minLength: 7, maxLength: 7 }),
    mirrors: fc.integer({ min: 0, max: 1 }),
    minRequests: fc.integer({ min: 0, max: 100 }),
    noData: fc.constantFrom("hold", "advance", "abort", undefined),
    onFail: fc.constantFrom("abort", "pause"),
    gates: fc.constantFrom<RolloutGate[]>([], [{ metric: "errors", limit: 0.05 }], [{ metric: "p95", limit: 100 }]),
    warm: fc.constantFrom(0, 1, 2, "match" as const),
  })
  .map(({ shares: given, times, mirrors, noData, ...rest }) => {
    const timed = (step: RolloutStep, at: number): RolloutStep => {
      const forMs = times[at];
      return forMs === undefined ? step : { ...step, forMs };
    };
    const mirrored = Array.from({ length: mirrors }, () => ({ share: 2_000, mirror: true }));
    const steps = [...mirrored, ...given.toSorted((a, b) => a - b).map((share) => ({ share }))].map(timed);
    return {
      strategy: "canary" as const,
      maxMs: 120_000,
      ...rest,
      steps: [...steps, { share: 10_000, forMs: 0 }],
      ...(noData && { noData }),
    };
  });

const second = fc.record({
  calls: fc.integer({ min: 0, max: 200 }),
  failing: fc.integer({ min: 0, max: 100 }),
  p95: fc.integer({ min: 1, max: 200 }),
  ready: fc.integer({ min: 0, max: 3 }),
  problem: fc.constantFrom(undefined, undefined, undefined, "exit code 1"),
  passesMs: fc.constantFrom(1_000, 3_000, 7_000),
});

test("whatever happens, a rollout skips no step, gives back calls only by ending, and ends in time", () => {
  fc.assert(
    fc.property(settings, fc.array(second, { minLength: 125, maxLength: 125 }), (given, seconds) => {
      let state: RolloutState = {
        id: 1,
        from: "v1",
        to: "v2",
        phase: "warming",
        step: 0,
        since: 0,
        startedAt: 0,
        settings: given,
        measurements: [],
      };
      let now = 0;
      let [calls, errors] = [0, 0];
      for (const { failing, p95, ready, problem, passesMs, ...seen } of seconds) {
        now += passesMs;
        calls += seen.calls;
        errors += Math.round((seen.calls * failing) / 100);
        const measuredAt = state.measurements.at(-1)?.at ?? Number.NEGATIVE_INFINITY;
        const counts = { candidate: { calls, errors, cold: 0, p95 }, stable: { calls, errors: 0, cold: 0, p95 } };
        const sight = { candidate: { ready, problem }, stable: { ready: 2 }, counts };
        const times = { now, inPhaseMs: now - state.since, inAllMs: now, sinceMeasuredMs: now - measuredAt };
        const move = advance(state, sight, times);
        if (!move) {
          expect(!isUnderWay(state) || now < given.maxMs).toBe(true);
          continue;
        }
        expect(isUnderWay(state)).toBe(true);
        const { next } = move;
        expect([0, 1]).toContain(next.step - state.step);
        if (state.phase === "warming") expect(next.step).toBe(0);
        if (next.phase === "done") expect(next.step).toBe(given.steps.length - 1);
        if (next.phase !== "aborted") expect(candidateShare(next)).toBeGreaterThanOrEqual(candidateShare(state));
        // Only a person goes on from there.
        if (state.phase === "paused") expect(next.step).toBe(state.step);
        if (next.phase !== state.phase || next.step !== state.step)
          expect([next.reason !== undefined, next.since]).toEqual([true, now]);
        expect(next.measurements.length).toBeLessThanOrEqual(10);
        expect([next.id, next.from, next.to, next.startedAt, next.settings]).toEqual([1, "v1", "v2", 0, given]);
        if (next.step !== state.step) [calls, errors] = [0, 0];
        state = next;
      }
      expect(isUnderWay(state)).toBe(false);
    }),
    { numRuns: 60 },
  );
});
