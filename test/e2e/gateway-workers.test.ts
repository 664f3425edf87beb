import { once } from "node:events";
import { Agent, request, type ServerResponse } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { connect as connectTls } from "node:tls";
import { afterEach, expect, test } from "@jest/globals";
import { makeCertificate, writeCertificate } from "../support/certificates.ts";
import { eventually } from "../support/eventually.ts";
import { GatewayWithWorkers } from "../support/gateway-workers.ts";
import { temporaryFolder } from "../support/platform.ts";
import { openRaw, upgradeHead } from "../support/switching.ts";

const PATIENCE_MS = 60_000;

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
}, 60_000);

async function open(env: Readonly<Record<string, string>> = {}): Promise<GatewayWithWorkers> {
  const gateway = await GatewayWithWorkers.open(env);
  closing.push(() => gateway.close());
  return gateway;
}

/** Of a replica: holds each call until it is let go. */
class Holding {
  readonly held: ServerResponse[] = [];
  most = 0;
  readonly handle = (_req: unknown, res: ServerResponse) => {
    this.held.push(res);
    this.most = Math.max(this.most, this.held.length);
    res.on("close", () => this.held.splice(this.held.indexOf(res), 1));
  };

  letGo(): void {
    for (const res of [...this.held]) res.end("done");
  }
}

const times = (count: number) => Array.from({ length: count }, (_, i) => i);

test("max_inflight holds exactly over all workers, and all of it can be used", async () => {
  const gateway = await open({ queue: "none", gateway_workers: "3" });
  const [one, other] = [new Holding(), new Holding()];
  await gateway.deploy("f", [await gateway.replica(one.handle), await gateway.replica(other.handle)], {
    maxInflight: 3,
  });
  for (let round = 0; round < 5; round++) {
    const calls = times(30).map(async () => (await gateway.call("/function/f")).status);
    await eventually("all places are taken", () => one.held.length + other.held.length === 6, PATIENCE_MS);
    // Those that are refused are answered at once.
    let answered = 0;
    for (const call of calls) void call.then(() => answered++);
    await eventually("the others are refused", () => answered === 24, PATIENCE_MS);
    one.letGo();
    other.letGo();
    const statuses = await Promise.all(calls);
    expect(statuses.filter((status) => status === 200)).toHaveLength(6);
    expect(statuses.filter((status) => status === 429)).toHaveLength(24);
  }
  expect([one.most, other.most]).toEqual([3, 3]);
  await eventually("it was all counted", async () => {
    const [started, total] = await Promise.all([
      gateway.metric("gateway_function_invocation_started", "f"),
      gateway.metric("gateway_function_invocation_total", "f"),
    ]);
    return started === 150 && total === 150;
  });
  expect(await gateway.metric("gateway_function_invocation_inflight", "f")).toBe(0);
}, 120_000);

test("the replica with the fewest calls of all workers is chosen", async () => {
  const gateway = await open({ queue: "none", gateway_workers: "3" });
  const replicas = times(4).map(() => new Holding());
  const addresses = await Promise.all(replicas.map(({ handle }) => gateway.replica(handle)));
  await gateway.deploy("f", addresses);
  const calls: Promise<Response>[] = [];
  for (const i of times(16)) {
    calls.push(gateway.call("/function/f"));
    await eventually(
      "it has arrived",
      () => replicas.reduce((sum, { held }) => sum + held.length, 0) === i + 1,
      PATIENCE_MS,
    );
    const counts = replicas.map(({ held }) => held.length);
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
  }
  for (const replica of replicas) replica.letGo();
  for (const call of calls) expect((await call).status).toBe(200);
}, 120_000);

test("calls that wait for a place get it, in whatever worker they wait", async () => {
  const gateway = await open({ queue: "none", gateway_workers: "3" });
  let inside = 0;
  let most = 0;
  const address = await gateway.replica((_req, res) => {
    most = Math.max(most, ++inside);
    setTimeout(() => {
      inside--;
      res.end("done");
    }, 2);
  });
  await gateway.deploy("f", [address], { maxInflight: 1, annotations: { "com.faaslane.queue.size": "1000" } });
  const statuses = await Promise.all(times(200).map(async () => (await gateway.call("/function/f")).status));
  expect(statuses.filter((status) => status === 200)).toHaveLength(200);
  expect(most).toBe(1);
  expect(await gateway.metric("gateway_held_calls", "f")).toBe(0);
}, 120_000);

test("calls at zero wait in their workers, and wake the function once", async () => {
  const gateway = await open({ queue: "none" });
  const address = await gateway.replica((_req, res) => res.end("awake"));
  gateway.provider.put({ name: "f", replicas: 0 });
  await eventually("f is known", async () => (await gateway.metrics()).includes('service_count{function_name="f'));
  const calls = times(12).map(() => gateway.call("/function/f"));
  const orders = () => gateway.provider.requests.filter(({ url }) => url.startsWith("/system/scale-function/f"));
  await eventually("it is woken", () => orders().length > 0, PATIENCE_MS);
  await eventually("all wait", async () => (await gateway.metric("gateway_held_calls", "f")) === 12, PATIENCE_MS);
  await gateway.deploy("f", [address]);
  for (const call of calls) expect(await (await call).text()).toBe("awake");
  expect(orders().length).toBeLessThan(12);
}, 120_000);

test("a worker that dies takes only its own calls with it, and is replaced; nothing that was counted is lost", async () => {
  const preload = new URL("../support/end-workers.mjs", import.meta.url).href;
  const gateway = await open({ queue: "none", NODE_OPTIONS: `--import ${preload}` });
  const holding = new Holding();
  await gateway.deploy("f", [await gateway.replica(holding.handle)], { maxInflight: 40 });
  await gateway.deploy("g", [await gateway.replica((_req, res) => res.end("quick"))]);
  for (const _ of times(20)) await (await gateway.call("/function/g")).text();
  const counted = await gateway.metric("gateway_function_invocation_total", "g");
  expect(counted).toBeGreaterThanOrEqual(20);

  const calls = times(40).map(() =>
    gateway.call("/function/f").then(
      (res) => res.status,
      () => "broken",
    ),
  );
  await eventually("all are under way", () => holding.held.length === 40, PATIENCE_MS);
  expect(await gateway.metric("gateway_function_invocation_inflight", "f")).toBe(40);
  process.kill(gateway.gateway.pid, "SIGUSR2");
  await eventually("its calls have broken off", () => holding.held.length < 40, PATIENCE_MS);
  await eventually("it is replaced", () => gateway.gateway.output.includes("has taken the place"), PATIENCE_MS);
  const left = holding.held.length;
  expect(left).toBeGreaterThan(0);
  // What it had taken of the limit is free again.
  const more = times(40 - left).map(async () => (await gateway.call("/function/f")).status);
  await eventually("its places are free", () => holding.held.length === 40, PATIENCE_MS);
  holding.letGo();
  const outcomes = await Promise.all(calls);
  expect(outcomes.filter((outcome) => outcome === 200)).toHaveLength(left);
  expect(outcomes.filter((outcome) => outcome === "broken")).toHaveLength(40 - left);
  expect(new Set(await Promise.all(more))).toEqual(new Set([200]));
  await eventually("no call is under way", async () => {
    return (await gateway.metric("gateway_function_invocation_inflight", "f")) === 0;
  });
  expect(await gateway.metric("gateway_function_invocation_started", "f")).toBe(80 - left);
  expect(await gateway.metric("gateway_function_invocation_total", "g")).toBeGreaterThanOrEqual(counted);
  for (const _ of times(20)) expect(await (await gateway.call("/function/g")).text()).toBe("quick");
}, 120_000);

test("a stop under load answers every call that it has taken", async () => {
  const gateway = await open({ queue: "none" });
  const address = await gateway.replica((_req, res) => setTimeout(() => res.end("done"), 5));
  await gateway.deploy("f", [address]);
  const agent = new Agent({ keepAlive: true });
  let answered = 0;
  const lost: string[] = [];
  let refused = 0;
  const callUntilRefused = async () => {
    while (refused < 12) {
      const call = request(`${gateway.gateway.url}/function/f`, { agent, method: "POST" });
      call.end("x".repeat(100));
      try {
        const [answer] = await once(call, "response");
        answer.resume();
        await once(answer, "end");
        if (answer.statusCode === 200) answered++;
        else lost.push(`${answer.statusCode}`);
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        // A connection that nobody has taken is no call.
        if (code === "ECONNREFUSED" || (code === "ECONNRESET" && !call.reusedSocket)) {
          refused++;
          return;
        }
        lost.push(String(code));
      }
    }
  };
  const callers = times(12).map(callUntilRefused);
  await eventually("it is under load", () => answered > 300, PATIENCE_MS);
  expect(await gateway.gateway.stop()).toBe(0);
  await Promise.all(callers);
  expect(lost).toEqual([]);
  agent.destroy();
}, 120_000);

test("what is not a worker's goes through the main thread: control routes, asynchronous calls, policies, upgrades", async () => {
  const gateway = await open({ trusted_proxies: "127.0.0.0/8", base_path: "/faas" });
  const seen: { url: string; client: string }[] = [];
  const address = await gateway.replica((req, res) => {
    seen.push({ url: req.url as string, client: String(req.headers["x-forwarded-for"]) });
    let body = "";
    req.on("data", (piece) => {
      body += piece;
    });
    req.on("end", () => res.end(`got ${body.length}`));
  });
  await gateway.deploy("f", [address]);
  await gateway.deploy("limited", [address], { annotations: { "com.faaslane.rate-limit": "5/h" } });

  const limited = await Promise.all(times(15).map(() => gateway.call("/function/limited/a")));
  const statuses = limited.map(({ status }) => status);
  expect(statuses.filter((status) => status === 200)).toHaveLength(5);
  expect(statuses.filter((status) => status === 429)).toHaveLength(10);
  // Others are counted by the address that their proxy gives.
  const body = "x".repeat(300_000);
  const other = await gateway.call("/faas/function/limited/b?c", {
    method: "POST",
    body,
    headers: { "x-forwarded-for": "203.0.113.7" },
  });
  expect(await other.text()).toBe("got 300000");
  expect(seen.at(-1)).toEqual({
    url: "/b?c",
    client: expect.stringMatching(/^203\.0\.113\.7, (::ffff:)?127\.0\.0\.1$/),
  });

  gateway.provider.respond = ({ url }, res) => {
    const list = [{ name: "f", namespace: "openfaas-fn", image: "f:1", replicas: 1, availableReplicas: 1 }];
    const text = JSON.stringify(url.startsWith("/system/functions") ? list : {});
    res.writeHead(200, { "content-type": "application/json" }).end(text);
  };
  for (const _ of times(10)) await (await gateway.call("/function/f")).text();
  const list = (await (await gateway.call("/faas/system/functions")).json()) as { invocationCount?: number }[];
  expect(list[0]?.invocationCount).toBe(10);
  expect((await gateway.call("/nowhere")).status).toBe(404);

  const accepted = await gateway.call("/async-function/f/later", { method: "POST", body: "once" });
  expect(accepted.status).toBe(202);
  await eventually("it is called", () => seen.some(({ url }) => url === "/later"), PATIENCE_MS);
}, 120_000);

test("connections change their protocol in workers, and through the main thread where a policy wants it", async () => {
  const gateway = await open({ queue: "none", max_upgrades: "3" });
  const address = await gateway.switchingReplica();
  await gateway.deploy("f", [address]);
  await gateway.deploy("guarded", [address], { annotations: { "com.faaslane.rate-limit": "1000/s" } });
  const clients = ["f", "guarded", "f"].map((name) => openRaw(gateway.port, upgradeHead(`/function/${name}`)));
  closing.push(async () => {
    for (const { socket } of clients) socket.destroy();
  });
  for (const client of clients) {
    await eventually("it has switched", () => client.received.startsWith("HTTP/1.1 101 "), PATIENCE_MS);
    client.socket.write("to and fro");
    await eventually("it echoes", () => client.received.endsWith("to and fro"), PATIENCE_MS);
  }
  // The limit is that of all workers.
  for (const _ of times(6)) {
    const oneMore = openRaw(gateway.port, upgradeHead("/function/f"));
    await eventually("one more is refused", () => oneMore.received.startsWith("HTTP/1.1 503 "), PATIENCE_MS);
    oneMore.socket.destroy();
  }
}, 120_000);

test("all workers speak TLS", async () => {
  const folder = await temporaryFolder();
  closing.push(folder.remove);
  const { certFile, keyFile } = await writeCertificate(folder.path, "one", makeCertificate("one", ["localhost"]));
  const gateway = await open({ queue: "none", tls_cert_file: certFile, tls_key_file: keyFile });
  await gateway.deploy("f", [await gateway.replica((req, res) => res.end(String(req.headers["x-forwarded-proto"])))]);
  for (const name of ["f", "f", "f", "f", "f", "f"]) {
    const socket = connectTls({ port: gateway.port, host: "127.0.0.1", rejectUnauthorized: false });
    let received = "";
    socket.setEncoding("utf8").on("data", (text: string) => {
      received += text;
    });
    socket.write(`GET /function/${name} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
    await once(socket, "close");
    expect(received).toMatch(/^HTTP\/1\.1 200 [\s\S]*https$/);
  }
}, 120_000);

const PROXY_HEADERS = {
  none: "",
  "version 1": "PROXY TCP4 203.0.113.9 192.0.2.7 443 8080\r\n",
  "version 2": Buffer.from("0d0a0d0a000d0a515549540a2111000ccb007109c000020701bb1f90", "hex"),
} as const;

test("all workers read PROXY headers and speak HTTP/2 with prior knowledge, also for the main thread", async () => {
  const gateway = await open({ queue: "none", proxy_protocol: "true", trusted_proxies: "127.0.0.2" });
  const address = await gateway.replica((req, res) => res.end(`for ${req.headers["x-forwarded-for"]}`));
  await gateway.deploy("f", [address]);
  await gateway.deploy("guarded", [address], { annotations: { "com.faaslane.rate-limit": "1000/s" } });
  const ask = async (header: keyof typeof PROXY_HEADERS, protocol: "h2c" | "HTTP/1.1", path: string) => {
    const localAddress = header === "none" ? "127.0.0.1" : "127.0.0.2";
    const socket = connect({ port: gateway.port, host: "127.0.0.1", localAddress });
    socket.on("error", () => {});
    socket.write(PROXY_HEADERS[header]);
    const session =
      protocol === "h2c" ? connectHttp2(gateway.gateway.url, { createConnection: () => socket }) : undefined;
    session?.on("error", () => {});
    if (!session) socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    const stream = session?.request({ ":path": path }) ?? socket;
    try {
      return /for \S+$/.exec(await text(stream))?.[0];
    } finally {
      session?.destroy();
      socket.destroy();
    }
  };
  for (const path of ["/function/f", "/function/guarded"]) {
    for (const protocol of ["HTTP/1.1", "h2c"] as const) {
      for (const header of ["none", "version 1", "version 2"] as const) {
        const client = header === "none" ? "127.0.0.1" : "203.0.113.9";
        const told = await Promise.all(times(12).map(() => ask(header, protocol, path)));
        expect([header, protocol, path, ...new Set(told)]).toEqual([header, protocol, path, `for ${client}`]);
      }
    }
  }
}, 120_000);

test("without a folder for temporary files it does not start, and says why", async () => {
  const env = { queue: "none", TMPDIR: "/nowhere/at/all" };
  await expect(open(env)).rejects.toThrow("gateway_workers: cannot make a folder for temporary files");
}, 120_000);

test("a port that another gateway has is not shared with it", async () => {
  const gateway = await open({ queue: "none" });
  await expect(open({ queue: "none", port: String(gateway.port) })).rejects.toThrow(`port ${gateway.port} is in use`);
}, 120_000);
