import { readdir } from "node:fs/promises";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { shareConnections } from "../../kit/descriptors.ts";
import { type CrowdKind, CrowdProcess, withDescriptors } from "../support/crowd.ts";
import { eventually } from "../support/eventually.ts";
import { residentBytes } from "../support/large-bodies.ts";
import { LoneGateway } from "../support/lone-gateway.ts";
import { rawRequest } from "../support/raw-http.ts";

/** Thousands of connections of which nobody has any use, and a few callers beside them. */
const MIB = 1024 ** 2;
const { prefix, descriptors } = withDescriptors(65_536);
/** As many as this machine lets a gateway have. */
const MANY = Math.min(10_000, Math.floor(shareConnections(descriptors).callers * 0.9));

const SLOW_CALL = "GET /function/f?ms=2000 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

/** Connections to replicas that are kept for a minute after so many calls at once. */
const KEPT = 300;

let on: LoneGateway;
beforeAll(async () => {
  on = await LoneGateway.start({ prefix });
  const replicas = await on.startReplicas(2);
  await on.announce(
    "f",
    replicas.map(({ address }) => address),
  );
}, 60_000);
afterAll(() => on?.close());

const held = async () => (await readdir(`/proc/${on.gateway.pid}/fd`)).length;

/** Answers to calls one after the other. @returns milliseconds of the one in the middle */
async function call(times: number): Promise<number> {
  const took: number[] = [];
  for (let i = 0; i < times; i++) {
    const begunAt = performance.now();
    const answer = await fetch(on.url("f"));
    await answer.text();
    expect(answer.status).toBe(200);
    took.push(performance.now() - begunAt);
  }
  return took.sort((a, b) => a - b)[times >> 1] as number;
}

test(`${MANY} idle connections cost little, keep nobody out, and are given back`, async () => {
  if (MANY < 10_000) process.stdout.write(`${MANY} connections, as a process may have ${descriptors} descriptors\n`);
  await call(500);
  const before = { descriptors: await held(), bytes: await residentBytes(on.gateway.pid) };
  const grown: number[] = [];
  for (let round = 0; round < 3; round++) {
    const crowd = await CrowdProcess.open(on.port, "idle", MANY);
    const { open } = await crowd.count();
    expect(open).toBeGreaterThan(MANY * 0.95);
    expect(await held()).toBeGreaterThan(before.descriptors + MANY * 0.95);
    await call(200);
    grown.push((await residentBytes(on.gateway.pid)) - before.bytes);
    await crowd.leave();
    await eventually(
      "their descriptors are back",
      async () => (await held()) <= before.descriptors + KEPT,
      60_000,
      200,
    );
  }
  process.stdout.write(
    `${MANY} idle connections: ${grown.map((bytes) => Math.round(bytes / MIB)).join(", ")} MiB more\n`,
  );
  // What the first ones took serves the next.
  expect(Math.max(...grown)).toBeLessThan(MANY * 60 * 1024 + 60 * MIB);
  await call(100);
}, 400_000);

test("idle connections make room for calls and their replicas, and no more of them than it takes", async () => {
  const limit = 4_096;
  const few = await LoneGateway.start({ prefix: ["prlimit", `--nofile=${limit}:${limit}`] });
  try {
    const [replica] = await few.startReplicas(1);
    await few.announce("f", [replica?.address as string]);
    const { callers } = shareConnections(limit);
    const crowd = await CrowdProcess.open(few.port, "idle", callers - 200);
    const before = await crowd.count();
    expect(before.open).toBeGreaterThan(callers * 0.6);
    const statuses = await Promise.all(
      // By connections of their own: one that was kept may be the one that makes room.
      Array.from({ length: 400 }, async () => (await rawRequest(few.port, SLOW_CALL))?.status),
    );
    expect([...new Set(statuses)]).toEqual([200]);
    const lost = (await crowd.count()).lost - before.lost;
    // Each call has taken two at most, of which there were some.
    process.stdout.write(
      `400 calls beside ${before.open} idle connections of at most ${callers}: ${lost} were closed\n`,
    );
    expect(lost).toBeGreaterThan(0);
    expect(lost).toBeLessThanOrEqual(2 * 400);
    await crowd.leave();
  } finally {
    await few.close();
  }
}, 240_000);

test.each<[kind: CrowdKind, count: number]>([
  ["slow-head", 3_000],
  ["slow-body", 1_500],
])(
  "beside %s clients, %i of them, calls are answered as usual, and memory is bounded",
  async (kind, wanted) => {
    const count = Math.min(wanted, Math.floor(MANY / 2));
    const usualMs = await call(200);
    const before = { descriptors: await held(), bytes: await residentBytes(on.gateway.pid) };
    const crowd = await CrowdProcess.open(on.port, kind, count);
    expect((await crowd.count()).open).toBeGreaterThan(count * 0.9);
    const besideMs = await call(400);
    const grown = (await residentBytes(on.gateway.pid)) - before.bytes;
    process.stdout.write(
      `${count} ${kind} clients: a call takes ${besideMs.toFixed(1)} ms beside them, ${usualMs.toFixed(1)} without; ` +
        `${Math.round(grown / MIB)} MiB more\n`,
    );
    expect(besideMs).toBeLessThan(20 * usualMs + 200);
    expect(grown).toBeLessThan(200 * MIB);
    if (kind === "slow-head") {
      // A head has 20 s, however alive its sender is.
      await eventually("they are let go of", async () => (await crowd.count()).open === 0, 90_000, 500);
    }
    await crowd.leave();
    await eventually("all is given back", async () => (await held()) <= before.descriptors + KEPT, 60_000, 100);
    await call(100);
  },
  240_000,
);

test("1,000 calls at once of a function at zero are all answered, by few orders for one replica", async () => {
  const { provider } = on;
  const [replica] = await on.startReplicas(1);
  // The load would ask for more of them.
  const labels = { "com.openfaas.scale.max": "1" };
  provider.put({ name: "zero", replicas: 0, labels });
  provider.requests.length = 0;
  const before = await residentBytes(on.gateway.pid);
  const calls = Promise.all(
    Array.from({ length: 1_000 }, async (_, i) => {
      const init = i % 2 === 0 ? {} : { method: "POST", body: "x".repeat(1_000) };
      const answer = await fetch(on.url("zero"), init);
      return [answer.status, await answer.text()];
    }),
  );
  await eventually("all wait", async () => (await on.metric("gateway_held_calls")) === 1_000, 60_000, 50);
  const address = replica?.address as string;
  provider.put({ name: "zero", labels, endpoints: [{ address, instance: "only", state: "ready" }] });
  const answers = await calls;
  const grown = (await residentBytes(on.gateway.pid)) - before;
  process.stdout.write(`1,000 calls of a function at zero: ${Math.round(grown / MIB)} MiB more\n`);
  expect(answers.filter(([status, text]) => status !== 200 || text !== String(replica?.pid))).toEqual([]);
  const orders = provider.requests.filter(({ url }) => url.startsWith("/system/scale-function/zero"));
  const asked = orders.map(({ method, body }) => `${method} ${JSON.parse(body).replicas}`);
  expect([...new Set(asked)]).toEqual(["POST 1"]);
  // It is asked again where nothing has come of an order for seconds.
  expect(asked.length).toBeLessThan(10);
  expect(grown).toBeLessThan(150 * MIB);
  provider.remove("zero");
}, 120_000);
