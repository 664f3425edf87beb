import type { ServerResponse } from "node:http";
import { expect, test } from "@jest/globals";
import { eventually } from "../../support/eventually.ts";
import { type Received, WorkerSetup } from "./worker-setup.ts";

const setup = WorkerSetup.use();
const soon = <T>(what: string, check: () => T) => eventually(what, check, 20_000);

const STAMPED = new Set(["date", "host"]);
const headersOf = ({ rawHeaders }: Received) =>
  Array.from({ length: rawHeaders.length / 2 }, (_, i) => [rawHeaders[2 * i], rawHeaders[2 * i + 1]] as const).filter(
    ([name]) => !STAMPED.has(name?.toLowerCase() ?? ""),
  );

test("what is sent again is the same, header by header, by another worker too", async () => {
  setup.gateway.answer = (_request, res) => {
    res.writeHead(418, [
      ["Content-Type", "text/teapot"],
      ["Set-Cookie", "a=1"],
      ["Set-Cookie", "b=2"],
      ["X-Start-Time", "1700000000000000000"],
    ]);
    res.end("short and stout");
  };
  setup.receiver.answer = (_request, res, count) => res.writeHead(count < 3 ? 503 : 200).end();
  const first = await setup.start({ callbackRetry: { tries: 5, minWaitMs: 300, maxWaitMs: 300, deadlineMs: 60_000 } });
  const id = await setup.publish({ callId: "mine", callbackUrl: setup.callbackUrl });
  await soon("a try has failed", () => setup.record(id).callback?.tries === 1);
  await first.close(0);
  await setup.start();
  await setup.settled();
  const { received } = setup.receiver;
  expect(received).toHaveLength(3);
  expect(received.map(({ body }) => body.toString())).toEqual(Array(3).fill("short and stout"));
  for (const again of received.slice(1)) expect(headersOf(again)).toEqual(headersOf(received[0] as Received));
  expect(received[0]?.headers).toMatchObject({
    "set-cookie": ["a=1", "b=2"],
    "x-call-id": "mine",
    "x-start-time": "1700000000000000000",
    "x-duration-seconds": expect.stringMatching(/^\d+\.\d{6}$/),
  });
  expect(setup.gateway.received).toHaveLength(1);
  expect(setup.record(id)).toMatchObject({ state: "done", attempts: 1, outcome: { status: 418 } });
});

test("tries are counted over workers", async () => {
  setup.receiver.answer = (_request, res) => res.writeHead(500).end();
  const callbackRetry = { tries: 4, minWaitMs: 150, maxWaitMs: 150, deadlineMs: 60_000 };
  const id = await setup.publish({ callbackUrl: setup.callbackUrl });
  for (let tries = 1; tries <= 3; tries++) {
    const worker = await setup.start({ callbackRetry });
    await soon(`try ${tries}`, () => (setup.record(id).callback?.tries ?? 0) >= tries);
    await worker.close(0);
  }
  await setup.start({ callbackRetry });
  await setup.settled();
  expect(setup.receiver.received).toHaveLength(4);
  expect(setup.gateway.received).toHaveLength(1);
  expect(setup.deadReasons()).toEqual(["the callback failed: status 500"]);
  expect(setup.record(id).outcome?.result?.body).toEqual(Buffer.from("ok"));
});

test("a stop during the first try stores the answer; the function does not run again", async () => {
  const open: ServerResponse[] = [];
  setup.receiver.answer = (_request, res) => open.push(res);
  const first = await setup.start();
  const id = await setup.publish({ callbackUrl: setup.callbackUrl });
  await soon("the receiver has it", () => open.length === 1);
  await first.close(0);
  expect(setup.record(id)).toMatchObject({ state: "waiting", attempts: 1, callback: { tries: 0, state: "done" } });
  const second = await setup.start();
  await soon("the receiver has it again", () => open.length === 2);
  await second.close(0);
  expect(setup.record(id)).toMatchObject({ state: "waiting", attempts: 1, callback: { tries: 0 } });
  setup.receiver.answer = (_request, res) => res.end();
  await setup.start();
  await setup.settled();
  expect(setup.record(id)).toMatchObject({ state: "done", attempts: 1 });
  expect(setup.gateway.received).toHaveLength(1);
});

test("a try that came due while nobody was there is made once, past the time for tries", async () => {
  setup.receiver.answer = (_request, res) => res.writeHead(503).end();
  const callbackRetry = { tries: 20, minWaitMs: 100, maxWaitMs: 100, deadlineMs: 60_000 };
  const first = await setup.start({ callbackRetry });
  const id = await setup.publish({ callbackUrl: setup.callbackUrl });
  await soon("a try has failed", () => setup.record(id).callback !== undefined);
  await first.close(0);
  const before = setup.receiver.received.length;
  await setup.start({ callbackRetry, now: () => Date.now() + 3_600_000 });
  await setup.settled();
  expect(setup.receiver.received).toHaveLength(before + 1);
  expect(setup.gateway.received).toHaveLength(1);
  expect(setup.deadReasons()).toEqual(["the callback failed: status 503"]);
});

test("a dead call stays so when its callback gets through at last, for its own reason", async () => {
  setup.gateway.answer = (_request, res) => res.writeHead(500).end("broken");
  setup.receiver.answer = (_request, res, count) => res.writeHead(count < 3 ? 503 : 200).end();
  await setup.start({ defaults: { attempts: 0, codes: [500], minWaitMs: 1, maxWaitMs: 1 } });
  const id = await setup.publish({ callbackUrl: setup.callbackUrl });
  await setup.settled();
  expect(setup.receiver.received.map(({ headers }) => headers["x-call-state"])).toEqual(["dead", "dead", "dead"]);
  expect(setup.deadReasons()).toEqual(["gave up after attempt 1, which ended with status 500"]);
  expect(setup.record(id)).toMatchObject({ attempts: 1, outcome: { status: 500 } });
  expect(setup.gateway.received).toHaveLength(1);
});

test("the callback of an expired call is tried again as well", async () => {
  setup.receiver.answer = (_request, res, count) => res.writeHead(count < 3 ? 503 : 200).end();
  await setup.start();
  const id = await setup.publish({ notAfter: Date.now() - 1000, callbackUrl: setup.callbackUrl });
  await setup.settled();
  expect(setup.receiver.received).toHaveLength(3);
  const [one, , three] = setup.receiver.received as [Received, Received, Received];
  expect(headersOf(three)).toEqual(headersOf(one));
  expect(three.headers).toMatchObject({ "x-call-state": "expired", "x-function-status": "504" });
  expect(setup.record(id)).toMatchObject({ state: "expired", attempts: 0 });
  expect(setup.gateway.received).toHaveLength(0);
});

test("an answer that the queue does not keep stays with its worker for all tries", async () => {
  setup.queue.maxResultBytes = 1000;
  const result = Buffer.alloc(300_000, "x");
  setup.gateway.answer = (_request, res) => res.end(result);
  setup.receiver.answer = (_request, res, count) => res.writeHead(count < 3 ? 503 : 200).end();
  await setup.start();
  const id = await setup.publish({ callbackUrl: setup.callbackUrl });
  await setup.settled();
  expect(setup.receiver.received.map(({ body }) => body.length)).toEqual([300_000, 300_000, 300_000]);
  expect(setup.record(id)).not.toHaveProperty("callback");
  expect(setup.gateway.received).toHaveLength(1);
});

test("retries are told, for metrics, and deliveries end one by one", async () => {
  setup.receiver.answer = (_request, res, count) => res.writeHead(count < 2 ? 503 : 200).end();
  const seen: unknown[] = [];
  await setup.start({
    events: {
      delivered: () => seen.push("delivered"),
      attempted: ({ status }) => seen.push(["attempted", status]),
      ended: ({ end }) => seen.push(["ended", end]),
      callbackRetried: ({ function: name }) => seen.push(["retried", name]),
      calledBack: ({ outcome, tries }) => seen.push([outcome, tries]),
    },
  });
  await setup.publish({ callbackUrl: setup.callbackUrl });
  await setup.settled();
  expect(seen).toEqual([
    "delivered",
    ["attempted", 200],
    ["retried", "shout"],
    ["ended", "callback"],
    "delivered",
    ["delivered", 2],
    ["ended", "done"],
  ]);
});
