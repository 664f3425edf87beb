import { afterAll, afterEach, beforeAll, expect, test } from "@jest/globals";
import { type ConsumerInfo, connect, type JetStreamManager, type NatsConnection } from "nats";
import { openLink } from "../../../../gateway/nats/connection.ts";
import { Pull } from "../../../../gateway/nats/pull.ts";
import { functionQueueSubject } from "../../../../gateway/queue/jetstream/client/names.ts";
import { encodeCall, functionQueueOf } from "../../../../gateway/queue/jetstream/store/call-codec.ts";
import { MaskedCallIds } from "../../../../gateway/queue/jetstream/store/call-id.ts";
import { encodeRecord, waitingRecord } from "../../../../gateway/queue/jetstream/store/record.ts";
import type { Queue } from "../../../../gateway/queue/queue.ts";
import { Deliveries, DONE, limited, newCall } from "../../../contracts/queue-contract.ts";
import { eventually } from "../../../support/eventually.ts";
import { describeWithNats, NatsServer } from "../../../support/nats.ts";
import { openOn, silent } from "./support.ts";

const soon = <T>(what: string, check: () => T | Promise<T>) => eventually(what, check, 25_000);

describeWithNats("streams of the queue", () => {
  let server: NatsServer;
  let nc: NatsConnection;
  let jsm: JetStreamManager;
  const queues: Queue[] = [];

  beforeAll(async () => {
    server = await NatsServer.start({ maxPayload: 64 * 1024 });
    nc = await connect({ servers: server.address });
    jsm = await nc.jetstreamManager();
  });

  afterEach(async () => {
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

  const countOf = async (stream: string) => (await jsm.streams.info(stream)).state.messages;

  test("of older settings are changed, and keep their calls", async () => {
    const old = await open({ callLimits: { calls: 5 }, limits: { maxDead: 7 }, resultTtlMs: 60_000 });
    const { id } = await old.publish(newCall());
    const queue = await open({ callLimits: { calls: 50 }, limits: { maxDead: 70 }, resultTtlMs: 600_000 });
    expect((await jsm.streams.info("OF_faas-request")).config).toMatchObject({ max_msgs: 50, retention: "workqueue" });
    expect((await jsm.streams.info("FAASLANE_DEAD")).config.max_msgs).toBe(70);
    expect((await jsm.streams.info("FAASLANE_FINISHED")).config.max_age).toBe(600_000 * 1e6);
    expect(await queue.find(id)).toMatchObject({ state: "waiting" });
    await Promise.all(Array.from({ length: 10 }, () => queue.publish(newCall())));
  });

  test("whose storage is another one stay as they are", async () => {
    const old = await open({ storage: "memory" });
    const { id } = await old.publish(newCall());
    const told: unknown[] = [];
    const log = { debug: () => {}, info: () => {}, warn: (facts: unknown) => told.push(facts), error: () => {} };
    const queue = await open({ log: log as never });
    expect((await jsm.streams.info("OF_faas-request")).config.storage).toBe("memory");
    expect(told).toContainEqual({ stream: "OF_faas-request", fields: ["storage"] });
    expect(await queue.find(id)).toMatchObject({ state: "waiting" });
  });

  test("that somebody removes are made anew, with their consumers", async () => {
    const queue = await open();
    const deliveries = new Deliveries();
    const consumer = await queue.consume(deliveries.deliver, limited(4));
    const first = await queue.publish(newCall());
    await soon("the first one starts", () => deliveries.ids.includes(first.id));
    deliveries.endAll();
    await soon("it is done", async () => (await queue.find(first.id))?.state === "done");
    for (const name of await jsm.streams.names().next()) await jsm.streams.delete(name);
    const second = await soon("a call is taken again", () => queue.publish(newCall()).catch(() => undefined));
    await soon("it starts", () => deliveries.ids.includes(second.id));
    deliveries.endAll();
    await soon("it is done", async () => (await queue.find(second.id))?.state === "done");
    await consumer.close(1000);
  });

  test("that the server cannot copy are refused with a reason", async () => {
    await expect(openOn(server, { replicas: 3 })).rejects.toThrow(/streams cannot be made at NATS .*replicas/);
  });

  test("hold bodies and results larger than a message, as long as the call needs them", async () => {
    const queue = await open();
    const body = Buffer.alloc(1_000_000, "0123456789");
    const { id } = await queue.publish(newCall({ body }));
    const second = await queue.publish(newCall({ body }));
    expect(await countOf("FAASLANE_BODIES")).toBeGreaterThan(30);
    expect(await queue.cancel(second.id)).toBe("waiting");
    let tries = 0;
    const seen: Buffer[] = [];
    const consumer = await queue.consume(async (call) => {
      seen.push(Buffer.from(call.body));
      if (++tries === 1) return { kind: "retry", afterMs: 10 };
      return { kind: "done", outcome: { status: 200, durationMs: 1, result: { headers: [], body: call.body } } };
    }, limited(2));
    await soon("it is done", async () => (await queue.find(id))?.state === "done");
    expect(seen.map((one) => Buffer.compare(one, body))).toEqual([0, 0]);
    const result = (await queue.result(id))?.result;
    expect(Buffer.compare(Buffer.from(result?.body ?? []), body)).toBe(0);
    await soon("the bodies are gone", async () => (await countOf("FAASLANE_BODIES")) === 0);
    await consumer.close(1000);
  });

  test("hold results of members larger than a message, and calls with long headers", async () => {
    const queue = await open();
    const answers: (number | undefined)[] = [];
    const size = 3;
    const consumer = await queue.consume(
      async (call) => {
        if (call.batch?.kind === "whole") {
          for (let index = 0; index < size; index++) {
            await queue.publish(newCall({ batch: { kind: "member", of: call.id, index, size } }));
          }
          return DONE;
        }
        const body = Buffer.alloc(call.batch?.kind === "member" && call.batch.index === 1 ? 300_000 : 10);
        return { kind: "done", outcome: { status: 200, durationMs: 1, result: { headers: [], body } } };
      },
      {
        ...limited(8),
        finishBatch: async ({ members }) => {
          for await (const { outcome } of members()) answers.push(outcome?.result?.body.length);
        },
      },
    );
    const { id } = await queue.publish(newCall({ batch: { kind: "whole", size } }));
    await soon("it is done", async () => (await queue.find(id))?.state === "done");
    expect(answers).toEqual([10, 300_000, 10]);
    // Just too long for one message with its headers, at each of the places it goes to.
    const body = Buffer.alloc(50_000, "x");
    const headers = Array.from({ length: 10 }, (_, i) => [`X-${i}`, "h".repeat(700)] as const);
    const long = await queue.publish(newCall({ callId: "\u00e9".repeat(1000), headers, body }));
    await soon("it is done", async () => (await queue.find(long.id))?.state === "done");
    await expect(queue.publish(newCall({ path: `/${"p".repeat(65_000)}` }))).rejects.toMatchObject({
      kind: "tooLarge",
    });
    await consumer.close(1000);
    const burying = await queue.consume(async () => ({ kind: "dead", reason: "\u00e9".repeat(5000) }), limited(2));
    const dead = await queue.publish(newCall({ callId: "\u00e9".repeat(1000), headers, body }));
    await soon("it is dead", async () => (await queue.find(dead.id))?.state === "dead");
    expect((await queue.deadLetters.list({}, { limit: 1 })).items[0]).toMatchObject({ id: dead.id, bodyBytes: 50_000 });
    await burying.close(1000);
  });

  test("take in no more members of batches long before there is no room for what becomes of them", async () => {
    const old = await open();
    const config = (await jsm.streams.info("FAASLANE_MEMBERS")).config;
    await jsm.streams.update(config.name, { ...config, max_msgs: 10 });
    await old.close();
    const queue = await open({ limits: { maxMembers: 10 } });
    const { id: of } = await queue.publish(
      newCall({ batch: { kind: "whole", size: 30 }, notBefore: Date.now() + 60_000 }),
    );
    const member = (index: number) => newCall({ batch: { kind: "member", of, index, size: 30 } });
    const members: string[] = [];
    for (let index = 0; index < 10; index++) members.push((await queue.publish(member(index))).id);
    await expect(queue.publish(member(10))).rejects.toMatchObject({ kind: "overloaded" });
    expect(await queue.publish(member(9))).toMatchObject({ id: members[9], duplicate: true });
    await queue.publish(newCall());
    const result = { headers: [], body: Buffer.from("result") };
    const consumer = await queue.consume(
      async () => ({ kind: "done", outcome: { status: 200, durationMs: 1, result } }),
      limited(8),
    );
    await soon("all have ended", async () => (await countOf("OF_faas-request")) === 0);
    for (const id of members) expect(await queue.find(id)).toMatchObject({ state: "done" });
    expect(await countOf("FAASLANE_MEMBERS")).toBe(30);
    await expect(queue.publish(member(10))).rejects.toMatchObject({ kind: "overloaded" });
    await queue.cancel(of);
    await soon("there is room again", () => queue.publish(member(11)).catch(() => undefined));
    await consumer.close(1000);
  });

  test("keep a large body with its dead letter until that is dropped", async () => {
    const queue = await open();
    const body = Buffer.alloc(200_000, "x");
    const { id } = await queue.publish(newCall({ body }));
    const consumer = await queue.consume(async () => ({ kind: "dead", reason: "no use" }), limited(2));
    await soon("it is dead", async () => (await queue.find(id))?.state === "dead");
    await consumer.close(1000);
    const [letter] = (await queue.deadLetters.list({}, { limit: 1 })).items;
    expect(letter).toMatchObject({ id, bodyBytes: 200_000 });
    expect(await queue.deadLetters.replay({ id })).toBe(1);
    let size = 0;
    const again = await queue.consume(async (call) => {
      size = call.body.length;
      return { kind: "dead", reason: "still no use" };
    }, limited(2));
    await soon("it is dead again", async () => (await queue.find(id))?.reason === "still no use");
    await again.close(1000);
    expect(size).toBe(200_000);
    expect(await queue.deadLetters.drop({})).toBe(1);
    expect(await countOf("FAASLANE_BODIES")).toBe(0);
  });

  test("hold nothing of calls that are done but their records", async () => {
    const queue = await open();
    const consumer = await queue.consume(async (_call, attempt) => {
      return attempt === 1 ? { kind: "retry", afterMs: 1 } : DONE;
    }, limited(16));
    await Promise.all(Array.from({ length: 50 }, () => queue.publish(newCall())));
    await soon("all are done", async () => {
      const { waiting, inFlight } = await queue.stats();
      return waiting + inFlight === 0;
    });
    await soon("nothing is left", async () => {
      const counts = await Promise.all(["OF_faas-request", "FAASLANE_LATER", "FAASLANE_OPEN"].map(countOf));
      return counts.every((count) => count === 0);
    });
    expect(await countOf("FAASLANE_FINISHED")).toBe(50);
    await consumer.close(1000);
  });

  test("hold nothing of a call that ends before who moved it has written down where", async () => {
    const queue = await open();
    const nonce = "0123456789abcdef012";
    const id = new MaskedCallIds("").encode({ seq: 1, nonce, hidden: false });
    const late = encodeRecord({
      ...waitingRecord({ call: newCall(), nonce, moves: 0, attempts: 0, body: Buffer.alloc(0) }, id),
    });
    const consumer = await queue.consume(async () => {
      await nc.jetstream().publish(`FAASLANE.open.${id}`, late);
      return DONE;
    }, limited(1));
    const { body, ...call } = newCall();
    const moved = encodeCall({ call, nonce, id, moves: 0, attempts: 0, body });
    await nc.jetstream().publish(functionQueueSubject(functionQueueOf(call)), moved);
    await soon("it has ended", async () => (await countOf("FAASLANE_FINISHED")) === 1);
    await consumer.close(5000);
    expect(await countOf("FAASLANE_OPEN")).toBe(0);
  });
});

describeWithNats("asking a consumer", () => {
  test("now and then for nothing keeps it there, and its messages where they are", async () => {
    const server = await NatsServer.start();
    const link = await openLink({ servers: [server.address], log: silent });
    try {
      await link.api("STREAM.CREATE.S", { name: "S", subjects: ["s", "other"], retention: "workqueue" });
      const create = (name: string, filter_subject: string, inactive_threshold: number) =>
        link.api(`CONSUMER.CREATE.S.${name}.${filter_subject}`, {
          stream_name: "S",
          config: { durable_name: name, ack_policy: "explicit", filter_subject, inactive_threshold },
        });
      const info = (name: string) => link.api<ConsumerInfo>(`CONSUMER.INFO.S.${name}`);
      await create("c", "s", 1e9);
      await create("unasked", "other", 4e9);
      link.nc.publish("s", "message");
      const pull = new Pull(link, "S", "c", { delivered: () => {}, over: () => {} });
      await soon("one that may be silent four times as long has gone", async () => {
        pull.keepAlive();
        expect(await info("c")).toMatchObject({ num_pending: 1, num_ack_pending: 0 });
        return !(await info("unasked").catch(() => undefined));
      });
      await soon("it goes when nobody asks", async () => !(await info("c").catch(() => undefined)));
    } finally {
      await link.close();
      await server.remove();
    }
  });
});

describeWithNats("logging in", () => {
  test("with wrong credentials fails with one clear error without the secret", async () => {
    const server = await NatsServer.start({ config: `authorization { user: "faas", password: "right" }` });
    try {
      const opening = openOn(server, { credentials: { user: "faas", password: "wrong-secret" } });
      const error = await opening.catch((thrown: Error) => thrown);
      expect(String(error)).toBe(`Error: cannot connect to NATS at ${server.address}: it refuses the credentials`);
      expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain("wrong-secret");
      const queue = await openOn(server, { credentials: { user: "faas", password: "right" } });
      await queue.publish(newCall());
      await queue.close();
    } finally {
      await server.remove();
    }
  });

  test("with a token, and never with one in the address", async () => {
    const server = await NatsServer.start({ config: `authorization { token: "t0ken" }` });
    try {
      const inAddress = openOn([{ address: `nats://t0ken@${server.address}` } as NatsServer]);
      await expect(inAddress).rejects.toThrow(
        `cannot connect to NATS at ${server.address}: it refuses the credentials`,
      );
      await (await openOn(server, { credentials: { token: "t0ken" } })).close();
    } finally {
      await server.remove();
    }
  });

  test("fails where no server is", async () => {
    const server = await NatsServer.start();
    await server.kill();
    try {
      await expect(openOn(server)).rejects.toThrow(`cannot connect to NATS at ${server.address}: connection refused`);
    } finally {
      await server.remove();
    }
  });
});
