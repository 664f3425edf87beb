import { afterAll, afterEach, beforeAll, expect, test } from "@jest/globals";
import { connect, type JetStreamManager, type NatsConnection } from "nats";
import { type CallRecord, encodeRecord } from "../../../../gateway/queue/jetstream/store/record.ts";
import type { Consumer, Deliver, Queue } from "../../../../gateway/queue/queue.ts";
import { DONE, limited, newCall } from "../../../contracts/queue-contract.ts";
import { eventually } from "../../../support/eventually.ts";
import { describeWithNats, NatsServer } from "../../../support/nats.ts";
import { openOn } from "./support.ts";

const soon = <T>(what: string, check: () => T | Promise<T>) => eventually(what, check, 25_000);
const QUEUE = "OF_faas-request";

describeWithNats("cancelling on JetStream", () => {
  let server: NatsServer;
  let nc: NatsConnection;
  let jsm: JetStreamManager;
  const queues: Queue[] = [];
  const consumers: Consumer[] = [];

  beforeAll(async () => {
    server = await NatsServer.start();
    nc = await connect({ servers: server.address });
    jsm = await nc.jetstreamManager();
  });

  afterEach(async () => {
    await Promise.all(consumers.splice(0).map((consumer) => consumer.close(0)));
    await Promise.all(queues.splice(0).map((queue) => queue.close()));
    for (const name of await jsm.streams.names().next()) await jsm.streams.delete(name);
  });

  afterAll(async () => {
    await nc?.close();
    await server?.remove();
  });

  const open = async () => {
    const queue = await openOn(server);
    queues.push(queue);
    return queue;
  };

  const countOf = async (stream: string) => (await jsm.streams.info(stream)).state.messages;

  const store = async (kind: "open" | "finished", record: CallRecord) => {
    await nc.jetstream().publish(`FAASLANE.${kind}.${record.id}`, encodeRecord(record));
  };

  test("that was cut off after its record can be made good by another one", async () => {
    const queue = await open();
    const { id } = await queue.publish(newCall());
    const other = await queue.publish(newCall());
    const status = await queue.find(id);
    await store("finished", { ...status, state: "cancelled", finishedAt: Date.now() } as CallRecord);
    expect(await countOf(QUEUE)).toBe(2);
    expect(await queue.cancel(id)).toBe("cancelled");
    expect(await countOf(QUEUE)).toBe(1);
    expect(await queue.cancel(id)).toBe("cancelled");
    const ran: string[] = [];
    const consumer = await queue.consume(async (call) => {
      ran.push(call.id);
      return DONE;
    }, limited(4));
    consumers.push(consumer);
    await soon("the other is done", async () => (await queue.find(other.id))?.state === "done");
    expect(ran).toEqual([other.id]);
  });

  test("removes a call under way whose worker is dead", async () => {
    const queue = await open();
    const { id } = await queue.publish(newCall());
    await store("open", { ...(await queue.find(id)), state: "running", startedAt: Date.now() } as CallRecord);
    expect(await queue.cancel(id)).toBe("running");
    expect(await countOf(QUEUE)).toBe(0);
    expect(await countOf("FAASLANE_OPEN")).toBe(0);
    expect(await queue.find(id)).toMatchObject({ state: "cancelled" });
  });

  test.each(["waiting", "running"] as const)("ends a batch being spread whose record says %s", async (state) => {
    const queue = await open();
    const ran: unknown[] = [];
    let published = 0;
    let aborted = false;
    const deliver: Deliver = async (call, _attempt, signal) => {
      if (call.batch?.kind !== "whole") {
        ran.push(call.batch);
        return DONE;
      }
      const publish = async () => {
        const place = { kind: "member", of: call.id, index: published, size: 40 } as const;
        await queue.publish(newCall({ batch: place }));
        published++;
      };
      while (published < 20) await publish();
      if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve));
      aborted = true;
      // What was on its way.
      while (published < 30) await publish();
      throw signal.reason;
    };
    // Members are of the same function, so none starts before the batch is out of hand.
    consumers.push(await queue.consume(deliver, limited(4, 1)));
    const { id } = await queue.publish(newCall({ batch: { kind: "whole", size: 40 } }));
    await soon("members are published", () => published === 20);
    if (state === "running") await soon("it shows", async () => (await queue.find(id))?.state === "running");
    expect(await queue.cancel(id)).toBe(state);
    await soon("it is aborted", () => aborted);
    await soon("nothing is left", async () => {
      const streams = [QUEUE, "FAASLANE_MEMBERS", "FAASLANE_OPEN", "FAASLANE_BATCHES"];
      const left = await Promise.all(streams.map(countOf));
      if (published < 30 || left.some((count) => count > 0)) throw new Error(`${published} ${left}`);
      return true;
    });
    expect(ran).toEqual([]);
    expect(await queue.find(id)).toMatchObject({ state: "cancelled" });
  });

  test("of a batch between two tries to spread it ends the members there are", async () => {
    const queue = await open();
    const { id } = await queue.publish(newCall({ batch: { kind: "whole", size: 9 }, notBefore: Date.now() + 60_000 }));
    const members = [];
    for (let index = 0; index < 3; index++) {
      members.push(await queue.publish(newCall({ batch: { kind: "member", of: id, index, size: 9 } })));
    }
    expect(await queue.cancel(id)).toBe("waiting");
    for (const stream of [QUEUE, "FAASLANE_LATER", "FAASLANE_MEMBERS"]) expect(await countOf(stream)).toBe(0);
    for (const member of members) expect(await queue.find(member.id)).toMatchObject({ state: "cancelled" });
  });

  test("of a batch that comes to its coordinator in the same moment ends what is kept", async () => {
    const queue = await open();
    const deliver: Deliver = async ({ id, batch }) => {
      if (batch?.kind !== "whole") return { kind: "retry", afterMs: 3_600_000 };
      await queue.publish(newCall({ batch: { kind: "member", of: id, index: 0, size: 2 } }));
      return DONE;
    };
    consumers.push(await queue.consume(deliver, limited(4)));
    const { id } = await queue.publish(newCall({ batch: { kind: "whole", size: 2 } }));
    await soon("the member waits", async () => (await countOf("FAASLANE_LATER")) === 1);
    await soon("the batch is kept", async () => (await countOf("FAASLANE_BATCHES")) === 1);
    await store("finished", { ...(await queue.find(id)), state: "cancelled", finishedAt: Date.now() } as CallRecord);
    await soon("nothing is left", async () => {
      const streams = [QUEUE, "FAASLANE_LATER", "FAASLANE_MEMBERS", "FAASLANE_OPEN", "FAASLANE_BATCHES"];
      return (await Promise.all(streams.map(countOf))).every((count) => count === 0);
    });
  });
});
