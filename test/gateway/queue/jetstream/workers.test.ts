import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "@jest/globals";
import { connect } from "nats";
import type { Consumer, Deliver, Queue } from "../../../../gateway/queue/queue.ts";
import { Deliveries, DONE, limited, newCall } from "../../../contracts/queue-contract.ts";
import { eventually } from "../../../support/eventually.ts";
import { describeWithNats, NatsServer } from "../../../support/nats.ts";
import { openOn } from "./support.ts";

const soon = <T>(what: string, check: () => T | Promise<T>) => eventually(what, check, 25_000);
const ACK_WAIT_MS = 1500;

describeWithNats("workers on JetStream", () => {
  let server: NatsServer;
  let queue: Queue;
  const queues: Queue[] = [];
  const consumers: Consumer[] = [];
  const children: ChildProcess[] = [];

  beforeAll(async () => {
    server = await NatsServer.start();
  });

  beforeEach(async () => {
    queue = await open();
  });

  afterEach(async () => {
    for (const child of children.splice(0)) child.kill("SIGKILL");
    await Promise.all(consumers.splice(0).map((consumer) => consumer.close(0)));
    await Promise.all(queues.splice(0).map((one) => one.close()));
    const nc = await connect({ servers: server.address });
    const jsm = await nc.jetstreamManager();
    for (const name of await jsm.streams.names().next()) await jsm.streams.delete(name);
    await nc.close();
  });

  afterAll(async () => {
    await server?.remove();
  });

  const open = async (options: Parameters<typeof openOn>[1] = {}) => {
    const opened = await openOn(server, { ackWaitMs: ACK_WAIT_MS, ...options });
    queues.push(opened);
    return opened;
  };

  const consume = async (of: Queue, ...args: Parameters<Queue["consume"]>) => {
    const consumer = await of.consume(...args);
    consumers.push(consumer);
    return consumer;
  };

  /** A worker process that never ends what it takes. @returns the lines it prints */
  const startWorker = () => {
    const script = fileURLToPath(new URL("./worker.mjs", import.meta.url));
    const args = ["--disable-warning=ExperimentalWarning", script, server.address, String(ACK_WAIT_MS)];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    children.push(child);
    const lines: string[] = [];
    child.stdout.on("data", (data) => lines.push(...String(data).trim().split("\n")));
    return { child, lines };
  };

  const kill = async (child: ChildProcess) => {
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  };

  test("share the limit of a function", async () => {
    const other = await open();
    const calls = Array.from({ length: 60 }, (_, i) => queue.publish(newCall({ callId: `call-${i}` })));
    await Promise.all(calls);
    let underWay = 0;
    let most = 0;
    const byWorker = [0, 0];
    const ended = new Set<string>();
    for (const [i, one] of [queue, other].entries()) {
      const deliver = async ({ id }: { id: string }) => {
        most = Math.max(most, ++underWay);
        byWorker[i] = (byWorker[i] as number) + 1;
        await delay(20);
        underWay--;
        ended.add(id);
        return DONE;
      };
      await consume(one, deliver, { concurrency: 8, limitOf: () => 3 });
    }
    await soon("all are done", () => ended.size === 60);
    expect(most).toBe(3);
    expect(byWorker[0]).toBeGreaterThan(0);
    expect(byWorker[1]).toBeGreaterThan(0);
  });

  test("share the limit of a function that has calls in two queues", async () => {
    const other = await open();
    const names = ["one", "two"];
    for (const name of names) {
      await Promise.all(Array.from({ length: 30 }, () => queue.publish(newCall({ queue: name }))));
    }
    const workers = [new Deliveries(), new Deliveries()] as const;
    for (const [i, one] of [queue, other].entries()) {
      const options = { ...limited(8, 4), queues: [names[i] as string] };
      await consume(one, (workers[i] as Deliveries).deliver, options);
    }
    const underWay = () => workers[0].underWay + workers[1].underWay;
    const endOne = (of: Deliveries) => {
      const held = of.started.findLast(({ call }) => of.isUnderWay(call.id));
      if (held) of.end(held.call.id);
    };
    await soon("both have calls", () => workers[0].underWay > 0 && workers[1].underWay > 0);
    // What the other has is known a second late: until then each may have all.
    const settle = () =>
      soon("they have what the limit allows together", async () => {
        if (underWay() <= 4) return true;
        for (const worker of workers) if (worker.underWay > 2) endOne(worker);
        await delay(50);
        return false;
      });
    await settle();
    // None has to wait for ever.
    for (let round = 0; round < 8; round++) {
      for (const worker of workers) {
        const { length } = worker.started;
        endOne(worker);
        await soon("its next one starts", () => worker.started.length > length);
      }
    }
    await settle();
  }, 60_000);

  test("share work without running a call twice", async () => {
    const other = await open();
    await Promise.all(Array.from({ length: 500 }, (_, i) => queue.publish(newCall({ function: `f${i % 7}` }))));
    const runs = new Map<string, number>();
    const deliver = async ({ id }: { id: string }) => {
      runs.set(id, (runs.get(id) ?? 0) + 1);
      await delay(2);
      return DONE;
    };
    for (const one of [queue, other]) await consume(one, deliver, limited(16));
    await soon("all have run", () => runs.size === 500);
    expect([...runs.values()].filter((count) => count !== 1)).toEqual([]);
  });

  test("one that vanishes leaves its calls to the others, and the attempt does not count", async () => {
    const { id } = await queue.publish(newCall());
    const { child, lines } = startWorker();
    await soon("the other process has it", () => lines.includes(`${id} 1`));
    await soon("its status shows", async () => (await queue.find(id))?.state === "running");
    await kill(child);
    const deliveries = new Deliveries();
    await consume(queue, deliveries.deliver, limited(4));
    await soon("it is delivered again", () => deliveries.started.length === 1);
    expect(deliveries.started[0]).toMatchObject({ attempt: 1, call: { id } });
    deliveries.endAll();
    await soon("it is done", async () => (await queue.find(id))?.state === "done");
    expect(await queue.find(id)).toMatchObject({ attempts: 1 });
  });

  test("a call that makes workers vanish again and again is dead", async () => {
    const short = await open({ limits: { maxInterruptions: 2 } });
    const { id } = await queue.publish(newCall());
    for (let round = 0; round < 2; round++) {
      const { child, lines } = startWorker();
      await soon("the process has it", () => lines.includes(`${id} 1`));
      await kill(child);
    }
    const deliveries = new Deliveries();
    await consume(short, deliveries.deliver, limited(4));
    await soon("it is dead", async () => (await queue.find(id))?.state === "dead");
    expect(deliveries.started).toEqual([]);
    expect(await queue.find(id)).toMatchObject({ attempts: 0, reason: "its attempts were cut off 2 times" });
    expect((await queue.stats()).dead).toBe(1);
  });

  test("that close are not taken for vanished ones", async () => {
    const short = await open({ limits: { maxInterruptions: 2 } });
    const { id } = await queue.publish(newCall());
    for (let round = 0; round < 4; round++) {
      const deliveries = new Deliveries();
      const consumer = await short.consume(deliveries.deliver, limited(1));
      await soon("it starts", () => deliveries.ids.includes(id));
      await consumer.close(0);
    }
    const deliveries = new Deliveries();
    await consume(short, deliveries.deliver, limited(1));
    await soon("it starts again", () => deliveries.started.length === 1);
    expect(deliveries.started[0]?.attempt).toBe(1);
  });

  test("that close leave nothing to the ack wait: neither calls in hand, nor those on their way, nor those for later", async () => {
    const other = await open({ ackWaitMs: 60_000 });
    const ended = new Set<string>();
    const deliver: Deliver = async ({ id }, attempt) => {
      await delay(Math.random() * 10);
      if (attempt === 1) return { kind: "retry", afterMs: 100 };
      ended.add(id);
      return DONE;
    };
    const accepted: string[] = [];
    let over = false;
    const publishing = (async () => {
      for (let i = 0; !over; i++) {
        const notBefore = i % 5 === 0 ? { notBefore: Date.now() + 300 } : {};
        accepted.push((await queue.publish(newCall({ function: `f${i % 3}`, ...notBefore }))).id);
        await delay(2);
      }
    })();
    for (let round = 0; round < 10; round++) {
      const consumer = await other.consume(deliver, limited(8, 4));
      await delay(30 + Math.random() * 300);
      await consumer.close(round % 2 === 0 ? 0 : 1000);
    }
    over = true;
    await publishing;
    await consume(other, deliver, limited(64));
    await soon("all have ended", () => accepted.every((id) => ended.has(id)));
  });

  test("a call that takes longer than the ack wait is run once", async () => {
    const other = await open();
    const deliveries = new Deliveries();
    for (const one of [queue, other]) await consume(one, deliveries.deliver, limited(4));
    const { id } = await queue.publish(newCall());
    await soon("it starts", () => deliveries.started.length === 1);
    await delay(2.5 * ACK_WAIT_MS);
    deliveries.endAll();
    await soon("it is done", async () => (await queue.find(id))?.state === "done");
    expect(deliveries.started).toHaveLength(1);
  });

  test("a call cancelled from another process is aborted where it runs", async () => {
    const other = await open();
    const deliveries = new Deliveries();
    await consume(other, deliveries.deliver, limited(4));
    const { id } = await queue.publish(newCall());
    await soon("it runs", async () => (await queue.find(id))?.state === "running");
    expect(await queue.cancel(id)).toBe("running");
    await soon("it is aborted", () => deliveries.started[0]?.signal.aborted);
    await soon("its place is free", async () => {
      const { waiting, inFlight } = await queue.stats();
      return waiting + inFlight === 0;
    });
    expect(await queue.find(id)).toMatchObject({ state: "cancelled" });
  });

  test("tell each other what they do", async () => {
    const other = await open();
    const deliveries = new Deliveries();
    await consume(other, deliveries.deliver, limited(4));
    await queue.publish(newCall());
    await soon("that shows here", async () => {
      const [of] = (await queue.stats()).functions;
      return of?.inFlight === 1 && of.waiting === 0;
    });
    deliveries.endAll();
    await soon("and how fast", async () => ((await queue.stats()).functions[0]?.finishedPerSecond ?? 0) > 0);
  });

  test("two keep one batch between them", async () => {
    const other = await open();
    const size = 40;
    let told = 0;
    for (const one of [queue, other]) {
      await consume(
        one,
        async (call) => {
          if (call.batch?.kind !== "whole") return DONE;
          for (let index = 0; index < size; index++) {
            await one.publish(newCall({ batch: { kind: "member", of: call.id, index, size } }));
          }
          return DONE;
        },
        { ...limited(8), finishBatch: async () => void told++ },
      );
    }
    const { id } = await queue.publish(newCall({ batch: { kind: "whole", size } }));
    await soon("it is done", async () => (await queue.find(id))?.state === "done");
    expect(await queue.find(id)).toMatchObject({ batch: { size, done: size } });
    expect(told).toBe(1);
  });
});
