import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { parseScalePolicy, type ScalePolicy } from "../../../../contract/scale-policy.ts";
import type { Decision, ScaleInput } from "../../../../gateway/core/scaling/decision.ts";
import { excessBurstCapacity, replicasFor } from "../../../../gateway/core/scaling/desired-replicas.ts";
import { FunctionScaler } from "../../../../gateway/core/scaling/function-scaler.ts";

const SECOND = 1000;
const START = 1_700_000_000_000;

function policyOf(changes: Partial<ScalePolicy> = {}): ScalePolicy {
  const { policy } = parseScalePolicy({ "com.openfaas.scale.type": "capacity" });
  return { ...policy, downDelayMs: 0, upProportion: 1, downProportion: 1, max: 1000, ...changes };
}

/** A function with a clock of its own: each step is a second of load, a decision every other one. */
class Simulated {
  readonly scaler: FunctionScaler;
  readonly policy: ScalePolicy;
  now = START;
  replicas: number;
  ready: number;
  lastBusyAt = START;
  decision: Decision | undefined;

  constructor(policy: ScalePolicy, replicas = 1) {
    this.policy = policy;
    this.scaler = new FunctionScaler(policy);
    this.replicas = replicas;
    this.ready = replicas;
  }

  decide(changes: Partial<ScaleInput> = {}): Decision {
    this.decision = this.scaler.decide({
      now: this.now,
      policy: this.policy,
      replicas: this.replicas,
      ready: this.ready,
      held: 0,
      busy: false,
      lastBusyAt: this.lastBusyAt,
      ...changes,
    });
    return this.decision;
  }

  /** @returns the replicas wanted after each tick */
  run(seconds: number, load: (second: number) => number): number[] {
    const wanted: number[] = [];
    for (let second = 0; second < seconds; second++) {
      this.now += SECOND;
      const value = load(second);
      if (value > 0) this.lastBusyAt = this.now;
      this.scaler.record(this.now, value);
      if (second % 2 === 1) {
        this.replicas = this.decide({ busy: value > 0 }).replicas;
        this.ready = this.replicas;
        wanted.push(this.replicas);
      }
    }
    return wanted;
  }
}

describe("the formula, as OpenFaaS documents it", () => {
  test.each<[load: number, target: number, proportion: number, wanted: number]>([
    [15, 5, 1, 3],
    [25, 5, 1, 5],
    [0, 5, 1, 0],
    [90, 100, 0.7, 2],
    [15, 5, 0.9, 4],
    [4.5, 5, 0.9, 1],
    [9, 5, 0.9, 2],
  ])("load %d with target %d at %d wants %d", (load, target, proportion, wanted) => {
    expect(replicasFor(load, { target }, proportion)).toBe(wanted);
  });

  test.each<[load: number, replicas: number, wanted: number]>([
    [15, 1, 3],
    [25, 3, 5],
    [0, 1, 1],
  ])("load %d on %d replicas with target 5 comes to %d", (load, replicas, wanted) => {
    const f = new Simulated(policyOf({ target: 5 }), replicas);
    f.scaler.record(f.now, load);
    expect(f.decide().replicas).toBe(wanted);
  });
});

describe("the vectors of Knative's autoscaler", () => {
  /** One that has watched long enough to know no more than it is given. */
  function watched(policy: ScalePolicy, replicas: number, load: number): Simulated {
    const f = new Simulated(policy, 1);
    f.decide();
    for (let second = 0; second < 120; second++) {
      f.now += SECOND;
      f.scaler.record(f.now, load);
    }
    f.replicas = replicas;
    f.ready = replicas;
    return f;
  }

  test("without load it halves at each tick", () => {
    const f = watched(policyOf({ target: 1 }), 4, 0);
    expect(f.run(6, () => 0)).toEqual([2, 1, 1]);
    expect(f.decision?.reason).toBe("min");
  });

  test("concurrency 10 at 70 %, load 50 on 3 replicas wants 8", () => {
    expect(watched(policyOf({ target: 10, upProportion: 0.7, downProportion: 0.7 }), 3, 50).decide().replicas).toBe(8);
  });

  test("the rate up is limited", () => {
    const decision = watched(policyOf({ target: 1, upRate: 1.1 }), 2, 3).decide();
    expect(decision).toMatchObject({ replicas: 3, panic: false });
  });

  test("any wish for two on one replica is a panic", () => {
    const f = new Simulated(policyOf({ target: 70 }));
    f.decide();
    f.run(30, () => 0);
    expect(f.decide().panic).toBe(false);
    f.now += SECOND;
    f.scaler.record(f.now, 139 * 3); // 139 on average over the 3 s of the panic window
    expect(f.decide()).toMatchObject({ panic: true, replicas: 2, panicLoad: 139 });
  });

  test("in a panic the number never falls", () => {
    const f = new Simulated(policyOf({ target: 1 }));
    f.decide();
    const [, , third] = f.run(6, () => 7);
    expect(third).toBe(7);
    f.run(4, () => 4);
    expect(f.decision).toMatchObject({ panic: true, replicas: 7, reason: "panic" });
  });

  test("who begins with 6 replicas and no load keeps them for a whole window", () => {
    const f = new Simulated(policyOf({ target: 1 }), 6);
    const wanted = f.run(40, () => 0);
    expect(wanted.slice(0, 15)).toEqual(new Array(15).fill(6));
    expect(wanted.slice(16, 20)).toEqual([3, 1, 1, 1]);
  });

  test("excess burst capacity", () => {
    expect(excessBurstCapacity(4, 150.5, { target: 100, burst: 200 })).toBe(49);
  });
});

describe("zero", () => {
  const sleepy = policyOf({ zero: true, zeroDurationMs: 60_000, target: 5 });

  test("it sleeps after its time without a call, not before", () => {
    const f = new Simulated(sleepy);
    f.run(2, () => 1);
    expect(f.run(58, () => 0).at(-1)).toBe(1);
    expect(f.run(2, () => 0).at(-1)).toBe(0);
    expect(f.decision).toMatchObject({ replicas: 0, reason: "idle" });
    expect(f.run(2, () => 0).at(-1)).toBe(0);
    expect(f.decision?.reason).toBe("asleep");
  });

  test.each<[why: string, changes: Partial<ScaleInput>]>([
    ["something is under way", { busy: true }],
    ["its load is not known", { unknownLoad: "the provider is away" }],
    ["there may be more load", { partialLoad: "a gateway is silent" }],
    ["its schedule wants it", { scheduled: { min: 1 } }],
    ["a call is likely", { prewarm: true }],
  ])("it stays awake when %s", (_why, changes) => {
    const f = new Simulated(sleepy);
    f.run(2, () => 1);
    f.now += 3600 * SECOND;
    f.scaler.record(f.now, 0);
    expect(f.decide(changes).replicas).toBe(1);
  });

  test("a function that may not sleep does not", () => {
    const f = new Simulated(policyOf({ target: 5 }));
    expect(f.run(4000, () => 0).at(-1)).toBe(1);
  });

  test.each<[held: number, changes: Partial<ScalePolicy>, wanted: number, reason: string]>([
    [1, {}, 1, "woken"],
    [23, {}, 5, "woken"],
    [1, { min: 3 }, 3, "min"],
    [1, { activation: 4 }, 4, "activation"],
    [500, { max: 8 }, 8, "max"],
  ])("%d held calls wake it: %j → %d", (held, changes, wanted, reason) => {
    const f = new Simulated({ ...sleepy, ...changes }, 0);
    expect(f.decide({ held })).toMatchObject({ replicas: wanted, reason });
  });

  test("min alone does not wake it; a schedule and experience do", () => {
    const f = new Simulated({ ...sleepy, min: 3 }, 0);
    expect(f.decide().replicas).toBe(0);
    expect(f.decide({ scheduled: { min: 4 } }).replicas).toBe(4);
    expect(f.decide({ prewarm: true }).replicas).toBe(3);
  });
});

describe("bounds", () => {
  test("a schedule raises the floor and may raise the ceiling", () => {
    const f = new Simulated(policyOf({ target: 1, max: 5 }), 1);
    f.scaler.record(f.now, 9);
    expect(f.decide({ scheduled: { min: 3 } }).replicas).toBe(5);
    expect(f.decide({ scheduled: { min: 3, max: 8 } })).toMatchObject({ replicas: 8, reason: "max" });
    f.now += 100 * SECOND;
    f.scaler.record(f.now, 0);
    expect(f.decide({ scheduled: { min: 3, max: 8 } })).toMatchObject({ replicas: 3, reason: "schedule" });
  });

  test("equal bounds are static, whatever the load", () => {
    const f = new Simulated(policyOf({ target: 1, min: 2, max: 2 }), 2);
    f.scaler.record(f.now, 50);
    expect(f.decide()).toMatchObject({ replicas: 2, reason: "static" });
  });

  test("a function begins with its initial replicas, once", () => {
    const f = new Simulated(policyOf({ target: 1, initial: 4 }), 1);
    f.ready = 0;
    f.scaler.record(f.now, 0);
    expect(f.decide()).toMatchObject({ replicas: 4, reason: "initial" });
    f.replicas = 4;
    f.ready = 4;
    f.decide();
    expect(f.run(80, () => 0).at(-1)).toBe(1);
  });

  test("without data, and blind, what there is stays", () => {
    const f = new Simulated(policyOf({ target: 1 }), 7);
    expect(f.decide()).toMatchObject({ replicas: 7, reason: "no-data" });
    f.scaler.record(f.now, 0);
    expect(f.decide({ unknownLoad: "a gateway is away" })).toMatchObject({ replicas: 7, reason: "load-unknown" });
  });
});

describe("steadiness", () => {
  test("a load between the thresholds changes nothing", () => {
    const policy = policyOf({ target: 10, upProportion: 0.9, downProportion: 0.5 });
    const f = new Simulated(policy, 1);
    f.run(60, () => 22);
    expect(f.replicas).toBe(3);
    // 3 replicas: more above 27, fewer below 10 (two carry that at 0.5).
    const wanted = f.run(300, (second) => 11 + (second % 6));
    expect(new Set(wanted)).toEqual(new Set([3]));
    expect(f.decision?.steps.some(({ reason }) => reason === "hysteresis")).toBe(true);
  });

  test("a tenfold step is followed within six seconds", () => {
    const f = new Simulated(policyOf({ target: 5, upProportion: 0.9, downProportion: 0.9 }));
    f.run(60, () => 4);
    expect(f.replicas).toBe(1);
    expect(f.run(6, () => 40).at(-1)).toBe(9);
  });

  test("a higher wish waits for its delay, unless it is a burst", () => {
    const f = new Simulated(policyOf({ target: 1, upDelayMs: 20_000 }), 4);
    f.run(60, () => 4);
    const wanted = f.run(40, () => 5);
    expect(wanted.indexOf(5)).toBeGreaterThanOrEqual(9);
    expect(f.replicas).toBe(5);
    expect(f.run(8, () => 15).at(-1)).toBe(15);
  });
});

describe("for any load", () => {
  const loads = fc.array(fc.double({ min: 0, max: 300, noNaN: true }), { minLength: 10, maxLength: 120 });

  test("the number stays within its bounds, and each decision tells its steps", () => {
    fc.assert(
      fc.property(loads, fc.integer({ min: 1, max: 10 }), fc.integer({ min: 10, max: 30 }), (list, min, max) => {
        const f = new Simulated(policyOf({ target: 3, min, max }), min);
        for (const wanted of f.run(list.length, (second) => list[second] as number)) {
          expect(wanted).toBeGreaterThanOrEqual(min);
          expect(wanted).toBeLessThanOrEqual(max);
        }
        expect(f.decision?.steps.at(-1)?.replicas).toBe(f.decision?.replicas);
      }),
    );
  });

  test("more load never means fewer replicas", () => {
    fc.assert(
      fc.property(loads, fc.double({ min: 0, max: 50, noNaN: true }), (list, more) => {
        const a = new Simulated(policyOf({ target: 3, downRate: 1e9 }));
        const b = new Simulated(policyOf({ target: 3, downRate: 1e9 }));
        const wantedA = a.run(list.length, (second) => list[second] as number);
        const wantedB = b.run(list.length, (second) => (list[second] as number) + more);
        wantedB.forEach((wanted, i) => {
          expect(wanted).toBeGreaterThanOrEqual(wantedA[i] as number);
        });
      }),
    );
  });

  test("noise within the down-delay does not make it flap", () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 10, max: 30, noNaN: true }), { minLength: 120, maxLength: 120 }),
        (noise) => {
          const f = new Simulated(policyOf({ target: 5, downDelayMs: 60_000 }), 1);
          f.run(60, () => 20);
          const wanted = f.run(noise.length, (second) => noise[second] as number);
          const falls = wanted.filter((count, i) => i > 0 && count < (wanted[i - 1] as number)).length;
          expect(falls).toBeLessThanOrEqual(2);
        },
      ),
    );
  });

  test("with a part of the load it never falls, and rises as by itself", () => {
    fc.assert(
      fc.property(loads, fc.integer({ min: 1, max: 10 }), (list, replicas) => {
        const policy = policyOf({ target: 3, zero: true, zeroDurationMs: 1000 });
        const [part, whole] = [new Simulated(policy, replicas), new Simulated(policy, replicas)];
        for (const load of list) {
          for (const f of [part, whole]) {
            f.now += SECOND;
            f.scaler.record(f.now, load);
          }
          const { replicas: wanted } = part.decide({ partialLoad: "a gateway is silent" });
          expect(wanted).toBeGreaterThanOrEqual(Math.max(replicas, whole.decide().replicas));
        }
      }),
    );
  });

  test("blind, it never falls", () => {
    fc.assert(
      fc.property(loads, fc.integer({ min: 1, max: 50 }), (list, replicas) => {
        const f = new Simulated(policyOf({ target: 3, zero: true, zeroDurationMs: 1000 }), replicas);
        for (const load of list) {
          f.now += SECOND;
          f.scaler.record(f.now, load);
          expect(f.decide({ unknownLoad: "away" }).replicas).toBeGreaterThanOrEqual(replicas);
        }
      }),
    );
  });
});

describe("a number set by hand", () => {
  const policy = policyOf({ target: 1, windowMs: 30_000, downDelayMs: 20_000, max: 20 });

  /** One that has watched a steady load for long, and is then set to `replicas`. */
  function setTo(replicas: number, load: number, changes: Partial<ScalePolicy> = {}) {
    const f = new Simulated({ ...policy, ...changes }, Math.max(1, load));
    f.run(120, () => load);
    const byHand = { at: f.now, replicas, before: f.replicas };
    f.replicas = replicas;
    f.ready = replicas;
    const run = (seconds: number, loadNow = load) => {
      const wanted: number[] = [];
      for (let second = 0; second < seconds; second++) {
        f.now += SECOND;
        if (loadNow > 0) f.lastBusyAt = f.now;
        f.scaler.record(f.now, loadNow);
        if (second % 2 === 0) continue;
        f.replicas = f.decide({ busy: loadNow > 0, byHand }).replicas;
        f.ready = f.replicas;
        wanted.push(f.replicas);
      }
      return wanted;
    };
    return { f, run };
  }

  test("stands for a window and the delay, then goes as any other; the step says so", () => {
    const { f, run } = setTo(3, 0);
    expect(new Set(run(28))).toEqual(new Set([3]));
    expect(f.decision).toMatchObject({ replicas: 3, reason: "by-hand" });
    expect(f.decision?.steps.at(-1)?.text).toBe("scaled by hand to 3, which holds for 2 s more");
    expect(new Set(run(20))).toEqual(new Set([3]));
    expect(f.decision?.reason).toBe("down-delay");
    expect(run(10).at(-1)).toBe(1);
  });

  test("keeps a function awake that would sleep", () => {
    const { run } = setTo(2, 0, { zero: true, zeroDurationMs: 10_000 });
    expect(new Set(run(48))).toEqual(new Set([2]));
    expect(run(6).at(-1)).toBe(0);
  });

  test("gives way to load that needs more", () => {
    const { run } = setTo(3, 1);
    expect(run(6).at(-1)).toBe(3);
    expect(run(10, 8).at(-1)).toBe(8);
  });

  test("that is less stands against the load that there was, not against more", () => {
    const { f, run } = setTo(2, 5);
    expect(new Set(run(28))).toEqual(new Set([2]));
    expect(f.decision?.reason).toBe("by-hand");
    expect(run(6).at(-1)).toBe(5);
    const more = setTo(2, 5);
    expect(more.run(4).at(-1)).toBe(2);
    expect(more.run(10, 9).at(-1)).toBeGreaterThan(5);
  });

  test.each<[rule: string, replicas: number, changes: Partial<ScalePolicy>, expected: number, reason: string]>([
    ["max", 50, {}, 20, "max"],
    ["min", 1, { min: 2 }, 2, "min"],
    ["a fixed number", 3, { min: 2, max: 2 }, 2, "static"],
  ])("does not go beyond %s", (_rule, replicas, changes, expected, reason) => {
    const { f, run } = setTo(replicas, 0, changes);
    expect(run(2)).toEqual([expected]);
    expect(f.decision?.reason).toBe(reason);
  });

  test("stands while nothing is known of the load", () => {
    const { f } = setTo(3, 0);
    const byHand = { at: f.now, replicas: 3, before: 1 };
    expect(f.decide({ byHand, unknownLoad: "no Prometheus", replicas: 1 }).replicas).toBe(3);
  });

  test("0 is sleep, which calls end", () => {
    const { f } = setTo(0, 0);
    expect(f.decide({ replicas: 0, held: 1, busy: true }).reason).toBe("woken");
  });
});
