import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { readStickyKey } from "../../gateway/core/traffic/sticky-key.ts";
import { createMetrics } from "../../gateway/metrics/gateway-metrics.ts";
import { FunctionProxy } from "../../gateway/proxy/function-proxy.ts";
import { FunctionTable } from "../../gateway/proxy/function-table.ts";
import { type DrainingServer, listen } from "../../kit/server.ts";
import { rawRequest } from "../support/raw-http.ts";

/** Callers and functions that lie about versions. */
let table: FunctionTable;
let gateway: DrainingServer;
const replicas: Server[] = [];
let seen: IncomingHttpHeaders[] = [];

/** A function that claims to be another version. */
async function replica(): Promise<string> {
  const server = createServer((req, res) => {
    seen.push(req.headers);
    const lies = { "x-function-version": "v99", "x-function-version-ignored": "never", vary: "*" };
    res.writeHead(200, lies).end("answer");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  replicas.push(server);
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

beforeAll(async () => {
  table = new FunctionTable({ defaultNamespace: "fns", maxHeld: 10, timeoutMs: 5_000, connectTimeoutMs: 2_000 });
  const provider = { exist: async () => new Set<string>() };
  const proxy = new FunctionProxy({ table, provider, wake: () => {}, holdTimeoutMs: 5_000, release: "test" });
  gateway = await listen((req, res) => proxy.handle(req, res), { port: 0, host: "127.0.0.1" });
  table.apply({ type: "heartbeat" });
  const annotations = { "com.faaslane.sticky": "cookie" };
  const traffic = [
    { version: "v1", share: 5_000 },
    { version: "v2", share: 5_000 },
    { version: "v2", share: 0, tag: "next" },
  ];
  for (const [name, version] of [
    ["f", "v1"],
    ["f@v2", "v2"],
    ["f@v3", "v3"],
  ] as const) {
    const address = await replica();
    const fn = { name, namespace: "fns", labels: {}, annotations, replicas: 1, generation: 1, version };
    const endpoints = [{ address, instance: address, state: "ready" as const }];
    table.apply({ type: "changed", function: { ...fn, endpoints, ...(name === "f" && { traffic }) } });
  }
});

afterAll(async () => {
  await gateway.drain(0);
  await table.close();
  for (const server of replicas) {
    server.closeAllConnections();
    server.close();
  }
});

async function call(target: string, ...lines: readonly string[]) {
  const head = [`GET ${target} HTTP/1.1`, "Host: caller.test", ...lines, "Connection: close"];
  return await rawRequest(gateway.port, Buffer.from(`${head.join("\r\n")}\r\n\r\n`, "latin1"));
}

test.each([
  "/function/f@__proto__",
  "/function/f@constructor.fns",
  "/function/f@v1@v2",
  "/function/f@",
  "/function/@v1",
  "/function/f%40v9",
  "/function/f@v1%00",
  "/function/f@v01",
  "/function/f@V1",
  "/function/f@next@fns",
  `/function/f@${"a".repeat(900)}`,
])("the address %s leads to no version", async (target) => {
  expect((await call(target))?.status).toBe(404);
});

test("addresses of versions that there are not leave nothing behind", async () => {
  const before = [...table.entries()].length;
  for (let n = 0; n < 200; n++) await call(`/function/f@x${n}`);
  expect([...table.entries()]).toHaveLength(before);
  expect(await createMetrics({ table }).metrics()).not.toContain("x199");
});

test.each(["v3", "v999999999999", "latest", "previous", "v1, v2", "__proto__", "../v2", "v2;q=1", "next\t, v3"])(
  "the wish for %j is of no account, and not repeated as it is",
  async (wish) => {
    const answer = await call("/function/f", `X-Function-Version: ${wish}`);
    expect(answer?.status).toBe(200);
    expect(["v1", "v2"]).toContain(answer?.headers.get("x-function-version")?.join());
    expect(answer?.headers.get("x-function-version-ignored")?.join()).toMatch(/^[a-z0-9 ]+$/);
  },
);

test("two wishes are none", async () => {
  const answer = await call("/function/f", "X-Function-Version: v1", "X-Function-Version: v2");
  expect(answer?.headers.get("x-function-version-ignored")?.join()).toBe("it is no version and no tag");
});

test("a function cannot claim to be another version", async () => {
  expect((await call("/function/f@v2"))?.headers.get("x-function-version")?.join()).toBe("v2");
});

test.each(["/a; Domain=evil.test", "/a;Domain=evil.test", "/a%0d%0aX-More:1", "//evil.test"])(
  "the prefix %j adds nothing to a cookie",
  async (prefix) => {
    const answer = await call("/function/f", `X-Forwarded-Prefix: ${prefix}`);
    const cookie = String(answer?.headers.get("set-cookie")?.join());
    expect(cookie).toMatch(/^fl-v-f=[0-9a-f-]{36}; Path=\/[^;]*; Max-Age=86400; HttpOnly; SameSite=Lax$/);
    expect(answer?.headers.has("x-more")).toBe(false);
  },
);

test("a cookie that names a version is a key like any other", async () => {
  const versions = new Set<unknown>();
  for (const key of ["v1", "v2", "v3", "next", "a", "b", "c", "d", "e", "f", "g", "h"]) {
    for (let n = 0; n < 3; n++) {
      const answer = await call("/function/f", `Cookie: fl-v-f=${key}`);
      versions.add(`${key} ${answer?.headers.get("x-function-version")?.join()}`);
    }
  }
  expect(versions.size).toBe(12);
  expect([...versions].some((one) => String(one).endsWith("v3"))).toBe(false);
});

test("a cookie as long as headers may be, of nothing but separators, takes no longer than it is read", () => {
  const sticky = { kind: "cookie", ttlMs: 1_000 } as const;
  const begun = performance.now();
  expect(readStickyKey(sticky, "fl-v-f", { cookie: "; ".repeat(1_000_000) }, "/")).toBeUndefined();
  // Some milliseconds; with the square of its length it were half an hour.
  expect(performance.now() - begun).toBeLessThan(10_000);
});

test("a caller's cookies reach the function as they are", async () => {
  seen = [];
  await call("/function/f", "Cookie: a=b; fl-v-f=x; fl-v-f=y");
  expect(seen[0]?.cookie).toBe("a=b; fl-v-f=x; fl-v-f=y");
});
