import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { connect, type NatsConnection } from "nats";
import { type Sharer, shareOfLimit } from "../../../../gateway/queue/jetstream/store/limit-share.ts";
import { SlotlessRoom } from "../../../../gateway/queue/jetstream/worker/slotless-room.ts";
import type { Queue } from "../../../../gateway/queue/queue.ts";
import { Deliveries, newCall } from "../../../contracts/queue-contract.ts";
import { eventually } from "../../../support/eventually.ts";
import { describeWithNats, NatsServer } from "../../../support/nats.ts";
import { openOn } from "./support.ts";

const soon = <T>(what: string, check: () => T | Promise<T>) => eventually(what, check, 25_000);

describe("room beside the limit", () => {
  test.each([
    [0, 0],
    [1, 16],
    [15, 16],
    [16, 32],
    [31, 32],
    [100, 128],
    [256, 512],
  ])("for %i calls that are without a slot is %i", (free, room) => {
    expect(new SlotlessRoom().for(free, 0)).toBe(room);
  });

  test("grows at once, and shrinks when less has been enough for a minute", () => {
    const room = new SlotlessRoom();
    const at = (seconds: number, free: number) => room.for(free, seconds * 1000);
    expect([at(0, 3), at(1, 40), at(2, 0), at(30, 40), at(31, 0), at(90, 0), at(91, 1)]).toEqual([
      16, 64, 64, 64, 64, 64, 16,
    ]);
    expect([at(100, 0), at(151, 0), at(152, 0)]).toEqual([16, 16, 0]);
    expect(room.latest).toBe(0);
  });
});

describe("the part of a limit that a process keeps to", () => {
  const others = (...taken: number[]): Sharer[] => taken.map((count, i) => ({ process: `b${i}`, taken: count }));

  test.each<[rule: string, limit: number, self: string, others: Sharer[], expected: number]>([
    ["is all of it for one alone", 4, "a", [], 4],
    ["is what others leave", 10, "a", others(2), 8],
    ["is an equal part at least", 10, "a", others(9), 5],
    ["has what is left over, for the first by name", 11, "a", others(11), 6],
    ["has none of that for the last", 11, "c", others(11), 5],
    ["can be none", 1, "c", others(1), 0],
    ["which is then the first one's", 1, "a", others(1), 1],
    ["is none of none", 0, "a", others(1), 0],
  ])("%s", (_rule, limit, self, sharers, expected) => {
    expect(shareOfLimit(limit, self, sharers)).toBe(expected);
  });

  test("makes no more than the limit of all equal parts", () => {
    for (let limit = 0; limit < 20; limit++) {
      for (let count = 1; count < 8; count++) {
        const all = Array.from({ length: count }, (_, i) => ({ process: `p${i}`, taken: 100 }));
        const parts = all.map(({ process }) =>
          shareOfLimit(
            limit,
            process,
            all.filter((one) => one.process !== process),
          ),
        );
        expect(parts.reduce((a, b) => a + b, 0)).toBe(limit);
      }
    }
  });
});

describeWithNats("calls without a slot on JetStream", () => {
  let server: NatsServer;
  let nc: NatsConnection;
  const queues: Queue[] = [];
  const closing: (() => Promise<void>)[] = [];

  beforeEach(async () => {
    server = await NatsServer.start();
    nc = await connect({ servers: server.address });
  });

  afterEach(async () => {
    await Promise.all(closing.splice(0).map((close) => close()));
    await Promise.all(queues.splice(0).map((queue) => queue.close()));
    await nc?.close();
    await server?.remove();
  });

  const open = async () => {
    const queue = await openOn(server);
    queues.push(queue);
    return queue;
  };

  const consume = async (queue: Queue, ...args: Parameters<Queue["consume"]>) => {
    const consumer = await queue.consume(...args);
    closing.push(() => consumer.close(0));
  };

  const serverLimit = async () => {
    const jsm = await nc.jetstreamManager();
    const [info] = await jsm.consumers.list("OF_faas-request").next();
    return info?.config.max_ack_pending;
  };

  test("have room on the server, whoever has them, and however the limit changes", async () => {
    const [queue, other] = [await open(), await open()];
    let limit = 2;
    const options = { concurrency: 8, limitOf: () => limit };
    const deliveries = new Deliveries();
    await consume(queue, deliveries.deliver, options);
    await Promise.all(Array.from({ length: 30 }, (_, i) => queue.publish(newCall({ callId: `call-${i}` }))));
    await soon("two start", () => deliveries.underWay === 2);
    expect(await serverLimit()).toBe(2);
    for (let i = 0; i < 20; i++) {
      await soon("it starts", () => deliveries.callIds.includes(`call-${i}`));
      deliveries.permit(`call-${i}`).release();
    }
    await soon("there is room", async () => (await serverLimit()) === 2 + 32);
    await soon("the limit is used", () => deliveries.underWay === 22);
    await soon("the other worker knows of that", async () => (await other.stats()).inFlight === 22);
    const others = new Deliveries();
    await consume(other, others.deliver, options);
    limit = 4;
    await soon("both have the new one, and the room", async () => (await serverLimit()) === 4 + 32);
    await soon("all of it is used", () => deliveries.underWay + others.underWay >= 24);
  });

  test("leave the limit to be shared by the workers, though the server has room for more", async () => {
    const [queue, other] = [await open(), await open()];
    const options = { concurrency: 8, limitOf: () => 2 };
    const deliveries = new Deliveries();
    await consume(queue, deliveries.deliver, options);
    await Promise.all(Array.from({ length: 12 }, (_, i) => queue.publish(newCall({ callId: `call-${i}` }))));
    await soon("two start", () => deliveries.underWay === 2);
    deliveries.permit("call-0").release();
    await soon("a third starts", () => deliveries.underWay === 3);
    const inFlight = async (one: Queue) => (await one.stats()).inFlight;
    await soon("the other worker knows of them", async () => (await inFlight(other)) === 3);
    const others = new Deliveries();
    await consume(other, others.deliver, options);
    await soon("it takes its part", () => others.underWay === 1);
    await soon("and is known to have it", async () => (await inFlight(queue)) === 4);
    for (const id of ["call-1", "call-2"]) deliveries.endOf(id);
    await soon("the first one takes no more than its own", () => deliveries.started.length === 4);
    await soon("that is known", async () => (await inFlight(other)) === 3);
    expect([deliveries.underWay, others.underWay]).toEqual([2, 1]);
    await soon("all end", () => {
      deliveries.endAll();
      others.endAll();
      return deliveries.started.length + others.started.length === 12;
    });
  });
});
