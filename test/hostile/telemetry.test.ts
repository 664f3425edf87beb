import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import type { RequestListener } from "node:http";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { afterEach, expect, test } from "@jest/globals";
import { loadGatewayConfig } from "../../gateway/process/config.ts";
import { openGateway } from "../../gateway/process/serve.ts";
import { createLogger } from "../../kit/log.ts";
import { readSamples } from "../compat/series.ts";
import { eventually } from "../support/eventually.ts";
import { FakeProvider } from "../support/fake-provider.ts";
import { freePort } from "../support/free-port.ts";
import { type FrontGateway, openFrontGateway } from "../support/front-gateway.ts";
import { exportTo, OtlpCollector } from "../support/otlp-collector.ts";
import { COMPILE_CACHE, ROOT, temporaryFolder } from "../support/platform.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";
const TRACEPARENT = `00-${TRACE}-${SPAN}-01`;

const opened: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

async function openTraced(env: Record<string, string>): Promise<FrontGateway> {
  const front = await openFrontGateway(env);
  opened.push(() => front.close());
  return front;
}

async function openCollected() {
  const collector = await OtlpCollector.open();
  opened.push(() => collector.close());
  return { collector, front: await openTraced(exportTo(collector)) };
}

async function sample(url: string, name: string, labels: Record<string, string> = {}): Promise<number> {
  const samples = readSamples(await (await fetch(`${url}/metrics`)).text());
  return samples
    .filter((one) => one.name === name && Object.entries(labels).every(([key, value]) => one.labels[key] === value))
    .reduce((sum, { value }) => sum + value, 0);
}

const OVERSIZED = "x".repeat(60_000);

test.each<[attack: string, headers: [string, string][]]>([
  ["a traceparent that is none", [["traceparent", "'; drop table spans; --"]]],
  ["a traceparent of the forbidden version", [["traceparent", `ff-${TRACE}-${SPAN}-01`]]],
  ["a traceparent of zeros", [["traceparent", `00-${"0".repeat(32)}-${"0".repeat(16)}-01`]]],
  ["a traceparent without end", [["traceparent", `cc-${TRACE}-${SPAN}-01-${OVERSIZED}`]]],
  ["several traceparents", Array.from({ length: 50 }, () => ["traceparent", TRACEPARENT])],
])("%s: the call goes on in a trace of ours", async (_attack, headers) => {
  const { front } = await openCollected();
  const answer = await fetch(`${front.gateway.url}/function/f`, { headers: [...headers, ["tracestate", "a=1"]] });
  expect(answer.status).toBe(200);
  expect(front.seen.headers.traceparent).toMatch(/^00-[\da-f]{32}-[\da-f]{16}-01$/);
  expect(front.seen.headers.traceparent).not.toContain(TRACE);
  expect(front.seen.headers.tracestate).toBeUndefined();
});

test.each<[attack: string, states: string[]]>([
  ["a tracestate of 60 kB", [`a=${OVERSIZED}`]],
  ["a tracestate of ten thousand members", [Array.from({ length: 10_000 }, (_, i) => `k${i}=v`).join()]],
  ["more tracestates than are passed on", Array.from({ length: 30 }, (_, i) => `k${i}=${"v".repeat(100)}`)],
  ["a tracestate that no pattern gets through quickly", [`${"a".repeat(15_000)}@${"b".repeat(1_000)}`]],
])("%s: the function gets no more than 512 characters of it", async (_attack, states) => {
  const { front } = await openCollected();
  const headers: [string, string][] = [
    ["traceparent", TRACEPARENT],
    ...states.map((s) => ["tracestate", s] as [string, string]),
  ];
  expect((await fetch(`${front.gateway.url}/function/f`, { headers })).status).toBe(200);
  expect(front.seen.headers.traceparent).toContain(TRACE);
  expect(String(front.seen.headers.tracestate ?? "").length).toBeLessThanOrEqual(512);
});

/** Calls go on as ever whatever the collector does, its spans are lost and counted, and the gateway stops in time. */
async function expectUnmoved(front: FrontGateway, reason: string): Promise<void> {
  for (let i = 0; i < 20; i++) expect((await fetch(`${front.gateway.url}/function/f`)).status).toBe(200);
  await eventually("it is told", () => front.log.includes("traces cannot be exported"), 20_000);
  expect(front.log.split("traces cannot be exported")).toHaveLength(2);
  const stoppingAt = performance.now();
  await front.gateway.close();
  // Its own two seconds, and what a busy machine takes.
  expect(performance.now() - stoppingAt).toBeLessThan(15_000);
  expect(front.log).toMatch(reason);
}

async function listenRaw(onConnection: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    onConnection(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  opened.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address() as { port: number };
  return `http://127.0.0.1:${address.port}`;
}

const FAST = { OTEL_BSP_SCHEDULE_DELAY: "20", OTEL_EXPORTER_OTLP_TIMEOUT: "300" };

test("a collector that is not there: calls go on", async () => {
  const url = `http://127.0.0.1:${await freePort()}`;
  const front = await openTraced({ ...FAST, OTEL_EXPORTER_OTLP_ENDPOINT: url });
  await expectUnmoved(front, "ECONNREFUSED");
});

test.each<[attack: string, behaviour: (socket: Socket) => void, reason: string]>([
  ["takes connections and never answers", () => {}, "did not answer in time"],
  ["resets connections", (socket) => socket.resetAndDestroy(), "is away"],
  ["speaks something else than HTTP", (socket) => void socket.end("SSH-2.0-OpenSSH_9.6\r\n\r\n"), "is away"],
  [
    "sends a head without end",
    (socket) => {
      socket.write("HTTP/1.1 200 OK\r\n");
      const flood = (gone?: Error | null) => void (gone || socket.write(`x-more: ${"y".repeat(60_000)}\r\n`, flood));
      flood();
    },
    "is away",
  ],
])("a collector that %s: calls go on", async (_attack, behaviour, reason) => {
  const url = await listenRaw(behaviour);
  await expectUnmoved(await openTraced({ ...FAST, OTEL_EXPORTER_OTLP_ENDPOINT: url }), reason);
});

test.each<[attack: string, respond: RequestListener, reason: string]>([
  [
    "asks to wait for a century",
    (_req, res) => res.writeHead(503, { "retry-after": "3153600000" }).end(),
    "status 503",
  ],
  ["sends elsewhere", (_req, res) => res.writeHead(307, { location: "http://169.254.169.254/" }).end(), "status 307"],
  ["refuses all", (_req, res) => res.writeHead(400).end("no"), "status 400"],
  [
    "rejects more than it got",
    (_req, res) => res.end('{"partialSuccess":{"rejectedSpans":"9007199254740991"}}'),
    "rejected spans",
  ],
])("a collector that %s: calls go on", async (_attack, respond, reason) => {
  const { collector, front } = await openCollected();
  collector.respond = respond;
  await expectUnmoved(front, reason);
});

test.each<[attack: string, respond: RequestListener]>([
  [
    "answers with gigabytes",
    (_req, res) => {
      const flood = (gone?: Error | null) => void (gone || res.write(Buffer.alloc(1024 ** 2), flood));
      flood();
    },
  ],
  ["answers with no JSON", (_req, res) => res.end("<html>")],
  ["answers with null", (_req, res) => res.end("null")],
  ["rejects fewer than none", (_req, res) => res.end('{"partialSuccess":{"rejectedSpans":-5}}')],
  [
    "breaks its answer off",
    (_req, res) => res.writeHead(200, { "content-length": "100" }).write("{", () => res.destroy()),
  ],
])("a collector that %s has taken what it says it has", async (_attack, respond) => {
  const { collector, front } = await openCollected();
  collector.respond = respond;
  expect((await fetch(`${front.gateway.url}/function/f`)).status).toBe(200);
  const { metricsUrl } = front.gateway;
  await eventually("it is counted", async () => (await sample(metricsUrl, "gateway_trace_spans_exported_total")) === 2);
  expect(await sample(metricsUrl, "gateway_trace_spans_dropped_total")).toBe(0);
});

test("more calls than a collector takes: what waits is bounded, and the rest is counted", async () => {
  const url = await listenRaw(() => {});
  const front = await openTraced({ OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_BSP_MAX_QUEUE_SIZE: "100" });
  for (let i = 0; i < 20; i++) {
    await Promise.all(Array.from({ length: 10 }, async () => (await fetch(`${front.gateway.url}/function/f`)).text()));
  }
  const dropped = await sample(front.gateway.metricsUrl, "gateway_trace_spans_dropped_total", { reason: "queue_full" });
  expect(dropped).toBe(2 * 200 - 100);
});

test("names of functions that there are not: none is in the name of a span, nor in a metric", async () => {
  const { collector, front } = await openCollected();
  for (let i = 0; i < 20; i++) await fetch(`${front.gateway.url}/function/f/..;/${i}`, { method: "PROPFIND" });
  await eventually("their spans are there", () => collector.spans.length >= 20);
  expect(new Set(collector.spans.map(({ name }) => name))).toEqual(new Set(["HTTP /function/"]));
  const text = await (await fetch(`${front.gateway.metricsUrl}/metrics`)).text();
  expect(text).not.toContain("PROPFIND");
});

test("line breaks, quotes and endless values in what a caller says: a line of the access log for each call, no more", async () => {
  const folder = await temporaryFolder();
  opened.push(() => folder.remove());
  const path = join(folder.path, "calls.log");
  const front = await openTraced({ access_log: path });
  const forged = '%0a{"status":200,"callId":"forged"}';
  const ids = ['"},{"callId":"forged', "\\u000a", "x".repeat(10_000)];
  for (const id of ids) {
    await fetch(`${front.gateway.url}/function/f/${forged}${"p".repeat(10_000)}`, { headers: { "x-call-id": id } });
  }
  const lines = await eventually("they are written", async () => {
    const found = (await readFile(path, "utf8")).split("\n").slice(0, -1);
    return found.length >= ids.length && found;
  });
  const parsed = lines.map((line) => JSON.parse(line) as { callId: string });
  expect(parsed.map(({ callId }) => callId)).toEqual([ids[0], ids[1], "x".repeat(256)]);
  expect(lines.every((line) => line.length < 4_000)).toBe(true);
});

test("a reader of standard output that reads no more: calls go on, and lost lines are counted", async () => {
  const provider = await FakeProvider.open();
  opened.push(() => provider.close());
  const port = await freePort();
  const folder = await temporaryFolder();
  opened.push(() => folder.remove());
  const child = spawn(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", join(ROOT, "gateway/process/main.ts")],
    {
      stdio: ["ignore", "pipe", "inherit"],
      env: {
        ...COMPILE_CACHE,
        PATH: process.env.PATH,
        port: "0",
        metrics_port: String(port),
        basic_auth: "false",
        access_log: "true",
        data_dir: folder.path,
        functions_provider_url: provider.url.href,
      },
    },
  );
  opened.push(async () => {
    child.kill("SIGKILL");
    await new Promise((resolve) => child.once("close", resolve));
  });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  const url = await eventually("it listens", () => /"url":"(http:[^"]+)"/.exec(output)?.[1], 30_000);
  child.stdout.pause();
  const metricsUrl = `http://127.0.0.1:${port}`;
  const lost = () => sample(metricsUrl, "gateway_access_log_dropped_total");
  const path = `/function/f/${"x".repeat(2_000)}`;
  await eventually(
    "lines are lost",
    async () => {
      const calls = Array.from({ length: 100 }, () => fetch(url + path, { method: "PROPFIND" }));
      for (const answer of await Promise.all(calls)) expect(answer.status).toBe(405);
      return (await lost()) > 0;
    },
    60_000,
  );
});

test("a file of the access log that cannot be written: the gateway says so, and does not start", async () => {
  const env = { port: "0", metrics_port: "0", queue: "none" };
  for (const path of ["/proc/none/calls.log", "/"]) {
    const config = loadGatewayConfig({ ...env, access_log: path });
    await expect(openGateway(config, undefined, createLogger("silent"))).rejects.toThrow(
      `access_log: cannot write to ${path}`,
    );
  }
});
