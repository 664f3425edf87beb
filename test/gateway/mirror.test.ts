import { createServer, type IncomingMessage, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "@jest/globals";
import type { FunctionEndpoints } from "../../contract/endpoints.ts";
import type { RolloutState } from "../../contract/versions/rollout-state.ts";
import { createMetrics } from "../../gateway/metrics/gateway-metrics.ts";
import { followTrials } from "../../gateway/proxy/follow-trials.ts";
import { FunctionProxy } from "../../gateway/proxy/function-proxy.ts";
import { FunctionTable } from "../../gateway/proxy/function-table.ts";
import { listen } from "../../kit/server.ts";
import { readSamples } from "../compat/series.ts";
import { eventually } from "../support/eventually.ts";

const opened: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

interface Seen {
  readonly url: string | undefined;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

async function replica(answer: RequestListener): Promise<{ address: string; seen: Seen[] }> {
  const seen: Seen[] = [];
  const server = createServer(async (req, res) => {
    const pieces: Buffer[] = [];
    for await (const piece of req) pieces.push(piece as Buffer);
    seen.push({ url: req.url, headers: req.headers, body: Buffer.concat(pieces).toString() });
    answer(req, res);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  opened.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

const says =
  (text: string, status = 200): RequestListener =>
  (_req, res) =>
    res.writeHead(status).end(text);

/** `v1` has the calls, and `v2` gets copies of all GETs unless `main` says otherwise. */
async function openMirror(shadow: RequestListener, main: Partial<FunctionEndpoints> = {}, own = says("answer")) {
  const table = new FunctionTable({
    defaultNamespace: "fns",
    maxHeld: 100,
    timeoutMs: 20_000,
    connectTimeoutMs: 2_000,
  });
  followTrials(table);
  const provider = { exist: async () => new Set<string>() };
  const woken: string[] = [];
  const wake = ({ qualifiedName }: { qualifiedName: string }) => woken.push(qualifiedName);
  const proxy = new FunctionProxy({ table, provider, wake, holdTimeoutMs: 20_000, release: "test" });
  const server = await listen((req, res) => proxy.handle(req, res), { port: 0, host: "127.0.0.1" });
  opened.push(() => table.close());
  opened.push(() => server.drain(0));
  table.apply({ type: "heartbeat" });
  const [one, two] = [await replica(own), await replica(shadow)];
  const put = (fn: Partial<FunctionEndpoints>, address?: string) =>
    table.apply({
      type: "changed",
      function: {
        name: "f",
        namespace: "fns",
        labels: {},
        annotations: {},
        replicas: address ? 1 : 0,
        generation: 1,
        endpoints: address ? [{ address, instance: address, state: "ready" }] : [],
        ...fn,
      },
    });
  put({ version: "v1", annotations: { "com.faaslane.mirror": "v2=100" }, ...main }, one.address);
  put({ name: "f@v2", version: "v2" }, two.address);
  const call = (path: string, init: RequestInit = {}) =>
    fetch(`http://127.0.0.1:${server.port}/function/${path}`, init);
  const samples = async (name: string, of: "result" | "code") =>
    readSamples(await createMetrics({ table }).metrics())
      .filter((sample) => sample.name === name)
      .map(({ labels, value }) => `${labels.function_version ?? ""} ${labels[of]} ${value}`.trim());
  const mirrored = () => samples("gateway_function_version_mirrored_total", "result");
  return { table, put, call, one, two, woken, samples, mirrored };
}

test("a call is copied with all that it has, and its answer is its own version's", async () => {
  const { call, one, two, mirrored, samples } = await openMirror(says("answer"));
  const answer = await call("f/a?b=c", { headers: { "x-own": "1" } });
  expect(await answer.text()).toBe("answer");
  expect(answer.headers.get("x-function-version")).toBe("v1");
  await eventually("the copy was compared", async () => (await mirrored()).length > 0);
  expect(await mirrored()).toEqual(["v2 same 1"]);
  expect(two.seen[0]).toMatchObject({ url: "/a?b=c", headers: { "x-own": "1", "x-mirrored": "1" } });
  expect(one.seen[0]?.headers).not.toHaveProperty("x-mirrored");
  expect(await samples("gateway_function_invocation_total", "code")).toEqual(["200 1"]);
  expect(await samples("gateway_function_version_invocation_total", "code")).toEqual(["v1 200 1"]);
});

test.each<[what: string, shadow: RequestListener, result: string]>([
  ["its status", says("answer", 500), "status"],
  ["its length", says("another answer"), "length"],
  ["its body", says("answes"), "body"],
  ["that it is far too long", says("x".repeat(6_000_000)), "length"],
  ["that it never ends", (req) => req.socket.destroy(), "failed"],
])("an answer that differs by %s is told, and its caller gets none of it", async (_what, shadow, result) => {
  const { call, mirrored } = await openMirror(shadow);
  expect(await (await call("f")).text()).toBe("answer");
  await eventually("the copy was compared", async () => (await mirrored()).length > 0);
  expect(await mirrored()).toEqual([`v2 ${result} 1`]);
});

test.each<[what: string, size: number, shadow: string, result: string]>([
  ["of 300 kB that is the same", 300_000, "", "same"],
  ["of 300 kB whose last byte differs", 300_000, "y", "body"],
  ["of 6 MB, which is too long to be compared", 6_000_000, "", "unknown"],
])("an answer %s is compared as it goes by", async (_what, size, last, result) => {
  const { call, mirrored } = await openMirror(says("x".repeat(size - last.length) + last), {}, says("x".repeat(size)));
  expect(await (await call("f")).text()).toHaveLength(size);
  await eventually("the copy was compared", async () => (await mirrored()).length > 0);
  expect(await mirrored()).toEqual([`v2 ${result} 1`]);
});

test("only safe methods are copied, unless others are allowed, and then with their bodies", async () => {
  const { call, put, one, two, mirrored } = await openMirror(says("answer"));
  await call("f", { method: "POST", body: "x" });
  await call("f@v1");
  put(
    { version: "v1", annotations: { "com.faaslane.mirror": "v2=100", "com.faaslane.mirror.methods": "POST" } },
    one.address,
  );
  await call("f");
  await call("f", { method: "POST", body: "x".repeat(70_000) });
  await call("f", { method: "POST", body: "small" });
  await eventually("the copy was compared", async () => (await mirrored()).length > 0);
  expect(two.seen.map(({ body }) => body)).toEqual(["small"]);
});

test("callers do not wait for copies, of which only so many are under way", async () => {
  const { call, mirrored, put } = await openMirror(() => {});
  for (let n = 0; n < 70; n++) expect(await (await call("f")).text()).toBe("answer");
  expect(await mirrored()).toEqual(["v2 dropped 6"]);
  put({ name: "f@v2", version: "v2" }); // its calls are cut at the end
});

test("a version that sleeps is woken by copies, while calls go on", async () => {
  const { call, put, two, woken, mirrored } = await openMirror(says("answer"));
  put({ name: "f@v2", version: "v2" });
  expect((await call("f")).status).toBe(200);
  await eventually("the version is woken", () => woken.includes("f@v2.fns"));
  put({ name: "f@v2", version: "v2" }, two.address);
  await eventually("the copy was compared", async () => (await mirrored()).length > 0);
  expect(await mirrored()).toEqual(["v2 same 1"]);
});

test("copies for a version that is down are dropped while one waits for it, and callers notice nothing", async () => {
  const { call, put, two, mirrored } = await openMirror(says("answer"));
  put({ name: "f@v2", version: "v2" }, "127.0.0.1:1");
  await eventually("copies are dropped", async () => {
    expect(await (await call("f")).text()).toBe("answer");
    return (await mirrored()).some((line) => line.startsWith("v2 dropped"));
  });
  expect((await mirrored()).filter((line) => line.startsWith("v2 same"))).toEqual([]);
  put({ name: "f@v2", version: "v2" }, two.address);
  await eventually("the one that waited was compared", async () =>
    (await mirrored()).some((line) => line.startsWith("v2 same")),
  );
});

test("a rollout in a step of copies is judged by them", async () => {
  const rollout = {
    id: 1,
    from: "v1",
    to: "v2",
    phase: "step",
    step: 0,
    since: 1,
    startedAt: 1,
    measurements: [],
    settings: { steps: [{ share: 10_000, mirror: true, forMs: 60_000 }, { share: 10_000 }] },
  } as unknown as RolloutState;
  const { call, table, mirrored } = await openMirror(says("answer", 500), { annotations: {}, rollout });
  for (let n = 0; n < 3; n++) expect((await call("f")).status).toBe(200);
  await eventually("the copies were compared", async () => (await mirrored()).join() === "v2 status 3");
  expect(table.find("f@v2")?.meter.trial?.counts()).toMatchObject({ calls: 3, errors: 3 });
  expect(table.find("f")?.meter.trial?.counts()).toMatchObject({ calls: 3, errors: 0 });
});

test("what threads count of copies is added up", async () => {
  const { call, table, mirrored } = await openMirror(says("answer"));
  await call("f");
  await eventually("the copy was compared", async () => (await mirrored()).length > 0);
  const meter = table.find("f@v2")?.meter;
  const taken = meter?.take();
  expect(await mirrored()).toEqual([]);
  if (taken) for (let n = 0; n < 2; n++) meter?.add(structuredClone(taken));
  expect(await mirrored()).toEqual(["v2 same 2"]);
});
