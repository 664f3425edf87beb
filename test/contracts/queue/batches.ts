import { expect, test } from "@jest/globals";
import type {
  ConsumeOptions,
  Deliver,
  Disposition,
  FinishedBatch,
  FinishedMember,
  QueuedCall,
} from "../../../gateway/queue/queue.ts";
import { DONE, newCall, type QueueSetup, soon, WIDE } from "./setup.ts";

const ZERO = { done: 0, dead: 0, cancelled: 0, expired: 0 };

interface Finished {
  readonly whole: QueuedCall;
  readonly progress: FinishedBatch["progress"];
  readonly members: readonly FinishedMember[];
}

async function collect({ whole, progress, members }: FinishedBatch): Promise<Finished> {
  const all: FinishedMember[] = [];
  for await (const member of members()) all.push(member);
  return { whole, progress, members: all };
}

/** A call per line, with one end for all. */
export function batchesContract(setup: QueueSetup): void {
  const publishWhole = (size: number, callId = "batch") => {
    const lines = Array.from({ length: size }, (_, i) => `line ${i}\n`).join("");
    return setup.publish({ callId, body: Buffer.from(lines), batch: { kind: "whole", size } });
  };

  const publishMember = (whole: QueuedCall, index: number, size: number) =>
    setup.queue.publish(
      newCall({
        callId: whole.callId,
        body: Buffer.from(`line ${index}`),
        batch: { kind: "member", of: whole.id, index, size },
      }),
    );

  const expand = async (whole: QueuedCall): Promise<Disposition> => {
    const size = whole.batch?.size ?? 0;
    for (let index = 0; index < size; index++) await publishMember(whole, index, size);
    return DONE;
  };

  /** Members get `deliver`; wholes are expanded. */
  const consume = async (deliver: Deliver, finishBatch: ConsumeOptions["finishBatch"]) =>
    await setup.consume((call, ...rest) => (call.batch?.kind === "whole" ? expand(call) : deliver(call, ...rest)), {
      ...WIDE,
      ...(finishBatch && { finishBatch }),
    });

  test("runs a call per line and tells once all have ended, in the order of the lines", async () => {
    const receipt = await publishWhole(5);
    const finished: Finished[] = [];
    const seen: QueuedCall[] = [];
    await consume(
      async (call) => {
        seen.push(call);
        const index = call.batch?.kind === "member" ? call.batch.index : -1;
        if (index === 3) return { kind: "dead", reason: "no use", outcome: { status: 500, durationMs: 2 } };
        const body = Buffer.from(`answer ${index}`);
        return { kind: "done", outcome: { status: 200, durationMs: 1, result: { headers: [["A", "b"]], body } } };
      },
      async (batch) => void finished.push(await collect(batch)),
    );
    const status = await setup.untilState(receipt.id, "done");
    expect(status.batch).toEqual({ ...ZERO, size: 5, done: 4, dead: 1 });
    expect(status.finishedAt).toBeGreaterThan(0);
    expect(seen.map(({ body }) => Buffer.from(body).toString()).toSorted()).toEqual(
      [0, 1, 2, 3, 4].map((i) => `line ${i}`),
    );
    expect(seen.every(({ callId }) => callId === "batch")).toBe(true);
    const [{ whole, progress, members }] = finished as [Finished];
    expect(whole).toMatchObject({ id: receipt.id, callId: "batch", batch: { kind: "whole", size: 5 } });
    expect(whole.body).toHaveLength(0);
    expect(progress).toEqual({ ...ZERO, size: 5, done: 4, dead: 1 });
    expect(members.map(({ index, state }) => [index, state])).toEqual([
      [0, "done"],
      [1, "done"],
      [2, "done"],
      [3, "dead"],
      [4, "done"],
    ]);
    expect(members[3]).toMatchObject({ reason: "no use", outcome: { status: 500, durationMs: 2 } });
    const { result } = members[1]?.outcome ?? {};
    expect(result?.headers).toEqual([["A", "b"]]);
    expect(Buffer.from(result?.body ?? []).toString()).toBe("answer 1");
  });

  test("is running, with its progress, until the last member has ended", async () => {
    const { id } = await publishWhole(3);
    const open = new Map<number, (disposition: Disposition) => void>();
    let finished = 0;
    await consume(
      ({ batch }) =>
        new Promise((resolve) => {
          if (batch?.kind === "member") open.set(batch.index, resolve);
        }),
      async () => void finished++,
    );
    await soon("all are under way", () => open.size === 3);
    expect(await setup.untilState(id, "running")).toMatchObject({ batch: { ...ZERO, size: 3 } });
    open.get(1)?.(DONE);
    open.get(0)?.({ kind: "expired" });
    await soon("the progress shows", async () => {
      const { state, batch } = await setup.status(id);
      return state === "running" && batch?.done === 1 && batch.expired === 1;
    });
    expect(finished).toBe(0);
    open.get(2)?.(DONE);
    expect((await setup.untilState(id, "done")).batch).toEqual({ ...ZERO, size: 3, done: 2, expired: 1 });
    expect(finished).toBeGreaterThanOrEqual(1);
  });

  test("its caller's id means the batch, not a member", async () => {
    const { id } = await publishWhole(2, "mine");
    await consume(async () => ({ kind: "retry", afterMs: 3_600_000 }), undefined);
    await soon("both members wait", async () => (await setup.queue.stats()).waiting === 2);
    expect(await setup.untilState("mine", "running")).toMatchObject({ id });
    expect(await setup.queue.cancel("mine")).toBe("running");
    await setup.untilState(id, "cancelled");
  });

  test("a member published twice is one call", async () => {
    const { id } = await publishWhole(2);
    let tries = 0;
    const seen: string[] = [];
    const duplicates: boolean[] = [];
    await setup.consume(async (call) => {
      if (call.batch?.kind !== "whole") {
        seen.push(Buffer.from(call.body).toString());
        return DONE;
      }
      // The first attempt ends half way.
      const receipts = [await publishMember(call, 0, 2)];
      if (++tries === 1) return { kind: "retry", afterMs: 50 };
      receipts.push(await publishMember(call, 1, 2), await publishMember(call, 1, 2));
      duplicates.push(...receipts.map(({ duplicate }) => duplicate));
      return DONE;
    });
    expect((await setup.untilState(id, "done")).batch).toEqual({ ...ZERO, size: 2, done: 2 });
    expect(duplicates).toEqual([true, false, true]);
    expect(seen.toSorted()).toEqual(["line 0", "line 1"]);
  });

  test("asks again when the end of a batch could not be told", async () => {
    const { id } = await publishWhole(1);
    let asked = 0;
    await consume(
      async () => DONE,
      async () => {
        if (++asked === 1) throw new Error("the callback's host is away");
      },
    );
    await soon("it was asked", () => asked > 0);
    expect((await setup.untilState(id, "done")).batch).toEqual({ ...ZERO, size: 1, done: 1 });
    expect(asked).toBeGreaterThanOrEqual(2);
  });

  test("goes on after a restart where it was", async () => {
    const { id } = await publishWhole(4);
    const first = await consume(async ({ batch }) => {
      const done = batch?.kind === "member" && batch.index < 2;
      return done ? DONE : { kind: "retry", afterMs: 1000 };
    }, undefined);
    await soon("half of it is done", async () => (await setup.status(id)).batch?.done === 2);
    await first.close(1000);
    await setup.reopen();
    expect(await setup.status(id)).toMatchObject({ state: "running", batch: { ...ZERO, size: 4, done: 2 } });
    const finished: Finished[] = [];
    await consume(
      async () => DONE,
      async (batch) => void finished.push(await collect(batch)),
    );
    expect((await setup.untilState(id, "done")).batch).toEqual({ ...ZERO, size: 4, done: 4 });
    expect(finished[0]?.members.map(({ index }) => index)).toEqual([0, 1, 2, 3]);
  });

  test("a batch whose end was not told before a restart is told after it, with how often that was in vain", async () => {
    const { id } = await publishWhole(1);
    const failures: number[] = [];
    const first = await consume(
      async () => DONE,
      async (batch) => {
        failures.push(batch.failures);
        throw new Error("the callback's host is away");
      },
    );
    await soon("it was asked twice", () => failures.length > 1);
    await first.close(100);
    expect(failures.slice(0, 2)).toEqual([0, 1]);
    await setup.reopen();
    expect((await setup.status(id)).state).toBe("running");
    const told: number[] = [];
    await consume(
      async () => DONE,
      async (batch) => void told.push(batch.failures),
    );
    await setup.untilState(id, "done");
    expect(told.length).toBeGreaterThan(0);
    // Whether the last one was cut off by the stop is a matter of the moment.
    for (const count of told) expect([failures.length - 1, failures.length]).toContain(count);
  });

  test("is cancelled with all members that have not ended", async () => {
    const { id } = await publishWhole(6);
    const aborted: number[] = [];
    const finished: Finished[] = [];
    let underWay = 0;
    await consume(
      async ({ batch }, _attempt, signal) => {
        const index = batch?.kind === "member" ? batch.index : -1;
        if (index === 0) return DONE;
        if (index < 3) return { kind: "retry", afterMs: 3_600_000 };
        underWay++;
        await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
        aborted.push(index);
        return DONE;
      },
      async (batch) => void finished.push(await collect(batch)),
    );
    await soon("they are where they are to be", async () => {
      const { waiting, inFlight } = await setup.queue.stats();
      return underWay === 3 && (await setup.status(id)).batch?.done === 1 && waiting === 2 && inFlight === 3;
    });
    expect(await setup.queue.cancel(id)).toBe("running");
    await soon("those under way are aborted", () => aborted.length === 3);
    expect((await setup.untilState(id, "cancelled")).batch).toEqual({ ...ZERO, size: 6, done: 1, cancelled: 5 });
    await setup.untilEmpty();
    expect(finished[0]?.members.map(({ state }) => state)).toEqual(["done", ...Array(5).fill("cancelled")]);
  });

  test("can be cancelled before it starts", async () => {
    const { id } = await publishWhole(3);
    expect(await setup.queue.cancel(id)).toBe("waiting");
    expect((await setup.untilState(id, "cancelled")).batch).toMatchObject({ size: 3, done: 0 });
    let delivered = 0;
    await consume(async () => {
      delivered++;
      return DONE;
    }, undefined);
    await setup.publish({ callId: "next" });
    await setup.untilState("next", "done");
    expect(delivered).toBe(1);
  });

  test("a batch that cannot be read dies as a whole", async () => {
    const { id } = await publishWhole(3);
    let finished = 0;
    await setup.consume(async () => ({ kind: "dead", reason: "line 1 is too long" }), {
      ...WIDE,
      finishBatch: async () => void finished++,
    });
    expect(await setup.untilState(id, "dead")).toMatchObject({ reason: "line 1 is too long" });
    expect((await setup.queue.deadLetters.list({}, { limit: 10 })).items.map((letter) => letter.id)).toEqual([id]);
    expect(finished).toBe(0);
  });
}
