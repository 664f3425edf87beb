import { cp, rm } from "node:fs/promises";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { connect, type NatsConnection } from "nats";
import { isLeftBehind } from "../../gateway/queue/jetstream/store/record.ts";
import type { Consumer, Queue } from "../../gateway/queue/queue.ts";
import { DONE, limited, newCall } from "../contracts/queue-contract.ts";
import { openOn } from "../gateway/queue/jetstream/support.ts";
import { eventually } from "../support/eventually.ts";
import { describeWithNats, NatsServer } from "../support/nats.ts";

const soon = <T>(what: string, check: () => T | Promise<T>) => eventually(what, check, 40_000);
const QUEUE = "OF_faas-request";

describeWithNats("a NATS server that forgets", () => {
  let server: NatsServer;
  let nc: NatsConnection | undefined;
  let gateway: Queue;
  let worker: Queue;
  let consumer: Consumer | undefined;
  let ids: string[];

  /** Calls wait, and what the server has stored is copied; then all of them are made. */
  beforeEach(async () => {
    server = await NatsServer.start();
    gateway = await openOn(server);
    const calls = await Promise.all(Array.from({ length: 5 }, () => gateway.publish(newCall())));
    ids = calls.map(({ id }) => id);
    await server.stop();
    for (const stream of [QUEUE, "FAASLANE_FINISHED", "FAASLANE_OPEN"]) {
      await cp(server.messagesOf(stream), `${server.folder}/${stream}`, { recursive: true });
    }
    await server.restart();
    worker = await openOn(server, { ackWaitMs: 1000 });
  });

  afterEach(async () => {
    await consumer?.close(0);
    await Promise.all([gateway.close(), worker.close()]);
    await nc?.close();
    await server.remove();
    nc = undefined;
    consumer = undefined;
  });

  const consume = async (until?: Promise<void>) => {
    const runs: string[] = [];
    consumer = await worker.consume(async ({ id }) => {
      runs.push(id);
      if (id === ids[0]) await until;
      return DONE;
    }, limited(4));
    return runs;
  };

  const isEmpty = async () => {
    const { waiting, inFlight } = await gateway.stats();
    return waiting + inFlight === 0;
  };

  /** The consumer keeps its memory, the streams lose theirs. @param floor of the consumer */
  const forget = async (streams: readonly string[], floor = ids.length) => {
    await server.stop();
    for (const stream of streams) {
      await rm(server.messagesOf(stream), { recursive: true });
      await cp(`${server.folder}/${stream}`, server.messagesOf(stream), { recursive: true });
    }
    await server.restart();
    nc = await connect({ servers: server.address });
    const jsm = await nc.jetstreamManager();
    expect((await jsm.streams.info(QUEUE)).state.messages).toBe(ids.length);
    const [info] = await jsm.consumers.list(QUEUE).next();
    expect(info?.ack_floor.stream_seq).toBe(floor);
  };

  test("what it has deleted: calls that are over do not come again, nor count", async () => {
    const runs = await consume();
    await soon("all are made", isEmpty);
    await forget([QUEUE]);
    await soon("nothing is left", isEmpty);
    expect((await (await (nc as NatsConnection).jetstreamManager()).streams.info(QUEUE)).state.messages).toBe(0);
    expect(runs.toSorted()).toEqual(ids.toSorted());
  }, 60_000);

  test("what it has deleted, while a call before is in hand: found once that has ended", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const runs = await consume(promise);
    await soon("all but one are made", async () => {
      const { waiting, inFlight } = await gateway.stats();
      return waiting === 0 && inFlight === 1;
    });
    await forget([QUEUE], 0);
    resolve();
    await soon("nothing is left", isEmpty);
    expect(new Set(runs)).toEqual(new Set(ids));
    for (const id of ids.slice(1)) expect(runs.filter((run) => run === id)).toHaveLength(1);
  }, 60_000);

  test("that a call is over, too: it is made again, though its consumer would not give it to anybody", async () => {
    const runs = await consume();
    await soon("all are made", isEmpty);
    await forget([QUEUE, "FAASLANE_FINISHED", "FAASLANE_OPEN"]);
    await soon("nothing is left", isEmpty);
    expect(runs.toSorted()).toEqual([...ids, ...ids].toSorted());
    for (const id of ids) expect(await gateway.find(id)).toMatchObject({ state: "done", attempts: 1 });
  }, 60_000);

  test("what it has deleted of other streams: found by a worker that was not there when it was started", async () => {
    const streams = ["FAASLANE_LATER", "FAASLANE_BATCHES"];
    const jsm = async () => {
      await nc?.close();
      nc = await connect({ servers: server.address, reconnect: false });
      return await nc.jetstreamManager();
    };
    const keep = async (stream: string) => {
      await soon("it has been stored", async () => (await (await jsm()).streams.info(stream)).state.messages === 1);
      await server.stop();
      await cp(server.messagesOf(stream), `${server.folder}/${stream}`, { recursive: true });
      await server.restart();
    };
    const whole = newCall({ batch: { kind: "whole", size: 1 }, notBefore: Date.now() + 3000 });
    const { id } = await gateway.publish(whole);
    await keep("FAASLANE_LATER");
    const released = Promise.withResolvers<void>();
    const consumeBatch = async () => {
      let members = 0;
      const options = { ...limited(8), finishBatch: async () => undefined };
      consumer = await worker.consume(async (call) => {
        if (call.batch?.kind === "whole") {
          await worker.publish(newCall({ batch: { kind: "member", of: call.id, index: 0, size: 1 } }));
        } else if (call.batch) {
          members++;
          await released.promise;
        }
        return DONE;
      }, options);
      return () => members;
    };
    await consumeBatch();
    await keep("FAASLANE_BATCHES");
    released.resolve();
    await soon("the batch is done", async () => (await gateway.find(id))?.state === "done");
    for (const stream of streams) {
      await soon("it is empty", async () => (await (await jsm()).streams.info(stream)).state.messages === 0);
    }
    await consumer?.close(1000);
    await worker.close();
    await server.stop();
    for (const stream of streams) {
      await rm(server.messagesOf(stream), { recursive: true });
      await cp(`${server.folder}/${stream}`, server.messagesOf(stream), { recursive: true });
    }
    await server.restart();
    for (const stream of streams) {
      const manager = await jsm();
      expect((await manager.streams.info(stream)).state.messages).toBe(1);
      const [info] = await manager.consumers.list(stream).next();
      expect(info?.ack_floor.stream_seq).toBe(1);
    }
    worker = await openOn(server, { ackWaitMs: 1000 });
    const members = await consumeBatch();
    for (const stream of streams) {
      await soon("it is empty again", async () => (await (await jsm()).streams.info(stream)).state.messages === 0);
    }
    expect(members()).toBe(0);
  }, 120_000);
});

describe("a message is left behind", () => {
  const place = { stream: "q", seq: 5 };

  test("when its call has moved on", () => {
    expect(isLeftBehind(place, { moves: 0 }, { stream: "later", seq: 1, moves: 1 })).toBe(true);
    expect(isLeftBehind(place, { moves: 0 }, { stream: "q", seq: 9, moves: 2 })).toBe(true);
  });

  test("when it was stored twice, and the other one is the call's", () => {
    expect(isLeftBehind(place, { moves: 2 }, { stream: "q", seq: 6, moves: 2 })).toBe(true);
  });

  test("not when it is the call's own, or newer than its record", () => {
    expect(isLeftBehind(place, { moves: 0 }, undefined)).toBe(false);
    expect(isLeftBehind(place, { moves: 2 }, { ...place, moves: 2 })).toBe(false);
    expect(isLeftBehind(place, { moves: 3 }, { stream: "later", seq: 1, moves: 2 })).toBe(false);
  });
});
