import { expect, test } from "@jest/globals";
import type { Deliver, Disposition, PendingCallback, QueuedCall } from "../../../gateway/queue/queue.ts";
import { type QueueSetup, soon, WIDE } from "./setup.ts";

const NEWS = { url: "https://hooks.example.com/x", retry: 1, retryMax: 3, durationMs: 12.5 } as const;
const HEADERS = [["content-type", "text/plain"]] as const;
const FUNCTION = { name: "shout", namespace: "openfaas-fn" };

const answered = (body = "the answer") => ({
  outcome: { status: 201, durationMs: 12, result: { headers: HEADERS, body: Buffer.from(body) } },
});

type State = PendingCallback["state"];

function ended(delivered: boolean, state: State = "done", tries = 1): Disposition {
  const failure = delivered ? {} : { failure: "status 503" };
  const callback = { ...NEWS, state, tries, delivered, ...failure };
  if (state === "expired") return { kind: "expired", callback };
  if (state === "dead") return { kind: "dead", reason: "gave up", ...answered(), callback };
  return delivered
    ? { kind: "done", ...answered(), callback }
    : { kind: "dead", reason: "the callback failed: status 503", ...answered(), callback };
}

/** Ends calls as it is told, and callbacks that are sent once more as well. */
class Receiver {
  ran = 0;
  readonly again: QueuedCall[] = [];
  first: Disposition = ended(true);
  next: (callback: PendingCallback, times: number) => Disposition | Promise<Disposition> = () => ended(true);
  readonly deliver: Deliver = async (call) => {
    if (!call.callback) {
      this.ran++;
      return this.first;
    }
    this.again.push(call);
    return await this.next(call.callback, this.again.length);
  };
}

/** The callback of a call that has ended can be sent once more. The function does not run for it. */
export function callbackAgainContract(setup: QueueSetup): void {
  /** A call that has ended, and nobody who takes more. */
  async function endOne(receiver: Receiver, given: Partial<QueuedCall> = {}): Promise<string> {
    const consumer = await setup.queue.consume(receiver.deliver, WIDE);
    const { id } = await setup.publish({ callbackUrl: NEWS.url, body: Buffer.from("the request"), ...given });
    await soon("it has ended", async () => (await setup.status(id)).finishedAt !== undefined);
    await consumer.close(1000);
    return id;
  }
  const letters = async () => (await setup.queue.deadLetters.list({}, { limit: 9 })).items.map(({ id }) => id);
  const over = (id: string, state: string) =>
    soon(`the callback is ${state}`, async () => {
      const status = await setup.status(id);
      if (status.callback?.state !== state) throw new Error(JSON.stringify(status));
      return status;
    });

  test("of one that is done, which stays so meanwhile", async () => {
    const receiver = new Receiver();
    const id = await endOne(receiver, { callId: "mine" });
    const before = await setup.status(id);
    expect(before).toMatchObject({ state: "done", callback: { state: "delivered", tries: 1 } });
    expect(await setup.queue.callBack("mine")).toBe("queued");
    const waiting = await setup.status(id);
    expect(waiting).toMatchObject({ state: "done", status: 201, finishedAt: before.finishedAt });
    expect(waiting.callback).toMatchObject({ state: "waiting", tries: 0 });
    expect((await setup.queue.stats()).waiting).toBe(1);
    for (const filter of [{}, { function: FUNCTION, state: "waiting" }] as const) {
      const { items } = await setup.queue.list(filter, { limit: 9 });
      expect(items).toMatchObject([{ id, callId: "mine", state: "waiting", callback: { state: "waiting", tries: 0 } }]);
    }
    receiver.next = () => ended(true, "done", 1);
    await setup.consume(receiver.deliver);
    await over(id, "delivered");
    await setup.untilEmpty();
    expect(receiver.ran).toBe(1);
    const [call] = receiver.again;
    expect(receiver.again).toHaveLength(1);
    expect(call).toMatchObject({ callId: "mine", function: "shout", queue: "faas-request", callbackUrl: NEWS.url });
    expect(call?.acceptedAt).toBe(before.acceptedAt);
    expect(call?.callback).toMatchObject({ ...NEWS, state: "done", tries: 0, outcome: { status: 201 } });
    expect(call?.callback?.outcome.result?.headers).toEqual(HEADERS);
    expect(Buffer.from(call?.callback?.outcome.result?.body ?? []).toString()).toBe("the answer");
    expect(await setup.status(id)).toMatchObject({ state: "done", attempts: 1, finishedAt: before.finishedAt });
    expect(Buffer.from((await setup.queue.result(id))?.result?.body ?? []).toString()).toBe("the answer");
  });

  test("of one that was dead for its callback alone: delivered, it is done and no dead letter", async () => {
    const receiver = new Receiver();
    receiver.first = ended(false);
    const id = await endOne(receiver);
    expect(await letters()).toEqual([id]);
    expect(await setup.queue.callBack(id)).toBe("queued");
    expect(await letters()).toEqual([id]);
    await setup.consume(receiver.deliver);
    // The call is done a moment before its callback is known to be over.
    await over(id, "delivered");
    const status = await setup.status(id);
    expect(status).toMatchObject({ state: "done", callback: { state: "delivered", tries: 1 } });
    expect(status).not.toHaveProperty("reason");
    await soon("the letter is gone", async () => (await letters()).length === 0);
    expect((await setup.queue.stats()).dead).toBe(0);
    expect(receiver.ran).toBe(1);
    expect(Buffer.from((await setup.queue.result(id))?.result?.body ?? []).toString()).toBe("the answer");
  });

  test("that fails again changes nothing but what is told of it", async () => {
    const receiver = new Receiver();
    receiver.first = ended(false);
    receiver.next = (callback) => {
      const end = { ...NEWS, state: callback.state, tries: 5, delivered: false, failure: "status 500" };
      return { kind: "dead", reason: "the callback failed: status 500", outcome: callback.outcome, callback: end };
    };
    const id = await endOne(receiver);
    await setup.queue.callBack(id);
    await setup.consume(receiver.deliver);
    await soon("it has failed", async () => (await setup.status(id)).callback?.tries === 5);
    expect(await setup.status(id)).toMatchObject({
      state: "dead",
      reason: "the callback failed: status 503",
      callback: { state: "failed", tries: 5, reason: "status 500" },
    });
    expect(await letters()).toEqual([id]);
    expect((await setup.queue.stats()).dead).toBe(1);
    // And once more.
    receiver.next = () => ended(true);
    expect(await setup.queue.callBack(id)).toBe("queued");
    await setup.untilState(id, "done");
    expect(receiver.ran).toBe(1);
  });

  test("of one that is dead for another reason leaves it so", async () => {
    const receiver = new Receiver();
    receiver.first = ended(false, "dead");
    receiver.next = () => ended(true, "dead");
    const id = await endOne(receiver);
    expect(await setup.queue.callBack(id)).toBe("queued");
    await setup.consume(receiver.deliver);
    expect(await over(id, "delivered")).toMatchObject({ state: "dead", reason: "gave up" });
    expect(receiver.again[0]?.callback?.state).toBe("dead");
    expect(await letters()).toEqual([id]);
  });

  test("of one that has expired tells that", async () => {
    const receiver = new Receiver();
    receiver.first = ended(false, "expired");
    receiver.next = () => ended(true, "expired");
    const id = await endOne(receiver);
    expect(await setup.queue.callBack(id)).toBe("queued");
    await setup.consume(receiver.deliver);
    expect(await over(id, "delivered")).toMatchObject({ state: "expired" });
    expect(receiver.again[0]?.callback).toMatchObject({ state: "expired", outcome: { status: 504 } });
  });

  test("is put off and outlives processes like the first", async () => {
    const receiver = new Receiver();
    receiver.first = ended(false);
    const id = await endOne(receiver);
    receiver.next = (callback, times) =>
      times < 3
        ? { kind: "callback", afterMs: 200, callback: { ...callback, tries: times, failure: `failure ${times}` } }
        : ended(true);
    await setup.queue.callBack(id);
    for (let tries = 1; tries <= 2; tries++) {
      await setup.reopen();
      await setup.consume(receiver.deliver);
      await soon("it is put off", async () => ((await setup.status(id)).callback?.tries ?? 0) >= tries);
    }
    await setup.untilState(id, "done");
    expect(receiver.again.map(({ callback }) => callback?.failure)).toEqual([undefined, "failure 1", "failure 2"]);
    expect(receiver.ran).toBe(1);
    await setup.untilEmpty();
  });

  test("asked for twice while it waits, it is sent once", async () => {
    const receiver = new Receiver();
    const id = await endOne(receiver);
    expect(await setup.queue.callBack(id)).toBe("queued");
    expect(await setup.queue.callBack(id)).toBe("queued");
    await setup.consume(receiver.deliver);
    await over(id, "delivered");
    await setup.untilEmpty();
    expect(receiver.again).toHaveLength(1);
  });

  test.each(["cancelled", "purged", "replayed"])("is not sent once its call is %s", async (how) => {
    const receiver = new Receiver();
    receiver.first = ended(false);
    const id = await endOne(receiver);
    await setup.queue.callBack(id);
    if (how === "cancelled") expect(await setup.queue.cancel(id)).toBe("dead");
    else if (how === "purged") expect(await setup.queue.purge(FUNCTION)).toBe(1);
    else expect(await setup.queue.deadLetters.replay({ id })).toBe(1);
    receiver.first = ended(true);
    await setup.consume(receiver.deliver);
    const other = await setup.publish();
    await setup.untilState(other.id, "done");
    await setup.untilEmpty();
    expect(receiver.again).toHaveLength(0);
    expect(receiver.ran).toBe(how === "replayed" ? 3 : 2);
    expect((await setup.status(id)).state).toBe(how === "replayed" ? "done" : "dead");
  });

  test("of large answers is whole", async () => {
    const receiver = new Receiver();
    const answer = "0123456789abcdef-".repeat(60_000);
    receiver.first = { ...ended(false), ...answered(answer) } as Disposition;
    const id = await endOne(receiver);
    await setup.queue.callBack(id);
    await setup.consume(receiver.deliver);
    await setup.untilState(id, "done");
    const bodies = [receiver.again[0]?.callback?.outcome.result?.body, (await setup.queue.result(id))?.result?.body];
    expect(bodies.map((body) => Buffer.from(body ?? []).toString() === answer)).toEqual([true, true]);
  });

  test("is refused where there is nothing to send", async () => {
    expect(await setup.queue.callBack("nobody")).toBe("unknown");
    expect(await setup.queue.callBack("a7f3f8a1-0000-4012-b456-789abcdef012")).toBe("unknown");
    const waiting = await setup.publish({ callbackUrl: NEWS.url, notBefore: Date.now() + 3_600_000 });
    expect(await setup.queue.callBack(waiting.id)).toBe("open");
    await setup.queue.cancel(waiting.id);
    expect(await setup.queue.callBack(waiting.id)).toBe("noCallback");
    const receiver = new Receiver();
    receiver.first = { kind: "done", ...answered() };
    expect(await setup.queue.callBack(await endOne(receiver, { callbackUrl: undefined } as object))).toBe("noCallback");
    receiver.first = { ...ended(true), outcome: { status: 200, durationMs: 1 } } as Disposition;
    expect(await setup.queue.callBack(await endOne(receiver))).toBe("noResult");
    await setup.reopen({ resultTtlMs: 0, maxResultBytes: 0 });
    receiver.first = ended(true);
    expect(await setup.queue.callBack(await endOne(receiver))).toBe("noResult");
    receiver.first = ended(true, "expired");
    expect(await setup.queue.callBack(await endOne(receiver))).toBe("queued");
  });
}
