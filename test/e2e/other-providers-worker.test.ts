import { afterEach, beforeEach, expect, test } from "@jest/globals";
import type { CallReport } from "../../contract/calls.ts";
import { loadQueueWorkerConfig } from "../../gateway/process/queue-worker/config.ts";
import { openQueueWorker } from "../../gateway/process/queue-worker/serve.ts";
import type { OpenWorkerProcess } from "../../gateway/process/worker-process.ts";
import { createLogger } from "../../kit/log.ts";
import { eventually } from "../support/eventually.ts";
import { describeWithNats, NatsServer } from "../support/nats.ts";
import { CREDENTIALS, StockGateway } from "../support/stock-gateway.ts";

describeWithNats("a queue worker of its own, in front of another provider", () => {
  let nats: NatsServer;
  let gateway: StockGateway;
  let worker: OpenWorkerProcess;

  beforeEach(async () => {
    nats = await NatsServer.start();
    gateway = await StockGateway.open({ nats_url: `nats://${nats.address}`, queue_worker: "false" });
    const config = loadQueueWorkerConfig({
      metrics_port: "0",
      nats_url: `nats://${nats.address}`,
      initial_retry_wait: "10ms",
      drain_timeout: "2s",
      functions_provider_url: gateway.provider.url.href,
      gateway_url: gateway.gateway.url,
    });
    worker = await openQueueWorker(config, CREDENTIALS, createLogger("silent"));
  }, 60_000);

  afterEach(async () => {
    await worker.close();
    await gateway.close();
    await nats.remove();
  }, 60_000);

  const post = async (path: string) => {
    const answer = await fetch(`${gateway.gateway.url}/async-function/${path}`, { method: "POST", body: "x" });
    return [answer.status, answer.headers.get("location") as string] as const;
  };
  const report = async (path: string) => (await (await fetch(`${gateway.gateway.url}${path}`)).json()) as CallReport;

  test("makes calls of a function at zero, as many at a time as its replicas take", async () => {
    let most = 0;
    let now = 0;
    gateway.provider.deploy({ name: "f" }, 0, (_req, res) => {
      most = Math.max(most, ++now);
      setTimeout(() => {
        now--;
        res.end("done");
      }, 50);
    });
    await gateway.whenKnown("f", 0);
    const calls = await Promise.all(Array.from({ length: 20 }, () => post("f")));
    expect(calls.map(([status]) => status)).toEqual(Array(20).fill(202));
    const isDone = async ([, path]: readonly [number, string]) => (await report(path)).state === "done";
    const all = async () => (await Promise.all(calls.map(isDone))).every(Boolean);
    await eventually("all are done", all, 60_000, 100);
    expect(gateway.provider.orders()).toEqual([1]);
    expect(most).toBeGreaterThan(1);
  }, 90_000);

  test("a call of a function that is not there, or gone, ends as such", async () => {
    gateway.provider.deploy({ name: "f" });
    await gateway.whenAnswered("f");
    const [, path] = await post("f");
    await eventually("it is done", async () => (await report(path)).state === "done", 30_000, 50);
    gateway.provider.remove("f");
    // Accepted by a gateway that has not noticed it, or refused at once.
    const [status, gone] = await post("f");
    // Refused at once, if the gateway has noticed it.
    if (status === 404) return;
    await eventually("it is a dead letter", async () => (await report(gone)).state === "dead", 60_000, 50);
  }, 90_000);
});
