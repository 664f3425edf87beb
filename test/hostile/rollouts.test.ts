import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { PassThrough } from "node:stream";
import { afterEach, expect, test } from "@jest/globals";
import express from "express";
import { FaasError } from "../../contract/errors.ts";
import type { ListedRollout } from "../../contract/versions/requests.ts";
import { CallbackSender } from "../../gateway/async/callbacks/sender.ts";
import { encodeReport, ReportReader } from "../../gateway/cluster/report-codec.ts";
import { TrialBook } from "../../gateway/core/rollout/trial-book.ts";
import { RolloutHooks } from "../../gateway/rollouts/hooks.ts";
import { RolloutStore } from "../../gateway/rollouts/rollout-store.ts";
import { RolloutWatch } from "../../gateway/rollouts/rollout-watch.ts";
import { addRolloutEvents } from "../../gateway/routes/rollout-events.ts";
import { CallbackTargets } from "../../kit/outbound/targets.ts";
import { rolloutOf } from "../gateway/rollouts/rollout-world.ts";
import { eventually } from "../support/eventually.ts";

const closing: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function serve(handler: RequestListener): Promise<number> {
  const server = createServer(handler);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

const QUESTION = { function: "shop", namespace: "fn", version: "v2", phase: "step", step: 0 };

async function ask(
  hook: string,
  rules: Partial<{ private: boolean; deny: string[] }> = {},
): Promise<string | undefined> {
  const sender = new CallbackSender({
    timeoutMs: 300,
    retry: { tries: 1, minWaitMs: 0, maxWaitMs: 0, deadlineMs: 300 },
    targets: new CallbackTargets({ private: true, allow: [], deny: [], ...rules }),
    now: Date.now,
    random: Math.random,
  });
  closing.push(() => sender.close());
  const caller = {
    call: async () => {
      throw new Error("no function is meant");
    },
  };
  return await new RolloutHooks({ caller, sender, userAgent: "test" }).ask(
    hook,
    QUESTION,
    new AbortController().signal,
  );
}

test("hooks: an address inside the network is not asked where callbacks may not go there", async () => {
  let asked = 0;
  const port = await serve((_req, res) => {
    asked++;
    res.end();
  });
  expect(await ask(`http://127.0.0.1:${port}/`, { private: false })).toMatch(/^its target is refused/);
  expect(await ask(`http://localhost:${port}/`, { private: false })).toMatch(/^its target is refused/);
  expect(await ask(`http://127.0.0.1:${port}/`, { deny: ["127.0.0.0/8"] })).toMatch(/^its target is refused/);
  expect(asked).toBe(0);
});

test("hooks: a redirect is no yes, and is not followed", async () => {
  const paths: string[] = [];
  const port = await serve((req, res) => {
    paths.push(String(req.url));
    res.writeHead(302, { location: "/inside" }).end();
  });
  expect(await ask(`http://127.0.0.1:${port}/`)).toBe("status 302");
  expect(paths).toEqual(["/"]);
});

test.each([
  ["says nothing", (() => {}) as RequestListener, "no answer in time"],
  ["cuts the connection", ((req) => req.socket.destroy()) as RequestListener, "UND_ERR_SOCKET"],
  ["accepts without a word", ((_req, res) => res.writeHead(202).end()) as RequestListener, "status 202"],
])("hooks: one that %s holds the rollout", async (_what, handler, why) => {
  expect(await ask(`http://127.0.0.1:${await serve(handler)}/`)).toBe(why);
});

test("hooks: an answer without an end is not read", async () => {
  let sent = 0;
  const port = await serve((_req, res) => {
    const pump = () => {
      while (!res.destroyed && res.write(Buffer.alloc(65_536))) sent += 65_536;
    };
    res.on("drain", pump);
    pump();
  });
  await ask(`http://127.0.0.1:${port}/`);
  expect(sent).toBeLessThan(64 * 1024 ** 2);
});

test("hooks: the password of an address is in no reason", async () => {
  const port = await serve((_req, res) => res.writeHead(500).end());
  expect(await ask(`http://user:hunter2@127.0.0.1:${port}/secret-path`)).toBe("status 500");
});

/** A gateway's event stream, of a provider that says what it is told. */
async function openEvents(maxReaders: number) {
  const listed: ListedRollout = { generation: 1, rollout: rolloutOf({ steps: "5@pause,100" }) };
  const listeners = new Set<(ref: { name: string; namespace: string }) => void>();
  let reads = 0;
  const watch = new RolloutWatch({
    store: {
      read: async ({ name }) => {
        reads++;
        if (name === "gone") throw new FaasError("notFound", "no function gone");
        return structuredClone(listed);
      },
    },
    table: {
      find: () => ({}),
      onChange: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    },
    maxReaders,
  });
  closing.push(() => watch.close());
  const app = express();
  addRolloutEvents(app, { watch, authorized: (_req, _res, next) => next(), defaultNamespace: "fn" });
  const port = await serve((req, res) => {
    app(req as express.Request, res as express.Response, (error?: unknown) => {
      const status = error instanceof FaasError && error.kind === "overloaded" ? 429 : 404;
      res.writeHead(status).end();
    });
  });
  const change = () => {
    (listed as { generation: number }).generation++;
    for (const listener of listeners) listener({ name: "shop", namespace: "fn" });
  };
  return { url: `http://127.0.0.1:${port}/system/function`, change, reads: () => reads };
}

const EVENTS = { headers: { accept: "text/event-stream" } };

test("event streams: more readers than there may be are told so, and places become free again", async () => {
  const { url } = await openEvents(2);
  const leave = [new AbortController(), new AbortController()];
  for (const { signal } of leave) expect((await fetch(`${url}/shop/rollout`, { ...EVENTS, signal })).status).toBe(200);
  expect((await fetch(`${url}/shop/rollout`, EVENTS)).status).toBe(429);
  leave[0]?.abort();
  await eventually("a place is free", async () => (await fetch(`${url}/shop/rollout`, EVENTS)).status === 200);
  leave[1]?.abort();
});

test("event streams: readers of functions that are not there take no places", async () => {
  const { url } = await openEvents(1);
  for (let i = 0; i < 5; i++) expect((await fetch(`${url}/gone/rollout`, EVENTS)).status).toBe(404);
  expect((await fetch(`${url}/shop/rollout`, { ...EVENTS, signal: AbortSignal.timeout(5_000) })).status).toBe(200);
});

test("event streams: many readers and many changes ask the provider once for each change at most", async () => {
  const { url, change, reads } = await openEvents(50);
  const leave = new AbortController();
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => fetch(`${url}/shop/rollout`, { ...EVENTS, signal: leave.signal })),
  );
  for (let i = 0; i < 500; i++) change();
  await eventually("it was asked again", () => reads() > 20);
  expect(answers.every(({ status }) => status === 200)).toBe(true);
  expect(reads()).toBeLessThan(25);
  leave.abort();
});

test("event streams: one who reads nothing has the newest kept for it, not all", async () => {
  const res = new PassThrough({ highWaterMark: 100 }) as unknown as PassThrough & Record<string, unknown>;
  const told: number[] = [];
  const watch = {
    add: async (_ref: unknown, reader: { tell(listed: ListedRollout): void }) => {
      for (let generation = 1; generation <= 10_000; generation++) {
        reader.tell({ generation, rollout: undefined });
      }
      told.push(res.writableLength);
      return () => {};
    },
  };
  const app = {
    get: (_path: string, _login: unknown, handler: (...args: unknown[]) => Promise<void>) => handlers.push(handler),
  };
  const handlers: ((...args: unknown[]) => Promise<void>)[] = [];
  addRolloutEvents(app as never, { watch, authorized: () => {}, defaultNamespace: "fn" });
  Object.assign(res, { writeHead: () => Object.assign(res, { headersSent: true }), headersSent: false });
  await handlers[0]?.({ headers: EVENTS.headers, params: { name: "shop" }, query: {} }, res, () => {});
  expect(told[0]).toBeLessThan(1_000);
  const text = res.read().toString() as string;
  await eventually("the newest follows", () => `${text}${res.read() ?? ""}`.includes("id: 10000"));
  res.destroy();
});

test("event streams: a name leads nowhere else at the provider", async () => {
  const paths: string[] = [];
  const request = async ({ path }: { path: string }) => {
    paths.push(path);
    return { statusCode: 404, headers: {}, body: [] };
  };
  const store = new RolloutStore({ request } as never);
  for (const name of ["../functions?", "a/b", "a\r\nX: y", "a#b", "a?namespace=other&"]) {
    await expect(store.read({ name, namespace: "fn" })).rejects.toThrow(FaasError);
  }
  for (const path of paths) expect(path).toMatch(/^\/system\/function\/[^/?#\s]+\/rollout\?namespace=fn$/);
});

test("providers: a rollout that is none is an error, whatever is wrong with it", async () => {
  for (const body of ["", "{", "[]", "null", '{"generation":1,"rollout":{}}', `{"generation":"1"}`]) {
    const request = async () => ({ statusCode: 200, headers: {}, body: [Buffer.from(body)] });
    const store = new RolloutStore({ request } as never);
    await expect(store.read({ name: "shop", namespace: "fn" })).rejects.toThrow(FaasError);
  }
});

test("reports of other gateways: numbers that nobody can have counted are refused", () => {
  const side = { calls: 1, errors: 0, cold: 0, latencies: [] };
  const of = (changes: object) => ({ f: { key: "1/1/0", candidate: { ...side, ...changes }, stable: side } });
  const read = (trials: object) => {
    const [message] = encodeReport({ gateway: "a", functions: {}, trials } as never, 1, 1024 ** 2);
    return new ReportReader().read(message as Uint8Array);
  };
  expect(read(of({}))?.trials).toEqual(of({}));
  for (const bad of [
    { calls: -1 },
    { errors: 0.5 },
    { latencies: [[192, 1]] },
    { latencies: [[-1, 1]] },
    { latencies: [[1]] },
  ]) {
    expect(() => read(of(bad))).toThrow(FaasError);
  }
});

test("reports of other gateways: however many names they take, what is kept of them is bounded", () => {
  const book = new TrialBook();
  const side = { calls: 1, errors: 0, cold: 0, latencies: [] };
  for (let i = 0; i < 10_000; i++) book.write(`gateway-${i}`, { f: { key: "k", candidate: side, stable: side } });
  expect(book.sum("f", "k").candidate.calls).toBe(64);
});
