import { afterEach, beforeEach, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { DeliveredCall, SettlementMessage, ToWorker } from "../../../../gateway/queue/embedded/protocol.ts";
import type { Hold } from "../../../../gateway/queue/worker/call-slots.ts";
import { packBodies } from "../../../../kit/pack-bodies.ts";
import { Bench, nameOf, names, SETTINGS } from "./bench.ts";

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});
afterEach(() => bench.store.close());

const only = (calls: readonly DeliveredCall[]): DeliveredCall => {
  expect(calls).toHaveLength(1);
  return calls[0] as DeliveredCall;
};

test("the first call of an idle function is given out with its acceptance, unasked; a second one is claimed", () => {
  bench.consume();
  const answersOf = (...calls: string[]) => {
    bench.engine.handle([batchOf(calls)]);
    return bench.said.splice(0).flatMap((message) => (message.kind === "deliver" ? [message] : []));
  };
  const batchOf = (calls: string[]): ToWorker => ({
    kind: "batch",
    batch: 1,
    calls: calls.map((id) => ({ key: "fn", acceptedAt: 1, meta: `{"name":"${id}"}`, bodyAt: 0, bodyBytes: 0 })),
    bodies: packBodies([]),
    settlements: [],
    claims: [],
  });
  const [first] = answersOf("a");
  expect(first?.found).toEqual([]);
  expect(first?.answers).toMatchObject([{ key: "fn", isOffer: true, missed: 0 }]);
  expect(names(first?.answers[0]?.calls ?? [])).toEqual(["a"]);
  const [second] = answersOf("b", "c");
  expect(second?.found).toEqual(["fn"]);
  expect(names(second?.answers.flatMap(({ calls }) => calls) ?? [])).toEqual(["b"]);
  // It is known to have calls now, so more of them are no news.
  expect(answersOf("d")).toEqual([]);
});

test("a call for which there is no room is handed back, and comes in its order", () => {
  bench.consume(1, 1);
  bench.publish("busy", "other");
  const busy = only(bench.delivered());
  bench.publish("a");
  bench.publish("b");
  expect(bench.delivered()).toEqual([]);
  expect(bench.stats()).toMatchObject({ waiting: 2, inFlight: 1 });
  bench.settle({ seq: busy.seq, kind: "done" });
  const a = only(bench.delivered());
  expect([nameOf(a), a.attempt]).toEqual(["a", 1]);
  bench.settle({ seq: a.seq, kind: "done" });
  expect(names(bench.delivered())).toEqual(["b"]);
});

test("a retry is delivered when it is due and not before", () => {
  bench.publish("a");
  bench.consume();
  const { seq, attempt } = only(bench.delivered());
  expect(attempt).toBe(1);
  bench.settle({ seq, kind: "retry", afterMs: 10_000 });
  expect(bench.engine.sleepMs).toBe(10_000);
  bench.now += 9_999;
  bench.handle();
  expect(bench.delivered()).toEqual([]);
  expect(bench.engine.sleepMs).toBe(1);
  bench.now += 1;
  bench.handle();
  expect(only(bench.delivered()).attempt).toBe(2);
  expect(bench.engine.sleepMs).toBeUndefined();
});

test("a retry is delivered though the clock is set back after it was due and had no place", () => {
  bench.publish("a");
  bench.publish("b");
  bench.consume(10, 1);
  const a = only(bench.delivered());
  bench.settle({ seq: a.seq, kind: "retry", afterMs: 100 });
  const b = only(bench.delivered());
  expect(nameOf(b)).toBe("b");
  bench.now += 200;
  bench.handle();
  bench.now -= 10_000;
  bench.settle({ seq: b.seq, kind: "done" });
  expect(bench.delivered()).toEqual([]);
  expect(bench.engine.sleepMs).toBe(9_900);
  bench.now += 9_900;
  bench.handle();
  const again = only(bench.delivered());
  expect([nameOf(again), again.attempt]).toEqual(["a", 2]);
});

test("an attempt that a crash cut off is not counted", () => {
  bench.publish("a");
  bench.consume();
  const { seq } = only(bench.delivered());
  bench.settle({ seq, kind: "retry", afterMs: 0 });
  expect(only(bench.delivered()).attempt).toBe(2);
  bench.restart();
  bench.consume();
  expect(only(bench.delivered()).attempt).toBe(2);
});

test("a call under way too often when the process died is dead; others are not harmed", () => {
  bench.publish("poison");
  for (let crash = 0; crash < 3; crash++) {
    bench.consume();
    expect(names(bench.delivered())).toContain("poison");
    bench.restart();
  }
  bench.publish("other");
  bench.consume();
  expect(names(bench.delivered())).toEqual(["other"]);
  expect(bench.stats()).toMatchObject({ waiting: 0, inFlight: 1, dead: 1 });
});

test("an orderly stop interrupts nothing", () => {
  bench.publish("a");
  for (let stop = 0; stop < 10; stop++) {
    bench.consume();
    const { seq } = only(bench.delivered());
    bench.handle({ kind: "pause" });
    bench.settle({ seq, kind: "back" });
    expect(bench.said.at(-1)).toEqual({ kind: "idle" });
    bench.restart();
  }
  expect(bench.stats()).toMatchObject({ waiting: 1, dead: 0 });
});

test("calls handed back keep their place in the order", () => {
  for (const id of ["a", "b", "c", "d"]) bench.publish(id);
  bench.consume(2, 2);
  const [a, b] = bench.delivered();
  bench.settle({ seq: a?.seq as number, kind: "back" });
  expect(names(bench.delivered())).toEqual(["a"]);
  bench.settle({ seq: b?.seq as number, kind: "done" });
  expect(names(bench.delivered())).toEqual(["c"]);
});

test("settlements that the disk refuses keep their places and are made good later", () => {
  for (const id of ["a", "b", "c"]) bench.publish(id);
  bench.consume(1, 1);
  const { seq } = only(bench.delivered());
  bench.store.refusals = 3;
  bench.settle({ seq, kind: "done" });
  expect(bench.delivered()).toEqual([]);
  expect(bench.stats()).toMatchObject({ waiting: 1, inFlight: 1 });
  expect(names(bench.delivered())).toEqual(["b"]);
  expect(bench.said.some((message) => message.kind === "log" && message.message === "the queue cannot store")).toBe(
    true,
  );
});

test("a disk that refuses is asked again after a second", () => {
  bench.publish("a");
  bench.store.refusals = 3;
  bench.consume();
  expect(bench.delivered()).toEqual([]);
  expect(bench.engine.sleepMs).toBe(1000);
  bench.handle();
  expect(names(bench.delivered())).toEqual(["a"]);
  expect(bench.engine.sleepMs).toBeUndefined();
});

test("when not even old calls can be settled the reserve is given up for them, and new calls are refused", () => {
  for (const id of ["a", "b"]) bench.publish(id);
  bench.consume(1, 1);
  const { seq } = only(bench.delivered());
  bench.store.refusals = 1;
  bench.settle({ seq, kind: "done" });
  // The second try of the same transaction went well: there was no need for the reserve.
  expect(bench.spare.held).toBe(true);
  const b = only(bench.delivered());
  bench.store.refusals = 2;
  bench.settle({ seq: b.seq, kind: "done" });
  expect(bench.spare.held).toBe(false);
  expect(bench.stats()).toMatchObject({ waiting: 0, inFlight: 0 });
  expect(bench.publish("c")).toBeUndefined();
  bench.spare.held = true;
  expect(bench.publish("c")).toBeDefined();
});

const finish = (seq: number | undefined, result?: string) => {
  const { seq: delivered } = only(bench.delivered());
  expect(delivered).toBe(seq);
  const body = result === undefined ? undefined : Buffer.from(result);
  const outcome = { status: 200, durationMs: 1, ...(body && { result: { headers: "[]", body } }) };
  bench.settle({ seq: delivered, kind: "done", outcome });
};

const find = (seq: number | undefined) => bench.ask({ kind: "find", of: { seq: seq as number } });

test("what became of a call is forgotten after its time, and its names with it", () => {
  const seq = bench.publish("a", "fn", { callId: "mine", idempotencyKey: "k", print: "p" });
  bench.consume();
  finish(seq);
  expect(bench.engine.sleepMs).toBe(60_000);
  bench.now += 59_999;
  bench.handle();
  expect(find(seq)).toMatchObject({ state: "done", status: 200, callId: "mine" });
  expect(bench.publish("again", "fn", { idempotencyKey: "k", print: "p" })).toBe(seq);
  bench.now += 1;
  bench.handle();
  expect(find(seq)).toBeUndefined();
  expect(bench.ask({ kind: "find", of: { callId: "mine" } })).toBeUndefined();
  expect(bench.publish("anew", "fn", { idempotencyKey: "k", print: "p" })).not.toBe(seq);
});

test("no more calls that have ended are known than allowed, the latest", () => {
  bench.store.close();
  bench = new Bench({ ...SETTINGS, maxFinished: 3 });
  bench.consume();
  const places = ["a", "b", "c", "d", "e"].map((name) => {
    const seq = bench.publish(name);
    finish(seq);
    bench.now++;
    return seq;
  });
  bench.handle();
  expect(places.map((seq) => find(seq)?.state)).toEqual([undefined, undefined, "done", "done", "done"]);
  bench.restart();
  expect(places.map((seq) => find(seq)?.state)).toEqual([undefined, undefined, "done", "done", "done"]);
});

test("no more bytes of results are kept than allowed, and calls are known without them", () => {
  bench.store.close();
  bench = new Bench({ ...SETTINGS, maxFinishedBytes: 2500 });
  bench.consume();
  const places = ["a", "b", "c"].map((name) => {
    const seq = bench.publish(name);
    finish(seq, name.repeat(1000));
    return seq as number;
  });
  bench.handle();
  expect(find(places[0])).toMatchObject({ state: "done", status: 200 });
  expect(find(places[0])).not.toHaveProperty("resultUntil");
  const results = places.map((seq) => bench.ask({ kind: "result", of: { seq } })?.result?.body.length);
  expect(results).toEqual([undefined, 1000, 1000]);
});

test("a full disk costs results, not what became of calls", () => {
  bench.consume(10, 1);
  const first = bench.publish("a");
  finish(first, "result");
  const second = bench.publish("b");
  bench.spare.held = false;
  finish(second, "result");
  expect(find(first)).toMatchObject({ state: "done" });
  expect(find(second)).toMatchObject({ state: "done" });
  expect(bench.ask({ kind: "result", of: { seq: first as number } })?.result).toBeUndefined();
});

test("a call whose time passes is ended then, though its function takes none", () => {
  bench.consume(10, 0);
  const seq = bench.publish("a", "fn", { notAfter: bench.now + 5000 });
  expect(find(seq)?.state).toBe("waiting");
  expect(bench.engine.sleepMs).toBe(5001);
  bench.now += 5001;
  bench.handle();
  expect(find(seq)).toMatchObject({ state: "expired", attempts: 0, finishedAt: bench.now });
  expect(bench.stats()).toMatchObject({ waiting: 0, inFlight: 0, dead: 0 });
});

test("a call whose time passes while it waits for its retry is ended then", () => {
  bench.consume();
  const seq = bench.publish("a", "fn", { notAfter: bench.now + 5000 }) as number;
  only(bench.delivered());
  bench.now += 100;
  bench.settle({ seq, kind: "retry", afterMs: 60_000, outcome: { status: 503, durationMs: 1 } });
  expect(bench.engine.sleepMs).toBe(4901);
  bench.now += 4901;
  bench.handle();
  expect(find(seq)).toMatchObject({ state: "expired", attempts: 1, status: 503 });
});

test("a call whose end is to be told is delivered though its time has passed", () => {
  bench.consume();
  bench.publish("a", "fn", { notAfter: bench.now - 1, tellExpiry: true });
  const { seq } = only(bench.delivered());
  bench.settle({ seq, kind: "expired" });
  expect(find(seq)).toMatchObject({ state: "expired", attempts: 0 });
});

test("a cancelled call keeps its place until what tries it has ended, also over a restart", () => {
  bench.consume(1, 1);
  const a = bench.publish("a") as number;
  only(bench.delivered());
  bench.publish("b");
  expect(bench.ask({ kind: "cancel", of: { seq: a } })).toBe("running");
  expect(bench.said).toContainEqual({ kind: "abort", calls: [a] });
  expect(bench.delivered()).toEqual([]);
  expect(bench.stats()).toMatchObject({ waiting: 1, inFlight: 0 });
  bench.settle({ seq: a, kind: "done", outcome: { status: 200, durationMs: 1 } });
  expect(names(bench.delivered())).toEqual(["b"]);
  expect(find(a)).toMatchObject({ state: "cancelled" });
  bench.restart();
  expect(find(a)).toMatchObject({ state: "cancelled" });
});

test("what is known of members goes with their batch", () => {
  bench.consume(10, 10);
  const whole = bench.publish("whole", "fn", { wholeSize: 2 }) as number;
  only(bench.delivered());
  const members = [0, 1].map((index) => bench.publish(`m${index}`, "fn", { member: { whole, index } }) as number);
  expect(names(bench.delivered())).toEqual(["m0", "m1"]);
  bench.settle({ seq: whole, kind: "done" });
  bench.settle({ seq: members[0] as number, kind: "done" });
  bench.now += 3_600_000;
  bench.handle();
  expect(find(whole)).toMatchObject({ state: "running", batch: { size: 2, done: 1 } });
  expect(find(members[0])).toMatchObject({ state: "done" });
  bench.settle({ seq: members[1] as number, kind: "done" });
  expect(bench.said.at(-1)).toMatchObject({ kind: "tell", batches: [{ seq: whole, progress: { done: 2 } }] });
  bench.settle({ seq: whole, kind: "told" });
  expect(find(whole)).toMatchObject({ state: "done", batch: { size: 2, done: 2 } });
  bench.now += 60_000;
  bench.handle();
  for (const seq of [whole, ...members]) expect(find(seq)).toBeUndefined();
  expect(bench.store.history.count()).toEqual({ count: 0, bytes: 0 });
});

test("a batch whose lines are not all queued when that is said to be done is dead", () => {
  bench.consume(10, 10);
  const whole = bench.publish("whole", "fn", { wholeSize: 3 }) as number;
  const member = bench.publish("m0", "fn", { member: { whole, index: 0 } }) as number;
  bench.settle({ seq: whole, kind: "done" });
  expect(find(whole)).toMatchObject({ state: "dead", reason: "only 1 of 3 lines were queued" });
  expect(find(member)).toMatchObject({ state: "cancelled" });
  expect(bench.publish("m1", "fn", { member: { whole, index: 1 } })).toBeUndefined();
});

test.each<SettlementMessage["kind"]>(["retry", "back"])(
  "a batch that is begun again in the commit that ended its last attempt (%s) stays one",
  (kind) => {
    bench.consume(10, 10);
    const whole = bench.publish("whole", "fn", { wholeSize: 1 }) as number;
    only(bench.delivered());
    bench.settle({ seq: whole, kind, afterMs: 0 } as SettlementMessage);
    expect(names(bench.delivered())).toEqual(["whole"]);
    const member = bench.publish("m0", "fn", { member: { whole, index: 0 } }) as number;
    bench.settle({ seq: whole, kind: "done" });
    expect(find(whole)).toMatchObject({ state: "running", batch: { size: 1, cancelled: 0 } });
    bench.settle({ seq: member, kind: "done" });
    expect(bench.said.at(-1)).toMatchObject({ kind: "tell", batches: [{ seq: whole, progress: { done: 1 } }] });
  },
);

test("a call whose delay is over when it is stored is delivered at once, whatever was due meanwhile", () => {
  bench.consume();
  bench.publish("other", "other", { notBefore: bench.now + 100 });
  const notBefore = bench.now + 50;
  bench.now += 1000;
  bench.handle();
  expect(names(bench.delivered())).toEqual(["other"]);
  bench.publish("late", "fn", { notBefore });
  expect(names(bench.delivered())).toEqual(["late"]);
});

test("calls that expire together hold up others for a moment at most", () => {
  const crowd = 3000;
  const limits = { ...SETTINGS.limits, calls: crowd, functionCalls: crowd };
  const run = new Bench({ ...SETTINGS, limits, maxFinished: 2 * crowd });
  for (let i = 0; i < crowd; i++) run.publish(`call-${i}`, "fn", { notAfter: run.now + 1000 });
  run.now += 2000;
  run.consume();
  for (let ended = 0; ; run.handle()) {
    const now = run.store.history.count().count;
    expect(now).toBeGreaterThan(ended);
    // The function's limit is asked for, so the first time makes two commits.
    expect(now - ended).toBeLessThanOrEqual(2000);
    ended = now;
    if (ended === crowd) break;
    expect(run.engine.sleepMs).toBe(0);
  }
  expect(run.delivered()).toEqual([]);
  run.store.close();
});

test("a replayed member does not take its batch's name", () => {
  bench.consume(10, 10);
  const whole = bench.publish("whole", "fn", { wholeSize: 1, callId: "mine" }) as number;
  bench.publish("m0", "fn", { member: { whole, index: 0 }, callId: "mine" });
  const [, member] = bench.delivered();
  bench.settle({ seq: whole, kind: "done" });
  bench.settle({ seq: member?.seq as number, kind: "dead", reason: "test" });
  bench.settle({ seq: whole, kind: "told" });
  expect(bench.ask({ kind: "replay", filter: {}, after: 0 })).toMatchObject({ count: 1 });
  expect(names(bench.delivered())).toEqual(["m0"]);
  expect(bench.ask({ kind: "find", of: { callId: "mine" } })).toMatchObject({ seq: whole });
});

type Ending = "done" | "retry" | "dead" | "expired" | "back";

type Step =
  | { readonly kind: "publish"; readonly key: string; readonly delayMs: number | null }
  | { readonly kind: "end"; readonly which: number; readonly how: Ending; readonly afterMs: number }
  | { readonly kind: "slots"; readonly which: number; readonly hold: Hold }
  | { readonly kind: "cancel"; readonly which: number }
  | { readonly kind: "advance"; readonly ms: number }
  | { readonly kind: "refuse"; readonly times: number }
  | { readonly kind: "crash" };

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("publish" as const),
      key: fc.constantFrom("a", "b", "c"),
      // Over by the time that the call is stored, if it took long to arrive.
      delayMs: fc.option(fc.integer({ min: -60, max: 60 })),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("end" as const),
      which: fc.nat(20),
      how: fc.constantFrom<Ending>("done", "done", "retry", "dead", "expired", "back"),
      afterMs: fc.nat(50),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("slots" as const),
      which: fc.nat(20),
      hold: fc.constantFrom<Hold>("function", "nothing"),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("cancel" as const), which: fc.nat(50) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("advance" as const), ms: fc.integer({ min: -40, max: 60 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("refuse" as const), times: fc.constantFrom(1, 1, 2, 3, 4) }) },
  { weight: 1, arbitrary: fc.constant({ kind: "crash" as const }) },
);

test("whatever happens, each accepted call ends once, and no limit is passed", () => {
  const settings = { ...SETTINGS, maxInterruptions: 1000, maxDead: 10_000 };
  fc.assert(
    fc.property(fc.array(anyStep, { maxLength: 80 }), (steps) => {
      const run = new Bench(settings);
      const accepted = new Set<string>();
      const ended = new Set<string>();
      let underWay: DeliveredCall[] = [];
      const holds = new Map<number, Hold>();
      const holding = (...some: Hold[]) => underWay.filter(({ seq }) => some.includes(holds.get(seq) ?? "both"));
      const keyOf = new Map<string, string>();
      const placeOf = new Map<string, number>();
      const collect = () => {
        for (const call of run.delivered()) {
          expect(ended.has(nameOf(call))).toBe(false);
          expect(names(underWay)).not.toContain(nameOf(call));
          underWay.push(call);
          holds.delete(call.seq);
        }
        expect(holding("both").length).toBeLessThanOrEqual(4);
        const counted = holding("both", "function").map((call) => keyOf.get(nameOf(call)));
        for (const key of "abc") expect(counted.filter((one) => one === key).length).toBeLessThanOrEqual(2);
      };
      const end = (which: number, how: Ending, afterMs: number) => {
        const [call] = underWay.splice(which % underWay.length, 1);
        if (!call) return;
        const { seq } = call;
        const id = nameOf(call);
        // Of what has been cancelled only its place is given back.
        if (how !== "retry" && how !== "back") ended.add(id);
        if (how === "retry") run.settle({ seq, kind: how, afterMs });
        else if (how === "dead") run.settle({ seq, kind: how, reason: "test" });
        else run.settle({ seq, kind: how });
      };

      run.consume(4, 2);
      steps.forEach((step, i) => {
        switch (step.kind) {
          case "publish":
            keyOf.set(`call-${i}`, step.key);
            {
              const { key, delayMs } = step;
              const place = run.publish(`call-${i}`, key, delayMs === null ? {} : { notBefore: run.now + delayMs });
              if (place === undefined) break;
              accepted.add(`call-${i}`);
              placeOf.set(`call-${i}`, place);
            }
            break;
          case "cancel": {
            const [name, seq] = [...placeOf][step.which % Math.max(1, placeOf.size)] ?? [];
            if (name === undefined || seq === undefined) break;
            // Settled, but perhaps not on disk yet: whatever comes of that is right.
            const before = run.cancel(seq);
            if (before === "waiting" || before === "running") ended.add(name);
            break;
          }
          case "end":
            if (underWay.length > 0) end(step.which, step.how, step.afterMs);
            break;
          case "slots": {
            const { seq } = underWay[step.which % Math.max(1, underWay.length)] ?? {};
            // As a consumer has it: less and less.
            if (seq === undefined || holds.get(seq) === "nothing") break;
            holds.set(seq, step.hold);
            run.leave(seq, step.hold);
            break;
          }
          case "advance":
            run.now += step.ms;
            run.spare.held = true;
            run.handle();
            break;
          case "refuse":
            run.store.refusals = step.times;
            break;
          case "crash":
            // Settlements not yet on disk would be lost, which is allowed; let them be stored to keep the books.
            run.store.refusals = 0;
            run.handle();
            collect();
            underWay = [];
            run.restart();
            run.consume(4, 2);
            break;
        }
        collect();
      });

      run.store.refusals = 0;
      for (let i = 0; i < 500 && ended.size < accepted.size; i++) {
        run.now += 1000;
        run.handle();
        collect();
        while (underWay.length > 0) end(0, "done", 0);
      }
      expect([...ended].sort()).toEqual([...accepted].sort());
      expect(run.stats()).toMatchObject({ waiting: 0, inFlight: 0 });
      // All places are there again, once what tries calls that were cancelled has ended too.
      while (underWay.length > 0) end(0, "done", 0);
      run.spare.held = true;
      const before = run.delivered().length;
      for (let i = 0; i < 9; i++) {
        keyOf.set(`last-${i}`, "abc"[i % 3] as string);
        run.publish(`last-${i}`, "abc"[i % 3] as string);
      }
      collect();
      expect([before, underWay.length]).toEqual([0, 4]);
      run.store.close();
    }),
    { numRuns: 200 },
  );
});
