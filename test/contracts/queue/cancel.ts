import { expect, test } from "@jest/globals";
import { DONE, limited, type QueueSetup, soon } from "./setup.ts";

/** Calls can be ended wherever they are. */
export function cancelContract(setup: QueueSetup): void {
  test("cancels a call that waits, which is then not delivered", async () => {
    const { id } = await setup.publish({ callId: "first" });
    await setup.publish({ callId: "second" });
    expect(await setup.queue.cancel(id)).toBe("waiting");
    const status = await setup.untilState(id, "cancelled");
    expect(status).toMatchObject({ callId: "first", attempts: 0 });
    expect(status.finishedAt).toBeGreaterThanOrEqual(status.acceptedAt - 5);
    const deliveries = await setup.hold();
    await soon("the other arrives", () => deliveries.started.length > 0);
    expect(deliveries.callIds).toEqual(["second"]);
    deliveries.endAll();
    await setup.untilEmpty();
  });

  test("cancels a call by its caller's own id, and what is delayed", async () => {
    const { id } = await setup.publish({ callId: "mine", notBefore: Date.now() + 3_600_000 });
    expect(await setup.queue.cancel("mine")).toBe("waiting");
    await setup.untilState(id, "cancelled");
    await setup.untilEmpty();
  });

  test("cancels a call that waits for its retry", async () => {
    const { id } = await setup.publish();
    await setup.consume(async () => ({ kind: "retry", afterMs: 3_600_000, outcome: { status: 500, durationMs: 1 } }));
    await soon("it was tried", async () => {
      const { attempts, state } = await setup.status(id);
      return attempts === 1 && state === "waiting";
    });
    expect(await setup.queue.cancel(id)).toBe("waiting");
    expect(await setup.untilState(id, "cancelled")).toMatchObject({ attempts: 1, status: 500 });
    await setup.untilEmpty();
  });

  test("cancels a call under way: it is aborted, and what it comes to changes nothing", async () => {
    const { id } = await setup.publish();
    let aborted = false;
    let started = 0;
    await setup.consume(async (_call, _attempt, signal) => {
      started++;
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
      aborted = true;
      return { kind: "done", outcome: { status: 200, durationMs: 1 } };
    });
    await setup.untilState(id, "running");
    expect(await setup.queue.cancel(id)).toBe("running");
    await soon("it is aborted", () => aborted);
    await setup.untilEmpty();
    const status = await setup.untilState(id, "cancelled");
    expect(status).not.toHaveProperty("status");
    await setup.reopen();
    expect((await setup.status(id)).state).toBe("cancelled");
    expect(started).toBe(1);
  });

  test("a cancelled call that was under way makes room for the next", async () => {
    const { id } = await setup.publish();
    await setup.publish({ callId: "next" });
    const deliveries = await setup.hold(limited(1));
    await setup.untilState(id, "running");
    await setup.queue.cancel(id);
    await soon("the next one starts", () => deliveries.callIds.includes("next"));
    expect((await setup.status(id)).state).toBe("cancelled");
  });

  test("what has ended cannot be cancelled any more", async () => {
    const done = await setup.publish({ callId: "done" });
    const dead = await setup.publish({ callId: "dead" });
    await setup.consume(async ({ callId }) => (callId === "done" ? DONE : { kind: "dead", reason: "no use" }));
    await setup.untilState(done.id, "done");
    await setup.untilState(dead.id, "dead");
    expect(await setup.queue.cancel(done.id)).toBe("done");
    expect(await setup.queue.cancel(dead.id)).toBe("dead");
    expect((await setup.status(done.id)).state).toBe("done");
    expect((await setup.status(dead.id)).state).toBe("dead");
    expect((await setup.queue.stats()).dead).toBe(1);
    const delayed = await setup.publish({ notBefore: Date.now() + 3_600_000 });
    expect(await setup.queue.cancel(delayed.id)).toBe("waiting");
    expect(await setup.queue.cancel(delayed.id)).toBe("cancelled");
  });
}
