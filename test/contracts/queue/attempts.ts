import { expect, test } from "@jest/globals";
import type { Deliver, RefusalStreak } from "../../../gateway/queue/queue.ts";
import { Deliveries, DONE, limited, type QueueSetup, soon } from "./setup.ts";

/** Retries, what dies, delays and what is handed back. */
export function attemptsContract(setup: QueueSetup): void {
  test("tries again after the wait that was asked for, counting attempts", async () => {
    await setup.publish();
    const attempts: number[] = [];
    const times: number[] = [];
    await setup.consume(async (_call, attempt) => {
      attempts.push(attempt);
      times.push(performance.now());
      return attempt < 3 ? { kind: "retry", afterMs: 300 } : DONE;
    });
    await soon("three attempts", () => attempts.length === 3);
    expect(attempts).toEqual([1, 2, 3]);
    // Clocks may differ by some milliseconds.
    expect((times[1] as number) - (times[0] as number)).toBeGreaterThan(280);
    expect((times[2] as number) - (times[1] as number)).toBeGreaterThan(280);
  });

  test("does not count an attempt that was none", async () => {
    await setup.publish();
    const attempts: number[] = [];
    await setup.consume(async (_call, attempt) => {
      attempts.push(attempt);
      return attempts.length < 3 ? { kind: "retry", afterMs: 1, counted: false } : DONE;
    });
    await soon("three deliveries", () => attempts.length === 3);
    expect(attempts).toEqual([1, 1, 1]);
  });

  test("says how often in a row an attempt was refused, and since when, over restarts", async () => {
    const before = Date.now();
    const { id } = await setup.publish();
    const seen: (RefusalStreak | undefined)[] = [];
    const ends = [{ refused: true, counted: false }, { refused: true }, {}, { refused: true, counted: false }] as const;
    const deliver: Deliver = async ({ refused }) => {
      seen.push(refused);
      const afterMs = seen.length === 2 ? 1500 : 1;
      const end = ends[seen.length - 1];
      return end ? { kind: "retry", afterMs, ...end } : DONE;
    };
    await setup.consume(deliver);
    await soon("two deliveries", () => seen.length === 2);
    await setup.reopen();
    await setup.consume(deliver);
    await setup.untilState(id, "done");
    expect(seen.map((refused) => refused?.times)).toEqual([undefined, 1, 2, undefined, 1]);
    const [, first, second, , later] = seen;
    expect(second?.since).toBe(first?.since);
    expect(first?.since).toBeGreaterThanOrEqual(before);
    expect(later?.since).toBeGreaterThan(first?.since as number);
  });

  test("a call that waits for its retry holds up nobody, not even at a limit of one", async () => {
    const later = await setup.publish({ callId: "later" });
    await setup.publish({ callId: "next" });
    await setup.publish({ callId: "other", function: "other" });
    const seen: string[] = [];
    await setup.consume(async ({ callId }) => {
      seen.push(callId);
      return callId === "later" ? { kind: "retry", afterMs: 3_600_000 } : DONE;
    }, limited(1));
    await soon("all have started", () => seen.length === 3);
    await soon("one waits", async () => {
      const { waiting, inFlight } = await setup.queue.stats();
      return waiting === 1 && inFlight === 0;
    });
    expect((await setup.status(later.id)).state).toBe("waiting");
  });

  test("counts attempts over restarts", async () => {
    await setup.publish();
    const first = await setup.hold();
    await soon("it starts", () => first.started.length === 1);
    first.endAll({ kind: "retry", afterMs: 0 });
    await soon("it starts again", () => first.started.length === 2);
    await setup.reopen();
    const second = await setup.hold();
    await soon("it starts after the restart", () => second.started.length === 1);
    // The second attempt was handed back, as if never tried.
    expect(second.started[0]?.attempt).toBe(2);
  });

  test("a deliver that throws is a retry", async () => {
    const { id } = await setup.publish();
    const attempts: number[] = [];
    await setup.consume(async (_call, attempt) => {
      attempts.push(attempt);
      if (attempts.length === 1) throw new Error("boom");
      return DONE;
    });
    await setup.untilState(id, "done");
    expect(attempts).toEqual([1, 2]);
  });

  test("a dead call is not tried again, not even after a restart", async () => {
    const { id } = await setup.publish();
    await setup.consume(async () => ({ kind: "dead", reason: "no such function" }));
    await setup.untilState(id, "dead");
    await setup.reopen();
    await soon("it is kept", async () => (await setup.queue.stats()).dead === 1);
    const deliveries = await setup.hold();
    await setup.publish({ callId: "alive" });
    await soon("only the living one arrives", () => deliveries.started.length > 0);
    expect(deliveries.callIds).toEqual(["alive"]);
  });

  test("a delayed call waits for its time, and nobody waits for it", async () => {
    const notBefore = Date.now() + 1000;
    const { id } = await setup.publish({ callId: "delayed", notBefore });
    await setup.publish({ callId: "at once" });
    expect(await setup.status(id)).toMatchObject({ state: "waiting", attempts: 0, nextAttemptAt: notBefore });
    const times = new Map<string, number>();
    await setup.consume(async ({ callId }, attempt) => {
      expect(attempt).toBe(1);
      times.set(callId, Date.now());
      return DONE;
    }, limited(1));
    await soon("both arrive", () => times.size === 2);
    expect([...times.keys()]).toEqual(["at once", "delayed"]);
    expect(times.get("delayed")).toBeGreaterThanOrEqual(notBefore - 20);
    await setup.untilEmpty();
  });

  test("delays last over restarts", async () => {
    const soonDue = Date.now() + 1500;
    await setup.publish({ callId: "soon", notBefore: soonDue });
    await setup.publish({ callId: "later", notBefore: Date.now() + 3_600_000 });
    await setup.reopen();
    const deliveries = await setup.hold();
    await soon("the first comes due", () => deliveries.started.length === 1);
    expect(Date.now()).toBeGreaterThanOrEqual(soonDue - 20);
    expect(deliveries.callIds).toEqual(["soon"]);
    expect((await setup.status("later")).state).toBe("waiting");
  });

  test("a call whose time has passed is not delivered any more", async () => {
    const late = await setup.publish({ callId: "late", notAfter: Date.now() - 1 });
    const inTime = await setup.publish({ callId: "in time", notAfter: Date.now() + 3_600_000 });
    const deliveries = await setup.hold();
    await soon("one arrives", () => deliveries.started.length === 1);
    const status = await setup.untilState(late.id, "expired");
    expect(status.attempts).toBe(0);
    expect(deliveries.ids).toEqual([inTime.id]);
    deliveries.endAll();
    await setup.untilEmpty();
  });

  test("a call can be found expired by who gets it", async () => {
    const { id } = await setup.publish({ notAfter: Date.now() + 3_600_000, callbackUrl: "http://127.0.0.1/" });
    await setup.consume(async () => ({ kind: "expired" }));
    expect(await setup.untilState(id, "expired")).toMatchObject({ attempts: 0 });
    expect((await setup.queue.stats()).dead).toBe(0);
  });

  test("a closing consumer waits for what is under way and takes no more", async () => {
    await setup.publishMany(3, "call");
    const deliveries = new Deliveries();
    const consumer = await setup.consume(deliveries.deliver, limited(2));
    await soon("two are under way", () => deliveries.underWay === 2);
    const closing = consumer.close(20_000);
    deliveries.endAll();
    await closing;
    expect(deliveries.started).toHaveLength(2);
    expect(deliveries.started.every(({ signal }) => !signal.aborted)).toBe(true);
    await soon("one waits", async () => {
      const { waiting, inFlight } = await setup.queue.stats();
      return waiting === 1 && inFlight === 0;
    });
  });

  test("a consumer that cannot wait aborts and hands back, as if never tried", async () => {
    const published = await setup.publishMany(4, "call");
    const deliveries = new Deliveries();
    const consumer = await setup.consume(deliveries.deliver, limited(2));
    await soon("two are under way", () => deliveries.underWay === 2);
    await consumer.close(10);
    await consumer.close(10);
    expect(deliveries.started.every(({ signal }) => signal.aborted)).toBe(true);
    await soon("all wait", async () => {
      const { waiting, inFlight } = await setup.queue.stats();
      return waiting === 4 && inFlight === 0;
    });
    const again = await setup.hold();
    await soon("all start", () => again.started.length === 4);
    expect(again.callIds.toSorted()).toEqual(published);
    expect(again.started.map(({ attempt }) => attempt)).toEqual([1, 1, 1, 1]);
  });

  test("hands back a call whose deliver does not heed the abort", async () => {
    await setup.publish({ callId: "deaf" });
    let started = 0;
    const consumer = await setup.consume(() => {
      started++;
      return new Promise<never>(() => {});
    });
    await soon("it starts", () => started === 1);
    await consumer.close(0);
    const again = await setup.hold();
    await soon("it starts again", () => again.started.length === 1);
    expect(again.started[0]).toMatchObject({ attempt: 1, call: { callId: "deaf" } });
  });
}
