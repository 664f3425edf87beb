import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterEach, expect, test } from "@jest/globals";
import type { CallDetail, CallsAnswer, SeriesAnswer } from "../../contract/ui/series.ts";
import { eventually } from "../support/eventually.ts";
import { FakeProvider } from "../support/fake-provider.ts";
import { describeWithNats, NatsServer } from "../support/nats.ts";
import { temporaryFolder } from "../support/platform.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";

const PATIENCE_MS = 60_000;

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
}, 60_000);

async function openProvider(): Promise<FakeProvider> {
  const provider = await FakeProvider.open();
  closing.push(() => provider.close());
  const replica = createServer((req, res) => {
    res.statusCode = req.url === "/bad" ? 500 : 200;
    res.end("fine");
  });
  await new Promise<void>((resolve) => replica.listen(0, "127.0.0.1", resolve));
  closing.push(() => replica.close());
  const address = `127.0.0.1:${(replica.address() as AddressInfo).port}`;
  provider.put({ name: "f", endpoints: [{ address, instance: "f", state: "ready" }] });
  return provider;
}

async function openGateway(provider: FakeProvider, env: Readonly<Record<string, string>>): Promise<ServerProcess> {
  const gateway = await startServerProcess("gateway/process/main.ts", {
    functions_provider_url: provider.url.href,
    basic_auth: "false",
    drain_timeout: "1s",
    ...env,
  });
  closing.push(() => gateway.stop());
  return gateway;
}

const ask = async <T>(gateway: ServerProcess, path: string) => (await (await fetch(gateway.url + path)).json()) as T;

/** Over a connection each, so that all threads have some. */
async function call(gateway: ServerProcess, times: number, path = ""): Promise<void> {
  const headers = { connection: "close" };
  for (let time = 0; time < times; time++) await (await fetch(`${gateway.url}/function/f${path}`, { headers })).text();
}

/** Calls that a gateway tells of, over the last minutes. */
async function counted(gateway: ServerProcess): Promise<number> {
  const { series, stepSeconds } = await ask<SeriesAnswer>(gateway, "/ui/api/series?function=f&names=calls");
  return Math.round((series.calls ?? []).reduce<number>((sum, value) => sum + (value ?? 0), 0) * stepSeconds);
}

const list = (gateway: ServerProcess, more = "") => ask<CallsAnswer>(gateway, `/ui/api/calls?function=f${more}`);

/** Has all threads of all gateways keep calls from here on. */
async function keepCalls(gateway: ServerProcess, through: readonly ServerProcess[]): Promise<void> {
  await list(gateway);
  for (const other of through) {
    await eventually(
      "all of its threads keep calls",
      async () => {
        const before = (await list(gateway)).calls.length;
        await call(other, 8);
        const isTold = async () => (await list(gateway)).calls.length >= before + 8;
        return await eventually("they are told", isTold, 1_500).catch(() => false);
      },
      PATIENCE_MS,
    );
  }
}

test("what all threads of a gateway count is there, and over a restart", async () => {
  const folder = await temporaryFolder();
  closing.push(() => folder.remove());
  const provider = await openProvider();
  const env = { data_dir: folder.path, gateway_workers: "2" };
  const first = await openGateway(provider, env);
  await eventually("it is called", async () => (await fetch(`${first.url}/function/f`)).ok, PATIENCE_MS);
  await keepCalls(first, [first]);
  const before = await eventually("all is counted", () => counted(first), PATIENCE_MS);
  await call(first, 30);
  await call(first, 1, "/bad");
  await eventually("what is new is counted", async () => (await counted(first)) >= before + 31, PATIENCE_MS);
  const failed = await eventually("the failed one is kept", async () => (await list(first, "&preset=errors")).calls[0]);
  const detail = await ask<CallDetail>(first, `/ui/api/calls/${failed.id}`);
  expect([failed.status, detail.path, detail.responseHeaders?.["content-length"]]).toEqual([
    500,
    "/function/f/bad",
    "4",
  ]);
  const known = await counted(first);
  await first.stop();
  const second = await openGateway(provider, env);
  expect(await eventually("it is there again", () => counted(second), PATIENCE_MS)).toBeGreaterThanOrEqual(known);
  expect(first.output + second.output).not.toContain(join(folder.path, "series.bin"));
}, 180_000);

describeWithNats("two gateways on one NATS", () => {
  test("each tells what both count, and the calls of both", async () => {
    const nats = await NatsServer.start();
    closing.push(() => nats.remove());
    const provider = await openProvider();
    const env = { nats_url: `nats://${nats.address}`, gateway_workers: "1" };
    const [a, b] = await Promise.all([openGateway(provider, env), openGateway(provider, env)]);
    for (const gateway of [a, b]) {
      await eventually("it is called", async () => (await fetch(`${gateway.url}/function/f`)).ok, PATIENCE_MS);
    }
    await keepCalls(a, [a, b]);
    await call(a, 5);
    await call(b, 7, "/bad");
    for (const gateway of [a, b]) {
      const bad = await eventually(
        "all failed calls are listed",
        async () => {
          const { calls } = await list(gateway, "&preset=errors");
          return calls.length === 7 && calls;
        },
        PATIENCE_MS,
      );
      const detail = await ask<CallDetail>(gateway, `/ui/api/calls/${bad[0]?.id}`);
      expect(detail.status).toBe(500);
      const page = await list(gateway, "&limit=4");
      expect([page.calls.length, page.calls.every(({ path }) => path.endsWith("/bad"))]).toEqual([4, true]);
      const next = await list(gateway, `&limit=4&before=${page.next}`);
      expect(next.calls.filter(({ status }) => status === 500)).toHaveLength(3);
    }
    await eventually(
      "both count the same",
      async () => {
        const [one, other] = [await counted(a), await counted(b)];
        return one === other && one >= 14;
      },
      PATIENCE_MS,
    );
  }, 180_000);
});
