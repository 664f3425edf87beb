import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "@jest/globals";
import { loadGatewayConfig } from "../../gateway/process/config.ts";
import { loadEventWorkerConfig } from "../../gateway/process/event-worker/config.ts";
import { loadQueueWorkerConfig as loadWorkerConfig } from "../../gateway/process/queue-worker/config.ts";
import type { Env } from "../../kit/env.ts";
import { ROOT } from "../support/platform.ts";

test("without variables, the defaults hold", () => {
  expect(loadGatewayConfig({})).toMatchObject({
    port: 8080,
    metricsPort: 8082,
    bindAddress: "127.0.0.1",
    basicAuth: true,
    upstreamTimeoutMs: 60_000,
    upstreamTimeoutGiven: false,
    ownWorker: true,
    async: {
      queue: {
        kind: "embedded",
        path: ".faaslane/queue.db",
        maxBodyBytes: 10 * 1024 ** 2,
        resultTtlMs: 900_000,
        maxResultBytes: 1024 ** 2,
      },
      worker: { concurrency: 64, perFunction: 16, retry: { attempts: 10 } },
      callbackTargets: { private: true, allow: [], deny: [] },
    },
  });
});

test("values are parsed as OpenFaaS writes them", () => {
  const config = loadGatewayConfig({
    port: "9000",
    functions_provider_url: "http://provider:8081",
    upstream_timeout: "1m30s",
    read_timeout: "45",
    queue: "none",
    basic_auth: "false",
    base_path: "/faas/",
  });
  expect(config).toMatchObject({
    port: 9000,
    upstreamTimeoutMs: 90_000,
    upstreamTimeoutGiven: true,
    readTimeoutMs: 45_000,
    async: { queue: { kind: "none" } },
    ownWorker: false,
    pathPrefix: "/faas",
  });
  expect([config.providerUrl.href, config.basicAuth]).toEqual(["http://provider:8081/", false]);
});

test.each<[what: string, env: Env, servers: readonly string[]]>([
  [
    "OpenFaaS's variables",
    { faas_nats_address: "nats.openfaas", faas_nats_port: "4223" },
    ["nats://nats.openfaas:4223"],
  ],
  ["OpenFaaS's address alone", { faas_nats_address: "nats" }, ["nats://nats:4222"]],
  ["a list of servers", { nats_url: "nats://a:4222, tls://b:4223" }, ["nats://a:4222", "tls://b:4223"]],
  ["its own name and an address", { queue: "jetstream", nats_url: "nats://a" }, ["nats://a"]],
])("NATS is chosen by %s", (_what, env, servers) => {
  const config = loadGatewayConfig({
    ...env,
    nats_stream_replicas: "3",
    nats_storage: "memory",
    async_result_ttl: "0",
  });
  expect(config.async.queue).toEqual({
    kind: "jetstream",
    servers,
    replicas: 3,
    storage: "memory",
    ackWaitMs: 30_000,
    reservedBytes: 1280 * 1024 ** 2,
    maxBodyBytes: 10 * 1024 ** 2,
    resultTtlMs: 0,
    maxResultBytes: 1024 ** 2,
    callLimits: {},
  });
  // Workers are processes of their own then, unless told otherwise.
  expect([config.ownWorker, loadGatewayConfig({ ...env, async_worker: "true" }).ownWorker]).toEqual([false, true]);
});

test("how much is queued can be said, and how much of the disk stays free", () => {
  const env = {
    async_max_calls: "1000",
    async_max_bytes: "2Gi",
    async_function_max_calls: "100",
    async_function_max_bytes: "1Mi",
    async_min_free: "10Mi",
  };
  const callLimits = { calls: 1000, bytes: 2 * 1024 ** 3, functionCalls: 100, functionBytes: 1024 ** 2 };
  expect(loadGatewayConfig(env).async.queue).toMatchObject({ callLimits, minFreeBytes: 10 * 1024 ** 2 });
  expect(loadGatewayConfig({ ...env, nats_url: "nats://a" }).async.queue).toMatchObject({ callLimits });
  for (const name of Object.keys(env)) expect(() => loadGatewayConfig({ ...env, [name]: "-1" })).toThrow(name);
});

test("the kind that is asked for wins over an address that is there", () => {
  const { async } = loadGatewayConfig({ queue: "embedded", faas_nats_address: "nats" });
  // Gateways share their work there all the same.
  expect([async.queue.kind, async.nats?.servers]).toEqual(["embedded", ["nats://nats:4222"]]);
  expect(loadGatewayConfig({}).async.nats).toBeUndefined();
  expect(loadGatewayConfig({ async_worker: "false" })).toMatchObject({ ownWorker: false });
});

test("where callbacks may go, and what a worker takes", () => {
  const { async } = loadGatewayConfig({
    callback_private: "false",
    callback_allow: "hooks.internal, 10.1.0.0/16",
    callback_deny: "*.example.com,*",
    async_queues: "a,b-2",
    max_retry_attempts: "0",
  });
  expect(async).toMatchObject({
    callbackTargets: { private: false, allow: ["hooks.internal", "10.1.0.0/16"], deny: ["*.example.com", "*"] },
    worker: { queues: ["a", "b-2"], retry: { attempts: 0 } },
  });
});

test("a queue worker reads the same settings, and needs a server", () => {
  const config = loadWorkerConfig({
    faas_nats_address: "nats",
    faas_gateway_address: "gateway.openfaas",
    faas_gateway_port: "8088",
    upstream_timeout: "2m",
    scale_up_timeout: "30s",
    async_concurrency: "7",
  });
  expect(config).toMatchObject({
    metricsPort: 8083,
    upstreamTimeoutMs: 120_000,
    upstreamTimeoutGiven: true,
    scaleUpTimeoutMs: 30_000,
    async: { queue: { kind: "jetstream", servers: ["nats://nats:4222"] }, worker: { concurrency: 7 } },
  });
  expect(config.gatewayUrl.href).toBe("http://gateway.openfaas:8088/");
  expect(loadWorkerConfig({ nats_url: "nats://a", gateway_url: "https://g/base" }).gatewayUrl.href).toBe(
    "https://g/base/",
  );
  expect(() => loadWorkerConfig({})).toThrow("nats_url: is required");
  expect(() => loadWorkerConfig({ queue: "embedded" })).toThrow("queue: must be one of jetstream");
});

test("certificates are pairs of files, and a proxy's word needs somebody who is trusted", () => {
  const front = { tls_cert_file: "/a.crt, /b.crt", tls_key_file: "/a.key,/b.key", trusted_proxies: "10.0.0.0/8, unix" };
  expect(loadGatewayConfig({ ...front, proxy_protocol: "true" }).front).toEqual({
    trustedProxies: ["10.0.0.0/8", "unix"],
    proxyProtocol: true,
    certificates: [
      { certFile: "/a.crt", keyFile: "/a.key" },
      { certFile: "/b.crt", keyFile: "/b.key" },
    ],
  });
  for (const [env, problem] of [
    [{ tls_cert_file: "/a.crt" }, "tls_key_file: is required"],
    [{ tls_key_file: "/a.key" }, "tls_cert_file: is required"],
    [{ ...front, tls_key_file: "/a.key" }, "tls_key_file: must name as many files as tls_cert_file"],
    [{ ...front, tls_cert_file: "/a.crt,," }, "tls_cert_file: must be a file, or several with commas between them"],
    [{ proxy_protocol: "true" }, "proxy_protocol: must be false unless trusted_proxies"],
    [{ trusted_proxies: "lb.example.com" }, 'trusted_proxies: "lb.example.com" is not an address'],
  ] as const) {
    expect(() => loadGatewayConfig(env as unknown as Env)).toThrow(`bad settings:\n  ${problem}`);
  }
});

test("every bad variable is named with its rule, in one error", () => {
  const bad = {
    port: "65536",
    functions_provider_url: "provider",
    upstream_timeout: "-1s",
    basic_auth: "yes",
    queue: "redis",
    async_concurrency: "0",
    async_max_body: "10MB",
    retry_http_codes: "500,abc",
    async_worker: "maybe",
    async_queues: "Slow",
    async_result_ttl: "forever",
    nats_url: "nats://user:secret@host",
    faas_nats_address: "nats:4222",
    nats_stream_replicas: "0",
    nats_storage: "disk",
    nats_reserved_bytes: "31Mi",
    autoscaling_lease: "500ms",
    callback_private: "no",
    callback_allow: "10.0.0.0/99",
    callback_deny: "http://x",
    log_level: "loud",
  };
  let message = "";
  try {
    loadGatewayConfig(bad);
  } catch (error) {
    message = (error as Error).message;
  }
  for (const name of Object.keys(bad)) expect(message).toContain(`${name}: must `);
  expect(message).not.toContain("secret");
});

test.each<[process: string, load: (env: Env) => unknown, readme: string]>([
  ["gateway", loadGatewayConfig, "gateway/README.md"],
  ["queue worker", (env) => loadWorkerConfig(env), "gateway/process/queue-worker/README.md"],
  ["event worker", (env) => loadEventWorkerConfig(env), "gateway/process/event-worker/README.md"],
])("the README of the %s lists the variables that are read, no more and no fewer", (_process, load, readme) => {
  const asked = new Set<string>();
  const spy = new Proxy({} as Env, {
    get: (_env, name) => {
      asked.add(String(name));
      return name === "nats_url" ? "nats://a" : undefined;
    },
  });
  load(spy);
  const text = readFileSync(join(ROOT, readme), "utf8");
  const section = text.slice(text.indexOf("## Variables"), text.indexOf("## Limits"));
  const listed = [...section.matchAll(/^\| `(\w+)`/gm)].map((match) => match[1]);
  expect(listed.sort()).toEqual([...asked].sort());
});
