import { expect, test } from "@jest/globals";
import { Deliveries, DONE, limited, type QueueSetup, soon } from "./setup.ts";

/** How many calls are under way at a time, and whose turn it is. */
export function limitsContract(setup: QueueSetup): void {
  test("has no more calls under way than allowed, in all and per function", async () => {
    const names = ["a", "b", "c", "d"];
    await Promise.all(Array.from({ length: 40 }, (_, i) => setup.publish({ function: names[i % 4] as string })));
    const underWay: string[] = [];
    let most = 0;
    let mostOfOne = 0;
    let done = 0;
    await setup.consume(
      async (call) => {
        underWay.push(call.function);
        most = Math.max(most, underWay.length);
        mostOfOne = Math.max(mostOfOne, underWay.filter((name) => name === call.function).length);
        await new Promise((resolve) => setTimeout(resolve, 20));
        underWay.splice(underWay.indexOf(call.function), 1);
        done++;
        return DONE;
      },
      limited(5, 2),
    );
    await soon("all are done", () => done === 40);
    expect(most).toBe(5);
    expect(mostOfOne).toBe(2);
  });

  test("a function at its limit does not delay another's calls", async () => {
    await setup.publishMany(500, "busy", { function: "busy" });
    const deliveries = await setup.hold(limited(8, 4));
    await soon("the busy one fills its places", () => deliveries.underWay === 4);
    await setup.publish({ function: "quick" });
    await soon("the other one starts", () => deliveries.functions.includes("quick"));
    expect(deliveries.started).toHaveLength(5);
  });

  test("a function whose limit is above what a consumer takes leaves places to others", async () => {
    await setup.publishMany(100, "slow", { function: "slow" });
    const deliveries = await setup.hold(limited(16, 100));
    await soon("the slow one fills its places", () => deliveries.underWay === 12);
    for (const name of ["quick", "other"]) {
      await setup.publishMany(3, name, { function: name });
      await soon("it starts", () => deliveries.functions.includes(name));
    }
    const of = (name: string) => deliveries.functions.filter((fn) => fn === name).length;
    expect([of("slow"), of("quick"), of("other")]).toEqual([12, 1, 1]);
    for (const { call } of deliveries.started.filter((one) => one.call.function === "slow")) deliveries.end(call.id);
    await soon(
      "all of them get the places that are free again",
      () => of("quick") + of("other") === 6 && of("slow") > 12,
    );
    await soon("all end", () => {
      deliveries.endAll();
      return deliveries.started.length === 106;
    });
  });

  test("a function full of retries and delays does not delay another's calls, nor its own", async () => {
    await setup.publishMany(100, "retried", { function: "busy" });
    await setup.publishMany(100, "delayed", { function: "busy", notBefore: Date.now() + 3_600_000 });
    let tried = 0;
    const seen: string[] = [];
    await setup.consume(
      async ({ callId }) => {
        if (callId.startsWith("retried")) {
          tried++;
          return { kind: "retry", afterMs: 3_600_000 };
        }
        seen.push(callId);
        return DONE;
      },
      limited(4, 2),
    );
    await soon("all of the backlog waits", () => tried === 100);
    await setup.publish({ callId: "own", function: "busy" });
    await setup.publish({ callId: "other", function: "other" });
    await soon("both arrive", () => seen.length === 2);
    await soon("the rest waits", async () => (await setup.queue.stats()).waiting === 200);
  });

  test("functions take turns when places are scarce", async () => {
    await setup.publishMany(300, "busy", { function: "busy" });
    await setup.publish({ function: "late" });
    await setup.publish({ function: "last" });
    const order: string[] = [];
    await setup.consume(async (call) => {
      order.push(call.function);
      return DONE;
    }, limited(1));
    await soon("all are done", () => order.length === 302);
    // Which functions there are may be noticed a little late.
    expect(order.indexOf("late")).toBeLessThan(200);
    expect(order.indexOf("last")).toBeLessThan(200);
  });

  test("holds a function's calls back at a limit of 0, until that changes", async () => {
    const limits = new Map([
      ["held", 0],
      ["free", 1],
    ]);
    const asked = new Set<string>();
    const deliveries = new Deliveries();
    const consumer = await setup.consume(deliveries.deliver, {
      concurrency: 8,
      limitOf: ({ name, namespace }) => {
        asked.add(`${name}.${namespace}`);
        return limits.get(name) ?? 0;
      },
    });
    await setup.publishMany(3, "held", { function: "held" });
    await setup.publishMany(3, "free", { function: "free" });
    await soon("the free one starts", () => deliveries.underWay === 1);
    await soon("the other was asked for", () => asked.has("held.openfaas-fn"));
    expect(await setup.status("held-0")).toMatchObject({ state: "waiting", attempts: 0 });
    limits.set("held", 2);
    consumer.limitChanged({ name: "held", namespace: "openfaas-fn" });
    await soon("two of it start", () => deliveries.underWay === 3);
    expect(deliveries.callIds.toSorted()).toEqual(["free-0", "held-0", "held-1"]);
    expect(deliveries.started.every(({ attempt }) => attempt === 1)).toBe(true);
  });

  test("notices a new limit by itself", async () => {
    let limit = 1;
    const deliveries = await setup.hold({ concurrency: 8, limitOf: () => limit });
    await setup.publishMany(4, "call");
    await soon("one starts", () => deliveries.underWay === 1);
    limit = 3;
    await soon("two more start", () => deliveries.underWay === 3);
  });

  test("a limit that falls lets what is under way end and starts no more than it says", async () => {
    let limit = 4;
    const deliveries = new Deliveries();
    const consumer = await setup.consume(deliveries.deliver, { concurrency: 8, limitOf: () => limit });
    await setup.publishMany(12, "call");
    await soon("four start", () => deliveries.underWay === 4);
    limit = 1;
    consumer.limitChanged({ name: "shout", namespace: "openfaas-fn" });
    deliveries.endAll();
    await soon("the next one starts", () => deliveries.started.length === 5);
    for (let ended = 5; ended < 12; ended++) {
      expect(deliveries.underWay).toBe(1);
      deliveries.endAll();
      await soon("the next one starts", () => deliveries.started.length === ended + 1);
    }
    expect(deliveries.started.every(({ attempt }) => attempt === 1)).toBe(true);
  });
}
