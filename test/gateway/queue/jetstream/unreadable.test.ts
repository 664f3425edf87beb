import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { type AckPolicy, connect, headers, type NatsConnection } from "nats";
import type { JetStreamQueueOptions } from "../../../../gateway/queue/jetstream/index.ts";
import { CALL_FORM } from "../../../../gateway/queue/jetstream/store/call-codec.ts";
import type { Consumer, Deliver, Queue } from "../../../../gateway/queue/queue.ts";
import { DONE, limited, newCall } from "../../../contracts/queue-contract.ts";
import { eventually } from "../../../support/eventually.ts";
import { describeWithNats, NatsServer } from "../../../support/nats.ts";
import { openOn, silent } from "./support.ts";

const soon = <T>(what: string, check: () => T | Promise<T>) => eventually(what, check, 25_000);
const QUEUE = "OF_faas-request";
const QUEUE_SUBJECT = "faas-request.openfaas-fn.shout";
const NONCE = "0123456789abcdef012";
const ID = "a7f3f8a1-0000-4012-b456-789abcdef012";

/** A call as releases wrote it before there were numbers of forms. */
const OLD = {
  n: NONCE,
  v: 1,
  q: "faas-request",
  f: "shout",
  ns: "openfaas-fn",
  m: "POST",
  p: "/",
  h: [["A", "b"]],
  t: 1_700_000_000_000,
};

/** Of a call whose function has answered. */
const CALLBACK = {
  u: "http://h/",
  s: "done",
  r: 0,
  m: 3,
  d: 1.5,
  n: 1,
  t: 1_700_000_000_000,
  c: 200,
  l: 2,
  h: [],
  b: 0,
};

function line(fields: object, body = ""): string {
  return `${JSON.stringify(fields)}\n${body}`;
}

function without(field: keyof typeof OLD): object {
  return Object.fromEntries(Object.entries(OLD).filter(([name]) => name !== field));
}

const UNREADABLE: readonly (readonly [what: string, data: string, reason: string])[] = [
  ["nothing at all", "", "it has no line of JSON"],
  ["garbage", "\u0000\u0001garbage\n\n", "it is no JSON"],
  ["half a line", line(OLD).slice(0, 40), "it has no line of JSON"],
  ["a list", "[]\n", "it is no object"],
  ["a missing nonce", line(without("n")), "n: is not a text"],
  ["a missing function", line(without("f")), "f: is not a text"],
  ["a missing time", line(without("t")), "t: is not a number"],
  ["missing headers", line(without("h")), "h: is not a list of pairs of texts"],
  ["a header that is no pair", line({ ...OLD, h: [["A"]] }), "h: is not a list of pairs of texts"],
  ["a path of a wrong type", line({ ...OLD, p: 7 }), "p: is not a text"],
  ["attempts of a wrong type", line({ ...OLD, a: "2" }), "a: is not a whole number from 0 on"],
  ["attempts below zero", line({ ...OLD, a: -1 }), "a: is not a whole number from 0 on"],
  ["an id that is none", line({ ...OLD, i: "../x" }), "i: is not an id"],
  ["a name of a queue that is none", line({ ...OLD, q: "A.B" }), "q: is not a queue's name"],
  ["a place in no batch", line({ ...OLD, b: { kind: "member", of: "x" } }), "b: is not a place in a batch"],
  ["a place behind its batch", line({ ...OLD, b: { kind: "member", of: ID, index: 3, size: 3 } }), "b: is not a place"],
  ["all bodies for its own", line({ ...OLD, r: { key: "*", parts: 1, bytes: 1 } }), "where its body lies"],
  ["refusals of a wrong type", line({ ...OLD, x: [1, null] }), "x: is not a count and a time"],
  ["a callback that is none", line({ ...OLD, z: 2, y: 7 }), "y: is not a callback"],
  ["a callback to nowhere", line({ ...OLD, z: 2, y: { ...CALLBACK, u: 1 } }), "u: is not a text"],
  ["a callback that says nothing", line({ ...OLD, z: 2, y: { ...CALLBACK, s: "waiting" } }), "s: is not done, dead"],
  ["more answer than there is", line({ ...OLD, z: 2, y: { ...CALLBACK, b: 9 } }, "12345678"), "b: is not the length"],
  ["all bodies for its answer", line({ ...OLD, z: 2, y: { ...CALLBACK, x: { key: ">" } } }), "where its body lies"],
  ["a form that is no number", line({ ...OLD, z: "1" }), "z: is not the number of a form"],
];

describeWithNats("stored calls that cannot be read", () => {
  let server: NatsServer;
  let nc: NatsConnection;
  const queues: Queue[] = [];
  const consumers: Consumer[] = [];

  beforeEach(async () => {
    server = await NatsServer.start();
    nc = await connect({ servers: server.address });
  });

  afterEach(async () => {
    await Promise.all(consumers.splice(0).map((consumer) => consumer.close(0)));
    await Promise.all(queues.splice(0).map((queue) => queue.close()));
    await nc.close();
    await server.remove();
  });

  const open = async (options: Partial<JetStreamQueueOptions> = {}) => {
    const queue = await openOn(server, options);
    queues.push(queue);
    return queue;
  };
  const consume = async (queue: Queue, deliver: Deliver, options = {}) => {
    const consumer = await queue.consume(deliver, { ...limited(64), ...options });
    consumers.push(consumer);
    return consumer;
  };
  const put = async (subject: string, data: string) => await nc.jetstream().publish(subject, data);
  const stored = async (stream: string) => (await (await nc.jetstreamManager()).streams.info(stream)).state.messages;
  const letters = async (queue: Queue, count: number) =>
    await soon(`${count} are dead`, async () => {
      const { items } = await queue.deadLetters.list({}, { limit: 100 });
      return items.length === count && items;
    });

  test("become dead letters that say why, and hold up nobody", async () => {
    const queue = await open();
    for (const [, data] of UNREADABLE) await put(QUEUE_SUBJECT, data);
    const { id: good } = await queue.publish(newCall());
    const delivered: string[] = [];
    await consume(queue, async ({ id }) => {
      delivered.push(id);
      return DONE;
    });
    const dead = await letters(queue, UNREADABLE.length);
    await soon("the good one is done", async () => (await queue.find(good))?.state === "done");
    expect(delivered).toEqual([good]);
    const reasons = dead.map(({ reason }) => reason);
    for (const [, data, reason] of UNREADABLE) {
      const bytes = Buffer.byteLength(data);
      expect(reasons).toContainEqual(expect.stringContaining(`the stored call cannot be read: ${reason}`));
      expect(dead).toContainEqual(expect.objectContaining({ function: "shout", bodyBytes: bytes, attempts: 0 }));
    }
    await soon("no message is left", async () => (await stored(QUEUE)) === 0);
    for (const { id, reason } of dead) expect(await queue.find(id)).toMatchObject({ state: "dead", reason });
    expect(await queue.stats()).toMatchObject({ waiting: 0, dead: dead.length });
  }, 60_000);

  test("cannot be replayed, which is said, and can be dropped", async () => {
    const queue = await open();
    await put(QUEUE_SUBJECT, "garbage");
    await consume(queue, async () => DONE);
    const [letter] = await letters(queue, 1);
    const id = letter?.id as string;
    await expect(queue.deadLetters.replay({ id })).rejects.toMatchObject({
      kind: "unprocessable",
      message: `the dead letter ${id} cannot be replayed: the stored call cannot be read: it has no line of JSON`,
    });
    expect(await queue.deadLetters.replay({})).toBe(0);
    await letters(queue, 1);
    expect(await queue.deadLetters.drop({ id })).toBe(1);
    await letters(queue, 0);
  }, 60_000);

  test("waiting for their time become dead letters of their function", async () => {
    const queue = await open();
    const start = Math.floor(Date.now() / 2000) * 2;
    await put(`FAASLANE.later.${start}-2.${QUEUE_SUBJECT}`, line(without("p")));
    await consume(queue, async () => DONE);
    const [letter] = await letters(queue, 1);
    expect(letter).toMatchObject({ function: "shout", namespace: "openfaas-fn", acceptedAt: OLD.t });
    await soon("no message is left", async () => (await stored("FAASLANE_LATER")) === 0);
  }, 60_000);

  test("of a batch count as its dead members, and a batch itself is a dead letter", async () => {
    const queue = await open();
    const finished: object[] = [];
    await consume(
      queue,
      async ({ id, batch }) => {
        if (batch?.kind !== "whole") return DONE;
        const b = { kind: "member", of: id, index: 0, size: 2 };
        await put(QUEUE_SUBJECT, line({ ...without("p"), b }));
        await queue.publish(newCall({ batch: { kind: "member", of: id, index: 1, size: 2 } }));
        return DONE;
      },
      {
        finishBatch: async ({ progress }: { progress: object }) => {
          finished.push(progress);
        },
      },
    );
    const { id } = await queue.publish(newCall({ batch: { kind: "whole", size: 2 } }));
    await soon("the batch is done", async () => (await queue.find(id))?.state === "done");
    expect(finished.at(-1)).toMatchObject({ size: 2, done: 1, dead: 1 });
    await put(`FAASLANE.batch.${ID}`, "garbage");
    const dead = await letters(queue, 2);
    expect(dead.map((letter) => letter.id)).toContain(ID);
  }, 60_000);

  test("stand in nobody's way who asks for others", async () => {
    const queue = await open();
    await put(QUEUE_SUBJECT, "garbage");
    await nc.jetstream().publish("FAASLANE.dead.q.n.f.x", "garbage", { headers: headers() });
    const { id } = await queue.publish(newCall({ notBefore: Date.now() + 3_600_000 }));
    expect((await queue.find(id))?.state).toBe("waiting");
    expect(await queue.stats()).toMatchObject({ waiting: 2, dead: 1 });
    const [letter] = await letters(queue, 1);
    expect(letter).toMatchObject({ id: "x", function: "f", namespace: "n", reason: "why it is dead cannot be read" });
    await queue.purge({ name: "shout", namespace: "openfaas-fn" });
    expect(await stored(QUEUE)).toBe(1);
    expect(await queue.deadLetters.drop({})).toBe(1);
  }, 60_000);

  test("are passed over by who looks through the queue; records of a later release hide nothing", async () => {
    const queue = await open();
    await put(QUEUE_SUBJECT, "garbage");
    const { id } = await queue.publish(newCall({ body: new Uint8Array(7) }));
    await put(QUEUE_SUBJECT, line({ ...OLD, z: CALL_FORM + 1 }));
    const later = await queue.publish(newCall({ notBefore: Date.now() + 3_600_000 }));
    await put(`FAASLANE.open.${id}`, "garbage");
    await put(`FAASLANE.open.${later.id}`, line({ z: 99 }));
    for (const filter of [
      {},
      { state: "waiting" },
      { function: { name: "shout", namespace: "openfaas-fn" } },
    ] as const) {
      const { items, next } = await queue.list(filter, { limit: 10 });
      expect([items.map((call) => call.id), next]).toEqual([[id, later.id], undefined]);
    }
    expect(await queue.list({ state: "running" }, { limit: 10 })).toEqual({ items: [] });
    expect(await queue.request(id, 9)).toMatchObject({ bodyBytes: 7 });
  }, 60_000);

  test("records that cannot be read are as none, and one of an end is an end", async () => {
    const queue = await open();
    const [ran, over] = await Promise.all([queue.publish(newCall()), queue.publish(newCall())]);
    await put(`FAASLANE.open.${ran.id}`, "garbage");
    await put(`FAASLANE.finished.${over.id}`, "garbage");
    const delivered: string[] = [];
    await consume(queue, async ({ id }) => {
      delivered.push(id);
      return DONE;
    });
    await soon("it is done", async () => (await queue.find(ran.id))?.state === "done");
    expect(await queue.find(over.id)).toMatchObject({ state: "dead", reason: expect.stringContaining("no line") });
    await soon("no message is left", async () => (await stored(QUEUE)) === 0);
    expect(delivered).toEqual([ran.id]);
  }, 60_000);

  test("of a later release are left to its workers, and not taken for attempts that were cut off", async () => {
    const warnings: string[] = [];
    const log = { ...silent, warn: (_facts: object, text: string) => void warnings.push(text) } as typeof silent;
    const queue = await open({ log, ackWaitMs: 500 });
    const newer = line({ z: CALL_FORM + 1, wholly: "different" });
    for (const subject of [QUEUE_SUBJECT, QUEUE_SUBJECT, `FAASLANE.batch.${ID}`]) await put(subject, newer);
    await put(`FAASLANE.later.1700000000-2.${QUEUE_SUBJECT}`, newer);
    await consume(queue, async () => DONE);
    const { id } = await queue.publish(newCall());
    await soon("others are done", async () => (await queue.find(id))?.state === "done");
    const jsm = await nc.jetstreamManager();
    const mark = async (stream: string, seq: number) =>
      (await jsm.streams.getMessage("FAASLANE_OPEN", { last_by_subj: `FAASLANE.open.left-${stream}-${seq}` })).string();
    await soon("it has been offered again", async () => Number(await mark(QUEUE, 1).catch(() => 0)) >= 2);
    expect([await stored(QUEUE), await stored("FAASLANE_BATCHES"), await stored("FAASLANE_LATER")]).toEqual([2, 1, 1]);
    expect(await queue.deadLetters.list({}, { limit: 1 })).toEqual({ items: [] });
    expect(warnings.filter((text) => text === "calls of a later release are left to its workers")).toHaveLength(1);
  }, 60_000);

  test.each([
    ["12", "done"],
    ["0", "dead"],
  ])(
    "of 12 deliveries, %s to workers that could not read the call: it ends as %s",
    async (left, state) => {
      const queue = await open();
      const { id } = await queue.publish(newCall());
      const jsm = await nc.jetstreamManager();
      const name = QUEUE_SUBJECT.replaceAll(".", "~");
      const explicit = "explicit" as AckPolicy;
      await jsm.consumers.add(QUEUE, { durable_name: name, filter_subject: QUEUE_SUBJECT, ack_policy: explicit });
      const consumer = await nc.jetstream().consumers.get(QUEUE, name);
      for (let i = 0; i < 12; i++) (await consumer.next())?.nak();
      await put(`FAASLANE.open.left-${QUEUE}-1`, left);
      await consume(queue, async () => DONE);
      await soon(`it is ${state}`, async () => (await queue.find(id))?.state === state);
    },
    60_000,
  );

  test("of earlier releases are read, with their records, and run beside those of this one", async () => {
    const queue = await open();
    const { seq } = await put(QUEUE_SUBJECT, line(OLD, "body"));
    await put(QUEUE_SUBJECT, line({ ...OLD, i: ID, o: 1, a: 2, n: NONCE }, "moved"));
    const record = {
      id: ID,
      callId: "theirs",
      queue: "faas-request",
      function: "shout",
      namespace: "openfaas-fn",
      state: "waiting",
      attempts: 2,
      acceptedAt: OLD.t,
      location: { stream: QUEUE, seq: seq + 1, moves: 1 },
    };
    await put(`FAASLANE.open.${ID}`, line(record));
    expect(await queue.find(ID)).toMatchObject({ callId: "theirs", state: "waiting", attempts: 2 });
    const { id: own } = await queue.publish(newCall());
    const seen: object[] = [];
    await consume(queue, async ({ id, headers: pairs, body }, attempt) => {
      seen.push([id === ID || id === own ? id : "made", pairs, Buffer.from(body).toString(), attempt]);
      return DONE;
    });
    await soon("all are done", () => seen.length === 3);
    expect(seen).toContainEqual(["made", [["A", "b"]], "body", 1]);
    expect(seen).toContainEqual([ID, [["A", "b"]], "moved", 3]);
    await soon("it is done", async () => (await queue.find(ID))?.state === "done");
    await put(`FAASLANE.finished.${ID}`, line({ ...record, state: "done", status: 200, durationMs: 3 }));
    expect(await queue.result(ID)).toEqual({ status: 200, durationMs: 3 });
  }, 60_000);
});
