import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { descriptorsOf } from "../support/descriptors.ts";
import { eventually } from "../support/eventually.ts";
import { LoneGateway, type ReplicaProcess } from "../support/lone-gateway.ts";

/** Replicas that fail while the provider still calls them ready: what becomes of the calls is up to the gateway alone. */
let on: LoneGateway;
beforeAll(async () => {
  on = await LoneGateway.start();
}, 60_000);
afterAll(() => on?.close());

const PARALLEL = 12;

interface Call {
  readonly begunAt: number;
  /** Undefined while it waits. */
  status?: number;
  text?: string;
}

/** Calls `url`, so many at a time, and remembers each. A call that waits for long has another one begun in its place. */
class Crowd {
  readonly calls: Call[] = [];
  readonly #url: string;
  readonly #running = new Set<Promise<void>>();
  #stopped = false;

  constructor(url: string) {
    this.#url = url;
    for (let i = 0; i < PARALLEL; i++) this.#next();
  }

  get done(): number {
    return this.calls.filter(({ status }) => status === 200).length;
  }

  get failed(): Call[] {
    return this.calls.filter(({ status }) => status !== undefined && status !== 200);
  }

  get waiting(): Call[] {
    return this.calls.filter(({ status }) => status === undefined);
  }

  async carry(calls: number): Promise<void> {
    const until = this.done + calls;
    await eventually(`${calls} more calls are answered`, () => this.done >= until, 60_000, 20);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#running);
  }

  #next(): void {
    if (this.#stopped) return;
    const call: Call = { begunAt: performance.now() };
    this.calls.push(call);
    let replaced = false;
    const replace = () => {
      if (!replaced) this.#next();
      replaced = true;
    };
    const stuck = setTimeout(replace, 1_000);
    const running: Promise<void> = fetch(this.#url, { signal: AbortSignal.timeout(90_000) })
      .then(async (answer) => {
        call.text = await answer.text();
        call.status = answer.status;
      })
      .catch((error: Error) => {
        call.text = String(error.cause ?? error);
        call.status = 0;
      })
      .finally(() => {
        clearTimeout(stuck);
        this.#running.delete(running);
        replace();
      });
    this.#running.add(running);
  }
}

async function withReplicas(name: string, count: number): Promise<ReplicaProcess[]> {
  const replicas = await on.startReplicas(count);
  await on.announce(
    name,
    replicas.map(({ address }) => address),
  );
  return replicas;
}

test("a replica that is killed breaks the calls that it has, and no others", async () => {
  const [victim] = (await withReplicas("killed", 3)) as [ReplicaProcess];
  const crowd = new Crowd(on.url("killed", "?ms=30"));
  await crowd.carry(100);
  const gone = once(victim.process, "exit");
  victim.process.kill("SIGKILL");
  await gone;
  const goneAt = performance.now();
  await crowd.carry(300);
  await crowd.stop();
  expect(crowd.failed.filter(({ begunAt }) => begunAt > goneAt)).toEqual([]);
  // No replica has more than its share, and a few may have been begun while it died.
  expect(crowd.failed.length).toBeLessThanOrEqual(PARALLEL);
  for (const { status, text } of crowd.failed) expect([status, text]).toEqual([500, expect.stringMatching(/killed/)]);
}, 90_000);

test("a replica that is stopped keeps the calls that it has; the others get all further ones, until it goes on", async () => {
  const [victim] = (await withReplicas("stopped", 3)) as [ReplicaProcess];
  const crowd = new Crowd(on.url("stopped", "?ms=5"));
  await crowd.carry(100);
  victim.process.kill("SIGSTOP");
  const stoppedAt = performance.now();
  // Long enough for it to be tried again, if calls were what it is tried with.
  await eventually("some seconds are over", () => performance.now() - stoppedAt > 8_000, 20_000, 50);
  await crowd.carry(300);
  expect(crowd.failed).toEqual([]);
  const { waiting } = crowd;
  expect(waiting.filter(({ begunAt }) => begunAt > stoppedAt + 1_500 && begunAt < performance.now() - 1_500)).toEqual(
    [],
  );
  expect(crowd.done).toBeGreaterThan(300);
  victim.process.kill("SIGCONT");
  await eventually("all that waited are answered", () => waiting.every(({ status }) => status === 200), 30_000, 20);
  const before = crowd.calls.length;
  await eventually(
    "it gets calls again",
    () => crowd.calls.slice(before).some(({ text }) => text === String(victim.pid)),
    60_000,
    20,
  );
  await crowd.stop();
  expect(crowd.failed).toEqual([]);
}, 120_000);

const isRecent = (begunAt: number) => performance.now() - begunAt < 500;

/** Listens, takes what comes, and says nothing. */
async function openSilent(): Promise<{ address: string; sockets: Set<Socket>; close(): void }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.resume().on("error", () => {}));
    socket.on("close", () => sockets.delete(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    sockets,
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

test("of a replica that accepts and never answers the callers learn in time, others take the rest, and nothing stays", async () => {
  const silent = await openSilent();
  try {
    const replicas = await withReplicas("silent", 2);
    const before = (await descriptorsOf(on.gateway.pid)).length;
    on.provider.put({
      name: "silent",
      replicas: 3,
      annotations: { "com.faaslane.timeout": "2s" },
      endpoints: [silent.address, ...replicas.map(({ address }) => address)].map((address) => ({
        address,
        instance: address,
        state: "ready" as const,
      })),
    });
    await eventually("it has a call", async () => {
      void fetch(on.url("silent")).then((answer) => answer.text());
      return silent.sockets.size > 0;
    });
    const crowd = new Crowd(on.url("silent", "?ms=5"));
    await eventually("calls have waited in vain", () => crowd.failed.length > 0, 30_000, 20);
    // Nobody is let wait only to see whether it is well again.
    await eventually("all those are over", () => crowd.waiting.every(({ begunAt }) => isRecent(begunAt)), 30_000, 20);
    const since = performance.now();
    await eventually("some seconds are over", () => performance.now() - since > 8_000, 20_000, 50);
    await crowd.stop();
    for (const { status, text } of crowd.failed) expect([status, text]).toEqual([504, expect.stringMatching(/silent/)]);
    expect(crowd.failed.filter(({ begunAt }) => begunAt > since)).toEqual([]);
    expect(crowd.done).toBeGreaterThan(500);
    // Alone, it lets everybody wait for no longer than that.
    on.provider.put({
      name: "silent",
      annotations: { "com.faaslane.timeout": "2s" },
      endpoints: [{ address: silent.address, instance: "only", state: "ready" }],
    });
    await eventually("it is alone", async () => (await fetch(on.url("silent"))).status === 504, 30_000);
    const answers = await Promise.all(Array.from({ length: 50 }, () => fetch(on.url("silent"))));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([504]));
    await Promise.all(answers.map((answer) => answer.text()));
    await eventually("its connections are closed", () => silent.sockets.size === 0, 30_000, 20);
    expect(await on.metric("gateway_function_invocation_inflight")).toBe(0);
    on.provider.remove("silent");
    await eventually(
      "its descriptors are back",
      // Those of callers stay open for further calls: the test's own pool has that many at most.
      async () => (await descriptorsOf(on.gateway.pid)).length <= before + PARALLEL + 50,
      30_000,
      50,
    );
  } finally {
    silent.close();
  }
}, 120_000);
