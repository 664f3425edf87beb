import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { type QueueWorker, type QueueWorkerOptions, startQueueWorker } from "../../../gateway/async/worker.ts";
import { openEmbeddedQueue } from "../../../gateway/queue/embedded.ts";
import type { Queue } from "../../../gateway/queue/queue.ts";
import { createLogger } from "../../../provider/kit/log.ts";
import { newCall } from "../../contracts/queue-contract.ts";
import { eventually } from "../../support/eventually.ts";

interface Received {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
  readonly at: number;
}

type Answer = (request: Received, res: ServerResponse, count: number) => void;

/** A server that keeps what it gets; it can go away and come back on the same port. */
class Site {
  readonly received: Received[] = [];
  answer: Answer = (_request, res) => res.end("ok");
  #server: Server | undefined;
  #port = 0;

  async up(): Promise<void> {
    const server = createServer(async (req, res) => {
      const chunks: Buffer[] = [];
      for await (const chunk of req) chunks.push(chunk as Buffer);
      const { method, url, headers, rawHeaders } = req as typeof req & { method: string; url: string };
      const request = { method, url, headers, rawHeaders, body: Buffer.concat(chunks), at: performance.now() };
      this.received.push(request);
      this.answer(request, res, this.received.length);
    });
    await new Promise<void>((resolve) => server.listen(this.#port, "127.0.0.1", resolve));
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  async down(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (!server) return;
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  }

  get host(): string {
    return `127.0.0.1:${this.#port}`;
  }

  get url(): string {
    return `http://${this.host}`;
  }
}

let folder: string;
let queue: Queue;
let gateway: Site;
let receiver: Site;
let workers: QueueWorker[];
let logged: Record<string, unknown>[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "faaslane-worker-"));
  queue = await openEmbeddedQueue({
    path: join(folder, "queue.db"),
    maxBodyBytes: 1024 ** 2,
    log: createLogger("silent"),
  });
  gateway = new Site();
  receiver = new Site();
  await Promise.all([gateway.up(), receiver.up()]);
  workers = [];
  logged = [];
});

afterEach(async () => {
  await Promise.all(workers.map((worker) => worker.close(0)));
  await queue.close();
  await Promise.all([gateway.down(), receiver.down()]);
  await rm(folder, { recursive: true, force: true });
});

async function start(options: Partial<QueueWorkerOptions> = {}): Promise<QueueWorker> {
  const worker = await startQueueWorker({
    queue,
    gatewayUrl: new URL(`${gateway.url}/`),
    release: "1.2.3",
    policyFor: () => ({}),
    defaults: { attempts: 3, codes: [408, 429, 500, 502, 503, 504], minWaitMs: 5, maxWaitMs: 20 },
    concurrency: 8,
    perFunction: 4,
    callTimeoutMs: 10_000,
    callbackTimeoutMs: 5000,
    callbackRetry: { tries: 20, minWaitMs: 5, maxWaitMs: 20, deadlineMs: 10_000 },
    unreachableWaitMs: [5, 20],
    spoolFolder: folder,
    log: createLogger("debug", { write: (line) => logged.push(JSON.parse(line)) }),
    ...options,
  });
  workers.push(worker);
  return worker;
}

const callbackUrl = () => `${receiver.url}/results?for=me`;

/** Until nothing waits and nothing is under way. */
async function settled(): Promise<{ dead: number }> {
  return await eventually("the queue is empty", async () => {
    const stats = await queue.stats();
    return stats.waiting + stats.inFlight === 0 ? stats : undefined;
  });
}

const deadReasons = () => logged.filter(({ msg }) => msg === "a call is dead").map(({ reason }) => reason);

test("makes the call through the gateway and posts the answer to the callback", async () => {
  gateway.answer = (_request, res) => {
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
  await start();
  await queue.publish(
    newCall({
      id: "the-call",
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
      callbackUrl: callbackUrl(),
    }),
  );
  expect(await settled()).toMatchObject({ dead: 0 });

  const [called] = gateway.received;
  expect(called).toMatchObject({ method: "POST", url: "/function/shout.team/a%20b?q=%31" });
  expect(called?.body.toString()).toBe('{"a":1}');
  expect(called?.headers).toMatchObject({
    "content-type": "application/json",
    "x-twice": "1, 2",
    "x-call-id": "the-call",
    "x-start-time": "1700000000000000000",
    "user-agent": "faaslane-queue-worker/1.2.3",
    "content-length": "7",
    host: gateway.host,
  });
  expect(called?.headers).not.toHaveProperty("x-private");
  expect(called?.headers).not.toHaveProperty("expect");

  expect(receiver.received).toHaveLength(1);
  const [callback] = receiver.received;
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
  await start();
  await queue.publish(newCall({ headers: [["user-agent", "curl/8"]], callbackUrl: callbackUrl() }));
  await settled();
  expect(gateway.received[0]?.headers["user-agent"]).toBe("curl/8");
  expect(receiver.received[0]?.headers["x-function-name"]).toBe("shout");
});

test("a gateway below a path is called there", async () => {
  await start({ gatewayUrl: new URL(`${gateway.url}/base/`) });
  await queue.publish(newCall());
  await settled();
  expect(gateway.received[0]?.url).toBe("/base/function/shout.openfaas-fn/");
});

test("credentials of the callback URL become Basic auth", async () => {
  await start();
  await queue.publish(newCall({ callbackUrl: `http://user:p%40ss@${receiver.host}/` }));
  await settled();
  expect(receiver.received[0]?.headers.authorization).toBe(`Basic ${Buffer.from("user:p@ss").toString("base64")}`);
  expect(JSON.stringify(logged)).not.toContain("p%40ss");
});

test("a function's error that is not worth a retry is its result", async () => {
  gateway.answer = (_request, res) => res.writeHead(422).end("no");
  await start();
  await queue.publish(newCall({ callbackUrl: callbackUrl() }));
  expect(await settled()).toMatchObject({ dead: 0 });
  expect(gateway.received).toHaveLength(1);
  expect(receiver.received[0]?.headers["x-function-status"]).toBe("422");
});

test("tries again until it succeeds, and calls back once", async () => {
  gateway.answer = (_request, res, count) => res.writeHead(count < 3 ? 503 : 200).end(`answer ${count}`);
  await start();
  await queue.publish(newCall({ callbackUrl: callbackUrl() }));
  expect(await settled()).toMatchObject({ dead: 0 });
  expect(gateway.received).toHaveLength(3);
  expect(receiver.received).toHaveLength(1);
  expect(receiver.received[0]?.body.toString()).toBe("answer 3");
  expect(receiver.received[0]?.headers).toMatchObject({ "x-retry": "2", "x-function-status": "200" });
});

test("after the last attempt the last answer is posted and the call is dead", async () => {
  gateway.answer = (_request, res, count) => res.writeHead(500).end(`failure ${count}`);
  await start();
  await queue.publish(newCall({ callbackUrl: callbackUrl() }));
  expect(await settled()).toMatchObject({ dead: 1 });
  expect(gateway.received).toHaveLength(4);
  expect(receiver.received).toHaveLength(1);
  expect(receiver.received[0]?.body.toString()).toBe("failure 4");
  expect(receiver.received[0]?.headers).toMatchObject({
    "x-retry": "3",
    "x-retry-max": "3",
    "x-function-status": "500",
  });
});

test("a function's annotations are its policy; invalid ones are named once", async () => {
  gateway.answer = (_request, res) => res.writeHead(418).end();
  const annotations = { "com.openfaas.retry.codes": "418", "com.openfaas.retry.attempts": "lots" };
  await start({ policyFor: () => annotations });
  await queue.publish(newCall({ callbackUrl: callbackUrl() }));
  await settled();
  expect(gateway.received).toHaveLength(4);
  const warnings = logged.filter(({ problems }) => problems !== undefined);
  expect(warnings).toHaveLength(1);
  expect(JSON.stringify(warnings[0])).toContain("com.openfaas.retry.attempts");
});

test("waits as long as Retry-After asks", async () => {
  gateway.answer = (_request, res, count) => {
    if (count > 1) res.end("ok");
    else res.writeHead(429, { "retry-after": "1" }).end();
  };
  await start();
  await queue.publish(newCall());
  await settled();
  const [first, second] = gateway.received;
  expect((second?.at as number) - (first?.at as number)).toBeGreaterThanOrEqual(990);
});

test("a function that is gone means a dead call and a callback that says so", async () => {
  gateway.answer = (_request, res) => res.writeHead(404).end("error finding function shout.openfaas-fn: not found\n");
  await start({ policyFor: () => undefined });
  await queue.publish(newCall({ callbackUrl: callbackUrl() }));
  expect(await settled()).toMatchObject({ dead: 1 });
  expect(gateway.received).toHaveLength(1);
  expect(receiver.received[0]?.headers["x-function-status"]).toBe("404");
  expect(deadReasons()).toEqual(["the function does not exist"]);
});

test("a slow function does not delay a fast one", async () => {
  const slow: ServerResponse[] = [];
  gateway.answer = ({ url }, res) => {
    if (url.startsWith("/function/slow.")) slow.push(res);
    else res.end("fast");
  };
  await start({ concurrency: 4, perFunction: 3 });
  await Promise.all(Array.from({ length: 10 }, () => queue.publish(newCall({ function: "slow" }))));
  await eventually("the slow one has all its places", () => slow.length === 3);
  await Promise.all(
    Array.from({ length: 5 }, () => queue.publish(newCall({ function: "fast", callbackUrl: callbackUrl() }))),
  );
  await eventually("the fast ones are done", () => receiver.received.length === 5);
  expect(slow).toHaveLength(3);
  gateway.answer = (_request, res) => res.end();
  for (const res of slow) res.end();
  await settled();
});

test("waits for a gateway that is away, and counts no attempt for it", async () => {
  await gateway.down();
  const worker = await start();
  await queue.publish(newCall({ callbackUrl: callbackUrl() }));
  await eventually("it has been noticed", () => logged.some(({ msg }) => String(msg).includes("cannot be reached")));
  await gateway.up();
  await settled();
  expect(receiver.received[0]?.headers["x-retry"]).toBe("0");

  await gateway.down();
  await queue.publish(newCall({ callbackUrl: callbackUrl() }));
  await eventually("it is under way", async () => (await queue.stats()).inFlight === 1);
  await worker.close(0);
  expect(await queue.stats()).toMatchObject({ waiting: 1, inFlight: 0, dead: 0 });
});

test("tries a callback again without running the function again", async () => {
  await receiver.down();
  await start();
  await queue.publish(newCall({ callbackUrl: callbackUrl() }));
  await eventually("the function has run", () => gateway.received.length === 1);
  receiver.answer = (_request, res, count) => res.writeHead(count < 3 ? 503 : 204).end();
  await receiver.up();
  expect(await settled()).toMatchObject({ dead: 0 });
  expect(receiver.received).toHaveLength(3);
  expect(receiver.received.map(({ body }) => body.toString())).toEqual(["ok", "ok", "ok"]);
  expect(gateway.received).toHaveLength(1);
});

test("a callback that is never taken makes the call dead", async () => {
  receiver.answer = (_request, res) => res.writeHead(500).end();
  await start({ callbackRetry: { tries: 3, minWaitMs: 1, maxWaitMs: 5, deadlineMs: 5000 } });
  await queue.publish(newCall({ callbackUrl: callbackUrl() }));
  expect(await settled()).toMatchObject({ dead: 1 });
  expect(receiver.received).toHaveLength(3);
  expect(gateway.received).toHaveLength(1);
  expect(deadReasons()).toEqual(["the callback failed: status 500"]);
});

test("a receiver that refuses is not asked again", async () => {
  receiver.answer = (_request, res) => res.writeHead(403).end();
  await start();
  await queue.publish(newCall({ callbackUrl: callbackUrl() }));
  expect(await settled()).toMatchObject({ dead: 1 });
  expect(receiver.received).toHaveLength(1);
});

test("a receiver that never answers is given up", async () => {
  receiver.answer = () => {};
  await start({ callbackTimeoutMs: 30, callbackRetry: { tries: 2, minWaitMs: 1, maxWaitMs: 5, deadlineMs: 5000 } });
  await queue.publish(newCall({ callbackUrl: callbackUrl() }));
  expect(await settled()).toMatchObject({ dead: 1 });
  expect(receiver.received).toHaveLength(2);
  expect(deadReasons()).toEqual(["the callback failed: no answer in time"]);
});

test("a function that never answers is a 504 of the platform", async () => {
  gateway.answer = () => {};
  await start({ callTimeoutMs: 30, policyFor: () => ({ "com.openfaas.retry.attempts": "1" }) });
  await queue.publish(newCall({ callbackUrl: callbackUrl() }));
  expect(await settled()).toMatchObject({ dead: 1 });
  expect(gateway.received).toHaveLength(2);
  expect(receiver.received[0]?.headers["x-function-status"]).toBe("504");
  expect(receiver.received[0]?.body).toHaveLength(0);
});

test("a result that breaks off is not passed on; the call is tried again", async () => {
  gateway.answer = (_request, res, count) => {
    if (count > 1) {
      res.end("all of it");
      return;
    }
    res.writeHead(200, { "content-length": "100" });
    res.write("a part", () => res.destroy());
  };
  await start();
  await queue.publish(newCall({ callbackUrl: callbackUrl() }));
  expect(await settled()).toMatchObject({ dead: 0 });
  expect(gateway.received).toHaveLength(2);
  expect(receiver.received.map(({ body }) => body.toString())).toEqual(["all of it"]);
});

test("a call without callback is tried again too when its answer breaks off", async () => {
  gateway.answer = (_request, res, count) => {
    if (count > 1) res.end("all of it");
    else res.writeHead(200, { "content-length": "100" }).write("a part", () => res.destroy());
  };
  await start();
  await queue.publish(newCall());
  expect(await settled()).toMatchObject({ dead: 0 });
  expect(gateway.received).toHaveLength(2);
});

test("a large result reaches the callback whole, on the second try as well", async () => {
  const result = Buffer.alloc(5 * 1024 ** 2, "0123456789abcdef-");
  gateway.answer = (_request, res) => res.end(result);
  receiver.answer = (_request, res, count) => res.writeHead(count < 2 ? 503 : 200).end();
  await start();
  await queue.publish(newCall({ callbackUrl: callbackUrl() }));
  expect(await settled()).toMatchObject({ dead: 0 });
  expect(receiver.received).toHaveLength(2);
  for (const { body, headers } of receiver.received) {
    expect(headers["content-length"]).toBe(String(result.length));
    expect(Buffer.compare(body, result)).toBe(0);
  }
});

test("of a result that is too large the callback gets the news", async () => {
  gateway.answer = (_request, res) => res.end(Buffer.alloc(600_000));
  await start({ maxResultBytes: 500_000 });
  await queue.publish(newCall({ callbackUrl: callbackUrl() }));
  expect(await settled()).toMatchObject({ dead: 0 });
  expect(receiver.received[0]?.body).toHaveLength(0);
  expect(receiver.received[0]?.headers).toMatchObject({
    "x-function-status": "200",
    "x-function-result-omitted": "larger than 500000 bytes",
  });
});

test("of a result that cannot be stored the callback gets the news", async () => {
  gateway.answer = (_request, res) => res.end(Buffer.alloc(600_000));
  await start({ spoolFolder: join(folder, "missing") });
  await queue.publish(newCall({ callbackUrl: callbackUrl() }));
  expect(await settled()).toMatchObject({ dead: 0 });
  expect(receiver.received[0]?.headers["x-function-result-omitted"]).toBe("it could not be stored (ENOENT)");
});

test("poisoned calls are dead, and the worker goes on", async () => {
  await start();
  await queue.publish(newCall({ path: "no slash" }));
  await queue.publish(newCall({ path: "/a HTTP/1.1\r\nInjected: 1" }));
  await queue.publish(newCall({ query: "a b" }));
  await queue.publish(newCall({ function: "../system" }));
  await queue.publish(newCall({ id: "a\r\nb" }));
  await queue.publish(newCall({ headers: 5 as unknown as [] }));
  await queue.publish(
    newCall({
      headers: [
        ["X-Bad", "a\r\nInjected: 1"],
        ["Bad Name", "x"],
        ["X-Good", "yes"],
      ],
    }),
  );
  expect(await settled()).toMatchObject({ dead: 6 });
  expect(gateway.received).toHaveLength(1);
  expect(gateway.received[0]?.headers["x-good"]).toBe("yes");
  expect(gateway.received[0]?.rawHeaders).not.toContain("Injected");
  expect(deadReasons()).toHaveLength(6);
});

test("a callback URL that is none makes the call dead after it has run", async () => {
  await start();
  await queue.publish(newCall({ callbackUrl: "ftp://user:hunter2@example.com/" }));
  expect(await settled()).toMatchObject({ dead: 1 });
  expect(gateway.received).toHaveLength(1);
  expect(JSON.stringify(logged)).not.toContain("hunter2");
});

test("closing waits for the call under way and its callback", async () => {
  const open: ServerResponse[] = [];
  gateway.answer = (_request, res) => open.push(res);
  const worker = await start();
  await queue.publish(newCall({ callbackUrl: callbackUrl() }));
  await eventually("it is under way", () => open.length === 1);
  const closing = worker.close(10_000);
  open[0]?.end("late");
  await closing;
  expect(receiver.received[0]?.body.toString()).toBe("late");
  expect(await queue.stats()).toMatchObject({ waiting: 0, inFlight: 0, dead: 0 });
});

test("what closing cannot wait for is handed back and done by the next worker", async () => {
  gateway.answer = () => {};
  const worker = await start();
  await queue.publish(newCall({ callbackUrl: callbackUrl() }));
  await eventually("it is under way", () => gateway.received.length === 1);
  await worker.close(0);
  await worker.close(0);
  expect(await queue.stats()).toMatchObject({ waiting: 1, inFlight: 0, dead: 0 });
  gateway.answer = (_request, res) => res.end("now");
  await start();
  await settled();
  expect(receiver.received[0]?.headers["x-retry"]).toBe("0");
});

test("tells what happens, for metrics", async () => {
  gateway.answer = (_request, res, count) => res.writeHead(count < 2 ? 500 : 200).end();
  const seen: unknown[] = [];
  await start({
    events: {
      attempted: ({ function: name, status, decision }) => seen.push([name, status, decision.kind]),
      calledBack: ({ function: name, delivered, tries }) => seen.push([name, delivered, tries]),
    },
  });
  await queue.publish(newCall({ callbackUrl: callbackUrl() }));
  await settled();
  expect(seen).toEqual([
    ["shout", 500, "retry"],
    ["shout", 200, "done"],
    ["shout", true, 1],
  ]);
});
