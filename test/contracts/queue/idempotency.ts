import { expect, test } from "@jest/globals";
import type { NewCall } from "../../../gateway/queue/queue.ts";
import { DONE, type QueueSetup, soon } from "./setup.ts";

const OTHER = { kind: "unprocessable", message: expect.stringContaining("X-Idempotency-Key") };
const body = new Uint8Array([1, 2, 3]);
const headers = [
  ["Authorization", "Bearer mine"],
  ["X-Trace", "1"],
] as const;

/** Calls of one function with one key are one call, as long as all of the request is the same. */
export function idempotencyContract(setup: QueueSetup): void {
  test("a second call with the key of one that waits is that one", async () => {
    const first = await setup.publish({ idempotencyKey: "k", callId: "first" });
    const second = await setup.publish({ idempotencyKey: "k", callId: "second" });
    expect(second).toEqual({ id: first.id, callId: "first", duplicate: true });
    const deliveries = await setup.hold();
    await setup.publish({ callId: "third" });
    await soon("two arrive", () => deliveries.started.length === 2);
    expect(deliveries.callIds).toEqual(["first", "third"]);
    expect(await setup.queue.find("second")).toBeUndefined();
  });

  const REQUEST: Partial<NewCall> = { idempotencyKey: "k", method: "POST", path: "/a", query: "b=1", headers, body };

  test.each<[difference: string, given: Partial<NewCall>]>([
    ["body", { body: new Uint8Array([1, 2, 4]) }],
    ["empty body", { body: new Uint8Array() }],
    ["method", { method: "PUT" }],
    ["path", { path: "/b" }],
    ["query", { query: "b=2" }],
    ["caller", { headers: [["authorization", "Bearer other"]] }],
    ["caller who has no credentials", { headers: [["X-Trace", "1"]] }],
    ["batch", { batch: { kind: "whole", size: 1 } }],
  ])("a key with another %s is refused, and nothing is stored", async (_difference, given) => {
    const { id } = await setup.publish(REQUEST);
    await expect(setup.publish({ ...REQUEST, callId: "other", ...given })).rejects.toMatchObject(OTHER);
    expect(await setup.queue.find("other")).toBeUndefined();
    // Other headers and other wishes make no other request.
    const again = { ...REQUEST, headers: [...headers, ["X-Trace", "2"]] as const, notBefore: Date.now() + 1000 };
    expect(await setup.publish(again)).toEqual({ id, callId: id, duplicate: true });
    expect((await setup.queue.stats()).waiting).toBe(1);
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

  test("of different requests with one key at the same time one is taken", async () => {
    const publishing = Array.from({ length: 8 }, (_, i) =>
      setup.publish({ idempotencyKey: "k", body: new Uint8Array([i % 2]) }),
    );
    const outcomes = await Promise.allSettled(publishing);
    const ids = outcomes.flatMap((one) => (one.status === "fulfilled" ? [one.value.id] : []));
    expect([new Set(ids).size, ids.length]).toEqual([1, 4]);
    for (const one of outcomes) if (one.status === "rejected") expect(one.reason).toMatchObject(OTHER);
    expect((await setup.queue.stats()).waiting).toBe(1);
  });

  test("a key is known while its call is under way, when it is done, and after a restart", async () => {
    const deliveries = await setup.hold();
    const request = { idempotencyKey: "k", body };
    const stranger = { idempotencyKey: "k", body: new Uint8Array([9]) };
    const { id } = await setup.publish(request);
    const again = { id, callId: id, duplicate: true };
    const isBound = async () => {
      expect(await setup.publish(request)).toEqual(again);
      await expect(setup.publish(stranger)).rejects.toMatchObject(OTHER);
    };
    await soon("it starts", () => deliveries.underWay === 1);
    await isBound();
    deliveries.end(id);
    await setup.untilState(id, "done");
    await isBound();
    await setup.reopen();
    await isBound();
    expect((await setup.queue.stats()).waiting).toBe(0);
  });

  test("a dead call that is replayed has its key still, for its own request", async () => {
    const request = { idempotencyKey: "k", body };
    const [id] = await setup.bury(request);
    expect(await setup.queue.deadLetters.replay({})).toBe(1);
    await setup.untilState(id as string, "waiting");
    expect(await setup.publish(request)).toMatchObject({ id, duplicate: true });
    await expect(setup.publish({ idempotencyKey: "k" })).rejects.toMatchObject(OTHER);
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
