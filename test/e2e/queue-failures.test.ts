import { readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { connect } from "nats";
import type { Consumer, Deliver, Queue } from "../../gateway/queue/queue.ts";
import { DONE, limited, newCall } from "../contracts/queue-contract.ts";
import { openOn, Publishers } from "../gateway/queue/jetstream/support.ts";
import { eventually } from "../support/eventually.ts";
import { describeWithNats, NatsServer } from "../support/nats.ts";

const soon = <T>(what: string, check: () => T | Promise<T>) => eventually(what, check, 40_000);

describeWithNats("a NATS server that dies", () => {
  const queues: Queue[] = [];
  const consumers: Consumer[] = [];
  let servers: NatsServer[] = [];

  beforeEach(() => {
    servers = [];
  });

  afterEach(async () => {
    await Promise.all(consumers.splice(0).map((consumer) => consumer.close(0)));
    await Promise.all(queues.splice(0).map((queue) => queue.close()));
    await Promise.all(servers.map((server) => server.remove()));
  });

  const open = async (...args: Parameters<typeof openOn>) => {
    const queue = await openOn(...args);
    queues.push(queue);
    return queue;
  };

  test("is killed under load and restarted on its store: no accepted call is lost", async () => {
    const server = await NatsServer.start();
    servers.push(server);
    const gateway = await open(server);
    const worker = await open(server, { ackWaitMs: 3000 });
    const runs = new Map<string, number>();
    const consumer = await worker.consume(async ({ id }) => {
      runs.set(id, (runs.get(id) ?? 0) + 1);
      await delay(Math.random() * 20);
      return DONE;
    }, limited(32));
    consumers.push(consumer);
    const publishers = new Publishers(gateway, 16, (callId) => newCall({ callId, function: `f${callId.length}` }));
    await soon("calls flow", () => runs.size > 200);
    for (let round = 0; round < 2; round++) {
      const { length } = publishers.accepted;
      await server.kill();
      await soon("publishers are refused", () => publishers.refused.length > round * 20 + 16);
      await server.restart();
      await soon("publishers go on", () => publishers.accepted.length > length + 200);
    }
    await publishers.stop();
    await soon("all accepted calls have run", () => publishers.accepted.every((id) => runs.has(id)));
    await soon("all are done", async () => {
      const { waiting, inFlight, functions } = await gateway.stats();
      if (waiting + inFlight > 0) throw new Error(JSON.stringify(functions));
      return true;
    });
    for (const { error, afterMs } of publishers.refused) {
      expect(error.kind).toBe("unavailable");
      expect(afterMs).toBeLessThan(4000);
    }
    const twice = publishers.accepted.filter((id) => (runs.get(id) ?? 0) > 1).length;
    // What was in hand when the server died can come again.
    expect(twice).toBeLessThanOrEqual(2 * 32);
  }, 90_000);

  test("is away: publishers hear of it within two seconds, later ones at once", async () => {
    const server = await NatsServer.start();
    servers.push(server);
    const queue = await open(server);
    await server.kill();
    const start = performance.now();
    await expect(queue.publish(newCall())).rejects.toMatchObject({ kind: "unavailable" });
    expect(performance.now() - start).toBeLessThan(3500);
    await eventually("refusals are quick", async () => {
      const before = performance.now();
      await expect(queue.publish(newCall())).rejects.toMatchObject({ kind: "unavailable" });
      return performance.now() - before < 100;
    });
    await server.restart();
    await soon("it is taken again", () => queue.publish(newCall()).catch(() => undefined));
  });

  test("is killed while a batch is under way: the batch ends with its last member", async () => {
    const server = await NatsServer.start();
    servers.push(server);
    const queue = await open(server, { ackWaitMs: 3000 });
    const released = Promise.withResolvers<void>();
    const deliver: Deliver = async (call) => {
      if (call.batch?.kind === "whole") {
        await queue.publish(newCall({ batch: { kind: "member", of: call.id, index: 0, size: 1 } }));
      } else {
        await released.promise;
      }
      return DONE;
    };
    consumers.push(await queue.consume(deliver, { ...limited(4), finishBatch: async () => undefined }));
    const { id } = await queue.publish(newCall({ batch: { kind: "whole", size: 1 } }));
    const nc = await connect({ servers: server.address });
    const jsm = await nc.jetstreamManager();
    const readers = async () => (await jsm.consumers.list("FAASLANE_MEMBERS").next()).length;
    await soon("its members are followed", async () => (await readers()) === 1);
    await nc.close();
    await server.kill();
    await server.restart();
    released.resolve();
    await soon("it is done", async () => (await queue.find(id).catch(() => undefined))?.state === "done");
  }, 60_000);

  test("hangs: what waits for it is bounded", async () => {
    const server = await NatsServer.start();
    servers.push(server);
    const queue = await open(server, { limits: { maxUnstored: 10 } });
    process.kill(server.pid, "SIGSTOP");
    await soon("it has stopped", async () => /^State:\tT/m.test(await readFile(`/proc/${server.pid}/status`, "utf8")));
    try {
      const results = await Promise.allSettled(Array.from({ length: 30 }, () => queue.publish(newCall())));
      const kinds = results.map((result) => (result.status === "rejected" ? result.reason.kind : "accepted"));
      expect(kinds.filter((kind) => kind === "unavailable")).toHaveLength(10);
      expect(kinds.filter((kind) => kind === "overloaded")).toHaveLength(20);
    } finally {
      process.kill(server.pid, "SIGCONT");
    }
    await soon("it is taken again", () => queue.publish(newCall()).catch(() => undefined));
  });

  test("is one of three: no accepted call is lost with three replicas", async () => {
    servers = await NatsServer.startCluster(3);
    const gateway = await soon("the cluster takes streams", () =>
      openOn(servers, { replicas: 3 }).catch(() => undefined),
    );
    const worker = await openOn(servers, { replicas: 3, ackWaitMs: 5000 });
    queues.push(gateway, worker);
    const runs = new Map<string, number>();
    const consumer = await worker.consume(async ({ id }) => {
      runs.set(id, (runs.get(id) ?? 0) + 1);
      await delay(5);
      return DONE;
    }, limited(16));
    consumers.push(consumer);
    const publishers = new Publishers(gateway, 8, (callId) => newCall({ callId }));
    await soon("calls flow", () => runs.size > 100);
    const leader = await leaderOf(servers, "OF_faas-request");
    await leader.kill();
    const { length } = publishers.accepted;
    await soon("publishers go on", () => publishers.accepted.length > length + 200);
    await publishers.stop();
    await soon("all accepted calls have run", () => publishers.accepted.every((id) => runs.has(id)));
    await soon("all are done", async () => {
      const { waiting, inFlight } = await gateway.stats();
      return waiting + inFlight === 0;
    });
  }, 120_000);
});

/** The server that all writes to a stream go through. */
async function leaderOf(servers: readonly NatsServer[], stream: string): Promise<NatsServer> {
  const nc = await connect({ servers: servers.map(({ address }) => address) });
  try {
    const { cluster } = await (await nc.jetstreamManager()).streams.info(stream);
    const leader = servers.find((_, i) => `n${i}` === cluster?.leader);
    if (!leader) throw new Error(`${stream} has no leader among the servers: ${JSON.stringify(cluster)}`);
    return leader;
  } finally {
    await nc.close();
  }
}
