import { expect, test } from "@jest/globals";
import type { Outcome } from "../../../gateway/queue/queue.ts";
import { DONE, limited, type QueueSetup, soon } from "./setup.ts";

const ANSWER: Outcome = {
  status: 200,
  durationMs: 12,
  result: {
    headers: [
      ["Content-Type", "text/plain"],
      ["Set-Cookie", "a=1"],
      ["Set-Cookie", "b=2"],
    ],
    body: Buffer.from("the answer"),
  },
};

/** As plain values: bodies may be views of any kind. */
function plain(outcome: Outcome | undefined): unknown {
  if (!outcome) return undefined;
  const { status, durationMs, result } = outcome;
  return { status, durationMs, ...(result && { headers: result.headers, body: Buffer.from(result.body).toString() }) };
}

/** What can be learnt of a call by its id. */
export function statusContract(setup: QueueSetup): void {
  test("tells of a call that waits", async () => {
    const acceptedAt = Date.now() - 5000;
    const notAfter = Date.now() + 3_600_000;
    const { id } = await setup.publish({ acceptedAt, notAfter, queue: "lane", namespace: "elsewhere" });
    expect(await setup.queue.find(id)).toEqual({
      id,
      callId: id,
      queue: "lane",
      function: "shout",
      namespace: "elsewhere",
      state: "waiting",
      attempts: 0,
      acceptedAt,
      notAfter,
    });
    expect(await setup.queue.result(id)).toBeUndefined();
  });

  test("knows nothing of ids that it never gave", async () => {
    const { id } = await setup.publish();
    const last = id.endsWith("0") ? "1" : "0";
    const strange = [id.slice(0, -1) + last, "00000000-0000-4000-8000-000000000000", "", "x", "a.b *>", `${id}0`];
    for (const other of strange) {
      expect(await setup.queue.find(other)).toBeUndefined();
      expect(await setup.queue.result(other)).toBeUndefined();
      expect(await setup.queue.cancel(other)).toBeUndefined();
    }
    expect((await setup.status(id)).state).toBe("waiting");
  });

  test("finds the last call by a call id that many have", async () => {
    await setup.publish({ callId: "same", function: "a" });
    await setup.publish({ callId: "other", function: "x" });
    const second = await setup.publish({ callId: "same", function: "b" });
    expect(await setup.status("same")).toMatchObject({ id: second.id, callId: "same", function: "b" });
    await setup.consume(async ({ function: name }) => ({
      kind: "done",
      outcome: { status: name === "b" ? 202 : 201, durationMs: 1 },
    }));
    await setup.untilState("same", "done");
    expect(await setup.queue.result("same")).toMatchObject({ status: 202 });
    const third = await setup.publish({ callId: "same", function: "c", notBefore: Date.now() + 3_600_000 });
    expect((await setup.status("same")).id).toBe(third.id);
  });

  test("a call id that is the id of another's call gets in nobody's way", async () => {
    const victim = await setup.publish({ function: "victim" });
    await setup.publish({ function: "thief", callId: victim.id });
    expect(await setup.status(victim.id)).toMatchObject({ id: victim.id, function: "victim" });
  });

  test("tells of a call under way and of its end, with the result", async () => {
    const before = Date.now();
    const { id } = await setup.publish();
    const deliveries = await setup.hold();
    const running = await setup.untilState(id, "running");
    expect(running).toMatchObject({ attempts: 0 });
    expect(running.startedAt).toBeGreaterThanOrEqual(before - 5);
    deliveries.end(id, { kind: "done", outcome: ANSWER });
    const done = await setup.untilState(id, "done");
    const after = Date.now() + 5;
    expect(done).toMatchObject({ id, attempts: 1, status: 200, durationMs: 12 });
    expect(done.finishedAt).toBeGreaterThanOrEqual(done.startedAt as number);
    expect(done.finishedAt).toBeLessThanOrEqual(after);
    expect(done.resultUntil).toBeGreaterThan(after);
    expect(plain(await setup.queue.result(id))).toEqual(plain(ANSWER));
    expect(done).not.toHaveProperty("nextAttemptAt");
  });

  test("keeps statuses and results over restarts", async () => {
    const { id } = await setup.publish({ callId: "mine" });
    const waiting = await setup.publish({ callId: "waits", notBefore: Date.now() + 3_600_000 });
    await setup.consume(async () => ({ kind: "done", outcome: ANSWER }));
    await setup.untilState(id, "done");
    await setup.reopen();
    expect(await setup.status("mine")).toMatchObject({ id, state: "done", attempts: 1, status: 200 });
    expect(plain(await setup.queue.result("mine"))).toEqual(plain(ANSWER));
    expect(await setup.status(waiting.id)).toMatchObject({ callId: "waits", state: "waiting" });
  });

  test("tells of a call that waits for its retry what the last attempt gave", async () => {
    const { id } = await setup.publish();
    await setup.consume(async () => ({ kind: "retry", afterMs: 3_600_000, outcome: { status: 503, durationMs: 7 } }));
    const status = await soon("it waits again", async () => {
      const now = await setup.status(id);
      return now.attempts === 1 && now.state === "waiting" && now;
    });
    expect(status).toMatchObject({ status: 503, durationMs: 7 });
    expect(status.nextAttemptAt).toBeGreaterThan(Date.now() + 3_000_000);
    expect(status).not.toHaveProperty("finishedAt");
  });

  test("tells why a call is dead", async () => {
    const { id } = await setup.publish();
    await setup.consume(async () => ({ kind: "dead", reason: "gave up", outcome: { ...ANSWER, status: 500 } }));
    expect(await setup.untilState(id, "dead")).toMatchObject({ reason: "gave up", status: 500, attempts: 1 });
    expect(plain(await setup.queue.result(id))).toEqual({ ...(plain(ANSWER) as object), status: 500 });
  });

  test("a call can be done without a word about it", async () => {
    const { id } = await setup.publish();
    await setup.consume(async () => DONE);
    const status = await setup.untilState(id, "done");
    expect(status).not.toHaveProperty("status");
    expect(status).not.toHaveProperty("resultUntil");
    expect(await setup.queue.result(id)).toBeUndefined();
  });

  test("keeps an empty result, and one as large as it may be", async () => {
    await setup.reopen({ maxResultBytes: 100_000 });
    expect(setup.queue.maxResultBytes).toBe(100_000);
    await setup.consume(async ({ callId }) => ({
      kind: "done",
      outcome: { status: 200, durationMs: 1, result: { headers: [], body: Buffer.alloc(Number(callId), "x") } },
    }));
    for (const size of [0, 100_000]) {
      const { id } = await setup.publish({ callId: String(size) });
      await setup.untilState(id, "done");
      expect((await setup.queue.result(id))?.result?.body).toHaveLength(size);
    }
  });

  test("a result that is too large is left out", async () => {
    await setup.reopen({ maxResultBytes: 1000 });
    const { id } = await setup.publish();
    const result = { headers: [], body: new Uint8Array(1001) };
    await setup.consume(async () => ({ kind: "done", outcome: { status: 200, durationMs: 5, result } }));
    const status = await setup.untilState(id, "done");
    expect(status).toMatchObject({ status: 200, durationMs: 5 });
    expect(status).not.toHaveProperty("resultUntil");
    expect(plain(await setup.queue.result(id))).toEqual({ status: 200, durationMs: 5 });
  });

  test("forgets a result after its time, and not at once the call", async () => {
    await setup.reopen({ resultTtlMs: 1500 });
    const { id } = await setup.publish();
    await setup.consume(async () => ({ kind: "done", outcome: ANSWER }));
    const { finishedAt, resultUntil } = await setup.untilState(id, "done");
    expect((resultUntil as number) - (finishedAt as number)).toBeGreaterThanOrEqual(1400);
    await soon("the result is gone", async () => (await setup.queue.result(id))?.result === undefined);
    expect(Date.now()).toBeGreaterThanOrEqual((resultUntil as number) - 20);
    const status = await setup.status(id);
    expect(status).toMatchObject({ state: "done", status: 200 });
    expect(status).not.toHaveProperty("resultUntil");
  });

  test("keeps no results for a result time of 0, only what became of calls", async () => {
    await setup.reopen({ resultTtlMs: 0 });
    const { id } = await setup.publish();
    await setup.consume(async () => ({ kind: "done", outcome: ANSWER }));
    const status = await setup.untilState(id, "done");
    expect(status).toMatchObject({ status: 200 });
    expect(status).not.toHaveProperty("resultUntil");
    expect(plain(await setup.queue.result(id))).toEqual({ status: 200, durationMs: 12 });
  });

  test("tells how many calls wait and how long the oldest has, in all and by function", async () => {
    await setup.publish({ function: "old", acceptedAt: Date.now() - 50_000 });
    await setup.publish({ function: "new", queue: "lane" });
    await setup.publish({ function: "new", queue: "lane" });
    const before = await soon("three wait", async () => {
      const stats = await setup.queue.stats();
      return stats.waiting === 3 && stats;
    });
    expect(before).toMatchObject({ inFlight: 0, dead: 0 });
    expect(before.oldestMs).toBeGreaterThanOrEqual(50_000);
    expect(before.oldestMs).toBeLessThan(100_000);
    const byName = new Map(before.functions.map((of) => [of.name, of]));
    expect([...byName.keys()].toSorted()).toEqual(["new", "old"]);
    expect(byName.get("old")).toMatchObject({
      namespace: "openfaas-fn",
      queue: "faas-request",
      waiting: 1,
      inFlight: 0,
      dead: 0,
    });
    expect(byName.get("old")?.oldestMs).toBeGreaterThanOrEqual(50_000);
    expect(byName.get("new")).toMatchObject({ queue: "lane", waiting: 2 });
    expect(byName.get("new")?.oldestMs).toBeLessThan(50_000);

    const deliveries = await setup.hold(limited(2, 1));
    await soon("two are under way", () => deliveries.underWay === 2);
    const after = await soon("that shows", async () => {
      const stats = await setup.queue.stats();
      return stats.waiting === 1 && stats.inFlight === 2 && stats;
    });
    expect(after.oldestMs).toBeLessThan(50_000);
    expect(after.functions.find(({ name }) => name === "new")).toMatchObject({ waiting: 1, inFlight: 1 });
  });

  test("counts delayed calls and retries as waiting, and the dead by function", async () => {
    await setup.publish({ function: "a", notBefore: Date.now() + 3_600_000 });
    await setup.publish({ function: "b" });
    await setup.publish({ function: "c" });
    await setup.consume(async ({ function: name }) =>
      name === "b" ? { kind: "retry", afterMs: 3_600_000 } : { kind: "dead", reason: "no use" },
    );
    const stats = await soon("all have been tried", async () => {
      const now = await setup.queue.stats();
      return now.dead === 1 && now.waiting === 2 && now.inFlight === 0 && now;
    });
    const counts = stats.functions.map(({ name, waiting, dead }) => ({ name, waiting, dead }));
    expect(counts.toSorted((x, y) => x.name.localeCompare(y.name))).toEqual([
      { name: "a", waiting: 1, dead: 0 },
      { name: "b", waiting: 1, dead: 0 },
      { name: "c", waiting: 0, dead: 1 },
    ]);
  });

  test("tells how many calls are accepted and finished a second", async () => {
    await setup.consume(async () => DONE);
    await setup.publishMany(120, "call");
    await setup.untilEmpty();
    const [of] = await soon("the rates show", async () => {
      const { functions } = await setup.queue.stats();
      return functions.every((one) => one.acceptedPerSecond > 0 && one.finishedPerSecond > 0) && functions;
    });
    expect(of).toMatchObject({ name: "shout", waiting: 0 });
    // 120 within the last minute, if not all within the last second.
    expect(of?.acceptedPerSecond).toBeGreaterThan(0.5);
    expect(of?.acceptedPerSecond).toBeLessThanOrEqual(120);
    expect(of?.finishedPerSecond).toBeLessThanOrEqual(120);
  });
}
