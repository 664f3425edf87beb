import { stat, writeFile } from "node:fs/promises";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { eventually } from "../support/eventually.ts";
import { openFrontGateway } from "../support/front-gateway.ts";
import { testNeeding } from "../support/needing.ts";
import { temporaryFolder } from "../support/platform.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
const opened: (() => unknown)[] = [];
beforeEach(async () => {
  folder = await temporaryFolder();
});
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
  await folder.remove();
});

const socketOf = (name: string) => join(folder.path, `${name}.sock`);

async function askSocket(name: string, path: string): Promise<{ status: number | undefined; text: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number | undefined; text: string }>();
  request({ socketPath: socketOf(name), path, agent: false, headers: { host: "anybody" } }, (response) => {
    let text = "";
    response.setEncoding("utf8").on("data", (piece: string) => {
      text += piece;
    });
    response.on("end", () => resolve({ status: response.statusCode, text }));
  })
    .on("error", reject)
    .end();
  return await promise;
}

async function start(kind: "gateway" | "provider", env: Record<string, string> = {}): Promise<ServerProcess> {
  const main = kind === "gateway" ? "gateway/process/main.ts" : "provider/main.ts";
  const data_dir = join(folder.path, `${kind}-data`);
  const started = await startServerProcess(main, { bind_address: `unix:${socketOf(kind)}`, data_dir, ...env });
  opened.push(() => started.stop());
  return started;
}

test("gateway and provider meet at a socket, and leave none behind", async () => {
  const provider = await start("provider", { socket_mode: "0600" });
  const gateway = await start("gateway", { functions_provider_url: `unix://${socketOf("provider")}` });
  expect(gateway.url).toBe(`unix:${socketOf("gateway")}`);
  await eventually("the provider answers", async () => (await askSocket("gateway", "/healthz")).status === 200);
  expect(await askSocket("gateway", "/system/functions")).toMatchObject({ status: 200, text: "[]" });
  const modes = await Promise.all(
    ["gateway", "provider"].map(async (name) => (await stat(socketOf(name))).mode & 0o777),
  );
  expect(modes).toEqual([0o660, 0o600]);
  // Metrics have no socket of their own.
  const metrics = /"metrics":"(http:\/\/127\.0\.0\.1:\d+)"/.exec(gateway.output)?.[1];
  expect((await fetch(`${metrics}/metrics`)).status).toBe(200);
  expect([await gateway.stop(), await provider.stop()]).toEqual([0, 0]);
  for (const name of ["gateway", "provider"]) await expect(stat(socketOf(name))).rejects.toThrow("ENOENT");
});

test("the socket of a dead process is taken over, that of a living one is not, nor is a file", async () => {
  const first = await start("gateway");
  await first.kill();
  expect((await stat(socketOf("gateway"))).isSocket()).toBe(true);
  await start("gateway");
  await expect(openFrontGateway({ bind_address: `unix:${socketOf("gateway")}` })).rejects.toThrow(
    `bind_address: another process listens on ${socketOf("gateway")}`,
  );
  // And it still does.
  expect((await askSocket("gateway", "/")).status).toBe(307);
  await writeFile(socketOf("file"), "precious");
  await expect(openFrontGateway({ bind_address: `unix:${socketOf("file")}` })).rejects.toThrow("and is no socket");
  expect((await stat(socketOf("file"))).size).toBe(8);
});

test("who comes by a socket has no address, and is a proxy if that is said", async () => {
  const front = await openFrontGateway({ bind_address: `unix:${socketOf("front")}`, trusted_proxies: "unix" });
  opened.push(() => front.close());
  const { promise, resolve } = Promise.withResolvers<void>();
  const headers = { "x-forwarded-for": "203.0.113.9", "x-forwarded-proto": "https" };
  request({ socketPath: socketOf("front"), path: "/function/f", agent: false, headers }, (response) => {
    response.resume().on("end", resolve);
  }).end();
  await promise;
  expect(front.seen.headers).toMatchObject(headers);
});

const hasIpv6 = await new Promise<boolean>((resolve) => {
  const probe = createServer().on("error", () => resolve(false));
  probe.listen(0, "::1", () => probe.close(() => resolve(true)));
});
const ipv6Test = testNeeding(hasIpv6 ? undefined : "this machine has no IPv6");

ipv6Test("callers, replicas and the URL that is told may be of IPv6", async () => {
  const front = await openFrontGateway({ bind_address: "[::1]:0" });
  opened.push(() => front.close());
  expect(front.gateway.url).toMatch(/^http:\/\/\[::1\]:\d+$/);
  const replica = createServer((req, res) => res.end(`six ${req.headers.host} ${req.headers["x-forwarded-for"]}`));
  await new Promise<void>((resolve) => replica.listen(0, "::1", resolve));
  opened.push(() => replica.close());
  const address = `[::1]:${(replica.address() as AddressInfo).port}`;
  front.provider.put({ name: "six", endpoints: [{ address, instance: "a", state: "ready" }] });
  await eventually("it is known", async () => (await fetch(`${front.gateway.url}/function/six`)).status === 200);
  const answer = await fetch(`${front.gateway.url}/function/six`);
  expect(await answer.text()).toMatch(/^six \S+ ::1$/);
  expect((await fetch(`${front.gateway.url}/system/info`)).status).toBe(200);
});

ipv6Test("at :: callers of IPv4 are told as such", async () => {
  const front = await openFrontGateway({ bind_address: "::", trusted_proxies: "127.0.0.1" });
  opened.push(() => front.close());
  const { port } = new URL(front.gateway.url);
  const headers = { "x-forwarded-for": "203.0.113.9", "x-real-ip": "203.0.113.9" };
  await fetch(`http://127.0.0.1:${port}/function/f`, { headers });
  expect(front.seen.headers).toMatchObject({ "x-forwarded-for": "203.0.113.9, 127.0.0.1", "x-real-ip": "203.0.113.9" });
  await fetch(`http://[::1]:${port}/function/f`, { headers });
  expect(front.seen.headers["x-forwarded-for"]).toBe("203.0.113.9, ::1");
  expect(front.seen.headers["x-real-ip"]).toBeUndefined();
});
