import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { openEmbeddedQueue } from "../../../gateway/queue/embedded/index.ts";
import { openJetStreamQueue } from "../../../gateway/queue/jetstream/index.ts";
import type { CallState, NewCall, Queue } from "../../../gateway/queue/queue.ts";
import { createLogger } from "../../../kit/log.ts";
import { eventually } from "../../support/eventually.ts";
import { describeWithNats, NatsServer } from "../../support/nats.ts";
import { newCall, WorkerSetup } from "./worker-setup.ts";

const log = createLogger("silent");

/** A queue on storage of its own, and what removes that. */
interface OpenedQueue {
  readonly queue: Queue;
  remove(): Promise<void>;
}

async function openEmbedded(): Promise<OpenedQueue> {
  const folder = await mkdtemp(join(tmpdir(), "faaslane-worker-queue-"));
  const queue = await openEmbeddedQueue({ path: join(folder, "queue.db"), maxBodyBytes: 1024 ** 2, log });
  return { queue, remove: () => rm(folder, { recursive: true, force: true }) };
}

async function openJetStream(): Promise<OpenedQueue> {
  const nats = await NatsServer.start();
  const queue = await openJetStreamQueue({
    servers: [nats.address],
    maxBodyBytes: 1024 ** 2,
    maxResultBytes: 1024 ** 2,
    resultTtlMs: 60_000,
    log,
  });
  return { queue, remove: () => nats.remove() };
}

describe("the worker on the embedded queue", () => workerOnQueue(openEmbedded));
describeWithNats("the worker on JetStream", () => workerOnQueue(openJetStream));

/** What worker and queue have to do together. */
function workerOnQueue(open: () => Promise<OpenedQueue>): void {
  const setup = WorkerSetup.use();
  let opened: OpenedQueue;
  let queue: Queue;

  beforeEach(async () => {
    opened = await open();
    queue = opened.queue;
  });

  afterEach(async () => {
    await setup.closeWorkers();
    await queue.close();
    await opened.remove();
  });

  const publish = async (given: Partial<NewCall> = {}) => (await queue.publish(newCall(given))).id;

  async function until(id: string, state: CallState) {
    return await eventually(
      `the call is ${state}`,
      async () => {
        const status = await queue.find(id);
        if (status?.state !== state) throw new Error(`it is ${status?.state}`);
        return status;
      },
      30_000,
    );
  }

  test("a call's result can be asked for", async () => {
    setup.gateway.answer = (_request, res) => res.writeHead(201, { "content-type": "text/plain" }).end("the result");
    await setup.start({ queue });
    const id = await publish();
    expect(await until(id, "done")).toMatchObject({ status: 201, attempts: 1 });
    const { status, result } = (await queue.result(id)) ?? {};
    expect(status).toBe(201);
    expect(Buffer.from(result?.body ?? []).toString()).toBe("the result");
    expect(result?.headers).toContainEqual(["content-type", "text/plain"]);
  });

  test("refusals cost no attempt", async () => {
    setup.gateway.answer = (_request, res, count) => {
      if (count <= 4) res.writeHead(429, { "x-openfaas-internal": "proxy" }).end();
      else res.end("at last");
    };
    await setup.start({ queue });
    const id = await publish({ callbackUrl: setup.callbackUrl });
    expect(await until(id, "done")).toMatchObject({ status: 200, attempts: 1 });
    expect(setup.receiver.received[0]?.headers["x-retry"]).toBe("0");
    expect(setup.gateway.received).toHaveLength(5);
  });

  test("a call that expires in the queue is told to its callback", async () => {
    const notAfter = Date.now() - 1;
    const told = await publish({ notAfter, callbackUrl: setup.callbackUrl });
    const untold = await publish({ notAfter });
    await setup.start({ queue });
    await until(told, "expired");
    await until(untold, "expired");
    expect(setup.gateway.received).toHaveLength(0);
    expect(setup.receiver.received.map(({ headers }) => headers["x-call-state"])).toEqual(["expired"]);
  });

  test("a batch: a call per line, one callback, results and progress", async () => {
    setup.gateway.answer = ({ body }, res) => {
      const text = body.toString();
      if (text === "13") res.writeHead(422).end("unlucky");
      else if (text === "14") res.writeHead(500).end("broken");
      else res.writeHead(200, { "content-type": "application/json" }).end(text);
    };
    await setup.start({ queue, defaults: { attempts: 1, codes: [500], minWaitMs: 1, maxWaitMs: 5 } });
    const lines = Array.from({ length: 200 }, (_, i) => `${i}\n`);
    const id = await publish({
      callId: "mine",
      body: Buffer.from(lines.join("")),
      batch: { kind: "whole", size: 200 },
      callbackUrl: setup.callbackUrl,
    });
    const { batch } = await until(id, "done");
    expect(batch).toMatchObject({ size: 200, done: 199, dead: 1 });
    expect(setup.receiver.received).toHaveLength(1);
    const { headers = {}, body } = setup.receiver.received[0] ?? {};
    expect(headers).toMatchObject({ "x-call-id": "mine", "x-batch-id": id, "x-function-status": "207" });
    const results = String(body)
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { index: number; state: string; status: number; body: string });
    expect(results.map(({ index }) => index)).toEqual(Array.from({ length: 200 }, (_, i) => i));
    expect(results[12]).toMatchObject({ state: "done", status: 200, body: "12" });
    expect(results[13]).toMatchObject({ state: "done", status: 422, body: "unlucky" });
    expect(results[14]).toMatchObject({ state: "dead", status: 500, body: "broken" });
  });

  test("a cancelled call is cut off at the function", async () => {
    let left = 0;
    setup.gateway.answer = (_request, res) => void res.on("close", () => left++);
    await setup.start({ queue });
    const id = await publish();
    await eventually("it is under way", () => setup.gateway.received.length === 1);
    await until(id, "running");
    expect(await queue.cancel(id)).toBe("running");
    await until(id, "cancelled");
    await eventually("the function's caller has left", () => left === 1);
  });

  test("a receiver that never answers does not keep its function's next calls from being made, nor others'", async () => {
    setup.functions.snapshot = { annotations: {}, readyReplicas: 1, maxInflight: 1 };
    const told: string[] = [];
    setup.receiver.answer = ({ headers }, res) => {
      if (headers["x-function-name"] === "deaf") told.push(String(headers["x-call-id"]));
      else res.end();
    };
    await setup.start({ queue, concurrency: 2 });
    const deaf = await Promise.all(
      Array.from({ length: 8 }, () => publish({ function: "deaf", callbackUrl: setup.callbackUrl })),
    );
    await eventually("all of them are made", () => told.length === 8, 30_000);
    expect(new Set(told)).toEqual(new Set(deaf));
    for (const id of deaf) expect(await until(id, "running")).toMatchObject({ attempts: 0 });
    const other = await publish({ callbackUrl: setup.callbackUrl });
    expect(await until(other, "done")).toMatchObject({ status: 200 });
  });

  test("a call that expires leaves its places to others while its receiver does not answer", async () => {
    setup.functions.snapshot = { annotations: {}, readyReplicas: 1, maxInflight: 1 };
    setup.receiver.answer = () => {};
    await setup.start({ queue, concurrency: 1 });
    const late = await publish({ notAfter: Date.now() - 1, callbackUrl: setup.callbackUrl });
    await eventually("its callback is made", () => setup.receiver.received.length === 1, 30_000);
    await until(await publish(), "done");
    await until(late, "running");
  });

  test("many functions that wake do not keep a ready one waiting, and take one call each", async () => {
    const waking = Array.from({ length: 6 }, (_, i) => `waking-${i}`);
    const held: (() => void)[] = [];
    for (const name of waking) setup.functions.others.set(name, { annotations: {}, readyReplicas: 0 });
    setup.gateway.answer = ({ url }, res) => {
      if (url.startsWith("/function/waking-")) held.push(() => res.end("awake"));
      else res.end("ok");
    };
    await setup.start({ queue, concurrency: 2 });
    const slow = await Promise.all(
      waking.flatMap((name) => [publish({ function: name }), publish({ function: name })]),
    );
    await eventually("all of them are being woken", () => held.length === waking.length, 30_000);
    await until(await publish(), "done");
    expect(held).toHaveLength(waking.length);
    setup.gateway.answer = (_request, res) => res.end("awake");
    for (const answer of held) answer();
    for (const id of slow) await until(id, "done");
  });

  test("the fast one of two functions runs while the other is full, and both end", async () => {
    const refused = new Set<string>();
    setup.gateway.answer = ({ url, headers }, res) => {
      const callId = String(headers["x-call-id"]);
      if (url.startsWith("/function/full.") && !refused.has(callId)) {
        refused.add(callId);
        res.writeHead(429, { "x-openfaas-internal": "proxy" }).end();
      } else res.end("ok");
    };
    await setup.start({ queue, concurrency: 4 });
    const full = await Promise.all(Array.from({ length: 10 }, () => publish({ function: "full" })));
    const fast = await Promise.all(Array.from({ length: 50 }, () => publish({ function: "fast" })));
    for (const id of fast) await until(id, "done");
    for (const id of full) expect(await until(id, "done")).toMatchObject({ attempts: 1 });
  });
}
