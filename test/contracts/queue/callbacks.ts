import { expect, test } from "@jest/globals";
import type { CallbackEnd, Deliver, Disposition, PendingCallback, QueuedCall } from "../../../gateway/queue/queue.ts";
import { limited, type QueueSetup, soon, WIDE } from "./setup.ts";

const HEADERS = [
  ["content-type", "text/plain"],
  ["x-multi", "one"],
  ["x-multi", "two"],
] as const;

const NEWS = { url: "https://user:pass@hooks.example.com/x", retry: 0, retryMax: 3, durationMs: 12.345 };

function pending(given: Partial<PendingCallback> = {}, body = "the answer"): PendingCallback {
  const outcome = { status: 201, durationMs: 12, result: { headers: HEADERS, body: Buffer.from(body) } };
  return { ...NEWS, state: "done", outcome, tries: 1, since: Date.now(), failure: "status 503", ...given };
}

const putOff = (afterMs: number, callback = pending()): Disposition => ({ kind: "callback", afterMs, callback });

function told({ outcome, tries }: PendingCallback, given: Partial<CallbackEnd> = {}) {
  return { outcome, callback: { ...NEWS, state: "done", tries: tries + 1, delivered: true, ...given } as CallbackEnd };
}

/** Puts off the callback of each call that runs, and tells what is delivered with one. */
class Callbacks {
  ran = 0;
  readonly calls: (QueuedCall & { readonly callback: PendingCallback })[] = [];
  readonly deliver: Deliver = async (call) => {
    const { callback } = call;
    if (!callback) {
      this.ran++;
      return this.putOff;
    }
    this.calls.push({ ...call, callback });
    return this.end(callback, this.calls.length);
  };
  putOff = putOff(50);
  end: (callback: PendingCallback, times: number) => Disposition | Promise<Disposition> = (callback) => ({
    kind: "done",
    ...told(callback),
  });
}

const text = (body: Uint8Array | undefined) => Buffer.from(body ?? []).toString();

/** An answer whose callback failed is kept with its call, which does not run again for it. */
export function callbacksContract(setup: QueueSetup): void {
  const untilPutOff = (id: string) =>
    soon("its callback waits", async () => {
      const status = await setup.status(id);
      if (status.callback?.state !== "waiting" || status.state !== "waiting") throw new Error(JSON.stringify(status));
      return status;
    });

  test("comes back with the answer, and ends as the call does", async () => {
    const callbacks = new Callbacks();
    const since = Date.now() - 5000;
    callbacks.putOff = putOff(100, pending({ since }));
    await setup.consume(callbacks.deliver);
    const { id } = await setup.publish({ callId: "mine", body: Buffer.from("the request"), callbackUrl: NEWS.url });
    const status = await setup.untilState(id, "done");
    expect(status).toMatchObject({ attempts: 1, status: 201, durationMs: 12 });
    expect(status.callback).toEqual({ state: "delivered", tries: 2 });
    expect(callbacks.ran).toBe(1);
    const [call] = callbacks.calls;
    expect(callbacks.calls).toHaveLength(1);
    expect(call).toMatchObject({ id, callId: "mine", callbackUrl: NEWS.url });
    const { outcome, ...rest } = call?.callback ?? pending();
    expect(rest).toEqual({ ...NEWS, state: "done", tries: 1, since, failure: "status 503" });
    expect(outcome).toMatchObject({ status: 201, durationMs: 12, result: { headers: HEADERS } });
    expect(text(outcome.result?.body)).toBe("the answer");
    const result = await setup.queue.result(id);
    expect(result?.result?.headers).toEqual(HEADERS);
    expect(text(result?.result?.body)).toBe("the answer");
    await setup.untilEmpty();
  });

  test("says meanwhile that the function has answered, and counts as one call of it that waits", async () => {
    const callbacks = new Callbacks();
    callbacks.putOff = putOff(3_600_000);
    await setup.consume(callbacks.deliver);
    const before = Date.now();
    const { id } = await setup.publish({ body: Buffer.from("the request"), callbackUrl: NEWS.url });
    const status = await untilPutOff(id);
    expect(status).toMatchObject({ attempts: 1, status: 201, durationMs: 12 });
    expect(status).not.toHaveProperty("nextAttemptAt");
    expect(status.callback).toEqual({
      state: "waiting",
      tries: 1,
      reason: "status 503",
      nextAttemptAt: expect.any(Number),
    });
    expect(status.callback?.nextAttemptAt).toBeGreaterThanOrEqual(before + 3_600_000);
    const stats = await setup.queue.stats();
    expect(stats).toMatchObject({ waiting: 1, inFlight: 0, dead: 0 });
    expect(stats.functions).toEqual([expect.objectContaining({ name: "shout", queue: "faas-request", waiting: 1 })]);
    expect(stats.bytes).toBeGreaterThan("the request".length + "the answer".length);
  });

  test("outlives every process, however often it is put off", async () => {
    const callbacks = new Callbacks();
    callbacks.putOff = putOff(200);
    callbacks.end = (callback, times) =>
      times < 3
        ? putOff(200, { ...callback, tries: callback.tries + 1, failure: `failure ${times}` })
        : { kind: "done", ...told(callback) };
    const { id } = await setup.publish({ callbackUrl: NEWS.url });
    for (let tries = 1; tries <= 3; tries++) {
      await setup.consume(callbacks.deliver);
      await soon("it is put off", async () => ((await setup.status(id)).callback?.tries ?? 0) >= tries);
      await setup.reopen();
    }
    await setup.consume(callbacks.deliver);
    expect((await setup.untilState(id, "done")).callback).toEqual({ state: "delivered", tries: 4 });
    expect(callbacks.ran).toBe(1);
    expect(callbacks.calls.map(({ callback }) => callback.tries)).toEqual([1, 2, 3]);
    expect(callbacks.calls.map(({ callback }) => callback.failure)).toEqual(["status 503", "failure 1", "failure 2"]);
    expect(callbacks.calls.map(({ callback }) => text(callback.outcome.result?.body))).toEqual([
      "the answer",
      "the answer",
      "the answer",
    ]);
  });

  test("has large requests and answers whole", async () => {
    const callbacks = new Callbacks();
    const answer = "0123456789abcdef-".repeat(57_000);
    const body = Buffer.alloc(1_000_000, "request ");
    callbacks.putOff = putOff(20, pending({}, answer));
    callbacks.end = (callback) => ({ kind: "dead", reason: "the callback failed: no", ...told(callback) });
    await setup.consume(callbacks.deliver);
    const { id } = await setup.publish({ body, callbackUrl: NEWS.url });
    await setup.untilState(id, "dead");
    expect(text(callbacks.calls[0]?.callback.outcome.result?.body) === answer).toBe(true);
    expect(text((await setup.queue.result(id))?.result?.body) === answer).toBe(true);
    let replayed: QueuedCall | undefined;
    callbacks.putOff = { kind: "done" };
    await setup.reopen();
    await setup.consume(async (call) => {
      replayed = call;
      return { kind: "done" };
    });
    expect(await setup.queue.deadLetters.replay({ id })).toBe(1);
    await setup.untilState(id, "done");
    expect(replayed).not.toHaveProperty("callback");
    expect(Buffer.compare(replayed?.body ?? Buffer.of(), body)).toBe(0);
  });

  test("waits neither for its function's limit nor behind its calls", async () => {
    const callbacks = new Callbacks();
    let limit = 1;
    callbacks.putOff = putOff(300);
    const first = await setup.publish({ callId: "first", callbackUrl: NEWS.url });
    const deliver: Deliver = async (call, ...rest) => {
      if (call.callId === "first") return await callbacks.deliver(call, ...rest);
      return await new Promise((_resolve, reject) => {
        rest[1].addEventListener("abort", () => reject(rest[1].reason));
      });
    };
    await setup.consume(deliver, { concurrency: 8, limitOf: () => limit });
    await untilPutOff(first.id);
    await setup.publishMany(5, "slow");
    await soon("one of them has the only place", async () => (await setup.queue.stats()).inFlight === 1);
    limit = 0;
    await setup.untilState(first.id, "done");
    expect(callbacks.ran).toBe(1);
  });

  test("that is given up is a dead letter with the answer", async () => {
    const callbacks = new Callbacks();
    callbacks.end = (callback) => ({
      kind: "dead",
      reason: "the callback failed: status 503",
      ...told(callback, { delivered: false, failure: "status 503" }),
    });
    await setup.consume(callbacks.deliver);
    const { id } = await setup.publish({ body: Buffer.from("the request"), callbackUrl: NEWS.url });
    const status = await setup.untilState(id, "dead");
    expect(status).toMatchObject({ attempts: 1, status: 201, reason: "the callback failed: status 503" });
    expect(status.callback).toEqual({ state: "failed", tries: 2, reason: "status 503" });
    const { items } = await setup.queue.deadLetters.list(
      { function: { name: "shout", namespace: "openfaas-fn" } },
      { limit: 9 },
    );
    expect(items).toEqual([expect.objectContaining({ id, attempts: 1, status: 201, queue: "faas-request" })]);
    expect(text((await setup.queue.result(id))?.result?.body)).toBe("the answer");
    await setup.untilEmpty();
  });

  test.each(["cancelled", "purged"])("that waits is not made once its call is %s", async (how) => {
    const callbacks = new Callbacks();
    callbacks.putOff = putOff(1500);
    await setup.consume(callbacks.deliver);
    const { id } = await setup.publish({ callbackUrl: NEWS.url });
    await untilPutOff(id);
    if (how === "cancelled") expect(await setup.queue.cancel(id)).toBe("waiting");
    else expect(await setup.queue.purge({ name: "shout", namespace: "openfaas-fn" })).toBe(1);
    expect(await setup.untilState(id, "cancelled")).toMatchObject({ attempts: 1, status: 201 });
    await setup.untilEmpty();
    const other = await setup.publish({ callbackUrl: NEWS.url });
    await setup.untilState(other.id, "done");
    expect(callbacks.calls.map((call) => call.id)).toEqual([other.id]);
  });

  test("that is being made is cancelled with its call", async () => {
    const callbacks = new Callbacks();
    let aborted = false;
    const deliver: Deliver = async (call, attempt, signal, place) => {
      const end = await callbacks.deliver(call, attempt, signal, place);
      if (!call.callback) return end;
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
      aborted = true;
      throw signal.reason;
    };
    await setup.consume(deliver);
    const { id } = await setup.publish({ callbackUrl: NEWS.url });
    await soon("it is being made", () => callbacks.calls.length === 1);
    expect(["waiting", "running"]).toContain(await setup.queue.cancel(id));
    await soon("it is aborted", () => aborted);
    await setup.untilState(id, "cancelled");
    await setup.untilEmpty();
    expect(callbacks.calls).toHaveLength(1);
  });

  test("that is cut off by a stop is put off, or handed back as it was", async () => {
    let ran = 0;
    const seen: (number | undefined)[] = [];
    const deliver: Deliver = async ({ callback }, _attempt, signal) => {
      seen.push(callback?.tries);
      if (!callback) ran++;
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
      if (callback) throw signal.reason;
      return putOff(0, pending({ tries: 0 }));
    };
    const { id } = await setup.publish({ callbackUrl: NEWS.url });
    for (let times = 1; times <= 3; times++) {
      await setup.consume(deliver);
      await soon("it is under way", () => seen.length === times);
      await setup.reopen();
    }
    const callbacks = new Callbacks();
    await setup.consume(callbacks.deliver);
    expect(await setup.untilState(id, "done")).toMatchObject({ attempts: 1, status: 201 });
    expect(ran).toBe(1);
    expect(seen).toEqual([undefined, 0, 0]);
    expect(callbacks.ran).toBe(0);
    expect(callbacks.calls.map(({ callback }) => callback.tries)).toEqual([0]);
  });

  test("of what has expired counts no attempt", async () => {
    const callbacks = new Callbacks();
    const outcome = { status: 504, durationMs: 77 };
    callbacks.putOff = putOff(20, pending({ state: "expired", outcome }));
    callbacks.end = (callback) => ({ kind: "expired", callback: told(callback, { state: "expired" }).callback });
    await setup.consume(callbacks.deliver);
    const { id } = await setup.publish({ notAfter: Date.now() - 1000, callbackUrl: NEWS.url });
    const status = await setup.untilState(id, "expired");
    expect(status).toMatchObject({ attempts: 0, callback: { state: "delivered", tries: 2 } });
    expect(status).not.toHaveProperty("status");
    expect(callbacks.calls[0]?.callback.outcome).toEqual(outcome);
    await setup.untilEmpty();
  });

  test("of a batch that has expired is kept as well", async () => {
    const callbacks = new Callbacks();
    callbacks.putOff = putOff(20, pending({ state: "expired", outcome: { status: 504, durationMs: 77 } }));
    callbacks.end = (callback) => ({ kind: "expired", callback: told(callback, { state: "expired" }).callback });
    await setup.consume(callbacks.deliver);
    const batch = { kind: "whole", size: 2 } as const;
    const { id } = await setup.publish({ notAfter: Date.now() - 1000, callbackUrl: NEWS.url, batch });
    expect((await setup.untilState(id, "expired")).callback).toEqual({ state: "delivered", tries: 2 });
    expect(callbacks.ran).toBe(1);
    expect(callbacks.calls[0]?.batch).toEqual(batch);
    await setup.untilEmpty();
  });

  test("counts the attempt whose answer it tells", async () => {
    const numbers: number[] = [];
    await setup.consume(async ({ callback }, attempt) => {
      numbers.push(attempt);
      if (callback) return { kind: "done", ...told(callback) };
      return attempt < 2 ? { kind: "retry", afterMs: 10 } : putOff(10);
    });
    const { id } = await setup.publish({ callbackUrl: NEWS.url });
    expect((await setup.untilState(id, "done")).attempts).toBe(2);
    expect(numbers).toEqual([1, 2, 2]);
  });

  test("that throws is tried again as a callback", async () => {
    const callbacks = new Callbacks();
    callbacks.end = (callback, times) => {
      if (times === 1) throw new Error("out of order");
      return { kind: "done", ...told(callback) };
    };
    await setup.consume(callbacks.deliver);
    const { id } = await setup.publish({ callbackUrl: NEWS.url });
    await setup.untilState(id, "done");
    expect({ ran: callbacks.ran, told: callbacks.calls.length }).toEqual({ ran: 1, told: 2 });
  });

  test("of many calls each comes once", async () => {
    const callbacks = new Callbacks();
    callbacks.putOff = putOff(10);
    await setup.consume(callbacks.deliver, limited(8, 4));
    await setup.publishMany(60, "many", { callbackUrl: NEWS.url });
    await soon("all have come", () => callbacks.calls.length === 60);
    await setup.untilEmpty();
    expect(callbacks.ran).toBe(60);
    expect(new Set(callbacks.calls.map(({ callId }) => callId)).size).toBe(60);
  });

  test("goes to the workers of its queue alone", async () => {
    const callbacks = new Callbacks();
    const { id } = await setup.publish({ queue: "special", callbackUrl: NEWS.url });
    const consumer = await setup.queue.consume(callbacks.deliver, { ...WIDE, queues: ["special"] });
    callbacks.putOff = putOff(200);
    await untilPutOff(id);
    await consumer.close(1000);
    const others = new Callbacks();
    const other = await setup.queue.consume(others.deliver, { ...WIDE, queues: ["faas-request"] });
    const { id: ordinary } = await setup.publish({ callbackUrl: NEWS.url });
    await setup.untilState(ordinary, "done");
    await other.close(1000);
    expect(others.calls.map((call) => call.id)).toEqual([ordinary]);
    await setup.consume(callbacks.deliver, { ...WIDE, queues: ["special"] });
    await setup.untilState(id, "done");
    expect(callbacks.ran).toBe(1);
  });
}
