import { expect, test } from "@jest/globals";
import type { CallFilter, CallPage, ListedCall, PendingCallback } from "../../../gateway/queue/queue.ts";
import { DONE, limited, NAMESPACE, type QueueSetup, soon, WIDE } from "./setup.ts";

const LATER = 3_600_000;
const shout = { name: "shout", namespace: NAMESPACE };

/** Looking through the calls that have not ended, and into one of them. */
export function listingContract(setup: QueueSetup): void {
  const pages = async (filter: CallFilter, limit: number): Promise<CallPage[]> => {
    const all: CallPage[] = [];
    let after: string | undefined;
    do {
      const page = await setup.queue.list(filter, { limit, ...(after !== undefined && { after }) });
      all.push(page);
      after = page.next;
    } while (after !== undefined && all.length < 500);
    return all;
  };
  const list = async (filter: CallFilter = {}) => (await pages(filter, 1000)).flatMap(({ items }) => items);
  const callIds = async (filter?: CallFilter) => (await list(filter)).map(({ callId }) => callId);

  test("lists what waits with what there is to know, oldest first", async () => {
    const acceptedAt = Date.now() - 10_000;
    const notBefore = Date.now() + LATER;
    const notAfter = notBefore + LATER;
    const first = await setup.publish({ callId: "first", acceptedAt, body: new Uint8Array(123) });
    const second = await setup.publish({ acceptedAt: acceptedAt + 1, notBefore, notAfter });
    const third = await setup.publish({ callId: "third", acceptedAt: acceptedAt + 2, body: new Uint8Array(900_000) });
    const common = { queue: "faas-request", function: "shout", namespace: NAMESPACE, state: "waiting", attempts: 0 };
    expect(await list()).toEqual([
      { ...common, id: first.id, callId: "first", acceptedAt, bodyBytes: 123 },
      {
        ...common,
        id: second.id,
        callId: second.id,
        acceptedAt: acceptedAt + 1,
        nextAttemptAt: notBefore,
        notAfter,
        bodyBytes: 0,
      },
      { ...common, id: third.id, callId: "third", acceptedAt: acceptedAt + 2, bodyBytes: 900_000 },
    ]);
  });

  test("an empty queue has one empty page", async () => {
    expect(await pages({}, 10)).toEqual([{ items: [] }]);
    expect(await pages({ function: shout, queue: "no-queue", state: "running" }, 10)).toEqual([{ items: [] }]);
  });

  test("lists page by page, while calls come and go", async () => {
    const names = await setup.publishMany(10, "call");
    await setup.publishMany(3, "later", { notBefore: Date.now() + LATER });
    const page = await setup.queue.list({}, { limit: 4 });
    expect(page.items).toHaveLength(4);
    await setup.queue.cancel("call-1");
    await setup.queue.cancel("call-9");
    await setup.publish({ callId: "new" });
    const seen = page.items.map(({ callId }) => callId);
    for (let after = page.next; after !== undefined; ) {
      const next = await setup.queue.list({}, { limit: 4, after });
      expect(next.items.length).toBeLessThanOrEqual(4);
      seen.push(...next.items.map(({ callId }) => callId));
      after = next.next;
    }
    expect(seen.slice(0, 4)).toEqual(names.slice(0, 4));
    const rest = ["later-0", "later-1", "later-2", "new"];
    expect(seen.toSorted()).toEqual([...names.filter((name) => name !== "call-9"), ...rest].toSorted());
  });

  test("refuses the ends of pages that are not its own", async () => {
    await setup.publishMany(3, "call");
    for (const state of [undefined, "waiting", "running"] as const) {
      for (const after of ["nonsense", "-1", "1.5", "../x", "9".repeat(30), "\u0000", "a.b.c"]) {
        const asked = setup.queue.list({ ...(state && { state }) }, { limit: 2, after });
        await expect(asked).rejects.toMatchObject({ kind: "invalid" });
      }
    }
  });

  test("chooses by function, in every queue, and by queue", async () => {
    await setup.publish({ callId: "mine" });
    await setup.publish({ callId: "mine-later", notBefore: Date.now() + LATER });
    await setup.publish({ callId: "mine-elsewhere", queue: "slow-lane" });
    await setup.publish({ callId: "other", function: "shouter" });
    await setup.publish({ callId: "dev", namespace: "dev", queue: "slow-lane" });
    expect((await callIds({ function: shout })).toSorted()).toEqual(["mine", "mine-elsewhere", "mine-later"]);
    expect((await callIds({ queue: "slow-lane" })).toSorted()).toEqual(["dev", "mine-elsewhere"]);
    expect(await callIds({ function: shout, queue: "slow-lane" })).toEqual(["mine-elsewhere"]);
    expect(await callIds({ function: shout, queue: "faas-request" })).toEqual(["mine", "mine-later"]);
    expect(await callIds({ function: { name: "nobody", namespace: NAMESPACE } })).toEqual([]);
    expect(await callIds({ function: { name: "*", namespace: NAMESPACE } })).toEqual([]);
    expect((await callIds()).length).toBe(5);
  });

  test("tells those that run from those that wait", async () => {
    const deliveries = await setup.hold(limited(2));
    await setup.publishMany(2, "run");
    await soon("two run", () => deliveries.underWay === 2);
    await setup.publishMany(3, "wait");
    const running = await soon("it shows that they run", async () => {
      const found = await list({ state: "running" });
      return found.length === 2 && found;
    });
    expect(running.map(({ callId }) => callId).toSorted()).toEqual(["run-0", "run-1"]);
    expect(running.every(({ state, startedAt }) => state === "running" && startedAt !== undefined)).toBe(true);
    expect(await callIds({ state: "waiting" })).toEqual(["wait-0", "wait-1", "wait-2"]);
    expect(await callIds({ state: "running", function: { name: "other", namespace: NAMESPACE } })).toEqual([]);
    expect((await callIds()).length).toBe(5);
    deliveries.endAll();
    await soon("they have ended", async () => !(await callIds()).includes("run-0"));
  });

  test("shows what waits for its retry", async () => {
    const { id } = await setup.publish({ callId: "again", body: new Uint8Array(7) });
    await setup.consume(async () => ({ kind: "retry", afterMs: LATER, outcome: { status: 503, durationMs: 12 } }));
    const [call] = await soon("it waits for its retry", async () => {
      const found = await list({ state: "waiting", function: shout });
      return found[0]?.attempts === 1 && found;
    });
    expect(call).toMatchObject({ id, callId: "again", attempts: 1, status: 503, durationMs: 12, bodyBytes: 7 });
    expect(call?.nextAttemptAt).toBeGreaterThan(Date.now());
    expect(await callIds({ state: "running" })).toEqual([]);
  });

  test("shows what waits for its callback alone, in its place and among its function's", async () => {
    const told = { retry: 0, retryMax: 0, durationMs: 5 } as const;
    const callback: PendingCallback = {
      ...told,
      url: "http://receiver/",
      state: "done",
      outcome: { status: 200, durationMs: 5, result: { headers: [], body: Buffer.from("answer") } },
      tries: 1,
      since: Date.now(),
      failure: "status 503",
    };
    let calledBack = 0;
    const consumer = await setup.consume(async (call, _attempt, signal) => {
      if (call.callId.startsWith("plain")) return { kind: "retry", afterMs: LATER, counted: false };
      if (!call.callback) return { kind: "callback", afterMs: 1, callback };
      calledBack++;
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      throw signal.reason;
    });
    for (const queue of ["faas-request", "slow-lane"]) {
      await setup.publish({ callId: `called-${queue}`, queue, callbackUrl: "http://receiver/", path: "/p" });
    }
    await setup.publish({ callId: "plain" });
    await setup.publish({ callId: "plain-other", function: "other" });
    await soon("the callbacks are made", () => calledBack === 2);
    await consumer.close(0);
    await soon("they wait", async () => (await callIds({ state: "waiting" })).length === 4);
    expect((await callIds({ function: shout })).toSorted()).toEqual([
      "called-faas-request",
      "called-slow-lane",
      "plain",
    ]);
    expect((await callIds({ function: shout, queue: "faas-request" })).toSorted()).toEqual([
      "called-faas-request",
      "plain",
    ]);
    expect(await callIds({ queue: "slow-lane" })).toEqual(["called-slow-lane"]);
    const one = (await pages({ function: shout }, 1)).flatMap(({ items }) => items);
    expect(one.map(({ callId }) => callId).toSorted()).toEqual(["called-faas-request", "called-slow-lane", "plain"]);
    const [called] = (await list({ queue: "slow-lane" })) as [ListedCall];
    expect(called).toMatchObject({ state: "waiting", attempts: 1, callback: { state: "waiting" } });
    expect(await setup.queue.request(called.id, 10)).toMatchObject({ path: "/p", callbackUrl: "http://receiver/" });
  });

  test("lists a batch until its calls are queued, then these with their places in it", async () => {
    const size = 3;
    const { id } = await setup.publish({ callId: "batch", batch: { kind: "whole", size } });
    expect(await list()).toMatchObject([{ id, batch: { size, done: 0 } }]);
    await setup.consume(async (call) => {
      for (let index = 0; call.batch?.kind === "whole" && index < size; index++) {
        const batch = { kind: "member", of: call.id, index, size } as const;
        await setup.publish({ batch, body: new Uint8Array(index), notBefore: Date.now() + LATER });
      }
      return DONE;
    });
    const members = await soon("only its calls are listed", async () => {
      const found = await list();
      return found.length === size && found.every(({ member }) => member) && found;
    });
    expect(members.map(({ member, bodyBytes }) => [member, bodyBytes])).toEqual(
      [0, 1, 2].map((index) => [{ of: id, index }, index]),
    );
    expect(await setup.queue.request(id, 0)).toBeUndefined();
  });

  test("shows the request of a call that waits, by its id and by its caller's own", async () => {
    const callId = "a/b?c=%2F é\u001b[31m";
    const headers = [
      ["X-Own", "ä"],
      ["x-own", "\u001b]0;x\u0007"],
    ] as const;
    const body = Buffer.from(Array.from({ length: 1000 }, (_, i) => i % 251));
    const asked = { callId, method: "PUT", path: "/p%20q", query: "a=1&b", headers, body };
    const { id } = await setup.publish({
      ...asked,
      callbackUrl: "http://user:pw@host/",
      notBefore: Date.now() + LATER,
    });
    for (const name of [id, callId]) {
      const found = await setup.queue.request(name, 10);
      expect(found).toMatchObject({ method: "PUT", path: "/p%20q", query: "a=1&b", headers, bodyBytes: 1000 });
      expect(found?.callbackUrl).toBe("http://user:pw@host/");
      expect([...(found?.body ?? [])]).toEqual([...body.subarray(0, 10)]);
    }
    expect((await setup.queue.request(id, 0))?.body).toHaveLength(0);
    expect([...((await setup.queue.request(id, 5000))?.body ?? [])]).toEqual([...body]);
    expect((await setup.status(id)).state).toBe("waiting");
    expect(await setup.queue.request("nobody's", 10)).toBeUndefined();
  });

  test("shows the request of one that runs, and of dead letters; of others it is not kept", async () => {
    const large = Buffer.alloc(900_000, "x");
    const [dead] = await setup.bury({ callId: "dead", path: "/dead", body: large });
    expect(await setup.queue.request(dead as string, 3)).toMatchObject({ path: "/dead", bodyBytes: large.length });
    expect((await setup.queue.request("dead", large.length))?.body).toHaveLength(large.length);
    const deliveries = await setup.hold(WIDE);
    const { id } = await setup.publish({ callId: "runs", path: "/runs" });
    await soon("it runs", () => deliveries.underWay === 1);
    expect(await setup.queue.request(id, 0)).toMatchObject({ path: "/runs", bodyBytes: 0 });
    deliveries.endAll();
    await setup.untilState(id, "done");
    await soon("its request is gone", async () => (await setup.queue.request(id, 0)) === undefined);
    const cancelled = await setup.publish({ notBefore: Date.now() + LATER });
    await setup.queue.cancel(cancelled.id);
    await soon("its request is gone", async () => (await setup.queue.request(cancelled.id, 0)) === undefined);
  });

  test("goes through many without showing one twice or leaving one out", async () => {
    const names = await setup.publishMany(450, "many");
    await setup.publishMany(50, "other", { function: "other" });
    const seen: ListedCall[] = (await pages({ function: shout }, 200)).flatMap(({ items }) => items);
    expect(seen.map(({ callId }) => callId)).toEqual(names);
  });
}
