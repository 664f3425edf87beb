import { createHmac } from "node:crypto";
import { expect, test } from "@jest/globals";
import { FaasError } from "../../../contract/errors.ts";
import { CallbackSigner } from "../../../gateway/async/callbacks/signer.ts";
import type { NewCall } from "../../../gateway/queue/queue.ts";
import { CallbackTargets } from "../../../kit/outbound/targets.ts";
import { eventually } from "../../support/eventually.ts";
import { WorkerSetup } from "./worker-setup.ts";

const setup = WorkerSetup.use();

interface Line {
  readonly index: number;
  readonly state: string;
  readonly status?: number;
  readonly reason?: string;
  readonly headers?: Record<string, string | string[]>;
  readonly body?: string;
  readonly encoding?: string;
}

const publishBatch = (lines: readonly string[], given: Partial<NewCall> = {}) =>
  setup.publish({
    body: Buffer.from(lines.map((line) => `${line}\n`).join("")),
    batch: { kind: "whole", size: lines.length },
    callbackUrl: setup.callbackUrl,
    ...given,
  });

const linesOf = (body: Buffer | undefined): Line[] =>
  (body?.toString() ?? "")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Line);

test("each line is a call, and one callback tells all results", async () => {
  setup.gateway.answer = ({ body }, res) =>
    res.writeHead(200, { "content-type": "application/json", "x-a": ["1", "2"] }).end(`{"got":${body}}`);
  await setup.start();
  const id = await publishBatch(["1", ' {"two": 2} ', '"ü"'], {
    callId: "my batch",
    namespace: "team",
    path: "/a",
    query: "q=1",
    acceptedAt: Date.now() - 2000,
    headers: [
      ["Content-Type", "application/x-ndjson"],
      ["X-Batch", "true"],
      ["X-Other", "kept"],
      ["Content-Digest", "sha-256=:x:"],
      ["X-Callback-Url", setup.callbackUrl],
    ],
  });
  await setup.settled();
  expect(setup.gateway.received.map(({ body }) => body.toString()).toSorted()).toEqual(
    ["1", ' {"two": 2} ', '"ü"'].toSorted(),
  );
  for (const { headers, url, body } of setup.gateway.received) {
    expect(url).toBe("/function/shout.team/a?q=1");
    expect(headers).toMatchObject({
      "content-type": "application/json",
      "x-call-id": "my batch",
      "x-batch-id": id,
      "x-batch-index": String(["1", ' {"two": 2} ', '"ü"'].indexOf(body.toString())),
      "x-other": "kept",
    });
    for (const name of ["x-batch", "content-digest", "x-callback-url"]) expect(headers).not.toHaveProperty(name);
  }
  expect(setup.receiver.received).toHaveLength(1);
  const { headers = {}, body } = setup.receiver.received[0] ?? {};
  expect(headers).toMatchObject({
    "content-type": "application/x-ndjson",
    "x-call-id": "my batch",
    "x-batch-id": id,
    "x-start-time": `${setup.record(id).call.acceptedAt}000000`,
    "x-batch-size": "3",
    "x-batch-done": "3",
    "x-batch-dead": "0",
    "x-batch-expired": "0",
    "x-batch-cancelled": "0",
    "x-function-status": "200",
    "x-function-name": "shout.team",
    "user-agent": "faaslane-queue-worker/1.2.3",
  });
  expect(Number(headers["x-duration-seconds"])).toBeGreaterThanOrEqual(2);
  const lines = linesOf(body);
  expect(lines.map(({ index, body: result }) => [index, result])).toEqual([
    [0, '{"got":1}'],
    [1, '{"got": {"two": 2} }'],
    [2, '{"got":"ü"}'],
  ]);
  for (const line of lines) {
    expect(line).toMatchObject({
      state: "done",
      status: 200,
      headers: { "content-type": "application/json", "x-a": ["1", "2"] },
    });
    expect(line).not.toHaveProperty("encoding");
  }
});

test("calls that failed are told with their reason; the batch's status is then 207", async () => {
  setup.gateway.answer = ({ body }, res) => {
    if (body.toString() === "1") res.writeHead(500).end("broken");
    else if (body.toString() === "2") res.writeHead(422).end("no");
    else res.end("fine");
  };
  await setup.start({ defaults: { attempts: 1, codes: [500], minWaitMs: 1, maxWaitMs: 2 } });
  await publishBatch(["0", "1", "2"]);
  await setup.settled();
  const { headers, body } = setup.receiver.received[0] ?? {};
  expect(headers).toMatchObject({ "x-function-status": "207", "x-batch-done": "2", "x-batch-dead": "1" });
  expect(linesOf(body)).toMatchObject([
    { index: 0, state: "done", status: 200, body: "fine" },
    {
      index: 1,
      state: "dead",
      status: 500,
      body: "broken",
      reason: "gave up after attempt 2, which ended with status 500",
    },
    { index: 2, state: "done", status: 422, body: "no" },
  ]);
});

test("results that are no text are base64", async () => {
  const binary = Buffer.from([0xff, 0, 1]);
  setup.gateway.answer = ({ body }, res) => {
    if (body.toString() === "0") res.writeHead(200, { "content-type": "image/png" }).end("text in a picture");
    else if (body.toString() === "1") res.writeHead(200, { "content-type": "text/plain" }).end(binary);
    else if (body.toString() === "2") res.writeHead(200, { "content-encoding": "gzip" }).end("zipped");
    else if (body.toString() === "3") res.writeHead(200, { "content-type": "application/problem+json" }).end("{}");
    else res.end(Buffer.alloc(2000));
  };
  setup.queue.maxResultBytes = 1000;
  await setup.start();
  await publishBatch(["0", "1", "2", "3", "4"]);
  await setup.settled();
  const lines = linesOf(setup.receiver.received[0]?.body);
  const decoded = lines.map(({ body, encoding }) =>
    body === undefined
      ? undefined
      : [encoding, Buffer.from(body, encoding === "base64" ? "base64" : "utf8").toString("latin1")],
  );
  expect(decoded).toEqual([
    ["base64", "text in a picture"],
    ["base64", binary.toString("latin1")],
    ["base64", "zipped"],
    [undefined, "{}"],
    undefined,
  ]);
});

test("many lines are published side by side, a bounded number at a time", async () => {
  await setup.start();
  const id = await publishBatch(Array.from({ length: 500 }, (_, i) => `${i}`));
  await setup.settled();
  expect(setup.queue.membersOf(id)).toHaveLength(500);
  expect(setup.queue.maxPublishing).toBeGreaterThan(4);
  expect(setup.queue.maxPublishing).toBeLessThanOrEqual(32);
  expect(linesOf(setup.receiver.received[0]?.body).map(({ index }) => index)).toEqual(
    Array.from({ length: 500 }, (_, i) => i),
  );
});

test("a queue that takes no more for a while gets the rest later, each line once", async () => {
  await setup.start({ random: () => 0 });
  // The first publish is that of the batch itself.
  const full = new FaasError("overloaded", "the queue is full");
  const publishing = publishBatch(Array.from({ length: 100 }, (_, i) => `${i}`));
  const id = await publishing;
  setup.queue.publishErrors.push(full, full);
  await setup.settled();
  const members = setup.queue.membersOf(id);
  expect(members.map(({ call }) => Buffer.from(call.body).toString()).toSorted()).toEqual(
    Array.from({ length: 100 }, (_, i) => `${i}`).toSorted(),
  );
  expect(setup.record(id).attempts).toBe(1);
  expect(setup.receiver.received[0]?.headers["x-batch-done"]).toBe("100");
});

test("members go out of time with their batch", async () => {
  await setup.start();
  const notAfter = Date.now() + 60_000;
  const id = await publishBatch(["1", "2"], { notAfter });
  await setup.settled();
  expect(setup.queue.membersOf(id).map(({ call }) => call.notAfter)).toEqual([notAfter, notAfter]);
});

test("a batch whose time has passed is told as expired", async () => {
  await setup.start();
  const id = await publishBatch(["1", "2"], { notAfter: 1 });
  await setup.settled();
  expect(setup.record(id).state).toBe("expired");
  expect(setup.gateway.received).toHaveLength(0);
  expect(setup.receiver.received[0]?.headers).toMatchObject({ "x-call-state": "expired", "x-function-status": "504" });
});

test("a damaged batch is dead", async () => {
  await setup.start();
  await publishBatch(["1", "2"], { batch: { kind: "whole", size: 3 } });
  await publishBatch(["1"], { headers: 5 as unknown as [] });
  await setup.settled();
  expect(setup.deadReasons().toSorted()).toEqual([
    "the batch cannot be read: some of its lines are missing",
    "the batch cannot be read: the headers are invalid",
  ]);
  expect(setup.gateway.received).toHaveLength(0);
});

test("a batch without callback ends by itself", async () => {
  await setup.start();
  const { body, ...call } = { body: Buffer.from("1\n2\n"), batch: { kind: "whole", size: 2 } as const };
  const id = await setup.publish({ ...call, body });
  await setup.settled();
  expect(setup.record(id).state).toBe("done");
  expect(setup.gateway.received).toHaveLength(2);
});

test("the callback of a batch is signed and whole, also when it is tried again", async () => {
  setup.gateway.answer = (_request, res) => res.end("x".repeat(50_000));
  setup.receiver.answer = (_request, res, count) => res.writeHead(count < 3 ? 503 : 200).end();
  await setup.start({ signer: new CallbackSigner(["secret"]) });
  await publishBatch(Array.from({ length: 50 }, (_, i) => `${i}`));
  await setup.settled();
  expect(setup.receiver.received).toHaveLength(3);
  for (const { headers, body } of setup.receiver.received) {
    const [, seconds, signature] = /^t=(\d+),v1=(\w+)$/.exec(String(headers["x-faaslane-signature"])) ?? [];
    expect(signature).toBe(createHmac("sha256", "secret").update(`${seconds}.`).update(body).digest("hex"));
    expect(linesOf(body)).toHaveLength(50);
    expect(headers).not.toHaveProperty("content-length");
  }
});

test("the callback of a batch has three rounds of tries; then a person is told", async () => {
  setup.receiver.answer = (_request, res) => res.writeHead(500).end();
  await setup.start({ callbackRetry: { tries: 2, minWaitMs: 1, maxWaitMs: 2, deadlineMs: 10_000 } });
  const id = await publishBatch(["1"]);
  await setup.settled();
  expect(setup.record(id).state).toBe("done");
  expect(setup.receiver.received).toHaveLength(6);
  expect(setup.logged.filter(({ msg }) => msg === "batch callback failed")).toMatchObject([
    { level: "error", rounds: 3, reason: "status 500", function: "shout" },
  ]);
});

test("a refused target of a batch is not tried again", async () => {
  await setup.start({ targets: new CallbackTargets({ private: false, allow: [], deny: [] }) });
  const id = await publishBatch(["1"]);
  await setup.settled();
  expect(setup.record(id).state).toBe("done");
  expect(setup.receiver.received).toHaveLength(0);
  expect(setup.logged.filter(({ msg }) => msg === "batch callback failed")).toHaveLength(1);
});

test("closing breaks off the callback of a batch, which stays to be told", async () => {
  setup.receiver.answer = () => {};
  const worker = await setup.start();
  const id = await publishBatch(["1"]);
  await eventually("the callback is under way", () => setup.receiver.received.length === 1);
  await worker.close(0);
  expect(setup.record(id).state).toBe("running");
});
