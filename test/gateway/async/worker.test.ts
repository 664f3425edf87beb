import type { ServerResponse } from "node:http";
import { join } from "node:path";
import { expect, test } from "@jest/globals";
import { eventually } from "../../support/eventually.ts";
import { WorkerSetup } from "./worker-setup.ts";

const setup = WorkerSetup.use();

test("makes the call through the gateway and posts the answer to the callback", async () => {
  setup.gateway.answer = (_request, res) => {
    res.writeHead(201, [
      ["Content-Type", "text/x-result"],
      ["X-Multi", "one"],
      ["X-Multi", "two"],
      ["X-Duration-Seconds", "99"],
      ["Connection", "X-Hop, keep-alive"],
      ["X-Hop", "secret"],
      ["X-Start-Time", "17"],
    ]);
    res.end("the result");
  };
  await setup.start();
  await setup.publish({
    callId: "the-call",
    namespace: "team",
    path: "/a%20b",
    query: "q=%31",
    headers: [
      ["Content-Type", "application/json"],
      ["X-Twice", "1"],
      ["X-Twice", "2"],
      ["X-Call-Id", "stale"],
      ["X-Start-Time", "1700000000000000000"],
      ["Content-Length", "999"],
      ["Connection", "close, X-Private"],
      ["X-Private", "hop"],
      ["Expect", "100-continue"],
      ["Host", "elsewhere"],
    ],
    body: Buffer.from('{"a":1}'),
    callbackUrl: setup.callbackUrl,
  });
  await setup.settled();
  expect(setup.queue.dead()).toHaveLength(0);

  const [called] = setup.gateway.received;
  expect(called).toMatchObject({ method: "POST", url: "/function/shout.team/a%20b?q=%31" });
  expect(called?.body.toString()).toBe('{"a":1}');
  expect(called?.headers).toMatchObject({
    "content-type": "application/json",
    "x-twice": "1, 2",
    "x-call-id": "the-call",
    "x-start-time": "1700000000000000000",
    "user-agent": "faaslane-queue-worker/1.2.3",
    "content-length": "7",
    host: setup.gateway.host,
  });
  expect(called?.headers).not.toHaveProperty("x-private");
  expect(called?.headers).not.toHaveProperty("expect");

  expect(setup.receiver.received).toHaveLength(1);
  const [callback] = setup.receiver.received;
  expect(callback).toMatchObject({ method: "POST", url: "/results?for=me" });
  expect(callback?.body.toString()).toBe("the result");
  expect(callback?.headers).toMatchObject({
    "content-type": "text/x-result",
    "content-length": "10",
    "x-multi": "one, two",
    "x-call-id": "the-call",
    "x-function-status": "201",
    "x-function-name": "shout.team",
    "x-start-time": "17",
    "x-retry": "0",
    "x-retry-max": "3",
    "user-agent": "faaslane-queue-worker/1.2.3",
  });
  expect(callback?.headers["x-duration-seconds"]).toMatch(/^\d\.\d{6}$/);
  expect(callback?.headers).not.toHaveProperty("x-hop");
  expect(callback?.headers).not.toHaveProperty("authorization");
});

test("keeps the caller's User-Agent, and the default namespace out of X-Function-Name", async () => {
  await setup.start();
  await setup.publish({ headers: [["user-agent", "curl/8"]], callbackUrl: setup.callbackUrl });
  await setup.settled();
  expect(setup.gateway.received[0]?.headers["user-agent"]).toBe("curl/8");
  expect(setup.receiver.received[0]?.headers["x-function-name"]).toBe("shout");
});

test("credentials of the callback URL become Basic auth", async () => {
  await setup.start();
  await setup.publish({ callbackUrl: `http://user:p%40ss@${setup.receiver.host}/` });
  await setup.settled();
  expect(setup.receiver.received[0]?.headers.authorization).toBe(
    `Basic ${Buffer.from("user:p@ss").toString("base64")}`,
  );
  expect(JSON.stringify(setup.logged)).not.toContain("p%40ss");
});

test("a function's error that is not worth a retry is its result", async () => {
  setup.gateway.answer = (_request, res) => res.writeHead(422).end("no");
  await setup.start();
  await setup.publish({ callbackUrl: setup.callbackUrl });
  await setup.settled();
  expect(setup.queue.dead()).toHaveLength(0);
  expect(setup.gateway.received).toHaveLength(1);
  expect(setup.receiver.received[0]?.headers["x-function-status"]).toBe("422");
});

test("tries again until it succeeds, and calls back once", async () => {
  setup.gateway.answer = (_request, res, count) => res.writeHead(count < 3 ? 503 : 200).end(`answer ${count}`);
  await setup.start();
  await setup.publish({ callbackUrl: setup.callbackUrl });
  await setup.settled();
  expect(setup.queue.dead()).toHaveLength(0);
  expect(setup.gateway.received).toHaveLength(3);
  expect(setup.receiver.received).toHaveLength(1);
  expect(setup.receiver.received[0]?.body.toString()).toBe("answer 3");
  expect(setup.receiver.received[0]?.headers).toMatchObject({ "x-retry": "2", "x-function-status": "200" });
});

test("after the last attempt the last answer is posted and the call is dead", async () => {
  setup.gateway.answer = (_request, res, count) => res.writeHead(500).end(`failure ${count}`);
  await setup.start();
  await setup.publish({ callbackUrl: setup.callbackUrl });
  await setup.settled();
  expect(setup.queue.dead()).toHaveLength(1);
  expect(setup.gateway.received).toHaveLength(4);
  expect(setup.receiver.received).toHaveLength(1);
  expect(setup.receiver.received[0]?.body.toString()).toBe("failure 4");
  expect(setup.receiver.received[0]?.headers).toMatchObject({
    "x-retry": "3",
    "x-retry-max": "3",
    "x-function-status": "500",
  });
});

test("a function's annotations are its policy; invalid ones are named once", async () => {
  setup.gateway.answer = (_request, res) => res.writeHead(418).end();
  const annotations = { "com.openfaas.retry.codes": "418", "com.openfaas.retry.attempts": "lots" };
  setup.functions.snapshot = { annotations, readyReplicas: 1 };
  await setup.start();
  await setup.publish({ callbackUrl: setup.callbackUrl });
  await setup.settled();
  expect(setup.gateway.received).toHaveLength(4);
  const warnings = setup.logged.filter(({ problems }) => problems !== undefined);
  expect(warnings).toHaveLength(1);
  expect(JSON.stringify(warnings[0])).toContain("com.openfaas.retry.attempts");
});

test("waits as long as Retry-After asks", async () => {
  setup.gateway.answer = (_request, res, count) => {
    if (count > 1) res.end("ok");
    else res.writeHead(429, { "retry-after": "1" }).end();
  };
  await setup.start();
  await setup.publish();
  await setup.settled();
  const [first, second] = setup.gateway.received;
  expect((second?.at as number) - (first?.at as number)).toBeGreaterThanOrEqual(990);
});

test("a function that is gone means a dead call and a callback that says so", async () => {
  setup.gateway.answer = (_request, res) =>
    res.writeHead(404).end("error finding function shout.openfaas-fn: not found\n");
  setup.functions.snapshot = undefined;
  await setup.start();
  await setup.publish({ callbackUrl: setup.callbackUrl });
  await setup.settled();
  expect(setup.queue.dead()).toHaveLength(1);
  expect(setup.gateway.received).toHaveLength(1);
  expect(setup.receiver.received[0]?.headers["x-function-status"]).toBe("404");
  expect(setup.deadReasons()).toEqual(["the function does not exist"]);
});

test("a slow function does not delay a fast one", async () => {
  const slow: ServerResponse[] = [];
  setup.gateway.answer = ({ url }, res) => {
    if (url.startsWith("/function/slow.")) slow.push(res);
    else res.end("fast");
  };
  setup.functions.snapshot = { annotations: {}, readyReplicas: 1 };
  await setup.start({ concurrency: 4, perFunction: 3 });
  await Promise.all(Array.from({ length: 10 }, () => setup.publish({ function: "slow" })));
  await eventually("the slow one has all its places", () => slow.length === 3);
  await Promise.all(
    Array.from({ length: 5 }, () => setup.publish({ function: "fast", callbackUrl: setup.callbackUrl })),
  );
  await eventually("the fast ones are done", () => setup.receiver.received.length === 5);
  expect(slow).toHaveLength(3);
  setup.gateway.answer = (_request, res) => res.end();
  for (const res of slow) res.end();
  await setup.settled();
});

test("waits for a gateway that is away, and counts no attempt for it", async () => {
  await setup.gateway.down();
  const worker = await setup.start();
  await setup.publish({ callbackUrl: setup.callbackUrl });
  await eventually("it has been noticed", () => setup.logged.some(({ msg }) => String(msg).includes("unreachable")));
  await setup.gateway.up();
  await setup.settled();
  expect(setup.receiver.received[0]?.headers["x-retry"]).toBe("0");

  await setup.gateway.down();
  const id = await setup.publish({ callbackUrl: setup.callbackUrl });
  await eventually("it is under way", () => setup.record(id).state === "running");
  await worker.close(0);
  expect(setup.record(id)).toMatchObject({ state: "waiting", attempts: 0 });
});

test("tries a callback again without running the function again", async () => {
  await setup.receiver.down();
  await setup.start();
  await setup.publish({ callbackUrl: setup.callbackUrl });
  await eventually("the function has run", () => setup.gateway.received.length === 1);
  setup.receiver.answer = (_request, res, count) => res.writeHead(count < 3 ? 503 : 204).end();
  await setup.receiver.up();
  await setup.settled();
  expect(setup.queue.dead()).toHaveLength(0);
  expect(setup.receiver.received).toHaveLength(3);
  expect(setup.receiver.received.map(({ body }) => body.toString())).toEqual(["ok", "ok", "ok"]);
  expect(setup.gateway.received).toHaveLength(1);
});

test("a callback that is never taken makes the call dead", async () => {
  setup.receiver.answer = (_request, res) => res.writeHead(500).end();
  await setup.start({ callbackRetry: { tries: 3, minWaitMs: 1, maxWaitMs: 5, deadlineMs: 5000 } });
  await setup.publish({ callbackUrl: setup.callbackUrl });
  await setup.settled();
  expect(setup.queue.dead()).toHaveLength(1);
  expect(setup.receiver.received).toHaveLength(3);
  expect(setup.gateway.received).toHaveLength(1);
  expect(setup.deadReasons()).toEqual(["the callback failed: status 500"]);
});

test("a receiver that refuses is not asked again", async () => {
  setup.receiver.answer = (_request, res) => res.writeHead(403).end();
  await setup.start();
  await setup.publish({ callbackUrl: setup.callbackUrl });
  await setup.settled();
  expect(setup.queue.dead()).toHaveLength(1);
  expect(setup.receiver.received).toHaveLength(1);
});

test("a receiver that never answers is given up", async () => {
  setup.receiver.answer = () => {};
  await setup.start({
    callbackTimeoutMs: 500,
    callbackRetry: { tries: 2, minWaitMs: 1, maxWaitMs: 5, deadlineMs: 5000 },
  });
  await setup.publish({ callbackUrl: setup.callbackUrl });
  await setup.settled();
  expect(setup.queue.dead()).toHaveLength(1);
  expect(setup.receiver.received).toHaveLength(2);
  expect(setup.deadReasons()).toEqual(["the callback failed: no answer in time"]);
});

test("a result that breaks off is not passed on; the call is tried again", async () => {
  setup.gateway.answer = (_request, res, count) => {
    if (count > 1) {
      res.end("all of it");
      return;
    }
    res.writeHead(200, { "content-length": "100" });
    res.write("a part", () => res.destroy());
  };
  await setup.start();
  await setup.publish({ callbackUrl: setup.callbackUrl });
  await setup.settled();
  expect(setup.queue.dead()).toHaveLength(0);
  expect(setup.gateway.received).toHaveLength(2);
  expect(setup.receiver.received.map(({ body }) => body.toString())).toEqual(["all of it"]);
});

test("a call without callback is tried again too when its answer breaks off", async () => {
  setup.gateway.answer = (_request, res, count) => {
    if (count > 1) res.end("all of it");
    else res.writeHead(200, { "content-length": "100" }).write("a part", () => res.destroy());
  };
  await setup.start();
  await setup.publish();
  await setup.settled();
  expect(setup.queue.dead()).toHaveLength(0);
  expect(setup.gateway.received).toHaveLength(2);
});

test("a large result reaches the callback whole, on the second try as well", async () => {
  const result = Buffer.alloc(5 * 1024 ** 2, "0123456789abcdef-");
  setup.gateway.answer = (_request, res) => res.end(result);
  setup.receiver.answer = (_request, res, count) => res.writeHead(count < 2 ? 503 : 200).end();
  await setup.start();
  await setup.publish({ callbackUrl: setup.callbackUrl });
  await setup.settled();
  expect(setup.queue.dead()).toHaveLength(0);
  expect(setup.receiver.received).toHaveLength(2);
  for (const { body, headers } of setup.receiver.received) {
    expect(headers["content-length"]).toBe(String(result.length));
    expect(Buffer.compare(body, result)).toBe(0);
  }
});

test("of a result that is too large the callback gets the news", async () => {
  setup.gateway.answer = (_request, res) => res.end(Buffer.alloc(600_000));
  await setup.start({ maxResultBytes: 500_000 });
  await setup.publish({ callbackUrl: setup.callbackUrl });
  await setup.settled();
  expect(setup.queue.dead()).toHaveLength(0);
  expect(setup.receiver.received[0]?.body).toHaveLength(0);
  expect(setup.receiver.received[0]?.headers).toMatchObject({
    "x-function-status": "200",
    "x-function-result-omitted": "larger than 500000 bytes",
  });
});

test("of a result that cannot be stored the callback gets the news", async () => {
  setup.gateway.answer = (_request, res) => res.end(Buffer.alloc(600_000));
  await setup.start({ spoolFolder: join(setup.folder, "missing") });
  await setup.publish({ callbackUrl: setup.callbackUrl });
  await setup.settled();
  expect(setup.queue.dead()).toHaveLength(0);
  expect(setup.receiver.received[0]?.headers["x-function-result-omitted"]).toBe("it could not be stored (ENOENT)");
});

test("poisoned calls are dead, and the worker goes on", async () => {
  await setup.start();
  await setup.publish({ path: "no slash" });
  await setup.publish({ path: "/a HTTP/1.1\r\nInjected: 1" });
  await setup.publish({ query: "a b" });
  await setup.publish({ function: "../system" });
  await setup.publish({ callId: "a\r\nb" });
  await setup.publish({ headers: 5 as unknown as [] });
  await setup.publish({
    headers: [
      ["X-Bad", "a\r\nInjected: 1"],
      ["Bad Name", "x"],
      ["X-Good", "yes"],
    ],
  });
  await setup.settled();
  expect(setup.queue.dead()).toHaveLength(6);
  expect(setup.gateway.received).toHaveLength(1);
  expect(setup.gateway.received[0]?.headers["x-good"]).toBe("yes");
  expect(setup.gateway.received[0]?.rawHeaders).not.toContain("Injected");
  expect(setup.deadReasons()).toHaveLength(6);
});

test("a callback URL that is none makes the call dead after it has run", async () => {
  await setup.start();
  await setup.publish({ callbackUrl: "ftp://user:hunter2@example.com/" });
  await setup.settled();
  expect(setup.queue.dead()).toHaveLength(1);
  expect(setup.gateway.received).toHaveLength(1);
  expect(JSON.stringify(setup.logged)).not.toContain("hunter2");
});

test("closing waits for the call under way and its callback", async () => {
  const open: ServerResponse[] = [];
  setup.gateway.answer = (_request, res) => open.push(res);
  const worker = await setup.start();
  await setup.publish({ callbackUrl: setup.callbackUrl });
  await eventually("it is under way", () => open.length === 1);
  const closing = worker.close(10_000);
  open.at(0)?.end("late");
  await closing;
  expect(setup.receiver.received[0]?.body.toString()).toBe("late");
  expect(setup.queue.records.map(({ state }) => state)).toEqual(["done"]);
});

test("what closing cannot wait for is handed back and done by the next worker", async () => {
  setup.gateway.answer = () => {};
  const worker = await setup.start();
  await setup.publish({ callbackUrl: setup.callbackUrl });
  await eventually("it is under way", () => setup.gateway.received.length === 1);
  await worker.close(0);
  await worker.close(0);
  expect(setup.queue.records).toMatchObject([{ state: "waiting", attempts: 0 }]);
  setup.gateway.answer = (_request, res) => res.end("now");
  await setup.start();
  await setup.settled();
  expect(setup.receiver.received[0]?.headers["x-retry"]).toBe("0");
});

test("tells what happens, for metrics", async () => {
  setup.gateway.answer = (_request, res, count) => res.writeHead(count < 2 ? 500 : 200).end();
  const seen: unknown[] = [];
  await setup.start({
    events: {
      delivered: ({ function: name, queue }) => seen.push([name, queue]),
      attempted: ({ function: name, status, decision }) => seen.push([name, status, decision.kind]),
      ended: ({ function: name, end }) => seen.push([name, end]),
      calledBack: ({ function: name, outcome, tries }) => seen.push([name, outcome, tries]),
    },
  });
  await setup.publish({ callbackUrl: setup.callbackUrl });
  await setup.settled();
  expect(seen).toEqual([
    ["shout", "faas-request"],
    ["shout", 500, "retry"],
    ["shout", "retry"],
    ["shout", "faas-request"],
    ["shout", 200, "done"],
    ["shout", "delivered", 1],
    ["shout", "done"],
  ]);
});
