import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import type { ConsumeOptions, Consumer, Deliver, Disposition, Queue, QueuedCall } from "../../gateway/queue/queue.ts";
import { eventually } from "../support/eventually.ts";

export interface QueueLimits {
  readonly maxBodyBytes?: number;
  readonly maxWaiting?: number;
}

/** Opens one queue after another on the same storage. */
export interface QueueStorage {
  open(limits?: QueueLimits): Promise<Queue>;
  /** Removes the storage; every queue on it is closed by then. */
  remove(): Promise<void>;
}

const WIDE: ConsumeOptions = { concurrency: 64, perFunction: 64 };
const DONE: Disposition = { kind: "done" };

let lastId = 0;

export function newCall(given: Partial<QueuedCall> = {}): QueuedCall {
  const id = given.id ?? `call-${++lastId}`;
  return {
    id,
    callId: id,
    function: "shout",
    namespace: "openfaas-fn",
    method: "POST",
    path: "/",
    query: "",
    headers: [],
    body: new Uint8Array(),
    acceptedAt: Date.now(),
    ...given,
  };
}

/** Calls that wait until the test says how they end. */
export class Deliveries {
  readonly started: { readonly call: QueuedCall; readonly attempt: number; readonly signal: AbortSignal }[] = [];
  readonly #open = new Map<string, PromiseWithResolvers<Disposition>>();

  readonly deliver: Deliver = (call, attempt, signal) => {
    this.started.push({ call, attempt, signal });
    const ending = Promise.withResolvers<Disposition>();
    this.#open.set(call.id, ending);
    signal.addEventListener("abort", () => this.#end(call.id)?.reject(signal.reason));
    return ending.promise;
  };

  get ids(): string[] {
    return this.started.map(({ call }) => call.id);
  }

  get underWay(): number {
    return this.#open.size;
  }

  end(id: string, disposition: Disposition = DONE): void {
    this.#end(id)?.resolve(disposition);
  }

  endAll(): void {
    for (const id of this.#open.keys()) this.end(id);
  }

  #end(id: string): PromiseWithResolvers<Disposition> | undefined {
    const ending = this.#open.get(id);
    this.#open.delete(id);
    return ending;
  }
}

/** What every queue promises. */
export function queueContract(name: string, newStorage: () => Promise<QueueStorage>): void {
  describe(`${name} as a queue`, () => {
    let storage: QueueStorage;
    let queue: Queue;
    let consumers: Consumer[];

    beforeEach(async () => {
      storage = await newStorage();
      consumers = [];
      queue = await storage.open();
    });

    const closeAll = async () => {
      await Promise.all(consumers.splice(0).map((consumer) => consumer.close(0)));
      await queue.close();
    };

    afterEach(async () => {
      await closeAll();
      await storage.remove();
    });

    const reopen = async (limits?: QueueLimits) => {
      await closeAll();
      queue = await storage.open(limits);
    };

    const consume = async (deliver: Deliver, options = WIDE) => {
      const consumer = await queue.consume(deliver, options);
      consumers.push(consumer);
      return consumer;
    };

    const publish = async (...calls: QueuedCall[]) => {
      for (const call of calls) await queue.publish(call);
    };

    test("delivers a call as it was published", async () => {
      const call = newCall({
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
      });
      const bare = newCall({ body: new Uint8Array() });
      await publish(call, bare);
      const seen: QueuedCall[] = [];
      await consume(async (delivered) => {
        seen.push({ ...delivered, body: Uint8Array.from(delivered.body) });
        return DONE;
      });
      await eventually("both arrive", () => seen.length === 2);
      expect(seen).toEqual([call, bare]);
    });

    test("leaves the publisher's body alone", async () => {
      const body = new Uint8Array([1, 2, 3]);
      await publish(newCall({ body }));
      expect([...body]).toEqual([1, 2, 3]);
    });

    test("keeps what it accepted while closed", async () => {
      const calls = Array.from({ length: 50 }, () => newCall());
      await Promise.all(calls.map((call) => queue.publish(call)));
      await reopen();
      expect((await queue.stats()).waiting).toBe(50);
      const deliveries = new Deliveries();
      await consume(deliveries.deliver);
      await eventually("all arrive", () => deliveries.started.length === 50);
      expect(deliveries.ids).toEqual(calls.map(({ id }) => id));
    });

    test("does not deliver again what is done", async () => {
      const call = newCall();
      await publish(call);
      await consume(async () => DONE);
      await eventually("it is done", async () => {
        const { waiting, inFlight } = await queue.stats();
        return waiting + inFlight === 0;
      });
      await reopen();
      const { waiting, inFlight, dead, oldestMs } = await queue.stats();
      expect({ waiting, inFlight, dead, oldestMs }).toEqual({ waiting: 0, inFlight: 0, dead: 0, oldestMs: 0 });
    });

    test("delivers calls that arrive after the consumer", async () => {
      const deliveries = new Deliveries();
      await consume(deliveries.deliver);
      const call = newCall();
      await publish(call);
      await eventually("it arrives", () => deliveries.started.length === 1);
      expect(deliveries.started[0]?.attempt).toBe(1);
    });

    test("starts the calls of one function in the order of acceptance", async () => {
      const calls = Array.from({ length: 200 }, () => newCall());
      await Promise.all(calls.map((call) => queue.publish(call)));
      const ids: string[] = [];
      await consume(
        async ({ id }) => {
          ids.push(id);
          return DONE;
        },
        { concurrency: 3, perFunction: 3 },
      );
      await eventually("all arrive", () => ids.length === 200);
      expect(ids).toEqual(calls.map(({ id }) => id));
    });

    test("has no more calls under way than allowed, in all and per function", async () => {
      const names = ["a", "b", "c", "d"];
      await Promise.all(
        Array.from({ length: 40 }, (_, i) => queue.publish(newCall({ function: names[i % 4] as string }))),
      );
      const underWay: string[] = [];
      let most = 0;
      let mostOfOne = 0;
      let done = 0;
      await consume(
        async (call) => {
          underWay.push(call.function);
          most = Math.max(most, underWay.length);
          mostOfOne = Math.max(mostOfOne, underWay.filter((name) => name === call.function).length);
          await new Promise(setImmediate);
          underWay.splice(underWay.indexOf(call.function), 1);
          done++;
          return DONE;
        },
        { concurrency: 5, perFunction: 2 },
      );
      await eventually("all are done", () => done === 40);
      expect(most).toBe(5);
      expect(mostOfOne).toBe(2);
    });

    test("one function's backlog does not delay another's calls", async () => {
      await Promise.all(Array.from({ length: 500 }, () => queue.publish(newCall({ function: "busy" }))));
      const deliveries = new Deliveries();
      await consume(deliveries.deliver, { concurrency: 8, perFunction: 4 });
      await eventually("the busy one fills its places", () => deliveries.underWay === 4);
      await publish(newCall({ id: "quick", function: "quick" }));
      await eventually("the other one starts", () => deliveries.ids.includes("quick"));
      expect(deliveries.started).toHaveLength(5);
    });

    test("functions take turns when places are scarce", async () => {
      await Promise.all(Array.from({ length: 300 }, () => queue.publish(newCall({ function: "busy" }))));
      await publish(newCall({ function: "late" }), newCall({ function: "last" }));
      const order: string[] = [];
      await consume(
        async (call) => {
          order.push(call.function);
          return DONE;
        },
        { concurrency: 1, perFunction: 1 },
      );
      await eventually("all are done", () => order.length === 302);
      expect(order.indexOf("late")).toBeLessThan(6);
      expect(order.indexOf("last")).toBeLessThan(6);
    });

    test("tries again after the wait that was asked for, counting attempts", async () => {
      await publish(newCall());
      const attempts: number[] = [];
      const times: number[] = [];
      await consume(async (_call, attempt) => {
        attempts.push(attempt);
        times.push(performance.now());
        return attempt < 3 ? { kind: "retry", afterMs: 60 } : DONE;
      });
      await eventually("three attempts", () => attempts.length === 3);
      expect(attempts).toEqual([1, 2, 3]);
      // Wall clock and monotonic clock may differ by a rounded millisecond each.
      expect((times[1] as number) - (times[0] as number)).toBeGreaterThanOrEqual(57);
      expect((times[2] as number) - (times[1] as number)).toBeGreaterThanOrEqual(57);
    });

    test("a call that waits for its retry holds up nobody", async () => {
      await publish(newCall({ id: "later" }), newCall({ id: "other" }));
      const ids: string[] = [];
      await consume(
        async ({ id }) => {
          ids.push(id);
          return id === "later" ? { kind: "retry", afterMs: 3600_000 } : DONE;
        },
        { concurrency: 1, perFunction: 1 },
      );
      await eventually("the other is done", async () => (await queue.stats()).inFlight === 0 && ids.length === 2);
      expect((await queue.stats()).waiting).toBe(1);
    });

    test("counts attempts over restarts", async () => {
      await publish(newCall());
      const first = new Deliveries();
      await consume(first.deliver);
      await eventually("it starts", () => first.started.length === 1);
      first.end(first.ids[0] as string, { kind: "retry", afterMs: 0 });
      await eventually("it starts again", () => first.started.length === 2);
      await reopen();
      const second = new Deliveries();
      await consume(second.deliver);
      await eventually("it starts after the restart", () => second.started.length === 1);
      // The second attempt was handed back, as if never tried.
      expect(second.started[0]?.attempt).toBe(2);
    });

    test("keeps dead calls apart", async () => {
      await publish(newCall());
      await consume(async () => ({ kind: "dead", reason: "no such function" }));
      await eventually("it is dead", async () => (await queue.stats()).dead === 1);
      await reopen();
      const { waiting, inFlight, dead } = await queue.stats();
      expect({ waiting, inFlight, dead }).toEqual({ waiting: 0, inFlight: 0, dead: 1 });
      const deliveries = new Deliveries();
      await consume(deliveries.deliver);
      await publish(newCall({ id: "alive" }));
      await eventually("only the living one arrives", () => deliveries.started.length > 0);
      expect(deliveries.ids).toEqual(["alive"]);
    });

    test("a deliver that throws is a retry", async () => {
      await publish(newCall());
      let calls = 0;
      await consume(async () => {
        calls++;
        throw new Error("boom");
      });
      await eventually("it waits for another try", async () => {
        const { waiting, inFlight } = await queue.stats();
        return calls === 1 && waiting === 1 && inFlight === 0;
      });
    });

    test("ignores a second call with the id of one still known", async () => {
      const call = newCall();
      await Promise.all([queue.publish(call), queue.publish(call)]);
      await queue.publish({ ...call, body: new Uint8Array([1]) });
      expect((await queue.stats()).waiting).toBe(1);
      const deliveries = new Deliveries();
      await consume(deliveries.deliver);
      await eventually("it starts", () => deliveries.started.length === 1);
      await queue.publish(call);
      const { waiting, inFlight } = await queue.stats();
      expect({ waiting, inFlight }).toEqual({ waiting: 0, inFlight: 1 });
      expect(deliveries.started[0]?.call.body).toHaveLength(0);
    });

    test("one id may stand for calls of different functions", async () => {
      await publish(newCall({ id: "same", function: "a" }), newCall({ id: "same", function: "b" }));
      await publish(newCall({ id: "same", function: "a", namespace: "other" }));
      expect((await queue.stats()).waiting).toBe(3);
    });

    test("refuses what is too large and takes what just fits", async () => {
      await reopen({ maxBodyBytes: 1000 });
      expect(queue.maxBodyBytes).toBe(1000);
      await queue.publish(newCall({ body: new Uint8Array(1000) }));
      await expect(queue.publish(newCall({ body: new Uint8Array(1001) }))).rejects.toMatchObject({ kind: "tooLarge" });
      expect((await queue.stats()).waiting).toBe(1);
    });

    test("refuses calls while full, and takes them again when there is room", async () => {
      await reopen({ maxWaiting: 3 });
      await publish(newCall(), newCall(), newCall());
      await expect(queue.publish(newCall())).rejects.toMatchObject({ kind: "overloaded" });
      const consumer = await consume(async () => DONE);
      await eventually("it is empty", async () => (await queue.stats()).waiting === 0);
      await consumer.close(1000);
      await publish(newCall());
      expect((await queue.stats()).waiting).toBe(1);
    });

    test("tells how many calls wait and how long the oldest has", async () => {
      await publish(newCall({ acceptedAt: Date.now() - 5000 }), newCall(), newCall());
      const before = await queue.stats();
      expect(before).toMatchObject({ waiting: 3, inFlight: 0, dead: 0 });
      expect(before.oldestMs).toBeGreaterThanOrEqual(5000);
      expect(before.oldestMs).toBeLessThan(15_000);
      const deliveries = new Deliveries();
      await consume(deliveries.deliver, { concurrency: 1, perFunction: 1 });
      await eventually("the first is under way", () => deliveries.underWay === 1);
      const after = await queue.stats();
      expect(after).toMatchObject({ waiting: 2, inFlight: 1 });
      expect(after.oldestMs).toBeLessThan(5000);
    });

    test("a closing consumer waits for what is under way and takes no more", async () => {
      await publish(newCall(), newCall(), newCall());
      const deliveries = new Deliveries();
      const consumer = await consume(deliveries.deliver, { concurrency: 2, perFunction: 2 });
      await eventually("two are under way", () => deliveries.underWay === 2);
      const closing = consumer.close(10_000);
      deliveries.endAll();
      await closing;
      expect(deliveries.started).toHaveLength(2);
      expect(deliveries.started.every(({ signal }) => !signal.aborted)).toBe(true);
      expect(await queue.stats()).toMatchObject({ waiting: 1, inFlight: 0 });
    });

    test("a consumer that cannot wait aborts and hands back, as if never tried", async () => {
      const calls = [newCall(), newCall(), newCall(), newCall()];
      await publish(...calls);
      const deliveries = new Deliveries();
      const consumer = await consume(deliveries.deliver, { concurrency: 2, perFunction: 2 });
      await eventually("two are under way", () => deliveries.underWay === 2);
      await consumer.close(10);
      await consumer.close(10);
      expect(deliveries.started.every(({ signal }) => signal.aborted)).toBe(true);
      expect(await queue.stats()).toMatchObject({ waiting: 4, inFlight: 0 });

      const again = new Deliveries();
      await consume(again.deliver);
      await eventually("all start", () => again.started.length === 4);
      expect(again.ids).toEqual(calls.map(({ id }) => id));
      expect(again.started.map(({ attempt }) => attempt)).toEqual([1, 1, 1, 1]);
    });

    test("hands back a call whose deliver does not heed the abort", async () => {
      await publish(newCall());
      let started = 0;
      const consumer = await consume(() => {
        started++;
        return new Promise<never>(() => {});
      });
      await eventually("it starts", () => started === 1);
      await consumer.close(0);
      expect(await queue.stats()).toMatchObject({ waiting: 1, inFlight: 0 });
    });

    test("closing makes durable what was being published, and may be done twice", async () => {
      const publishing = Array.from({ length: 100 }, () => queue.publish(newCall()));
      await Promise.all([queue.close(), queue.close(), ...publishing]);
      await expect(queue.publish(newCall())).rejects.toMatchObject({ kind: "unavailable" });
      queue = await storage.open();
      expect((await queue.stats()).waiting).toBe(100);
    });

    test("takes bodies of every size", async () => {
      await reopen({ maxBodyBytes: 2 * 1024 ** 2 });
      const sizes = [0, 1, 4095, 4096, 70_000, 2 * 1024 ** 2];
      const bodies = sizes.map((size) => Buffer.alloc(size, `${size} `));
      await Promise.all(bodies.map((body) => queue.publish(newCall({ body }))));
      const seen: Uint8Array[] = [];
      await consume(async ({ body }) => {
        seen.push(body);
        return DONE;
      });
      await eventually("all arrive", () => seen.length === sizes.length);
      seen.forEach((body, i) => {
        expect(Buffer.compare(body, bodies[i] as Buffer)).toBe(0);
      });
    });
  });
}
