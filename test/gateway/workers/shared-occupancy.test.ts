import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { SharedOccupancy } from "../../../gateway/workers/shared-occupancy.ts";

const views = (threads: number) => {
  const buffer = SharedOccupancy.allocate(threads);
  return Array.from({ length: threads }, (_, thread) => new SharedOccupancy(buffer, thread));
};

test("whoever enters, leaves and dies in whatever order: the sum is right, and never above the limit", () => {
  const step = fc.record({
    thread: fc.nat(3),
    act: fc.oneof({ weight: 5, arbitrary: fc.constant("enter") }, fc.constant("leave"), fc.constant("die")),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), fc.integer({ min: 1, max: 6 }), (steps, limit) => {
      const occupancies = views(4);
      const own = [0, 0, 0, 0];
      const sum = () => own.reduce((a, b) => a + b, 0);
      for (const { thread, act } of steps) {
        const occupancy = occupancies[thread] as SharedOccupancy;
        const mine = own[thread] as number;
        if (act === "enter") {
          expect(occupancy.enter(limit)).toBe(sum() < limit);
          if (sum() < limit) own[thread] = mine + 1;
        } else if (act === "leave" && mine > 0) {
          occupancy.leave();
          own[thread] = mine - 1;
        } else if (act === "die") {
          (occupancies[0] as SharedOccupancy).forget(thread);
          own[thread] = 0;
        }
        for (const view of occupancies) expect(view.count).toBe(sum());
        expect(own.map((_, each) => occupancy.of(each))).toEqual(own);
      }
    }),
  );
});

test("without a limit everybody gets in", () => {
  const [one, other] = views(2) as [SharedOccupancy, SharedOccupancy];
  for (let i = 0; i < 1000; i++) expect([one.enter(0), other.enter(0)]).toEqual([true, true]);
  expect(one.count).toBe(2000);
});

test("threads that take places at the same moment are never more than the limit", async () => {
  const [threads, limit, forMs] = [3, 1, 1_000];
  const buffer = SharedOccupancy.allocate(threads);
  const shared = new SharedArrayBuffer(8);
  const results = await Promise.all(
    Array.from({ length: threads }, async (_, thread) => {
      const worker = new Worker(new URL("../fixtures/occupy.ts", import.meta.url), {
        workerData: { buffer, shared, thread, threads, limit, forMs },
        execArgv: ["--disable-warning=ExperimentalWarning"],
      });
      const [[result]] = (await Promise.all([once(worker, "message"), once(worker, "exit")])) as [
        [{ most: number; entered: number }],
        unknown,
      ];
      return result;
    }),
  );
  expect(Math.max(...results.map(({ most }) => most))).toBeLessThanOrEqual(limit);
  for (const { entered } of results) expect(entered).toBeGreaterThan(0);
  expect(new SharedOccupancy(buffer, 0).count).toBe(0);
}, 60_000);

/** As a thread leaves it that dies between its look and its taking. */
function lockedBy(thread: number): SharedOccupancy {
  const buffer = SharedOccupancy.allocate(2);
  Atomics.store(new Int32Array(buffer), 0, thread + 1);
  return new SharedOccupancy(buffer, 0);
}

test("a thread that dies while it looks holds nobody up, once that is known", () => {
  const occupancy = lockedBy(1);
  occupancy.forget(1);
  expect(occupancy.enter(1)).toBe(true);
  expect(occupancy.enter(1)).toBe(false);
});

test("and not for long before that", () => {
  const occupancy = lockedBy(1);
  expect(occupancy.enter(1)).toBe(true);
  expect(occupancy.enter(1)).toBe(false);
});
