import { describe, expect, test } from "@jest/globals";
import { parseRollout } from "../../../../contract/versions/rollout-settings.ts";
import type { RolloutState, VersionCounts } from "../../../../contract/versions/rollout-state.ts";
import { advance, holdForHook, type RolloutSight, replicasToWarm } from "../../../../gateway/core/rollout/advance.ts";

const SECOND = 1000;

/** Calls for a second, for each version. */
interface Load {
  readonly candidate?: Partial<VersionCounts>;
  readonly stable?: Partial<VersionCounts>;
}

interface Course {
  readonly settings?: Readonly<Record<string, string>>;
  /** From which second on the new version has a replica; never where it is infinite. */
  readonly readyAfter?: number;
  readonly problem?: string;
  /** What comes in the given second of a step. */
  readonly load?: (share: number) => Load;
  readonly seconds: number;
}

function begin(settings: Readonly<Record<string, string>> = {}): RolloutState {
  const annotations = Object.fromEntries(
    Object.entries(settings).map(([name, value]) => [`com.faaslane.rollout.${name}`, value]),
  );
  const parsed = parseRollout({ "com.faaslane.rollout": "canary", ...annotations });
  expect(parsed.problems).toEqual([]);
  const { settings: read } = parsed;
  return {
    id: 1,
    from: "v7",
    to: "v8",
    phase: "warming",
    step: 0,
    since: 0,
    startedAt: 0,
    settings: read,
    measurements: [],
  };
}

const NONE: VersionCounts = { calls: 0, errors: 0, cold: 0 };

function add(
  sum: VersionCounts,
  { calls = 0, errors = 0, cold = 0, ...rest }: Partial<VersionCounts> = {},
): VersionCounts {
  return { ...sum, ...rest, calls: sum.calls + calls, errors: sum.errors + errors, cold: sum.cold + cold };
}

/** Plays a rollout second by second. @returns each phase or step that it came to, with the second */
function play({ settings, readyAfter = 0, problem, load = () => ({}), seconds }: Course) {
  let state = begin(settings);
  let candidate = NONE;
  let stable = NONE;
  const log: string[] = [];
  const changes: RolloutState[] = [];
  for (let second = 1; second <= seconds; second++) {
    const now = second * SECOND;
    const counting = state.phase !== "warming";
    const share = counting ? (state.settings.steps[state.step]?.share ?? 0) / 10_000 : 0;
    const seen = load(share);
    if (counting) {
      candidate = add(candidate, seen.candidate);
      stable = add(stable, seen.stable);
    }
    const ready = second > readyAfter ? 1 : 0;
    const sight: RolloutSight = {
      candidate: { ready, problem },
      stable: { ready: 3 },
      counts: { candidate, stable },
    };
    const measuredAt = state.measurements.at(-1)?.at;
    const move = advance(state, sight, {
      now,
      inPhaseMs: now - state.since,
      inAllMs: now - state.startedAt,
      sinceMeasuredMs: measuredAt === undefined ? Number.POSITIVE_INFINITY : now - measuredAt,
    });
    if (!move) continue;
    const { next } = move;
    if (next.phase !== state.phase || next.step !== state.step) {
      log.push(`${second}: ${next.phase} ${next.step}`);
      changes.push(next);
      if (next.step !== state.step || state.phase === "warming") [candidate, stable] = [NONE, NONE];
    }
    state = next;
  }
  return { log, state, changes };
}

const good = (share: number): Load => ({
  candidate: { calls: Math.round(1000 * share), p95: 100 },
  stable: { calls: Math.round(1000 * (1 - share)), p95: 100 },
});

describe("a rollout over time", () => {
  test("a good version takes each step when its time is over, and has all calls in the end", () => {
    const { log, state } = play({
      settings: { steps: "5@10s,25@20s,50@5s,100", gate: "errors<1%,p95<1.3x" },
      readyAfter: 3,
      load: good,
      seconds: 60,
    });
    expect(log).toEqual(["4: step 0", "14: step 1", "34: step 2", "39: done 3"]);
    expect(state.reason).toBe("all conditions are kept, in 2500 calls");
    expect(state.measurements.length).toBeLessThanOrEqual(10);
  });

  test("a version that cannot start is given up for its reason, and never had a call", () => {
    const { log, state } = play({ readyAfter: Number.POSITIVE_INFINITY, problem: "exit code 3", seconds: 5 });
    expect(log).toEqual(["1: aborted 0"]);
    expect(state.reason).toBe("v8 cannot start: exit code 3");
  });

  test("one that is not ready and does not say why is waited for 600 s", () => {
    const { log, state } = play({ readyAfter: Number.POSITIVE_INFINITY, seconds: 700 });
    expect(log).toEqual(["600: aborted 0"]);
    expect(state.reason).toBe("v8 had 0 of 1 replicas ready after 10m");
  });

  test("20 % errors at a share of 5 % of 100 calls a second end it within 10 s", () => {
    const { log, state } = play({
      settings: { steps: "5@1m,100", gate: "errors<1%", "min-requests": "20" },
      load: () => ({ candidate: { calls: 5, errors: 1 }, stable: { calls: 95 } }),
      seconds: 60,
    });
    expect(log).toEqual(["1: step 0", "10: aborted 0"]);
    expect(state.reason).toMatch(/^errors are 20% of 45 calls/);
    expect(state.measurements.map(({ verdict }) => verdict)).toEqual(["bad", "bad"]);
  });

  test("one bad look is enough with ten times the calls that are needed", () => {
    const { log } = play({
      settings: { steps: "50@1m,100", gate: "errors<1%", "min-requests": "10" },
      load: () => ({ candidate: { calls: 500, errors: 100 } }),
      seconds: 10,
    });
    expect(log).toEqual(["1: step 0", "2: aborted 0"]);
  });

  test("one bad look alone is not, with fewer", () => {
    const { log } = play({
      settings: { steps: "50@1m,100", gate: "p95<500ms", "min-requests": "10" },
      load: () => ({ candidate: { calls: 1, p95: 700 } }),
      seconds: 11,
    });
    expect(log).toEqual(["1: step 0"]);
  });

  test("what gets better after a bad look goes on", () => {
    let second = 0;
    const { log } = play({
      settings: { steps: "50@30s,100", gate: "p95<500ms", "min-requests": "50" },
      load: () => ({ candidate: { calls: 60, p95: second++ < 3 ? 700 : 300 } }),
      seconds: 40,
    });
    expect(log).toEqual(["1: step 0", "31: done 1"]);
  });

  test("twice as slow as the stable version ends it", () => {
    const { log, state } = play({
      settings: { steps: "25@1m,100", gate: "p95<1.3x" },
      load: () => ({ candidate: { calls: 50, p95: 200 }, stable: { calls: 150, p95: 100 } }),
      seconds: 30,
    });
    expect(log).toEqual(["1: step 0", "12: aborted 0"]);
    expect(state.reason).toBe("p95 is 200 ms, the limit 1.3 × 100 ms of the stable version");
  });

  test("both equally slow end nothing", () => {
    const slow = { calls: 150, p95: 900 };
    const { log } = play({
      settings: { steps: "25@10s,100", gate: "p95<1.3x" },
      load: () => ({ candidate: slow, stable: slow }),
      seconds: 30,
    });
    expect(log).toEqual(["1: step 0", "11: done 1"]);
  });

  test("without any call it goes on by time, and holds before all calls until its longest time is over", () => {
    const { log, state } = play({ settings: { steps: "1@10s,5@10s,100", gate: "errors<1%", max: "5m" }, seconds: 400 });
    expect(log).toEqual(["1: step 0", "11: step 1", "21: holding 1", "300: aborted 1"]);
    expect(state.reason).toBe("it was not done within 5m");
  });

  test.each([
    ["hold", ["1: step 0", "11: holding 0"]],
    ["advance", ["1: step 0", "11: step 1", "21: done 2"]],
    ["abort", ["1: step 0", "11: aborted 0"]],
  ])("without any call `no-data` says what to do: %s", (rule, expected) => {
    expect(play({ settings: { steps: "1@10s,5@10s,100", "no-data": rule }, seconds: 60 }).log).toEqual(expected);
  });

  test("what holds for want of calls goes on once they have come", () => {
    let second = 0;
    const { log } = play({
      settings: { steps: "50@10s,100", gate: "p95<500ms" },
      load: () => ({ candidate: second++ < 30 ? {} : { calls: 10, p95: 100 } }),
      seconds: 60,
    });
    expect(log).toEqual(["1: step 0", "11: holding 0", "35: done 1"]);
  });

  test("an error of one call is chance where 50 are needed", () => {
    let second = 0;
    const { log } = play({
      settings: { steps: "5@10s,50@10s,100", gate: "errors<1%" },
      load: () => ({ candidate: second++ === 0 ? { calls: 1, errors: 1 } : {} }),
      seconds: 40,
    });
    expect(log).toEqual(["1: step 0", "11: step 1", "21: holding 1"]);
  });

  test("near the limit it holds before all calls, until many calls have shown on which side it is", () => {
    const { log, state } = play({
      settings: { steps: "50@10s,100", gate: "errors<1%" },
      load: () => ({ candidate: { calls: 10, p95: 1 } }),
      seconds: 60,
    });
    expect(log).toEqual(["1: step 0", "11: holding 0", "40: done 1"]);
    expect(state.reason).toContain("all conditions are kept");
  });

  test("a step that wants approval waits for it, and is watched while it waits", () => {
    const settings = { steps: "5@pause,100", gate: "errors<1%", "min-requests": "10" };
    const waits = play({ settings, load: good, seconds: 100 });
    expect(waits.log).toEqual(["1: paused 0"]);
    expect(waits.state.reason).toBe("5% of calls wait for approval; v8 has 1 ready replica");
    const failing = play({ settings, load: () => ({ candidate: { calls: 50, errors: 25 } }), seconds: 100 });
    expect(failing.log).toEqual(["1: paused 0", "7: aborted 0"]);
  });

  test("where it is asked for, a failure waits for a person, who is not asked twice", () => {
    const { log, state } = play({
      settings: { steps: "50@1m,100", gate: "errors<1%", "min-requests": "10", "on-fail": "pause" },
      load: () => ({ candidate: { calls: 500, errors: 100 } }),
      seconds: 300,
    });
    expect(log).toEqual(["1: step 0", "2: paused 0"]);
    expect(state.reason).toMatch(/^errors are 20%/);
  });

  test("a step without a time is over once there is something to conclude from", () => {
    const { log } = play({
      settings: { steps: "5,50,100", gate: "p95<500ms", "no-data": "hold" },
      load: good,
      seconds: 20,
    });
    expect(log).toEqual(["1: step 0", "2: step 1", "3: done 2"]);
  });

  test("a mirror step comes before the first share, and its end says so", () => {
    const { log } = play({ settings: { steps: "mirror:20@5s,10@5s,100", "no-data": "advance" }, seconds: 20 });
    expect(log).toEqual(["1: step 0", "6: step 1", "11: done 2"]);
  });

  test("all calls at once are watched for as long as their step says", () => {
    const { log } = play({
      settings: { steps: "100@1m", gate: "errors<1%", "min-requests": "10" },
      load: () => ({ candidate: { calls: 20, errors: 10 } }),
      seconds: 30,
    });
    expect(log).toEqual(["1: step 0", "7: aborted 0"]);
  });

  test("one step of all calls is done once there is a replica", () => {
    expect(play({ settings: { steps: "100" }, readyAfter: 2, seconds: 5 }).log).toEqual(["3: done 0"]);
  });

  test("replicas that all end in the middle end it", () => {
    const state: RolloutState = { ...begin(), phase: "step" };
    const sight = { candidate: { ready: 0, problem: "out of memory" }, stable: { ready: 1 } };
    const times = { now: 9, inPhaseMs: 1, inAllMs: 1, sinceMeasuredMs: 1 };
    const counts = { candidate: NONE, stable: NONE };
    expect(advance(state, { ...sight, counts }, times)?.next).toMatchObject({
      phase: "aborted",
      since: 9,
      reason: "v8 cannot start: out of memory",
    });
  });

  test.each([
    ["5@pause,25@pause,100", 1, { phase: "paused", step: 1, reason: "25% of calls wait for approval; fine" }],
    ["5@pause,100", 1, { phase: "done", step: 1, reason: "fine" }],
  ])("after an approval %s is neither stuck nor gone on for want of calls", (steps, step, expected) => {
    const state: RolloutState = { ...begin({ steps, "no-data": "hold" }), phase: "step", step, reason: "fine" };
    const sight = { candidate: { ready: 1 }, stable: { ready: 1 }, counts: { candidate: NONE, stable: NONE } };
    const times = { now: 9, inPhaseMs: 1, inAllMs: 1, sinceMeasuredMs: 1 };
    expect(advance(state, sight, times)?.next).toMatchObject(expected);
  });

  test.each(["done", "aborted", "superseded"] as const)("one that is %s stays so", (phase) => {
    const sight = {
      candidate: { ready: 0, problem: "x" },
      stable: { ready: 0 },
      counts: { candidate: NONE, stable: NONE },
    };
    const times = { now: 1e12, inPhaseMs: 1e12, inAllMs: 1e12, sinceMeasuredMs: 1e12 };
    expect(advance({ ...begin(), phase }, sight, times)).toBeUndefined();
  });
});

test.each([
  ["1", 8, 1],
  ["3", 8, 3],
  ["0", 8, 0],
  ["match", 8, 2],
  ["match", 0, 1],
])("with warm: %s beside %d replicas the new version needs %d", (warm, stable, needed) => {
  expect(replicasToWarm(begin({ steps: "25@1m,100", warm }), stable)).toBe(needed);
});

test("a hook that says no holds a step, and is written down once", () => {
  const times = { now: 7, inPhaseMs: 1, inAllMs: 1, sinceMeasuredMs: 1 };
  const held = holdForHook({ ...begin(), phase: "step" }, "status 403", times);
  expect(held).toMatchObject({ phase: "holding", since: 7, reason: "the hook holds it: status 403" });
  expect(holdForHook(held as RolloutState, "status 403", times)).toBeUndefined();
  expect(holdForHook(begin(), "status 403", times)).toMatchObject({ phase: "warming", since: 0 });
});
