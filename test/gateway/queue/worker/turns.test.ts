import { expect, test } from "@jest/globals";
import fc from "fast-check";
import type { Hold } from "../../../../gateway/queue/worker/call-slots.ts";
import { Turns } from "../../../../gateway/queue/worker/turns.ts";

interface TestQueue {
  readonly name: string;
  readonly fn: string;
}

const functionQueueOf = (name: string, fn = name): TestQueue => ({ name, fn });

/** The next ones, until nobody has a turn. */
function take(turns: Turns<TestQueue>, most = Number.POSITIVE_INFINITY): string[] {
  const taken: string[] = [];
  while (taken.length < most) {
    const functionQueue = turns.next();
    if (!functionQueue) break;
    taken.push(functionQueue.name);
  }
  return taken;
}

test("those that are awake take turns until all slots are taken", () => {
  const turns = new Turns<TestQueue>(5, () => true);
  for (const name of ["a", "b"]) turns.wake(functionQueueOf(name));
  expect(take(turns)).toEqual(["a", "b", "a", "b", "a"]);
});

test("one that sleeps is passed over until it is woken", () => {
  const turns = new Turns<TestQueue>(6, () => true);
  const [a, b] = [functionQueueOf("a"), functionQueueOf("b")];
  turns.wake(a);
  turns.wake(b);
  turns.sleep(a);
  expect(take(turns, 2)).toEqual(["b", "b"]);
  turns.wake(a);
  expect(take(turns, 2).sort()).toEqual(["a", "b"]);
});

test("a function at its limit has its turn again once one of its calls has ended", () => {
  const turns = new Turns<TestQueue>(8, (_, underWay) => underWay < 2);
  const [a, b] = [functionQueueOf("a"), functionQueueOf("b")];
  turns.wake(a);
  turns.wake(b);
  expect(take(turns)).toEqual(["a", "b", "a", "b"]);
  turns.leave(b, "nothing", "both");
  expect(take(turns)).toEqual(["b"]);
});

test("function queues of one function share its limit", () => {
  const turns = new Turns<TestQueue>(8, (_, underWay) => underWay < 3);
  const [slow, fast] = [functionQueueOf("slow", "fn"), functionQueueOf("fast", "fn")];
  turns.wake(slow);
  turns.wake(fast);
  expect(take(turns)).toEqual(["slow", "fast", "slow"]);
  turns.leave(slow, "nothing", "both");
  expect(take(turns)).toEqual(["fast"]);
});

test("a limit is not asked for again before it may have changed", () => {
  let asked = 0;
  let limit = 0;
  const turns = new Turns<TestQueue>(8, (_, underWay) => {
    asked++;
    return underWay < limit;
  });
  turns.wake(functionQueueOf("a"));
  for (let i = 0; i < 10; i++) expect(take(turns)).toEqual([]);
  expect(asked).toBe(1);
  limit = 1;
  turns.unblock("a");
  expect(take(turns)).toEqual(["a"]);
  limit = 2;
  turns.unblockAll();
  expect(take(turns)).toEqual(["a"]);
});

test("one that has gone to sleep at its limit is not woken by that", () => {
  let limit = 0;
  const turns = new Turns<TestQueue>(8, (_, underWay) => underWay < limit);
  const functionQueue = functionQueueOf("a");
  turns.wake(functionQueue);
  expect(take(turns)).toEqual([]);
  turns.sleep(functionQueue);
  limit = 1;
  turns.unblock("a");
  expect(take(turns)).toEqual([]);
});

test("the last quarter of the slots is for functions that have few calls under way", () => {
  const turns = new Turns<TestQueue>(16, () => true);
  const [slow, quick] = [functionQueueOf("slow"), functionQueueOf("quick")];
  turns.wake(slow);
  expect(take(turns)).toHaveLength(12);
  turns.wake(quick);
  expect(take(turns)).toEqual(["quick"]);
  for (let i = 0; i < 3; i++) turns.leave(slow, "nothing", "both");
  expect(take(turns).sort()).toEqual(["quick", "slow"]);
});

test("a function that has few calls again has its turn in all of its queues", () => {
  const turns = new Turns<TestQueue>(16, () => true);
  const [slow, one, other] = [
    functionQueueOf("slow"),
    functionQueueOf("one", "quick"),
    functionQueueOf("other", "quick"),
  ];
  turns.wake(slow);
  expect(take(turns)).toHaveLength(12);
  turns.wake(one);
  expect(take(turns)).toEqual(["one"]);
  turns.sleep(one);
  turns.wake(other);
  expect(take(turns)).toEqual([]);
  turns.leave(one, "nothing", "both");
  expect(take(turns)).toEqual(["other"]);
});

test("a slot that is lent is had by others, and the function's limit counts the call still", () => {
  const turns = new Turns<TestQueue>(1, (_, underWay) => underWay < 2);
  const functionQueue = functionQueueOf("a");
  turns.wake(functionQueue);
  expect(take(turns)).toEqual(["a"]);
  turns.leave(functionQueue, "function", "both");
  expect(take(turns)).toEqual(["a"]);
  turns.leave(functionQueue, "function", "both");
  expect(take(turns)).toEqual([]);
  turns.leave(functionQueue, "nothing", "function");
  expect(take(turns)).toEqual(["a"]);
});

const anyStep = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("wake" as const), which: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("sleep" as const), which: fc.nat(5) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("take" as const), most: fc.nat(20) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("leave" as const),
      which: fc.nat(40),
      hold: fc.constantFrom<Hold>("function", "nothing"),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("limit" as const), limit: fc.nat(12) }) },
);

test("whatever happens, no limit is passed, nobody asleep has a turn, and nobody is forgotten", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 40 }), fc.array(anyStep, { maxLength: 100 }), (concurrency, steps) => {
      let limit = 5;
      const functionQueues = Array.from({ length: 6 }, (_, i) => functionQueueOf(`queue-${i}`, `fn-${i % 4}`));
      const awake = new Set<TestQueue>();
      const calls: { readonly functionQueue: TestQueue; hold: Hold }[] = [];
      const counted = (fn: string) =>
        calls.filter(({ functionQueue, hold }) => functionQueue.fn === fn && hold !== "nothing").length;
      const turns = new Turns<TestQueue>(concurrency, ({ fn }, underWay) => {
        expect(underWay).toBe(counted(fn));
        return underWay < limit;
      });
      const next = () => {
        const functionQueue = turns.next();
        if (!functionQueue) return false;
        expect(awake).toContain(functionQueue);
        calls.push({ functionQueue, hold: "both" });
        expect(counted(functionQueue.fn)).toBeLessThanOrEqual(limit);
        expect(calls.filter(({ hold }) => hold === "both").length).toBeLessThanOrEqual(concurrency);
        return true;
      };
      for (const step of steps) {
        switch (step.kind) {
          case "wake":
            turns.wake(functionQueues[step.which] as TestQueue);
            awake.add(functionQueues[step.which] as TestQueue);
            break;
          case "sleep":
            turns.sleep(functionQueues[step.which] as TestQueue);
            awake.delete(functionQueues[step.which] as TestQueue);
            break;
          case "take":
            for (let left = step.most; left > 0 && next(); left--);
            break;
          case "leave": {
            const call = calls[step.which % Math.max(1, calls.length)];
            if (!call || call.hold === "nothing" || call.hold === step.hold) break;
            turns.leave(call.functionQueue, step.hold, call.hold);
            call.hold = step.hold;
            break;
          }
          case "limit":
            limit = step.limit;
            turns.unblockAll();
            break;
        }
      }
      // Everybody who is awake has a turn once there is room for all.
      for (const call of calls) {
        if (call.hold !== "nothing") turns.leave(call.functionQueue, "nothing", call.hold);
        call.hold = "nothing";
      }
      limit = 100;
      turns.unblockAll();
      const served = new Set<TestQueue>();
      for (let i = 0; i < 3 * functionQueues.length; i++) {
        const functionQueue = turns.next();
        if (!functionQueue) break;
        served.add(functionQueue);
        turns.leave(functionQueue, "nothing", "both");
      }
      expect(served).toEqual(awake);
    }),
    { numRuns: 300 },
  );
});
