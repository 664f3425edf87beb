import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import type { CallReport } from "../../contract/calls.ts";
import { loadGatewayConfig } from "../../gateway/process/config.ts";
import { type OpenGateway, openGateway } from "../../gateway/process/serve.ts";
import { createLogger } from "../../kit/log.ts";
import { eventually } from "../support/eventually.ts";
import { FakeProvider } from "../support/fake-provider.ts";
import { describeWithNats, NatsServer } from "../support/nats.ts";
import { ROOT } from "../support/platform.ts";

/** `faaslane queue-worker` as its users start it. */
class WorkerProcess {
  readonly #child: ChildProcess;
  stdout = "";
  stderr = "";

  constructor(env: Record<string, string>) {
    const args = ["--disable-warning=ExperimentalWarning", join(ROOT, "cli/main.ts"), "queue-worker"];
    this.#child = spawn(process.execPath, args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH: process.env.PATH, HOME: process.env.HOME, metrics_port: "0", basic_auth: "false", ...env },
    });
    this.ended = once(this.#child, "close").then(([code, by]) => (code ?? by) as number | NodeJS.Signals);
    this.#child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.stdout += text;
    });
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
    });
  }

  /** Once it has started. */
  async metricsUrl(): Promise<string> {
    const find = () => /"metrics":"(http:[^"]+)"/.exec(this.stdout)?.[1];
    return await eventually("the worker has started", find, 30_000);
  }

  /** Exit code, or the signal that has killed it. */
  readonly ended: Promise<number | NodeJS.Signals>;

  async end(signal: NodeJS.Signals): Promise<number | NodeJS.Signals> {
    this.#child.kill(signal);
    return await this.ended;
  }
}

describeWithNats("queue workers of their own", () => {
  let nats: NatsServer;
  let provider: FakeProvider;
  let replica: Server;
  let gateway: OpenGateway;
  let workers: WorkerProcess[];
  let waiting: ServerResponse[];
  let seen: string[];

  const env = () => ({
    functions_provider_url: provider.url.href,
    nats_url: `nats://${nats.address}`,
    ack_wait: "2s",
    initial_retry_wait: "10ms",
  });
  const startGateway = () =>
    openGateway(
      loadGatewayConfig({ ...env(), port: "0", metrics_port: "0", drain_timeout: "1s" }),
      undefined,
      createLogger("silent"),
    );
  const startWorker = (more: Record<string, string> = {}) => {
    const worker = new WorkerProcess({ ...env(), gateway_url: gateway.url, drain_timeout: "10s", ...more });
    workers.push(worker);
    return worker;
  };
  const post = async (body: string) => {
    const answer = await fetch(`${gateway.url}/async-function/f`, { method: "POST", body });
    return {
      status: answer.status,
      path: answer.headers.get("location") as string,
      retry: answer.headers.get("retry-after"),
    };
  };
  const report = async (path: string, query = "") =>
    (await (await fetch(gateway.url + path + query)).json()) as CallReport;

  beforeEach(async () => {
    nats = await NatsServer.start();
    provider = await FakeProvider.open();
    workers = [];
    waiting = [];
    seen = [];
    replica = createServer(async (req, res) => {
      let body = "";
      for await (const chunk of req.setEncoding("utf8")) body += chunk as string;
      seen.push(body);
      if (body.startsWith("slow")) waiting.push(res);
      else res.end(body);
    });
    await new Promise<void>((resolve) => replica.listen(0, "127.0.0.1", resolve));
    const address = `127.0.0.1:${(replica.address() as AddressInfo).port}`;
    provider.put({ name: "f", endpoints: [{ address, instance: "a", state: "ready" }] });
    gateway = await startGateway();
    await eventually("the function is known", async () => (await fetch(`${gateway.url}/function/f`)).status === 200);
    seen.length = 0;
  }, 60_000);

  afterEach(async () => {
    await Promise.all(workers.map((worker) => worker.end("SIGKILL")));
    replica.closeAllConnections();
    await gateway.close();
    replica.close();
    await provider.close();
    await nats.remove();
  }, 60_000);

  test("one that is told to stop finishes what it has and exits with 0; another goes on", async () => {
    const worker = startWorker();
    const metricsUrl = await worker.metricsUrl();
    const slow = await post("slow");
    await eventually("it runs", () => waiting.length === 1, 30_000);
    const ending = worker.end("SIGTERM");
    await eventually("it drains", async () => (await fetch(`${metricsUrl}/healthz`)).status === 200);
    const later = await post("later");
    waiting[0]?.end("done");
    expect(await ending).toBe(0);
    expect(await report(slow.path)).toMatchObject({ state: "done", attempts: 1 });
    expect(await report(later.path)).toMatchObject({ state: "waiting", attempts: 0 });
    expect(seen).toEqual(["slow"]);

    startWorker();
    expect(await report(later.path, "?wait=30s")).toMatchObject({ state: "done", attempts: 1 });
    expect(seen).toEqual(["slow", "later"]);
  }, 90_000);

  test("the call of one that is killed is made again by another, without costing an attempt", async () => {
    const first = startWorker();
    await first.metricsUrl();
    const { path } = await post("slow");
    await eventually("it runs", () => waiting.length === 1, 30_000);
    await first.end("SIGKILL");
    startWorker();
    await eventually("it is made again", () => waiting.length === 2, 60_000);
    waiting[1]?.end("done");
    expect(await report(path, "?wait=30s")).toMatchObject({ state: "done", attempts: 1 });
  }, 120_000);

  test("while NATS is away callers are told so at once, synchronous calls go on, and it all comes back", async () => {
    const worker = startWorker();
    await worker.metricsUrl();
    const before = await post("before");
    expect(await report(before.path, "?wait=30s")).toMatchObject({ state: "done" });
    await nats.kill();
    const startedAt = performance.now();
    const refused = await post("refused");
    expect([refused.status, refused.retry]).toEqual([503, "1"]);
    expect((await fetch(gateway.url + before.path)).status).toBe(503);
    expect(performance.now() - startedAt).toBeLessThan(15_000);
    expect((await fetch(`${gateway.url}/function/f`, { method: "POST", body: "sync" })).status).toBe(200);
    const metrics = await (await fetch(`${gateway.metricsUrl}/metrics`)).text();
    expect(metrics).toContain("gateway_nats_reconnect_total 0\n");

    await nats.restart();
    const after = await eventually(
      "calls are taken again",
      async () => {
        const accepted = await post("after");
        return accepted.status === 202 ? accepted : undefined;
      },
      60_000,
    );
    // A server that has just come back may yet be too slow for one question or the other, which is then a 503.
    const isDone = async (path: string) => (await report(path, "?wait=30s")).state === "done";
    await eventually("the call is done", () => isDone(after.path), 60_000);
    expect(await (await fetch(`${gateway.metricsUrl}/metrics`)).text()).toMatch(/^gateway_nats_reconnect_total [1-9]/m);
    await eventually("the one before is still known", () => isDone(before.path), 60_000);
  }, 150_000);

  test("a gateway that starts before NATS is there serves synchronous calls, and asynchronous ones later", async () => {
    await gateway.close();
    await nats.kill();
    gateway = await startGateway();
    await eventually("the function is known", async () => (await fetch(`${gateway.url}/function/f`)).status === 200);
    expect((await post("early")).status).toBe(503);
    await nats.restart();
    await eventually("calls are taken", async () => (await post("late")).status === 202, 60_000);
  }, 120_000);

  test("bad settings end the process with one message that names them all", async () => {
    const worker = new WorkerProcess({ async_concurrency: "none" });
    expect(await worker.ended).toBe(1);
    expect(worker.stderr).toContain("nats_url: is required");
    expect(worker.stderr).toContain("async_concurrency: must be a whole number");
  }, 60_000);
});
