import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "@jest/globals";
import type { EventDelivery, EventRecord, EventStore } from "../../events/store/event-store.ts";
import {
  type JetStreamEvents,
  type JetStreamEventsOptions,
  openJetStreamEvents,
} from "../../events/store/jetstream/index.ts";
import { attempt, done, newEvent, routeTo } from "../events/store-contract.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free-port.ts";
import { describeWithNats, NatsServer } from "../support/nats.ts";

const NS = "openfaas-fn";
const ACK_WAIT_MS = 2000;
const OPTIONS = { concurrency: 32, perTrigger: () => 32 };

interface Try {
  readonly at: bigint;
  readonly id: string;
  readonly trigger: string;
}

describeWithNats("events on JetStream", () => {
  const opened: JetStreamEvents[] = [];
  const servers: NatsServer[] = [];
  const children: ChildProcess[] = [];
  const logged: string[] = [];

  afterEach(async () => {
    for (const child of children.splice(0)) child.kill("SIGKILL");
    await Promise.all(opened.splice(0).map((store) => store.close()));
    await Promise.all(servers.splice(0).map((server) => server.remove()));
    logged.length = 0;
  });

  async function start(...options: Parameters<typeof NatsServer.start>): Promise<NatsServer> {
    const server = await NatsServer.start(...options);
    servers.push(server);
    return server;
  }

  async function open(address: string, options: Partial<JetStreamEventsOptions> = {}): Promise<EventStore> {
    const tell = (_facts: unknown, message?: string) => void logged.push(message ?? "");
    const log = { debug: tell, info: tell, warn: tell, error: tell } as JetStreamEventsOptions["log"];
    const settings = { ackWaitMs: ACK_WAIT_MS, leaseMs: 1000, pollMs: 200, log };
    const store = await openJetStreamEvents({ servers: [address], ...settings, ...options });
    opened.push(store);
    return store.events;
  }

  async function all(store: EventStore, query: object = {}): Promise<EventRecord[]> {
    const found: EventRecord[] = [];
    for (let after: string | undefined; ; ) {
      const page = { order: "oldest", limit: 500, ...(after !== undefined && { after }) } as const;
      const { events, next } = await store.list({ namespace: NS, ...query }, page);
      found.push(...events);
      if (next === undefined) return found;
      after = next;
    }
  }

  async function isIdle(store: EventStore): Promise<boolean> {
    const stats = await store.stats(NS);
    return stats.every(({ pending, open }) => pending === 0 && Object.keys(open).length === 0);
  }

  const keyed = (i: number, type = "order") => {
    const { event, ...rest } = newEvent({ id: `e-${i}`, type });
    return { ...rest, event: { ...event, attributes: { ...event.attributes, partitionkey: `k${i % 10}` } } };
  };

  test("workers that are killed lose nothing, double no reply, and keep the order of keys", async () => {
    const server = await start();
    const store = await open(server.address);
    const tries: Try[] = [];
    const startWorker = async () => {
      const script = fileURLToPath(new URL("../support/events/event-worker.mjs", import.meta.url));
      const args = ["--disable-warning=ExperimentalWarning", script, server.address, String(ACK_WAIT_MS)];
      const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
      children.push(child);
      const ready = Promise.withResolvers<void>();
      createInterface({ input: child.stdout as NodeJS.ReadableStream }).on("line", (line) => {
        const [at, id, trigger] = line.split(" ");
        if (line === "ready") ready.resolve();
        else if (at && id && trigger) tries.push({ at: BigInt(at), id, trigger });
      });
      await ready.promise;
      return child;
    };
    const workers = await Promise.all([startWorker(), startWorker()]);
    for (let i = 0; i < 1000; i += 20) {
      await store.append(Array.from({ length: 20 }, (_, k) => keyed(i + k, (i + k) % 2 === 0 ? "asks" : "order")));
      if (i % 200 !== 100) continue;
      // One of them is the one that routes.
      const victim = workers.shift() as ChildProcess;
      const exited = once(victim, "exit");
      victim.kill("SIGKILL");
      await exited;
      workers.push(await startWorker());
    }
    await eventually("all are made", () => isIdle(store), 60_000, 100);
    const events = await all(store);
    const originals = events.filter(({ event }) => event.event.attributes.type !== "reply");
    expect(originals).toHaveLength(1000);
    expect(originals.filter(({ deliveries }) => deliveries.length !== 2)).toEqual([]);
    expect(originals.flatMap(({ deliveries }) => deliveries).filter(({ state }) => state !== "delivered")).toEqual([]);
    const replies = events.flatMap(({ event }) =>
      event.event.attributes.type === "reply" ? [String(event.event.attributes.id)] : [],
    );
    expect(new Set(replies).size).toBe(500);
    expect(replies).toHaveLength(500);
    const ordered = tries.filter(({ trigger }) => trigger === "ordered").toSorted((a, b) => (a.at < b.at ? -1 : 1));
    for (let key = 0; key < 10; key++) {
      const numbers = ordered.map(({ id }) => Number(id.slice(2))).filter((number) => number % 10 === key);
      expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
      expect(new Set(numbers).size).toBe(100);
    }
  }, 120_000);

  test("two processes make each delivery once, and keep the order of keys between them", async () => {
    const server = await start();
    const [one, two] = await Promise.all([open(server.address), open(server.address)]);
    const made: string[] = [];
    const byStore = [0, 0];
    const route = async (events: Parameters<ReturnType<typeof routeTo>>[0]) =>
      events.map(({ ref, event }) => ({
        ref,
        verdicts: [],
        deliveries: [{ trigger: "free" }, { trigger: "ordered", orderKey: String(event.attributes.partitionkey) }],
        keep: "full" as const,
      }));
    const deliverOf = (store: number) => async (delivery: EventDelivery) => {
      byStore[store] = (byStore[store] ?? 0) + 1;
      made.push(`${delivery.trigger} ${delivery.event.event.attributes.id}`);
      await new Promise((resolve) => setTimeout(resolve, 2));
      return done;
    };
    await one.consume(route, deliverOf(0), OPTIONS);
    await two.consume(route, deliverOf(1), OPTIONS);
    for (let i = 0; i < 500; i += 25) await two.append(Array.from({ length: 25 }, (_, k) => keyed(i + k)));
    await eventually("all are made", () => made.length >= 1000 && isIdle(one), 60_000, 50);
    expect(made).toHaveLength(1000);
    expect(new Set(made).size).toBe(1000);
    expect(Math.min(...byStore)).toBeGreaterThan(100);
    const ordered = made.filter((what) => what.startsWith("ordered")).map((what) => Number(what.split("e-")[1]));
    for (let key = 0; key < 10; key++) {
      const numbers = ordered.filter((number) => number % 10 === key);
      expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
    }
  }, 90_000);

  test("of two that append with one `once`, one does", async () => {
    const server = await start();
    const stores = await Promise.all([open(server.address), open(server.address)]);
    const keys = Array.from({ length: 40 }, (_, i) => `tick/${i}`);
    const appended = await Promise.all(
      keys.flatMap((key) => stores.map(async (store) => (await store.append([newEvent({ once: key })]))[0])),
    );
    expect(appended.filter((one) => one?.duplicate === false)).toHaveLength(40);
    expect(new Set(appended.map((one) => one?.ref)).size).toBe(40);
    const mixed = [newEvent({ once: "tick/0" }), newEvent({ id: "new", once: "tick/new" }), newEvent()];
    const [known, added, plain] = (await stores[0]?.append(mixed)) ?? [];
    expect([known?.duplicate, added?.duplicate, plain?.duplicate]).toEqual([true, false, false]);
    expect(known?.ref).toBe(appended[0]?.ref);
    expect(await all(stores[1] as EventStore)).toHaveLength(42);
    expect((await stores[1]?.find(NS, added?.ref as string))?.event.event.attributes.id).toBe("new");
  }, 60_000);

  test("while the server is away events are refused, and what was taken is delivered when it is back", async () => {
    const server = await start();
    const store = await open(server.address);
    const seen = new Set<string>();
    const settled: EventDelivery[] = [];
    await store.consume(
      routeTo(["t"]),
      async (delivery) => {
        seen.add(String(delivery.event.event.attributes.id));
        await new Promise((resolve) => setTimeout(resolve, 20));
        settled.push(delivery);
        return delivery.failures === 0 && seen.size % 5 === 0
          ? { kind: "retry", afterMs: 1500, attempt: attempt({ status: 500 }) }
          : done;
      },
      { concurrency: 8, perTrigger: () => 8 },
    );
    const taken: string[] = [];
    const append = async (id: string) => {
      await store.append([newEvent({ id })]);
      taken.push(id);
    };
    for (let i = 0; i < 100; i++) await append(`before-${i}`);
    await server.kill();
    await expect(append("away")).rejects.toMatchObject({ kind: "unavailable" });
    await expect(store.list({ namespace: NS }, { order: "oldest", limit: 1 })).rejects.toMatchObject({
      kind: "unavailable",
    });
    await new Promise((resolve) => setTimeout(resolve, 4000));
    await server.restart();
    await eventually("events are taken again", async () => await append("after").then(() => true), 30_000, 200);
    await eventually(
      "all are delivered",
      async () => taken.every((id) => seen.has(id)) && (await isIdle(store)),
      60_000,
      100,
    );
    const states = (await all(store)).flatMap(({ deliveries }) => deliveries.map(({ state }) => state));
    expect(new Set(states)).toEqual(new Set(["delivered"]));
    expect(logged.join("\n")).not.toContain("has lost its streams");
    expect(states.length).toBeGreaterThanOrEqual(101);
  }, 120_000);

  test("a server that comes later is waited for, and all is `unavailable` until then", async () => {
    const port = await freePort();
    const store = await openJetStreamEvents({
      servers: [`127.0.0.1:${port}`],
      pollMs: 200,
      leaseMs: 1000,
      log: { debug() {}, info() {}, warn() {}, error() {} },
    });
    opened.push(store);
    const { events, resources } = store;
    await expect(events.append([newEvent()])).rejects.toMatchObject({ kind: "unavailable" });
    await expect(resources.list("trigger")).rejects.toMatchObject({ kind: "unavailable" });
    const seen: EventDelivery[] = [];
    await events.consume(
      routeTo(["t"]),
      async (delivery) => {
        seen.push(delivery);
        return done;
      },
      OPTIONS,
    );
    let told = 0;
    resources.watch("trigger", () => told++);
    await start({ config: `listen: "127.0.0.1:${port}"` });
    await eventually("it is open", async () => await events.append([newEvent()]).then(() => true), 30_000, 100);
    await eventually("it is delivered", () => seen.length === 1);
    await eventually("who watches is told", () => told > 0);
    await resources.put({ kind: "trigger", namespace: NS, name: "a", spec: {} });
    await eventually("who watches is told again", () => told > 1);
  }, 60_000);

  test("a server that keeps its streams in memory and is started anew has lost them: that is told, and it goes on", async () => {
    const server = await start();
    const store = await open(server.address, { storage: "memory" });
    const seen: string[] = [];
    await store.consume(
      routeTo(["t"]),
      async ({ event }) => {
        seen.push(String(event.event.attributes.id));
        return done;
      },
      OPTIONS,
    );
    for (let i = 0; i < 30; i++) await store.append([newEvent({ id: `a-${i}` })]);
    await eventually("all are made", () => isIdle(store), 20_000, 50);
    await server.restart();
    await eventually(
      "events are taken again",
      async () => await store.append([newEvent({ id: "b" })]).then(() => true),
      30_000,
    );
    await eventually("they are delivered", () => seen.includes("b"), 30_000);
    expect(logged.join("\n")).toContain("NATS has lost its streams of events");
    expect((await all(store)).map(({ event }) => event.event.attributes.id)).toContain("b");
  }, 90_000);

  test("a retry waits on the server, whatever becomes of the process that settled it", async () => {
    const server = await start();
    const first = await open(server.address);
    await first.consume(
      routeTo(["t"]),
      async () => ({ kind: "retry", afterMs: 3000, attempt: attempt({ status: 500 }) }),
      OPTIONS,
    );
    const [appended] = await first.append([newEvent({ id: "r" })]);
    await eventually("it is tried", async () => (await all(first))[0]?.deliveries[0]?.state === "retrying");
    const due = (await first.find(NS, appended?.ref as string))?.deliveries[0]?.nextAttemptAt as number;
    await opened.shift()?.close();
    await server.restart();
    const second = await open(server.address);
    const seen: { at: number; failures: number }[] = [];
    await second.consume(
      routeTo(["t"]),
      async ({ failures }) => {
        seen.push({ at: Date.now(), failures });
        return done;
      },
      OPTIONS,
    );
    await eventually("it is tried again", () => seen.length === 1, 30_000);
    expect(seen[0]?.failures).toBe(1);
    expect(seen[0]?.at).toBeGreaterThanOrEqual(due - 50);
    await eventually("it is settled", () => isIdle(second));
    expect((await all(second))[0]?.deliveries[0]).toMatchObject({ state: "delivered", tries: 2 });
  }, 60_000);

  test("with copies on three servers, the loss of one loses nothing", async () => {
    const cluster = await NatsServer.startCluster(3);
    servers.push(...cluster);
    const [a, b] = cluster as [NatsServer, NatsServer];
    const store = await open(b.address, { replicas: 3, servers: [b.address, a.address], publishTimeoutMs: 5000 });
    const seen = new Set<string>();
    await store.consume(
      routeTo(["t", { trigger: "o", orderKey: "k" }]),
      async ({ event, trigger }) => {
        seen.add(`${trigger} ${event.event.attributes.id}`);
        return done;
      },
      OPTIONS,
    );
    const taken: string[] = [];
    for (let i = 0; i < 60; i++) {
      if (i === 30) await a.kill();
      const id = `c-${i}`;
      await eventually(
        "it is taken",
        async () => await store.append([newEvent({ id, once: id })]).then(() => true),
        40_000,
        100,
      );
      taken.push(id);
    }
    await eventually("all are made", () => taken.every((id) => seen.has(`t ${id}`) && seen.has(`o ${id}`)), 60_000, 50);
    await eventually("all are settled", () => isIdle(store), 30_000, 100);
    expect(await all(store)).toHaveLength(60);
  }, 150_000);
});
