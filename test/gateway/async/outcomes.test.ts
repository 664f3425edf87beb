import { expect, test } from "@jest/globals";
import type { DeliveryEnd } from "../../../gateway/async/events.ts";
import { eventually } from "../../support/eventually.ts";
import { WorkerSetup } from "./worker-setup.ts";

const setup = WorkerSetup.use();

test("the queue gets status, duration and result of the last attempt", async () => {
  setup.gateway.answer = (_request, res) => {
    res.writeHead(201, [
      ["Content-Type", "text/plain"],
      ["X-Multi", "one"],
      ["X-Multi", "two"],
      ["Connection", "X-Hop, keep-alive"],
      ["X-Hop", "secret"],
    ]);
    res.end("the result");
  };
  await setup.start();
  const id = await setup.publish();
  await setup.settled();
  const { outcome, state } = setup.record(id);
  expect(state).toBe("done");
  expect(outcome).toMatchObject({ status: 201, durationMs: expect.any(Number) });
  expect(Buffer.from(outcome?.result?.body ?? []).toString()).toBe("the result");
  const headers = outcome?.result?.headers.filter(([name]) => name !== "date");
  expect(headers).toEqual([
    ["content-type", "text/plain"],
    ["x-multi", "one"],
    ["x-multi", "two"],
  ]);
});

test("a result that went to a callback by way of a file is kept too", async () => {
  const result = Buffer.alloc(700_000, "0123456789abcdef-");
  setup.gateway.answer = (_request, res) => res.end(result);
  await setup.start();
  const id = await setup.publish({ callbackUrl: setup.callbackUrl });
  await setup.settled();
  expect(Buffer.compare(setup.receiver.received[0]?.body ?? Buffer.of(), result)).toBe(0);
  expect(Buffer.compare(Buffer.from(setup.record(id).outcome?.result?.body ?? []), result)).toBe(0);
});

test.each([
  ["no callback", false],
  ["a callback, which gets it", true],
])("a result larger than the queue keeps is left out: %s", async (_rule, callback) => {
  setup.queue.maxResultBytes = 1000;
  setup.gateway.answer = (_request, res) => res.end(Buffer.alloc(1001));
  await setup.start();
  const id = await setup.publish(callback ? { callbackUrl: setup.callbackUrl } : {});
  await setup.settled();
  expect(setup.record(id).outcome).toEqual({ status: 200, durationMs: expect.any(Number) });
  expect(setup.receiver.received.map(({ body }) => body.length)).toEqual(callback ? [1001] : []);
});

test("headers count towards the limit", async () => {
  setup.queue.maxResultBytes = 1000;
  setup.gateway.answer = (_request, res) => res.writeHead(200, { "x-large": "x".repeat(999) }).end();
  await setup.start();
  const id = await setup.publish();
  await setup.settled();
  expect(setup.record(id).outcome).not.toHaveProperty("result");
});

test("a queue that keeps no results gets none", async () => {
  setup.queue.maxResultBytes = 0;
  await setup.start();
  const id = await setup.publish();
  await setup.settled();
  expect(setup.record(id).outcome).toEqual({ status: 200, durationMs: expect.any(Number) });
});

test("a dead call has the answer of its last attempt", async () => {
  setup.gateway.answer = (_request, res, count) => res.writeHead(500).end(`failure ${count}`);
  await setup.start();
  const id = await setup.publish();
  await setup.settled();
  const { state, attempts, outcome } = setup.record(id);
  expect({ state, attempts, status: outcome?.status }).toEqual({ state: "dead", attempts: 4, status: 500 });
  expect(Buffer.from(outcome?.result?.body ?? []).toString()).toBe("failure 4");
});

test("a call whose time has passed is not tried; its callback is told", async () => {
  await setup.start();
  const acceptedAt = Date.now() - 5000;
  const id = await setup.publish({ acceptedAt, notAfter: acceptedAt + 1000, callbackUrl: setup.callbackUrl });
  await setup.settled();
  expect(setup.record(id).state).toBe("expired");
  expect(setup.gateway.received).toHaveLength(0);
  const { headers = {}, body } = setup.receiver.received[0] ?? {};
  expect(headers).toMatchObject({
    "x-call-id": id,
    "x-call-state": "expired",
    "x-start-time": `${acceptedAt}000000`,
    "x-function-status": "504",
    "x-function-name": "shout",
    "x-retry": "0",
    "x-retry-max": "3",
    "content-length": "0",
  });
  expect(Number(headers["x-duration-seconds"])).toBeGreaterThanOrEqual(5);
  expect(body).toHaveLength(0);
});

test("an expired call stays expired when its callback fails", async () => {
  setup.receiver.answer = (_request, res) => res.writeHead(404).end();
  await setup.start();
  const id = await setup.publish({ notAfter: 1, callbackUrl: setup.callbackUrl });
  await setup.settled();
  expect(setup.record(id).state).toBe("expired");
  expect(setup.logged.some(({ msg }) => msg === "callback failed")).toBe(true);
});

test("without time for another try the last answer stands, and the call is dead", async () => {
  setup.gateway.answer = (_request, res) => res.writeHead(500).end("failed");
  await setup.start({
    defaults: { attempts: 5, codes: [500], minWaitMs: 600_000, maxWaitMs: 600_000 },
    random: () => 0.9,
  });
  const id = await setup.publish({ notAfter: Date.now() + 60_000, callbackUrl: setup.callbackUrl });
  await setup.settled();
  expect(setup.record(id)).toMatchObject({
    state: "dead",
    reason: "attempt 1 ended with status 500, and no time is left for another",
  });
  expect(setup.receiver.received[0]?.headers).toMatchObject({ "x-call-state": "dead", "x-function-status": "500" });
  expect(setup.receiver.received[0]?.body.toString()).toBe("failed");
});

test("waiting for the gateway ends with the call's time", async () => {
  await setup.gateway.down();
  await setup.start();
  const id = await setup.publish({ notAfter: Date.now() + 200, callbackUrl: setup.callbackUrl });
  await setup.settled();
  expect(setup.record(id).state).toBe("expired");
  expect(setup.receiver.received[0]?.headers["x-call-state"]).toBe("expired");
});

const refuse = { "x-openfaas-internal": "faas-middleware", "retry-after": "1" };

test("a call refused for want of room goes back without counting an attempt", async () => {
  setup.gateway.answer = (_request, res, count) => {
    if (count <= 5) res.writeHead(429, refuse).end();
    else res.end("at last");
  };
  const ends: DeliveryEnd[] = [];
  let refusals = 0;
  await setup.start({
    events: { ended: ({ end }) => ends.push(end), refused: () => refusals++ },
  });
  const id = await setup.publish({ callbackUrl: setup.callbackUrl });
  await setup.settled();
  expect(setup.record(id)).toMatchObject({ state: "done", attempts: 1 });
  expect(setup.receiver.received[0]?.headers["x-retry"]).toBe("0");
  expect(refusals).toBe(5);
  expect(ends).toEqual([...Array(5).fill("handedBack"), "done"]);
});

test("a function without room is asked by one call at a time and keeps no place from others", async () => {
  const asked: number[] = [];
  setup.gateway.answer = ({ url }, res) => {
    if (!url.startsWith("/function/full.")) {
      res.end("free");
      return;
    }
    asked.push(performance.now());
    res.writeHead(429, refuse).end();
  };
  await setup.start({ concurrency: 4 });
  for (let i = 0; i < 40; i++) await setup.publish({ function: "full" });
  await eventually("it has been refused a few times", () => asked.length >= 12);
  // All that it got before it was down to one call at a time: 4, 2 and 1.
  const gaps = asked.map((at, i) => at - (asked[i - 1] ?? at)).slice(8);
  for (const gap of gaps) expect(gap).toBeGreaterThanOrEqual(45);
  await Promise.all(Array.from({ length: 20 }, () => setup.publish({ function: "free" })));
  await eventually("the other function's calls are done", () => {
    return setup.queue.records.filter(({ call, state }) => call.function === "free" && state === "done").length === 20;
  });
  const full = setup.queue.records.filter(({ call }) => call.function === "full");
  expect(full.every(({ attempts }) => attempts === 0)).toBe(true);
  expect(setup.queue.limitChanges).toContain("full.openfaas-fn");
});

test("a call that is refused until its time has passed has expired", async () => {
  setup.gateway.answer = (_request, res) => res.writeHead(429, refuse).end();
  await setup.start();
  const id = await setup.publish({ notAfter: Date.now() + 300, callbackUrl: setup.callbackUrl });
  await setup.settled();
  expect(setup.record(id)).toMatchObject({ state: "expired", attempts: 0 });
  expect(setup.receiver.received[0]?.headers["x-call-state"]).toBe("expired");
});

test("a function's own 429 counts as an attempt", async () => {
  setup.gateway.answer = (_request, res, count) => res.writeHead(count < 2 ? 429 : 200).end();
  await setup.start();
  const id = await setup.publish();
  await setup.settled();
  expect(setup.record(id)).toMatchObject({ state: "done", attempts: 2 });
});

test("as many calls at a time as the ready replicas take, more when there are more of them", async () => {
  let underWay = 0;
  const open: (() => void)[] = [];
  setup.gateway.answer = (_request, res) => {
    underWay++;
    open.push(() => {
      underWay--;
      res.end();
    });
  };
  setup.functions.snapshot = { annotations: {}, readyReplicas: 0, maxInflight: 2 };
  await setup.start({ concurrency: 20 });
  for (let i = 0; i < 12; i++) await setup.publish();
  await eventually("one wakes the function", () => underWay === 1);
  const ref = { name: "shout", namespace: "openfaas-fn" };
  setup.functions.change({ readyReplicas: 1 }, ref);
  await eventually("one replica takes two", () => underWay === 2);
  setup.functions.change({ readyReplicas: 3 }, ref);
  await eventually("three take six", () => underWay === 6);
  setup.gateway.answer = (_request, res) => res.end();
  for (const end of open) end();
  await setup.settled();
});

test("a worker that has closed listens to nothing", async () => {
  const worker = await setup.start();
  expect(setup.functions.listeners).toBe(1);
  await worker.close(0);
  expect(setup.functions.listeners).toBe(0);
});

test.each<[what: string, times: number, forMs: number]>([
  ["too often", 199, 1000],
  ["for too long", 10, 3_599_000],
])("refusals %s count as attempts, whoever they are from", async (_what, times, forMs) => {
  setup.gateway.answer = (_request, res) => res.writeHead(429, { "x-openfaas-internal": "of-watchdog" }).end();
  const id = await setup.publish({ callbackUrl: setup.callbackUrl });
  setup.record(id).refused = { times, since: Date.now() - forMs };
  let now = Date.now();
  await setup.start({
    random: () => 0,
    now: () => {
      now += 500;
      return now;
    },
  });
  await setup.settled();
  expect(setup.record(id)).toMatchObject({
    state: "dead",
    attempts: 4,
    reason: "gave up after attempt 4, which ended with status 429",
  });
  expect(setup.receiver.received[0]?.headers).toMatchObject({ "x-call-state": "dead", "x-function-status": "429" });
  expect(setup.gateway.received.length).toBeLessThan(10);
});

test("a call that is refused again and again waits longer each time", async () => {
  setup.gateway.answer = (_request, res) => res.writeHead(429, refuse).end();
  await setup.start({ random: () => 1 });
  await setup.publish();
  await eventually("it has been refused six times", () => setup.gateway.received.length === 6);
  const at = setup.gateway.received.map((request) => request.at);
  const waits = at.slice(1).map((time, i) => time - (at[i] as number));
  expect((waits[4] as number) / (waits[0] as number)).toBeGreaterThan(4);
  expect(waits[4]).toBeGreaterThan(700);
});
