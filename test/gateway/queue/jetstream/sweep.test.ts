import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "@jest/globals";
import { connect, type JetStreamManager, type NatsConnection } from "nats";
import { type CallRecord, encodeRecord } from "../../../../gateway/queue/jetstream/store/record.ts";
import type { Consumer, Deliver, Queue } from "../../../../gateway/queue/queue.ts";
import { DONE, limited, newCall } from "../../../contracts/queue-contract.ts";
import { eventually } from "../../../support/eventually.ts";
import { describeWithNats, NatsServer } from "../../../support/nats.ts";
import { openOn } from "./support.ts";

const soon = <T>(what: string, check: () => T | Promise<T>) => eventually(what, check, 25_000);
const QUEUE = "OF_faas-request";

describeWithNats("looking for calls that nobody gets", () => {
  let server: NatsServer;
  let nc: NatsConnection;
  let jsm: JetStreamManager;
  const queues: Queue[] = [];
  const consumers: Consumer[] = [];
  /** Subjects of requests to JetStream, with what they ask. */
  let asked: { readonly subject: string; readonly text: string }[] = [];

  beforeAll(async () => {
    server = await NatsServer.start({ maxPayload: 65_536 });
    nc = await connect({ servers: server.address });
    jsm = await nc.jetstreamManager();
    nc.subscribe("$JS.API.>", {
      callback: (_err, msg) => asked.push({ subject: msg.subject, text: msg.string() }),
    });
  });

  beforeEach(() => {
    asked = [];
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

  const open = async (options: Parameters<typeof openOn>[1] = {}) => {
    const queue = await openOn(server, options);
    queues.push(queue);
    return queue;
  };

  const consume = async (queue: Queue, deliver: Deliver, limits = limited(4)) => {
    const consumer = await queue.consume(deliver, limits);
    consumers.push(consumer);
    return consumer;
  };

  const stateOf = async (stream: string) => (await jsm.streams.info(stream)).state;
  const seen = (pattern: RegExp) => asked.filter(({ subject, text }) => pattern.test(`${subject} ${text}`)).length;

  test("is not done for a function that has none any more", async () => {
    const queue = await open({ ackWaitMs: 500 });
    let end = () => {};
    const running = new Promise<void>((resolve) => {
      end = resolve;
    });
    await consume(queue, async () => {
      await running;
      return DONE;
    });
    const { id } = await queue.publish(newCall());
    asked = [];
    await soon("it is counted", () => seen(/STREAM\.INFO\.OF_faas-request .*subjects_filter/) > 3);
    end();
    await soon("it is done", async () => (await queue.find(id))?.state === "done");
    asked = [];
    await soon("calls were asked for again and again", () => seen(/MSG\.NEXT\.OF_faas-request/) >= 12);
    expect(seen(/CONSUMER\.DELETE/)).toBe(0);
  }, 60_000);

  test("does not give out calls for later anew while there is nothing to be found", async () => {
    const queue = await open();
    for (let i = 0; i < 20; i++) await queue.publish(newCall({ notBefore: Date.now() + 3_600_000 + i }));
    const ended = new Set<string>();
    await consume(queue, async ({ id }) => {
      ended.add(id);
      return DONE;
    });
    for (let round = 0; round < 7; round++) {
      const { id } = await queue.publish(newCall({ notBefore: Date.now() + 1000 }));
      await soon("its time has come", () => ended.has(id));
    }
    expect(seen(/CONSUMER\.DELETE\.FAASLANE_LATER/)).toBe(0);
  }, 60_000);

  test("tells a batch of a member that was cancelled by somebody who died in the middle of it", async () => {
    const queue = await open();
    const size = 1;
    let member = "";
    await consume(
      queue,
      async (call) => {
        if (call.batch?.kind !== "whole") return DONE;
        const batch = { kind: "member", of: call.id, index: 0, size } as const;
        member = (await queue.publish(newCall({ batch, notBefore: Date.now() + 1500 }))).id;
        const final = { ...(await queue.find(member)), state: "cancelled", finishedAt: Date.now() } as CallRecord;
        await nc.jetstream().publish(`FAASLANE.finished.${member}`, encodeRecord(final));
        return DONE;
      },
      { ...limited(4), finishBatch: async () => undefined },
    );
    const { id } = await queue.publish(newCall({ batch: { kind: "whole", size } }));
    await soon("the batch is done", async () => (await queue.find(id))?.state === "done");
    expect(await queue.find(id)).toMatchObject({ batch: { size, cancelled: 1 } });
  }, 60_000);

  test("keeps the large body of a dead letter when an old message of the call turns up", async () => {
    const queue = await open();
    const { id } = await queue.publish(newCall({ body: Buffer.alloc(200_000, "x") }));
    const old = await jsm.streams.getMessage(QUEUE, { seq: 1 });
    const reasons = ["no use", "still no use"].values();
    const sizes: number[] = [];
    await consume(queue, async ({ body }) => {
      sizes.push(body.length);
      return { kind: "dead", reason: reasons.next().value ?? "" };
    });
    await soon("it is dead", async () => (await queue.find(id))?.state === "dead");
    const [meta = ""] = Buffer.from(old.data).toString().split("\n");
    await nc.jetstream().publish(old.subject, `${JSON.stringify({ ...JSON.parse(meta), i: id })}\n`);
    await soon("the old message is gone", async () => (await stateOf(QUEUE)).messages === 0);
    expect(await queue.deadLetters.replay({ id })).toBe(1);
    await soon("it is dead again", async () => (await queue.find(id))?.reason === "still no use");
    expect(sizes).toEqual([200_000, 200_000]);
  }, 60_000);
});
