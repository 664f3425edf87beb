import { expect, test } from "@jest/globals";
import { maxSlotless } from "../../../gateway/queue/worker/slots.ts";
import { type Deliveries, DONE, limited, type QueueSetup, soon } from "./setup.ts";

/** Calls under way that only wait leave their slots to others. */
export function slotlessContract(setup: QueueSetup): void {
  /** That `concurrency` calls may be under way again, and no more. */
  const expectPlaces = async (deliveries: Deliveries, concurrency: number): Promise<void> => {
    expect(deliveries.underWay).toBe(0);
    const before = deliveries.started.length;
    await setup.publishMany(3 * concurrency, "after", { function: "after" });
    for (let ended = 0; ended <= 2 * concurrency; ended++) {
      await soon("all slots are taken", () => deliveries.started.length >= before + ended + concurrency);
      // The queue has had a round of its own meanwhile.
      await setup.queue.stats();
      expect(deliveries.started).toHaveLength(before + ended + concurrency);
      deliveries.endOf(deliveries.callIds[before + ended] as string);
    }
    await soon("all end", () => {
      deliveries.endAll();
      return deliveries.started.length === before + 3 * concurrency;
    });
    await setup.untilEmpty();
  };

  test("a lent slot is others', and its call counts for its function's limit still", async () => {
    const deliveries = await setup.hold(limited(1, 1));
    await setup.publishMany(2, "asleep", { function: "asleep" });
    await soon("the first of it starts", () => deliveries.underWay === 1);
    await setup.publishMany(2, "ready", { function: "ready" });
    deliveries.permit("asleep-0").lendSlot();
    await soon("another function's call starts", () => deliveries.callIds.includes("ready-0"));
    deliveries.endOf("ready-0");
    await soon("and the next one", () => deliveries.callIds.includes("ready-1"));
    deliveries.endOf("ready-1");
    await setup.publish({ callId: "witness", function: "witness" });
    await soon("and one of a third", () => deliveries.callIds.includes("witness"));
    expect(deliveries.callIds).toEqual(["asleep-0", "ready-0", "ready-1", "witness"]);
    deliveries.endOf("asleep-0");
    deliveries.endOf("witness");
    await soon("the next one of the first starts", () => deliveries.callIds.includes("asleep-1"));
    deliveries.endAll();
    await expectPlaces(deliveries, 1);
  });

  test("a call that is without a slot lets in the next ones, its own function's too", async () => {
    const deliveries = await setup.hold(limited(1, 1));
    await setup.publishMany(40, "call");
    for (let i = 0; i < 40; i++) {
      await soon("it starts", () => deliveries.underWay === i + 1);
      deliveries.permit(`call-${i}`).release();
    }
    await soon("they are shown as under way", async () => (await setup.queue.stats()).inFlight === 40);
    expect(await setup.untilState("call-0", "running")).toMatchObject({ attempts: 0 });
    deliveries.endAll();
    await setup.untilEmpty();
    await expectPlaces(deliveries, 1);
  });

  test("the limit holds beside calls that are without a slot, whose ends change nothing", async () => {
    const deliveries = await setup.hold(limited(8, 2));
    await setup.publishMany(8, "call");
    await soon("two start", () => deliveries.underWay === 2);
    for (const id of ["call-0", "call-1"]) deliveries.permit(id).release();
    await soon("two more start", () => deliveries.underWay === 4);
    for (const id of ["call-0", "call-1"]) deliveries.endOf(id);
    await setup.untilState("call-1", "done");
    await setup.publish({ callId: "witness", function: "witness" });
    await soon("another function's starts", () => deliveries.callIds.includes("witness"));
    expect(deliveries.callIds).toEqual(["call-0", "call-1", "call-2", "call-3", "witness"]);
    deliveries.endOf("call-2");
    await soon("an end of one with a slot lets in one more", () => deliveries.started.length === 6);
    await soon("all end", () => {
      deliveries.endAll();
      return deliveries.started.length === 9;
    });
    await setup.untilEmpty();
  });

  test("giving up a slot twice, in any order, or after the end, gives up one", async () => {
    const deliveries = await setup.hold(limited(2, 2));
    const ids = await setup.publishMany(6, "call");
    for (const [i, id] of ids.entries()) {
      await soon("it starts", () => deliveries.callIds.includes(id));
      const permit = deliveries.permit(id);
      if (i % 3 === 0) permit.lendSlot();
      if (i % 3 === 0) permit.lendSlot();
      if (i % 3 !== 2) permit.release();
      if (i % 3 !== 2) permit.release();
      permit.lendSlot();
      if (i % 3 === 2) deliveries.endOf(id);
    }
    deliveries.endAll();
    await setup.untilEmpty();
    for (const { permit } of deliveries.started) {
      permit.lendSlot();
      permit.release();
    }
    await expectPlaces(deliveries, 2);
  });

  test("what an attempt gave up, the next one has again", async () => {
    const deliveries = await setup.hold(limited(4, 1));
    await setup.publishMany(2, "call");
    await soon("the first starts", () => deliveries.underWay === 1);
    const first = deliveries.permit("call-0");
    first.release();
    await soon("the second starts", () => deliveries.callIds.includes("call-1"));
    deliveries.endOf("call-1");
    await setup.untilState("call-1", "done");
    deliveries.endOf("call-0", { kind: "retry", afterMs: 0 });
    await soon("it starts again", () => deliveries.started.length === 3);
    first.release();
    await setup.publish({ callId: "late" });
    await setup.publish({ callId: "witness", function: "witness" });
    await soon("another function's starts", () => deliveries.callIds.includes("witness"));
    expect(deliveries.callIds).not.toContain("late");
    await soon("all end", () => {
      deliveries.endAll();
      return deliveries.started.length === 5;
    });
    await setup.untilEmpty();
    await expectPlaces(deliveries, 1);
  });

  test("so many calls are without a slot at most; one more keeps its slots", async () => {
    const most = maxSlotless(1);
    await setup.publishMany(most + 20, "call");
    const ending = Promise.withResolvers<void>();
    let started = 0;
    await setup.consume(
      async (_call, _attempt, _signal, slot) => {
        started++;
        if (started % 2 === 0) slot.lendSlot();
        slot.release();
        await ending.promise;
        return DONE;
      },
      limited(1, most + 20),
    );
    await soon("they are without a slot, and one has the slot", () => started === most + 1);
    await soon("the others wait", async () => (await setup.queue.stats()).waiting === 19);
    expect(started).toBe(most + 1);
    ending.resolve();
    await setup.untilEmpty();
    expect(started).toBe(most + 20);
  });

  test("cancelling calls that are without a slot leaves as many slots as before", async () => {
    const deliveries = await setup.hold(limited(2, 2));
    await setup.publishMany(4, "call");
    await soon("two start", () => deliveries.underWay === 2);
    deliveries.permit("call-0").lendSlot();
    deliveries.permit("call-1").release();
    await soon("one more starts", () => deliveries.underWay === 3);
    for (const id of ["call-0", "call-1"]) {
      await setup.untilState(id, "running");
      await setup.queue.cancel(id);
    }
    await soon("the last starts", () => deliveries.callIds.includes("call-3"));
    deliveries.endAll();
    await setup.untilEmpty();
    for (const id of ["call-0", "call-1"]) expect((await setup.status(id)).state).toBe("cancelled");
    await expectPlaces(deliveries, 2);
  });

  test("closing waits for calls that are without a slot", async () => {
    const deliveries = await setup.hold(limited(1, 2));
    const consumer = setup.lastConsumer;
    await setup.publishMany(2, "call");
    await soon("one starts", () => deliveries.underWay === 1);
    deliveries.permit("call-0").lendSlot();
    await soon("the other starts", () => deliveries.underWay === 2);
    deliveries.permit("call-1").release();
    const closed = consumer.close(20_000);
    deliveries.endAll();
    await closed;
    await setup.untilState("call-0", "done");
    await setup.untilState("call-1", "done");
  });

  test("closing hands back calls that are without a slot and do not end", async () => {
    const deliveries = await setup.hold(limited(1, 2));
    const consumer = setup.lastConsumer;
    await setup.publishMany(2, "call");
    await soon("one starts", () => deliveries.underWay === 1);
    deliveries.permit("call-0").lendSlot();
    await soon("the other starts", () => deliveries.underWay === 2);
    deliveries.permit("call-1").release();
    await consumer.close(0);
    expect(deliveries.started.every(({ signal }) => signal.aborted)).toBe(true);
    for (const { permit } of deliveries.started) permit.release();
    const others = await setup.hold(limited(2, 2));
    await soon("both start again", () => others.underWay === 2);
    expect(others.started.every(({ attempt }) => attempt === 1)).toBe(true);
    others.endAll();
    await expectPlaces(others, 2);
  });
}
