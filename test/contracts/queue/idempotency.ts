import { expect, test } from "@jest/globals";
import { DONE, type QueueSetup, soon } from "./setup.ts";

/** Calls of one function with one key are one call. */
export function idempotencyContract(setup: QueueSetup): void {
  test("a second call with the key of one that waits is that one", async () => {
    const first = await setup.publish({ idempotencyKey: "k", callId: "first" });
    const second = await setup.publish({ idempotencyKey: "k", callId: "second", body: new Uint8Array([1]) });
    expect(second).toEqual({ id: first.id, callId: "first", duplicate: true });
    const deliveries = await setup.hold();
    await setup.publish({ callId: "third" });
    await soon("two arrive", () => deliveries.started.length === 2);
    expect(deliveries.callIds).toEqual(["first", "third"]);
    expect(deliveries.started[0]?.call.body).toHaveLength(0);
    expect(await setup.queue.find("second")).toBeUndefined();
  });

  test("calls with one key at the same time are one call", async () => {
    const receipts = await Promise.all(Array.from({ length: 10 }, () => setup.publish({ idempotencyKey: "k" })));
    expect(new Set(receipts.map(({ id }) => id)).size).toBe(1);
    expect(receipts.filter(({ duplicate }) => !duplicate)).toHaveLength(1);
    const deliveries = await setup.hold();
    await setup.publish({ callId: "other" });
    await soon("two arrive", () => deliveries.started.length === 2);
    expect(deliveries.callIds).toEqual([receipts[0]?.callId, "other"]);
  });

  test("a key is known while its call is under way, when it is done, and after a restart", async () => {
    const deliveries = await setup.hold();
    const { id } = await setup.publish({ idempotencyKey: "k" });
    await soon("it starts", () => deliveries.underWay === 1);
    const again = { id, callId: id, duplicate: true };
    expect(await setup.publish({ idempotencyKey: "k" })).toEqual(again);
    deliveries.end(id);
    await setup.untilState(id, "done");
    expect(await setup.publish({ idempotencyKey: "k" })).toEqual(again);
    await setup.reopen();
    expect(await setup.publish({ idempotencyKey: "k" })).toEqual(again);
    expect((await setup.queue.stats()).waiting).toBe(0);
  });

  test("one key of different functions stands for different calls", async () => {
    const receipts = [
      await setup.publish({ idempotencyKey: "k", function: "a" }),
      await setup.publish({ idempotencyKey: "k", function: "b" }),
      await setup.publish({ idempotencyKey: "k", function: "a", namespace: "elsewhere" }),
    ];
    expect(receipts.map(({ duplicate }) => duplicate)).toEqual([false, false, false]);
    let count = 0;
    await setup.consume(async () => {
      count++;
      return DONE;
    });
    await soon("all arrive", () => count === 3);
  });

  test("any text can be a key or a call id", async () => {
    const odd = "a b/*>.\u00e9\u{1f600}'\"";
    const { id } = await setup.publish({ idempotencyKey: odd, callId: odd });
    expect(await setup.publish({ idempotencyKey: odd })).toEqual({ id, callId: odd, duplicate: true });
    expect((await setup.status(odd)).id).toBe(id);
  });
}
