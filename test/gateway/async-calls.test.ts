import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import type { CallReport, DeadLetterList } from "../../contract/calls.ts";
import { loadGatewayConfig } from "../../gateway/process/config.ts";
import { loadQueueWorkerConfig as loadWorkerConfig } from "../../gateway/process/queue-worker/config.ts";
import { openQueueWorker } from "../../gateway/process/queue-worker/serve.ts";
import { openGateway } from "../../gateway/process/serve.ts";
import { basicAuthHeader } from "../../kit/basic-auth.ts";
import { createLogger } from "../../kit/log.ts";
import { eventually } from "../support/eventually.ts";
import { FakeProvider } from "../support/fake-provider.ts";
import { describeWithNats, NatsServer } from "../support/nats.ts";
import { temporaryFolder } from "../support/platform.ts";

const credentials = { user: "admin", password: "secret" };
const authorization = basicAuthHeader(credentials);
const log = createLogger("silent");

/** The processes of one way to run, started. */
interface Running {
  readonly url: string;
  readonly metricsUrl: string;
  readonly workerMetricsUrl: string;
  close(): Promise<void>;
}

const SETTINGS = {
  port: "0",
  metrics_port: "0",
  max_retry_attempts: "1",
  initial_retry_wait: "10ms",
  max_retry_wait: "20ms",
  drain_timeout: "2s",
};

async function startEmbedded(providerUrl: string, folder: string): Promise<Running> {
  const config = loadGatewayConfig({ ...SETTINGS, functions_provider_url: providerUrl, data_dir: folder });
  const gateway = await openGateway(config, credentials, log);
  return { ...gateway, workerMetricsUrl: gateway.metricsUrl };
}

async function startOnNats(providerUrl: string): Promise<Running> {
  const nats = await NatsServer.start();
  const env = { ...SETTINGS, functions_provider_url: providerUrl, nats_url: `nats://${nats.address}` };
  const gateway = await openGateway(loadGatewayConfig(env), credentials, log);
  const worker = await openQueueWorker(loadWorkerConfig({ ...env, gateway_url: gateway.url }), credentials, log);
  return {
    url: gateway.url,
    metricsUrl: gateway.metricsUrl,
    workerMetricsUrl: worker.metricsUrl,
    close: async () => {
      await worker.close();
      await gateway.close();
      await nats.remove();
    },
  };
}

function calls(start: (providerUrl: string, folder: string) => Promise<Running>): void {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let provider: FakeProvider;
  let replica: Server;
  let running: Running;
  /** Requests that the function got. */
  let seen: { readonly url: string; readonly body: string; readonly headers: IncomingMessage["headers"] }[];
  let answer: (req: IncomingMessage, res: ServerResponse, body: string) => void;
  const echo: typeof answer = (_req, res, body) => res.writeHead(201, { "x-own": "1" }).end(body.toUpperCase());

  beforeEach(async () => {
    folder = await temporaryFolder();
    provider = await FakeProvider.open();
    provider.respond = (_request, res) => res.writeHead(404).end();
    seen = [];
    answer = echo;
    replica = createServer(async (req, res) => {
      let body = "";
      for await (const chunk of req.setEncoding("utf8")) body += chunk as string;
      seen.push({ url: req.url as string, body, headers: req.headers });
      answer(req, res, body);
    });
    await new Promise<void>((resolve) => replica.listen(0, "127.0.0.1", resolve));
    const address = `127.0.0.1:${(replica.address() as AddressInfo).port}`;
    provider.put({ name: "f", endpoints: [{ address, instance: "a", state: "ready" }] });
    running = await start(provider.url.href, folder.path);
    await eventually("the function is known", async () => (await fetch(`${running.url}/function/f`)).status === 201);
    seen.length = 0;
  }, 30_000);

  afterEach(async () => {
    replica.closeAllConnections();
    await running.close();
    replica.close();
    await provider.close();
    await folder.remove();
  }, 30_000);

  const ask = (path: string, init: RequestInit = {}) => fetch(running.url + path, init);
  const admin = (path: string, method = "GET") => ask(path, { method, headers: { authorization } });
  const post = async (body: string, headers: Record<string, string> = {}, path = "/async-function/f") => {
    const accepted = await ask(path, { method: "POST", body, headers });
    expect([accepted.status, await accepted.text()]).toEqual([202, ""]);
    return {
      id: accepted.headers.get("location")?.slice("/async-function/".length) as string,
      headers: accepted.headers,
    };
  };
  const status = async (id: string, query = "") =>
    (await (await ask(`/async-function/${id}${query}`)).json()) as CallReport;
  const ended = (id: string) => status(id, "?wait=20s");
  const deadLetters = async (query = "") =>
    ((await (await admin(`/system/queue/dead-letters${query}`)).json()) as DeadLetterList).items;

  test("a call is accepted, made, and its result is there", async () => {
    const { id, headers } = await post("hi", { "x-one": "1" }, "/async-function/f/p?q=%41&delay=0s");
    expect(headers.get("x-call-id")).toBe(id);
    const report = await ended(id);
    expect(report).toMatchObject({ id, callId: id, function: "f", state: "done", attempts: 1, status: 201 });
    expect(Date.parse(report.finishedAt as string)).toBeGreaterThanOrEqual(Date.parse(report.acceptedAt));
    expect(report.resultUntil).toBeDefined();
    expect(seen).toMatchObject([{ url: "/p?q=%41", body: "hi", headers: { "x-one": "1", "x-call-id": id } }]);
    const result = await ask(`/async-function/${id}/result`);
    expect([result.status, await result.text(), result.headers.get("x-own")]).toEqual([201, "HI", "1"]);
    expect([result.headers.get("x-call-id"), result.headers.get("x-call-state")]).toEqual([id, "done"]);
  });

  test("a call id of the caller's own is for those with the password; the queue's is for everybody", async () => {
    const { id, headers } = await post("hi", { "x-call-id": "mine" });
    expect([headers.get("x-call-id"), id === "mine"]).toEqual(["mine", false]);
    expect(await ended(id)).toMatchObject({ id, callId: "mine", state: "done" });
    expect((await ask("/async-function/mine")).status).toBe(401);
    expect(await (await admin("/async-function/mine")).json()).toMatchObject({ id, state: "done" });
    expect((await ask("/async-function/nobody")).status).toBe(404);
  });

  test("a call that runs is cancelled, at the function too, and cancelling again is well", async () => {
    const cut = Promise.withResolvers<void>();
    answer = (_req, res) => res.on("close", () => cut.resolve());
    const { id } = await post("hi");
    await eventually("it runs", () => seen.length === 1);
    expect((await ask(`/async-function/${id}`, { method: "DELETE" })).status).toBe(202);
    await cut.promise;
    expect(await ended(id)).toMatchObject({ state: "cancelled" });
    expect((await ask(`/async-function/${id}`, { method: "DELETE" })).status).toBe(202);
    const result = await ask(`/async-function/${id}/result`);
    expect(result.status).toBe(404);
    expect(seen).toHaveLength(1);
  }, 30_000);

  test("a delayed call waits for its time, and can be cancelled until then", async () => {
    const later = await post("later", {}, "/async-function/f?delay=1h");
    const soon = await post("soon", { "x-delay": "300ms" });
    const waiting = await status(later.id);
    expect(waiting).toMatchObject({ state: "waiting", attempts: 0 });
    const dueMs = Date.parse(waiting.nextAttemptAt as string) - Date.parse(waiting.acceptedAt);
    expect(dueMs).toBe(3600e3);
    const done = await ended(soon.id);
    expect(done.state).toBe("done");
    expect(Date.parse(done.startedAt as string) - Date.parse(done.acceptedAt)).toBeGreaterThanOrEqual(300);
    expect((await ask(`/async-function/${later.id}`, { method: "DELETE" })).status).toBe(202);
    expect((await ended(later.id)).state).toBe("cancelled");
    expect(seen.map(({ body }) => body)).toEqual(["soon"]);
  }, 30_000);

  test("a call whose time has passed expires without being made", async () => {
    const { id } = await post("late", { "x-not-after": "2020-01-01T00:00:00Z" });
    expect(await ended(id)).toMatchObject({ state: "expired", attempts: 0 });
    expect(seen).toEqual([]);
  }, 30_000);

  test("posts with one key are one call", async () => {
    const first = await post("one", { "x-idempotency-key": "k" });
    const again = await post("one", { "x-idempotency-key": "k" });
    expect(again.id).toBe(first.id);
    expect([first.headers, again.headers].map((headers) => headers.get("x-faaslane-duplicate"))).toEqual([
      null,
      "true",
    ]);
    expect((await ended(first.id)).state).toBe("done");
    expect((await post("one", { "x-idempotency-key": "k" })).id).toBe(first.id);
    expect(seen.map(({ body }) => body)).toEqual(["one"]);
  });

  test.each<[difference: string, body: string, headers: Record<string, string>, path?: string]>([
    ["body", "two", { authorization: "Bearer mine" }],
    ["caller", "one", { authorization: "Bearer other" }],
    ["caller without credentials", "one", {}],
    ["path", "one", { authorization: "Bearer mine" }, "/async-function/f/x"],
    ["query", "one", { authorization: "Bearer mine" }, "/async-function/f?x"],
  ])("somebody else's post with the same key, of another %s, tells nothing of the call", async (...given) => {
    const [, body, headers, path = "/async-function/f"] = given;
    const key = { "x-idempotency-key": "k" };
    const first = await post("one", { ...key, authorization: "Bearer mine" });
    const other = await ask(path, { method: "POST", body, headers: { ...key, ...headers } });
    expect([other.status, await other.text()]).toEqual([422, "X-Idempotency-Key: is the key of another request\n"]);
    expect(other.headers.get("location")).toBeNull();
    expect(JSON.stringify([...other.headers])).not.toContain(first.id);
    expect((await ended(first.id)).state).toBe("done");
    expect(seen.map(({ body: made }) => made)).toEqual(["one"]);
  });

  test("a batch is a call per line, with progress in its status", async () => {
    answer = (req, res, body) => (body === "2" ? res.writeHead(400).end() : echo(req, res, body));
    const { id } = await post('{"a":1}\n2\n"x"\n', { "x-batch": "true", "content-type": "application/x-ndjson" });
    const report = await ended(id);
    expect(report).toMatchObject({ state: "done", batch: { size: 3, done: 3, dead: 0, cancelled: 0, expired: 0 } });
    expect(seen.map(({ body }) => body).sort()).toEqual(['"x"', "2", '{"a":1}']);
    expect(new Set(seen.map(({ headers }) => headers["x-call-id"]))).toEqual(new Set([id]));
    expect(seen.map(({ headers }) => headers["x-batch-index"]).sort()).toEqual(["0", "1", "2"]);
    const text = await (await fetch(`${running.workerMetricsUrl}/metrics`)).text();
    expect(processed(text)).toBe(3); // not the batch as such
  }, 30_000);

  test("a call that fails for good is a dead letter, which can be replayed or dropped", async () => {
    answer = (_req, res) => res.writeHead(500).end("broken");
    const [one, two] = [await post("1"), await post("2")];
    for (const { id } of [one, two]) {
      expect(await ended(id)).toMatchObject({ state: "dead", attempts: 2, status: 500, reason: expect.any(String) });
    }
    expect((await deadLetters()).map(({ id, attempts, status: last }) => [id, attempts, last]).sort()).toEqual(
      [
        [one.id, 2, 500],
        [two.id, 2, 500],
      ].sort(),
    );
    expect(await deadLetters("?function=other")).toEqual([]);
    const counts = (await (await admin("/system/queue")).json()) as { dead: number; functions: { dead: number }[] };
    expect([counts.dead, counts.functions[0]?.dead]).toEqual([2, 2]);

    answer = echo;
    seen.length = 0;
    const replayed = await admin(`/system/queue/dead-letters?id=${one.id}`, "POST");
    expect([replayed.status, await replayed.json()]).toEqual([200, { count: 1 }]);
    await eventually("it is made again", () => seen.map(({ body }) => body).join() === "1");
    expect(await (await admin("/system/queue/dead-letters?function=f", "DELETE")).json()).toEqual({ count: 1 });
    await eventually("none is left", async () => (await deadLetters()).length === 0);
  }, 30_000);

  test("metrics name queue and function as OpenFaaS does", async () => {
    const { id } = await post("hi");
    expect((await ended(id)).state).toBe("done");
    const labels = 'queue_name="faas-request",function_name="f.openfaas-fn"';
    await eventually("the worker has counted it", async () => {
      const text = await (await fetch(`${running.workerMetricsUrl}/metrics`)).text();
      return processed(text) === 1 && text.includes(`queue_worker_function_invocation_inflight{${labels}} 0\n`);
    });
    const text = await (await fetch(`${running.metricsUrl}/metrics`)).text();
    expect(text).toContain(`gateway_async_accepted_total{${labels}} 1\n`);
    expect(text).toMatch(/^gateway_queue_waiting_calls 0$/m);
    expect(await (await fetch(`${running.workerMetricsUrl}/healthz`)).text()).toBe("OK");
  });
}

function processed(metrics: string): number {
  const line =
    /^queue_worker_messages_processed_total\{queue_name="faas-request",kubernetes_pod_name="[^"]+"\} (\d+)$/m;
  return Number(line.exec(metrics)?.[1]);
}

describe("asynchronous calls on the embedded queue", () => calls(startEmbedded));

describeWithNats("asynchronous calls on NATS, with a queue worker of its own", () => calls(startOnNats));
