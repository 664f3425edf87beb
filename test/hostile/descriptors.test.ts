import { readdir } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { afterEach, expect, test } from "@jest/globals";
import { descriptorLimit, shareConnections } from "../../kit/descriptors.ts";
import { buildImage } from "../support/build-upload.ts";
import { eventually } from "../support/eventually.ts";
import { Platform, temporaryFolder } from "../support/platform.ts";
import { rawRequest } from "../support/raw-http.ts";

/** Descriptors are few, and anonymous clients take one each. */
const opened: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

async function start(limit: number): Promise<Platform> {
  const folder = await temporaryFolder();
  opened.push(() => folder.remove());
  const platform = await Platform.start({ dataDir: folder.path, prefix: ["prlimit", `--nofile=${limit}:${limit}`] });
  opened.push(() => platform.stop());
  return platform;
}

async function deploy(platform: Platform, service: string, labels: Record<string, string> = {}): Promise<void> {
  await buildImage(platform, "cat:1", {
    "faaslane.json": JSON.stringify({ env: { mode: "classic", fprocess: "cat" } }),
  });
  const body = JSON.stringify({ service, image: "cat:1", labels });
  expect((await platform.control("/system/functions", { method: "POST", body })).status).toBe(202);
}

/** By a connection of its own: one that was kept may be the one that makes room. */
async function echo(platform: Platform, service: string): Promise<string | undefined> {
  const request = `POST /function/${service} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello`;
  return (await rawRequest(platform.port, request))?.body;
}

async function idleClients(port: number, count: number): Promise<Socket[]> {
  const sockets = Array.from({ length: count }, () => connect(port, "127.0.0.1").on("error", () => {}));
  opened.push(() => {
    for (const socket of sockets) socket.destroy();
  });
  await Promise.all(
    sockets.map(async (socket) => {
      socket.write("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
      await Promise.race(["data", "close"].map((event) => new Promise((resolve) => socket.once(event, resolve))));
    }),
  );
  return sockets;
}

test("more idle connections than there are descriptors keep nobody out, on no port", async () => {
  const platform = await start(300);
  await deploy(platform, "sleeper", { "com.openfaas.scale.zero": "true" });
  expect(
    (await platform.control("/system/scale-function/sleeper", { method: "POST", body: '{"replicas":0}' })).status,
  ).toBe(202);
  const metricsPort = Number(new URL(platform.metricsUrl).port);
  for (const port of [platform.port, metricsPort]) {
    const clients = await idleClients(port, 320);
    const open = clients.filter((socket) => !socket.destroyed && socket.readyState === "open");
    expect(open.length).toBeLessThanOrEqual(shareConnections(300).callers);
  }
  // A function that sleeps needs descriptors to wake.
  expect(await echo(platform, "sleeper")).toBe("hello");
  const list = `GET /system/functions HTTP/1.1\r\nHost: localhost\r\nAuthorization: ${await platform.authorization()}\r\n\r\n`;
  expect((await rawRequest(platform.port, list))?.status).toBe(200);
});

test("connections that were let go of give their descriptors back", async () => {
  const platform = await start(1024);
  await deploy(platform, "cat");
  await eventually("it answers", async () => (await echo(platform, "cat")) === "hello");
  const count = async () => (await readdir(`/proc/${platform.pid}/fd`)).length;
  const before = await count();
  const clients = await idleClients(platform.port, 300);
  expect(await count()).toBeGreaterThan(before + 100);
  for (const socket of clients) socket.resetAndDestroy();
  await eventually("they are back", async () => (await count()) <= before + 2 * shareConnections(1024).toProvider);
});

test("the limit of connections follows that of descriptors", () => {
  for (const limit of [256, 1024, 20_000, 1_048_576]) {
    const { calls, callers, provider, toProvider, metrics } = shareConnections(limit);
    // In one process a call takes two, and the gateway's connections to the provider are the provider's too.
    expect(callers).toBe(2 * calls);
    expect(callers + provider + toProvider + metrics).toBeLessThanOrEqual(limit * 0.76);
    expect(calls).toBeGreaterThan(limit / 4);
  }
  expect(shareConnections(Number.POSITIVE_INFINITY).calls).toBe(Number.POSITIVE_INFINITY);
  expect(descriptorLimit(() => "Max open files            1024                 4096                 files\n")).toBe(
    1024,
  );
  expect(descriptorLimit(() => "Max open files            unlimited            unlimited            files\n")).toBe(
    Number.POSITIVE_INFINITY,
  );
  expect(
    descriptorLimit(() => {
      throw new Error("no /proc");
    }),
  ).toBe(Number.POSITIVE_INFINITY);
});
