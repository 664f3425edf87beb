import { setImmediate as nextTurn } from "node:timers/promises";
import { afterEach, beforeEach, expect, jest, test } from "@jest/globals";
import type { Disposition, QueuedCall } from "../../../../gateway/queue/queue.ts";
import type { Attempt, ClaimStore, Ending, FunctionQueue } from "../../../../gateway/queue/worker/store.ts";
import { QueueWorker } from "../../../../gateway/queue/worker/worker.ts";
import { Deliveries, DONE, newCall } from "../../../contracts/queue-contract.ts";
import { eventually } from "../../../support/eventually.ts";

interface Claim {
  readonly name: string;
}

const functionQueueOf = (name: string): FunctionQueue => ({ key: name, ref: { name, namespace: "openfaas-fn" } });
const FN = functionQueueOf("fn");

/** Keeps the books of what a worker asks and says. */
class Books implements ClaimStore<Claim> {
  readonly claimed: (readonly [key: string, count: number])[] = [];
  readonly ends: (readonly [name: string, end: string])[] = [];
  readonly freedOnes: string[] = [];
  part = Number.POSITIVE_INFINITY;
  stopped = 0;
  flushed = 0;
  /** What opening a claim comes to; by default it is to be tried. */
  opening: (claim: Claim) => Attempt | undefined | Promise<Attempt | undefined> = (claim) => attemptOf(claim);

  claim({ key }: FunctionQueue, count: number): void {
    this.claimed.push([key, count]);
  }
  share(_functionQueue: FunctionQueue, limit: number): number {
    return Math.min(limit, this.part);
  }
  open(claim: Claim) {
    return this.opening(claim);
  }
  freed({ name }: Claim): void {
    this.freedOnes.push(name);
  }
  settle({ name }: Claim, ending: Ending): void {
    this.ends.push([name, ending.kind]);
  }
  release({ name }: Claim): void {
    this.ends.push([name, "back"]);
  }
  stop(): void {
    this.stopped++;
  }
  async flush(): Promise<void> {
    this.flushed++;
  }
}

function attemptOf({ name }: Claim, number = 1): Attempt {
  const call: QueuedCall = { ...newCall(), id: name, callId: name };
  return { call, number };
}

const claims = (...names: string[]): Claim[] => names.map((name) => ({ name }));

let books: Books;
let deliveries: Deliveries;
let limit: number;
let worker: QueueWorker<Claim>;
const logged: object[] = [];

const start = (concurrency: number, deliver = deliveries.deliver) => {
  const log = { error: (facts: object) => void logged.push(facts) };
  worker = new QueueWorker<Claim>(books, deliver, { concurrency, limitOf: () => limit }, log as never);
};

beforeEach(() => {
  books = new Books();
  deliveries = new Deliveries();
  limit = 10;
  logged.length = 0;
});

afterEach(async () => {
  await worker.close(0);
});

test("claims of a function queue what there are, and no more than there is room for", async () => {
  start(4);
  worker.ready(functionQueueOf("a"), 1);
  worker.ready(functionQueueOf("b"), Number.POSITIVE_INFINITY);
  await nextTurn();
  expect(books.claimed).toEqual([
    ["a", 1],
    ["b", 3],
  ]);
  worker.delivered(functionQueueOf("b"), claims("b1"));
  expect(deliveries.ids).toEqual(["b1"]);
  await nextTurn();
  expect(books.claimed).toHaveLength(2);
  deliveries.end("b1");
  await eventually("one more is claimed", () => books.claimed.length === 3);
  expect(books.claimed[2]).toEqual(["b", 1]);
});

test("has a slot to give away again for what is missed", async () => {
  start(2);
  worker.ready(functionQueueOf("a"), Number.POSITIVE_INFINITY);
  await nextTurn();
  expect(books.claimed).toEqual([["a", 2]]);
  worker.ready(functionQueueOf("b"), Number.POSITIVE_INFINITY);
  worker.missed(functionQueueOf("a"), 2);
  worker.ready(functionQueueOf("a"), 0);
  await nextTurn();
  expect(books.claimed[1]).toEqual(["b", 2]);
});

test("keeps to its part of a limit, and asks again when that may be more", async () => {
  start(8);
  books.part = 1;
  worker.ready(FN, Number.POSITIVE_INFINITY);
  await nextTurn();
  expect(books.claimed).toEqual([["fn", 1]]);
  books.part = 3;
  worker.limitChanged(FN.ref);
  await nextTurn();
  expect(books.claimed[1]).toEqual(["fn", 2]);
});

test("starts nothing beyond a limit that has fallen meanwhile, and keeps the order", async () => {
  start(8);
  limit = 3;
  worker.ready(FN, Number.POSITIVE_INFINITY);
  await nextTurn();
  limit = 2;
  worker.delivered(FN, claims("a", "b", "c"));
  expect(deliveries.ids).toEqual(["a", "b"]);
  expect(books.ends).toEqual([["c", "back"]]);
});

test("calls that it has not asked for wait for a slot, before any is claimed", async () => {
  start(1);
  worker.ready(functionQueueOf("busy"), Number.POSITIVE_INFINITY);
  await nextTurn();
  worker.delivered(functionQueueOf("busy"), claims("first"));
  worker.delivered(FN, claims("unasked"));
  await nextTurn();
  expect(deliveries.ids).toEqual(["first"]);
  deliveries.end("first");
  await eventually("one of both has its turn", () => deliveries.started.length + books.claimed.length === 3);
  worker.delivered(functionQueueOf("busy"), claims("second"));
  deliveries.endAll();
  await eventually("it starts", () => deliveries.ids.includes("unasked"));
});

test("takes what is offered when there is room at once, and keeps nothing of it when there is not", async () => {
  start(1);
  const [first, second] = claims("first", "second") as [Claim, Claim];
  expect(worker.offer(FN, first)).toBe(true);
  expect(worker.offer(FN, second)).toBe(false);
  expect(deliveries.started).toHaveLength(1);
  await worker.close(0);
  expect(worker.offer(FN, second)).toBe(false);
  expect(books.ends).toEqual([["first", "back"]]);
});

test("a call that its store says is not to be tried gives back its slot", async () => {
  start(1);
  books.opening = async () => undefined;
  worker.ready(FN, Number.POSITIVE_INFINITY);
  await nextTurn();
  worker.delivered(FN, claims("stale"));
  await eventually("the next one is claimed", () => books.claimed.length === 2);
  expect(books.ends).toEqual([]);
  expect(deliveries.started).toEqual([]);
});

test("tells the store of a call that is free of its slots, once", async () => {
  start(1);
  worker.ready(FN, 5);
  await nextTurn();
  worker.delivered(FN, claims("a"));
  deliveries.permit("a").lendSlot();
  expect(books.freedOnes).toEqual([]);
  deliveries.permit("a").release();
  deliveries.permit("a").release();
  expect(books.freedOnes).toEqual(["a"]);
});

test.each<[what: string, disposition: Disposition | Error, number, end: string]>([
  ["a retry", { kind: "retry", afterMs: 5 }, 1, "retry"],
  ["no sensible pause", { kind: "retry", afterMs: Number.NaN }, 1, "retry"],
  ["an error", new Error("broken"), 1, "retry"],
  ["an error time after time", new Error("broken"), 20, "dead"],
])("%s ends as such", async (_what, disposition, number, end) => {
  start(1, async () => {
    if (disposition instanceof Error) throw disposition;
    return disposition;
  });
  books.opening = (claim) => attemptOf(claim, number);
  worker.ready(FN, 1);
  await nextTurn();
  worker.delivered(FN, claims("a"));
  await eventually("it ends", () => books.ends.length === 1);
  expect(books.ends).toEqual([["a", end]]);
});

test("a cancelled call is aborted and settled as cancelled, whatever it comes to", async () => {
  start(2);
  worker.ready(FN, 2);
  await nextTurn();
  const [heeds, finishes] = claims("heeds", "finishes") as [Claim, Claim];
  worker.delivered(FN, [heeds, finishes]);
  deliveries.end("finishes");
  worker.cancel(finishes);
  worker.cancel(heeds);
  await eventually("both have ended", () => books.ends.length === 2);
  expect(Object.fromEntries(books.ends)).toEqual({ heeds: "cancelled", finishes: "cancelled" });
});

test("a cancelled call that heeds no abort loses its slot after a moment, and what it comes to counts for nothing", async () => {
  const ending = Promise.withResolvers<Disposition>();
  start(1, () => ending.promise);
  worker.ready(FN, Number.POSITIVE_INFINITY);
  await nextTurn();
  const [claim] = claims("deaf") as [Claim];
  worker.delivered(FN, [claim]);
  worker.cancel(claim);
  await eventually("its slot is claimed for another one", () => books.claimed.length === 2);
  expect(books.ends).toEqual([["deaf", "cancelled"]]);
  ending.resolve(DONE);
  await nextTurn();
  expect(books.ends).toHaveLength(1);
});

test("closing releases what has not begun, aborts what does not end, and keeps what is done all the same", async () => {
  const deaf = Promise.withResolvers<Disposition>();
  const deliver = jest.fn<typeof deliveries.deliver>(async (call, _number, signal) => {
    if (call.id === "deaf") return await deaf.promise;
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    if (call.id === "heeds") throw signal.reason;
    return DONE;
  });
  start(3, deliver);
  worker.ready(FN, 3);
  await nextTurn();
  worker.delivered(FN, claims("deaf", "heeds", "done"));
  worker.delivered(FN, claims("unasked"));
  const closed = worker.close(0);
  worker.delivered(FN, claims("late"));
  await closed;
  expect(deliver).toHaveBeenCalledTimes(3);
  expect(Object.fromEntries(books.ends)).toEqual({
    unasked: "back",
    late: "back",
    heeds: "back",
    done: "done",
    deaf: "back",
  });
  expect([books.stopped, books.flushed]).toEqual([1, 1]);
  deaf.resolve(DONE);
  await nextTurn();
  expect(books.ends).toHaveLength(5);
});

test("closing waits for what ends in time", async () => {
  start(1);
  worker.ready(FN, 1);
  await nextTurn();
  worker.delivered(FN, claims("a"));
  const closed = worker.close(20_000);
  deliveries.end("a");
  await closed;
  expect(books.ends).toEqual([["a", "done"]]);
});

test("a store that has lost all claims gets no word of them, and all slots are there again", async () => {
  start(2);
  worker.ready(FN, Number.POSITIVE_INFINITY);
  await nextTurn();
  worker.delivered(FN, claims("a"));
  await worker.lost();
  expect(deliveries.started[0]?.signal.aborted).toBe(true);
  expect(books.ends).toEqual([]);
  books.claimed.length = 0;
  worker.ready(FN, Number.POSITIVE_INFINITY);
  await nextTurn();
  expect(books.claimed).toEqual([["fn", 2]]);
});

test("starts the calls of a function queue in their order though some are looked up first, and others without them", async () => {
  start(8);
  const slow = Promise.withResolvers<void>();
  books.opening = (claim) => (claim.name === "slow" ? slow.promise.then(() => attemptOf(claim)) : attemptOf(claim));
  worker.ready(FN, 4);
  await nextTurn();
  worker.delivered(FN, claims("first", "slow", "third"));
  worker.delivered(functionQueueOf("other"), claims("other"));
  await eventually("the other functionQueue's starts", () => deliveries.ids.includes("other"));
  expect(deliveries.ids).toEqual(["first", "other"]);
  slow.resolve();
  await eventually("the others follow", () => deliveries.started.length === 4);
  worker.delivered(FN, claims("last"));
  expect(deliveries.ids).toEqual(["first", "other", "slow", "third", "last"]);
});

test("a function with few calls has the slot that one of them leaves, though nothing was to be claimed meanwhile", async () => {
  limit = 100;
  start(16);
  const slow = functionQueueOf("slow");
  worker.ready(slow, Number.POSITIVE_INFINITY);
  await nextTurn();
  expect(books.claimed).toEqual([["slow", 12]]);
  worker.ready(FN, 1);
  await nextTurn();
  worker.delivered(FN, claims("first"));
  worker.ready(FN, 0);
  worker.delivered(FN, claims("second"));
  await nextTurn();
  expect(deliveries.ids).toEqual(["first"]);
  deliveries.end("first");
  await eventually("the second starts", () => deliveries.ids.includes("second"));
  expect(books.claimed).toHaveLength(2);
});
