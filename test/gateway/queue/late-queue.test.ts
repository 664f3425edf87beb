import { expect, test } from "@jest/globals";
import { LateQueue } from "../../../gateway/queue/late-queue.ts";
import type { NewCall, Queue } from "../../../gateway/queue/queue.ts";
import { createLogger } from "../../../kit/log.ts";
import { StartError } from "../../../kit/process.ts";
import { eventually } from "../../support/eventually.ts";
import { FakeQueue } from "../fake-queue.ts";

const log = createLogger("silent");
const call: NewCall = {
  queue: "faas-request",
  function: "f",
  namespace: "n",
  method: "POST",
  path: "/",
  query: "",
  headers: [],
  body: new Uint8Array(),
  acceptedAt: 0,
};

class Opened extends FakeQueue {
  closes = 0;
  async consume(): ReturnType<Queue["consume"]> {
    return { limitChanged() {}, async close() {} };
  }
  async close(): Promise<void> {
    this.closes++;
  }
}

const options = { maxBodyBytes: 10, maxResultBytes: 20, waitMs: [1, 5] as const, log };

test("everything is unavailable until the queue has been opened, and goes to it from then on", async () => {
  const opened = new Opened();
  let there = false;
  let tries = 0;
  const open = async (): Promise<Queue> => {
    tries++;
    if (!there) throw new Error("nobody listens");
    return opened;
  };
  const queue = new LateQueue({ ...options, open });
  await queue.whenTried;
  for (const asked of [
    () => queue.publish(call),
    () => queue.find("a"),
    () => queue.result("a"),
    () => queue.cancel("a"),
    () => queue.purge({ name: "f", namespace: "n" }),
    () => queue.list({}, { limit: 1 }),
    () => queue.request("a", 0),
    () => queue.stats(),
    () => queue.consume(async () => ({ kind: "done" }), { concurrency: 1, limitOf: () => 1 }),
    () => queue.deadLetters.list({}, { limit: 1 }),
    () => queue.deadLetters.replay({}),
    () => queue.deadLetters.drop({}),
  ]) {
    await expect(asked()).rejects.toMatchObject({ kind: "unavailable" });
  }
  await eventually("it is tried again", () => tries > 3);
  there = true;
  await queue.whenOpen;
  expect((await queue.publish(call)).duplicate).toBe(false);
  expect(await queue.deadLetters.drop({})).toBe(4);
  expect(await queue.purge({ name: "f", namespace: "n" })).toBe(5);
  expect(await queue.list({}, { limit: 1 })).toEqual({ items: [] });
  expect(await queue.request("a", 0)).toBeUndefined();
  expect([queue.maxBodyBytes, queue.maxResultBytes]).toEqual([10, 20]);
  await queue.close();
  expect(opened.closes).toBe(1);
});

test("closing ends the tries, and closes what one of them still opens", async () => {
  const arrives = Promise.withResolvers<Queue>();
  const opened = new Opened();
  let tries = 0;
  const open = () => {
    tries++;
    return arrives.promise;
  };
  const queue = new LateQueue({ ...options, open });
  const closing = queue.close();
  arrives.resolve(opened);
  await closing;
  expect([opened.closes, tries]).toEqual([1, 1]);

  const never = new LateQueue({
    ...options,
    waitMs: [60_000, 60_000],
    open: async () => Promise.reject(new Error("no")),
  });
  await never.whenTried;
  await never.close();
});

test("is not tried again after a failure that no waiting mends", async () => {
  const failure = new StartError("the server is too old");
  const told: Error[] = [];
  let tries = 0;
  const open = async () => {
    tries++;
    throw tries < 3 ? new Error("nobody listens") : failure;
  };
  const queue = new LateQueue({ ...options, open, onFailure: (error) => told.push(error) });
  await eventually("it is told of", () => told.length > 0);
  await queue.close();
  expect([told, tries]).toEqual([[failure], 3]);
});

test("why it cannot be opened is told where that is for callers to know", async () => {
  const full = Object.assign(new Error("cannot open /a/path"), { cause: { code: "ERR_SQLITE_ERROR", errcode: 13 } });
  const lost = new Error("cannot reach nats://user:password@host");
  for (const [error, text] of [
    [full, /^the queue is not there yet: no space is left/],
    [lost, /^the queue is not there yet$/],
  ] as const) {
    const queue = new LateQueue({ ...options, open: () => Promise.reject(error) });
    await queue.whenTried;
    await expect(queue.publish(call)).rejects.toMatchObject({
      kind: "unavailable",
      message: expect.stringMatching(text),
    });
    await queue.close();
  }
});
