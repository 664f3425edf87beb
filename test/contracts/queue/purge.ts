import { expect, test } from "@jest/globals";
import type { BatchProgress, FinishedBatch } from "../../../gateway/queue/queue.ts";
import { DONE, limited, NAMESPACE, type QueueSetup, soon, WIDE } from "./setup.ts";

const shout = { name: "shout", namespace: NAMESPACE };

/** Dropping the calls of a function that wait. */
export function purgeContract(setup: QueueSetup): void {
  test("cancels what waits for its turn, its time or its retry, in every queue; others are not touched", async () => {
    const mine = [
      await setup.publish({ callId: "fresh" }),
      await setup.publish({ callId: "delayed", notBefore: Date.now() + 3_600_000 }),
      await setup.publish({ callId: "elsewhere", queue: "slow-lane" }),
      await setup.publish({ callId: "large", body: new Uint8Array(900_000) }),
    ];
    const others = [
      await setup.publish({ function: "shouter" }),
      await setup.publish({ namespace: "dev" }),
      await setup.publish({ function: "other", notBefore: Date.now() + 3_600_000 }),
    ];
    const retried = await setup.publish({ callId: "retried", queue: "retries" });
    const consumer = await setup.queue.consume(async () => ({ kind: "retry", afterMs: 3_600_000 }), {
      ...WIDE,
      queues: ["retries"],
    });
    await soon("it waits for its retry", async () => (await setup.status(retried.id)).nextAttemptAt !== undefined);
    await consumer.close(1000);

    expect(await setup.queue.purge(shout)).toBe(5);
    for (const { id } of [...mine, retried]) expect((await setup.status(id)).state).toBe("cancelled");
    for (const { id } of others) expect((await setup.status(id)).state).toBe("waiting");
    expect((await setup.queue.stats()).waiting).toBe(3);
    expect(await setup.queue.purge(shout)).toBe(0);
    const seen: string[] = [];
    await setup.consume(async ({ function: name, namespace }) => {
      seen.push(`${name}.${namespace}`);
      return DONE;
    });
    await setup.publish({ callId: "after" });
    await soon("those that are left arrive", () => seen.length === 3);
    expect(seen.toSorted()).toEqual(["shout.dev", `shout.${NAMESPACE}`, `shouter.${NAMESPACE}`]);
  });

  test("leaves what is under way and what is dead", async () => {
    const [dead] = await setup.bury({ callId: "dead" });
    const deliveries = await setup.hold(limited(2));
    await setup.publishMany(2, "running");
    await soon("two run", () => deliveries.underWay === 2);
    await setup.publishMany(300, "waiting");
    await setup.publishMany(5, "delayed", { notBefore: Date.now() + 3_600_000 });
    expect(await setup.queue.purge(shout)).toBe(305);
    expect(deliveries.started.every(({ signal }) => !signal.aborted)).toBe(true);
    expect((await setup.status(dead as string)).state).toBe("dead");
    deliveries.endAll();
    for (const id of ["running-0", "running-1"]) await setup.untilState(id, "done");
    await setup.untilEmpty();
    expect(deliveries.started).toHaveLength(2);
    expect(await setup.queue.stats()).toMatchObject({ waiting: 0, inFlight: 0, dead: 1 });
  });

  test("a batch ends with its calls", async () => {
    const told: BatchProgress[] = [];
    const finishBatch = async ({ progress }: FinishedBatch) => void told.push(progress);
    const size = 5;
    let started = 0;
    await setup.consume(
      async (call) => {
        if (call.batch?.kind === "whole") {
          for (let index = 0; index < size; index++) {
            await setup.publish({
              batch: { kind: "member", of: call.id, index, size },
              ...(index > 1 && { notBefore: Date.now() + 3_600_000 }),
            });
          }
        } else started++;
        return DONE;
      },
      { ...WIDE, finishBatch },
    );
    const { id } = await setup.publish({ batch: { kind: "whole", size } });
    await soon("some are done", () => started === 2);
    await soon("the batch is spread", async () => (await setup.status(id)).state === "running");
    await soon("three wait", async () => {
      const { waiting, inFlight } = await setup.queue.stats();
      return waiting === 3 && inFlight === 0;
    });
    expect(await setup.queue.purge(shout)).toBe(3);
    await soon("its end is told", () => told.length > 0);
    expect(told[0]).toEqual({ size, done: 2, dead: 0, cancelled: 3, expired: 0 });
  });

  test("a batch that waits itself is cancelled", async () => {
    const { id } = await setup.publish({ batch: { kind: "whole", size: 3 } });
    expect(await setup.queue.purge(shout)).toBe(1);
    expect((await setup.status(id)).state).toBe("cancelled");
  });

  test("of nothing is nothing", async () => {
    expect(await setup.queue.purge({ name: "nobody", namespace: NAMESPACE })).toBe(0);
  });
}
