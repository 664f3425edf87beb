import { expect, test } from "@jest/globals";
import type { QueuedCall } from "../../../gateway/queue/queue.ts";
import { DONE, limited, newCall, type QueueSetup, soon } from "./setup.ts";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** What is published arrives, whole and in order, over restarts too. */
export function deliveryContract(setup: QueueSetup): void {
  test("delivers a call as it was published", async () => {
    const call = newCall({
      callId: "of the caller",
      idempotencyKey: "once",
      queue: "other-queue",
      method: "PUT",
      path: "/a%20b//c",
      query: "q=1&q=%32&empty",
      headers: [
        ["X-Twice", "one"],
        ["x-twice", "zw\u00f6lf"],
        ["Content-Type", "application/octet-stream"],
      ],
      body: Uint8Array.from({ length: 256 }, (_, i) => i),
      callbackUrl: "http://user:pass@127.0.0.1/callback?x=1",
      notBefore: Date.now() - 1000,
      notAfter: Date.now() + 3_600_000,
    });
    const bare = newCall();
    const receipts = [await setup.queue.publish(call), await setup.queue.publish(bare)];
    const seen: QueuedCall[] = [];
    await setup.consume(async (delivered) => {
      seen.push({ ...delivered, body: Uint8Array.from(delivered.body) });
      return DONE;
    });
    await soon("both arrive", () => seen.length === 2);
    const { id, callId } = receipts[1] as (typeof receipts)[1] & object;
    // Two queues: their order is open.
    expect(seen.find(({ queue }) => queue === "other-queue")).toEqual({ ...call, id: receipts[0]?.id });
    expect(seen.find(({ queue }) => queue !== "other-queue")).toEqual({ ...bare, id, callId });
  });

  test("gives each call an id that looks like a UUID, and its caller's own beside it", async () => {
    const receipts = await Promise.all([
      setup.publish(),
      setup.publish({ callId: "mine" }),
      setup.publish({ callId: "mine" }),
    ]);
    for (const { id, duplicate } of receipts) {
      expect(id).toMatch(UUID);
      expect(duplicate).toBe(false);
    }
    expect(new Set(receipts.map(({ id }) => id)).size).toBe(3);
    expect(receipts.map(({ callId }) => callId)).toEqual([receipts[0]?.id, "mine", "mine"]);
    const deliveries = await setup.hold();
    await soon("all arrive", () => deliveries.started.length === 3);
    expect(new Set(deliveries.ids)).toEqual(new Set(receipts.map(({ id }) => id)));
  });

  test("leaves the publisher's body alone", async () => {
    const body = new Uint8Array([1, 2, 3]);
    await setup.publish({ body });
    expect([...body]).toEqual([1, 2, 3]);
  });

  test("keeps what it accepted while closed", async () => {
    const published = await setup.publishMany(40, "kept");
    await setup.reopen();
    await soon("they wait", async () => (await setup.queue.stats()).waiting === 40);
    const deliveries = await setup.hold();
    await soon("all arrive", () => deliveries.started.length === 40);
    expect(deliveries.callIds).toEqual(published);
  });

  test("does not deliver again what is done", async () => {
    await setup.publish();
    await setup.consume(async () => DONE);
    await setup.untilEmpty();
    await setup.reopen();
    const deliveries = await setup.hold();
    await setup.publish({ callId: "next" });
    await soon("the next one arrives", () => deliveries.started.length > 0);
    expect(deliveries.callIds).toEqual(["next"]);
  });

  test("delivers calls that arrive after the consumer", async () => {
    const deliveries = await setup.hold();
    await setup.publish();
    await soon("it arrives", () => deliveries.started.length === 1);
    expect(deliveries.started[0]?.attempt).toBe(1);
  });

  test("starts the calls of one function in the order of acceptance", async () => {
    const published = await setup.publishMany(200, "ordered");
    const seen: string[] = [];
    await setup.consume(async ({ callId }) => {
      seen.push(callId);
      return DONE;
    }, limited(3));
    await soon("all arrive", () => seen.length === 200);
    expect(seen).toEqual(published);
  });

  test("takes bodies of every size", async () => {
    await setup.reopen({ maxBodyBytes: 2 * 1024 ** 2 });
    const sizes = [0, 1, 4095, 4096, 70_000, 2 * 1024 ** 2];
    const bodies = sizes.map((size) => Buffer.alloc(size, `${size} `));
    await Promise.all(bodies.map((body) => setup.publish({ body })));
    const seen: Uint8Array[] = [];
    await setup.consume(async ({ body }) => {
      seen.push(body);
      return DONE;
    });
    await soon("all arrive", () => seen.length === sizes.length);
    seen.sort((a, b) => a.length - b.length);
    seen.forEach((body, i) => {
      expect(Buffer.compare(body, bodies[i] as Buffer)).toBe(0);
    });
  });

  test("refuses what is too large and takes what just fits", async () => {
    await setup.reopen({ maxBodyBytes: 1000 });
    expect(setup.queue.maxBodyBytes).toBe(1000);
    await setup.publish({ body: new Uint8Array(1000) });
    await expect(setup.publish({ body: new Uint8Array(1001) })).rejects.toMatchObject({ kind: "tooLarge" });
    await soon("one waits", async () => (await setup.queue.stats()).waiting === 1);
  });

  test("closing makes durable what was being published, and may be done twice", async () => {
    const publishing = Array.from({ length: 100 }, () => setup.publish());
    await Promise.all([setup.queue.close(), setup.queue.close(), ...publishing]);
    await expect(setup.publish()).rejects.toMatchObject({ kind: "unavailable" });
    await setup.reopen();
    await soon("they wait", async () => (await setup.queue.stats()).waiting === 100);
  });

  test("takes only from the queues it is told", async () => {
    await setup.publish({ queue: "slow-lane", callId: "slow" });
    await setup.publish({ callId: "default" });
    await setup.publish({ queue: "fast_lane", callId: "fast" });
    const deliveries = await setup.hold({ ...limited(8), queues: ["fast_lane", "slow-lane"] });
    await soon("two arrive", () => deliveries.started.length === 2);
    await setup.publish({ queue: "fast_lane", callId: "fast again" });
    await soon("the third arrives", () => deliveries.started.length === 3);
    expect(deliveries.callIds.toSorted()).toEqual(["fast", "fast again", "slow"]);
    expect(await setup.status("default")).toMatchObject({ state: "waiting", queue: "faas-request" });
  });

  test("takes from all queues unless told otherwise", async () => {
    await Promise.all(["a", "b", "c"].map((queue) => setup.publish({ queue, callId: queue })));
    const deliveries = await setup.hold();
    await soon("all arrive", () => deliveries.started.length === 3);
    expect(deliveries.callIds.toSorted()).toEqual(["a", "b", "c"]);
  });
}
