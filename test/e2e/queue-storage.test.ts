import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "@jest/globals";
import { connect, type NatsConnection } from "nats";
import { type AccountStorage, decideRoom, type StorageNeed } from "../../gateway/queue/jetstream/client/storage.ts";
import type { Queue } from "../../gateway/queue/queue.ts";
import { newCall } from "../contracts/queue-contract.ts";
import { openOn } from "../gateway/queue/jetstream/support.ts";
import { eventually } from "../support/eventually.ts";
import { describeWithNats, NatsServer } from "../support/nats.ts";
import { ROOT } from "../support/platform.ts";

const MIB = 1024 ** 2;

describe("room in an account", () => {
  const need = (given: Partial<StorageNeed> = {}): StorageNeed => ({
    storage: "file",
    replicas: 1,
    reservedBytes: 1280 * MIB,
    callBytes: undefined,
    ...given,
  });
  const account = (limitMib: number | undefined, given: Partial<AccountStorage> = {}): AccountStorage => ({
    limitBytes: limitMib === undefined ? undefined : limitMib * MIB,
    reservedBytes: 0,
    ownBytes: 0,
    copies: 1,
    whose: "account",
    ...given,
  });

  test.each<[rule: string, account: AccountStorage, need: StorageNeed, expected: object]>([
    ["without a limit nobody can tell", account(undefined), need(), {}],
    ["what is left is for calls", account(2000), need(), { callBytes: 720 * MIB }],
    [
      "its own streams are counted once",
      account(2000, { reservedBytes: 1280 * MIB, ownBytes: 1280 * MIB }),
      need(),
      {
        callBytes: 720 * MIB,
      },
    ],
    ["others' streams are not its own", account(2000, { reservedBytes: 500 * MIB }), need(), { callBytes: 220 * MIB }],
    ["copies count", account(6000, { copies: 3 }), need({ replicas: 3 }), { callBytes: 720 * MIB }],
    ["a few calls need little", account(1281), need({ callBytes: MIB }), { callBytes: MIB }],
    [
      "as many calls as are asked for fit in",
      account(2304),
      need({ callBytes: 1024 * MIB }),
      { callBytes: 1024 * MIB },
    ],
  ])("%s", (_rule, has, wanted, expected) => {
    expect(decideRoom(has, wanted)).toEqual(expected);
  });

  test.each<[what: string, account: AccountStorage, need: StorageNeed, text: string]>([
    [
      "for what is reserved",
      account(1000),
      need(),
      "its streams reserve 1280Mi of file storage (nats_reserved_bytes), of which its account has 984Mi; " +
        "give the account more, or set nats_reserved_bytes to at most 984Mi",
    ],
    [
      "in memory, on three servers",
      account(600, { copies: 3 }),
      need({ storage: "memory", replicas: 3 }),
      "its streams reserve 1280Mi of memory storage on each of 3 servers (nats_reserved_bytes), of which its account has " +
        "184Mi; give the account more, or set nats_reserved_bytes to at most 184Mi",
    ],
    [
      "for anything at all",
      account(20, { reservedBytes: 10 * MIB }),
      need(),
      "its streams reserve 1280Mi of file storage (nats_reserved_bytes), of which its account has 0; give the account more",
    ],
    [
      "for the calls that are asked for",
      account(2000),
      need({ callBytes: 1024 * MIB }),
      "calls may take 1024Mi (async_max_bytes) and its streams reserve 1280Mi (nats_reserved_bytes), 2304Mi of file storage in " +
        "all, of which its account has 2000Mi; give the account more, or set async_max_bytes to at most 720Mi",
    ],
  ])("too little %s is said in one line", (_what, has, wanted, text) => {
    expect(decideRoom(has, wanted)).toEqual({ message: text });
  });
});

describeWithNats("storage of the server", () => {
  const servers: NatsServer[] = [];
  const queues: Queue[] = [];
  const links: NatsConnection[] = [];

  afterEach(async () => {
    await Promise.all(queues.splice(0).map((queue) => queue.close()));
    await Promise.all(links.splice(0).map((nc) => nc.close()));
    await Promise.all(servers.splice(0).map((server) => server.remove()));
  });

  const start = async (options: Parameters<typeof NatsServer.start>[0]) => {
    const server = await NatsServer.start(options);
    servers.push(server);
    return server;
  };
  const open = async (...args: Parameters<typeof openOn>) => {
    const queue = await openOn(...args);
    queues.push(queue);
    return queue;
  };
  const reserved = async (server: NatsServer) => {
    const nc = await connect({ servers: server.address });
    links.push(nc);
    const jsm = await nc.jetstreamManager();
    const streams = await jsm.streams.list().next();
    const sizes = streams.map(({ config }) => [config.name, Math.max(0, config.max_bytes)] as const);
    return Object.fromEntries(sizes.filter(([, bytes]) => bytes > 0));
  };
  const LIMITED = "accounts { A: { jetstream: { max_file: 200M, max_mem: 100M }, users: [{user: a, password: a}] } }";
  const A = { credentials: { user: "a", password: "a" } as never };

  test("is refused by its numbers and by name when it is too small, and what is named as enough is", async () => {
    const server = await start({ maxFileStore: 300 * MIB });
    const refused = await open(server).catch((error: Error) => error);
    expect(refused).toMatchObject({
      name: "StartError",
      message: expect.stringMatching(
        /^cannot keep the queue at NATS 127\.0\.0\.1:\d+: its streams reserve 1280Mi of file storage \(nats_reserved_bytes\), of which the server has \d+Mi; give the server \(its max_file_store or the disk\) more, or set nats_reserved_bytes to at most \d+Mi$/,
      ),
    });
    expect(await reserved(server)).toEqual({});
    const [, most] = /at most (\d+)Mi/.exec((refused as Error).message) ?? [];
    expect(Number(most)).toBeGreaterThanOrEqual(282);
    expect(Number(most)).toBeLessThanOrEqual(284);
    const queue = await open(server, { reservedBytes: Number(most) * MIB });
    expect((await queue.publish(newCall())).duplicate).toBe(false);
    const sizes = await reserved(server);
    expect(Object.keys(sizes).sort()).toEqual(["FAASLANE_DEAD", "FAASLANE_FINISHED"]);
    expect(Object.values(sizes).reduce((a, b) => a + b, 0)).toBe(Number(most) * MIB);
  });

  test("of an account is refused in the same way; calls are bounded by what it has left", async () => {
    const server = await start({ config: LIMITED });
    await expect(open(server, A)).rejects.toThrow(/of which its account has 17\dMi; give the account more/);
    await expect(open(server, { ...A, storage: "memory" })).rejects.toThrow(/memory storage .* its account has 79Mi/);
    const asked = { ...A, reservedBytes: 64 * MIB, callLimits: { bytes: 1024 * MIB } };
    await expect(open(server, asked)).rejects.toThrow(/calls may take 1024Mi \(async_max_bytes\)/);
    const queue = await open(server, { ...A, reservedBytes: 64 * MIB });
    const { limits } = await queue.stats();
    // What the server itself has is found to a MiB.
    const half = (200e6 - 64 * MIB) / 2;
    expect(limits.bytes).toBeLessThanOrEqual(half);
    expect(limits.bytes).toBeGreaterThan(half - 2 * MIB);
    // Those of the next start are the same: its own streams are not in its way.
    await queue.close();
    const again = await open(server, { ...A, reservedBytes: 64 * MIB });
    expect(Math.abs((await again.stats()).limits.bytes - limits.bytes)).toBeLessThan(2 * MIB);
  });

  test("that streams of another size have is given back or added to, whatever else there is", async () => {
    const server = await start({ maxFileStore: 320 * MIB });
    const { id } = await (await open(server, { reservedBytes: 290 * MIB })).publish(newCall());
    for (const size of [100, 290, 64, 299]) {
      await queues.pop()?.close();
      const queue = await open(server, { reservedBytes: size * MIB });
      expect(Object.values(await reserved(server)).reduce((a, b) => a + b, 0)).toBe(size * MIB);
      expect(await queue.find(id)).toMatchObject({ state: "waiting" });
    }
    await queues.pop()?.close();
    await expect(open(server, { reservedBytes: 400 * MIB })).rejects.toThrow(/of which the server has 30[34]Mi/);
    // Nothing is left of what was tried.
    const sizes = await reserved(server);
    expect(Object.keys(sizes).filter((name) => name.includes("ROOM"))).toEqual([]);
  });

  test("bounds the calls that it takes: a full server could not even store what became of them", async () => {
    const server = await start({ maxFileStore: 200 * MIB });
    const asked = { reservedBytes: 64 * MIB, callLimits: { bytes: 1024 * MIB } };
    await expect(open(server, asked)).rejects.toThrow(
      /: calls may take 1024Mi \(async_max_bytes\) .* of which the server has 199Mi; give the server .* at most 135Mi$/,
    );
    const queue = await open(server, { reservedBytes: 64 * MIB, callLimits: { functionBytes: 1024 * MIB } });
    let accepted = 0;
    const full = await (async () => {
      for (; accepted < 300; accepted++) await queue.publish(newCall({ body: Buffer.alloc(900_000) }));
    })().catch((error: Error) => error);
    expect(full).toMatchObject({ kind: "overloaded", message: expect.stringContaining("async_max_bytes") });
    expect(accepted).toBeGreaterThan(50);
    const consumer = await queue.consume(async () => ({ kind: "done" }), { concurrency: 16, limitOf: () => 16 });
    await eventually(
      "all are done",
      async () => (await queue.stats()).waiting + (await queue.stats()).inFlight === 0,
      30_000,
    );
    await consumer.close(1000);
    expect((await queue.publish(newCall({ body: Buffer.alloc(900_000) }))).duplicate).toBe(false);
  }, 60_000);

  test("that another process tries out at the same moment counts as free, as does what one left that was killed", async () => {
    const server = await start({ maxFileStore: 400 * MIB });
    const options = { reservedBytes: 64 * MIB };
    const many = await Promise.all(Array.from({ length: 6 }, () => open(server, options)));
    const sizes = await Promise.all(many.map(async (queue) => (await queue.stats()).limits.bytes));
    for (const bytes of sizes) expect(bytes).toBeGreaterThan(((400 - 64) / 2 - 2) * MIB);
    const nc = await connect({ servers: server.address });
    links.push(nc);
    const left = { name: "FAASLANE_ROOM", subjects: ["FAASLANE.room"], max_bytes: 300 * MIB };
    await (await nc.jetstreamManager()).streams.add(left);
    expect((await (await open(server, options)).stats()).limits.bytes).toBeGreaterThan(((400 - 64) / 2 - 2) * MIB);
    expect(Object.keys(await reserved(server))).not.toContain("FAASLANE_ROOM");
  }, 60_000);

  test("a worker that finds too little ends with one line and status 1", async () => {
    const server = await start({ maxFileStore: 64 * MIB });
    await writeFile(join(server.folder, "empty"), "");
    const worker = spawn(process.execPath, [join(ROOT, "gateway/process/queue-worker/main.ts")], {
      cwd: server.folder,
      env: {
        PATH: process.env.PATH,
        nats_url: `nats://${server.address}`,
        gateway_url: "http://127.0.0.1:1",
        basic_auth: "false",
      },
    });
    let said = "";
    worker.stderr.on("data", (text) => {
      said += text;
    });
    const [code] = await once(worker, "exit");
    expect(code).toBe(1);
    const lines = said.split("\n").filter((line) => line.startsWith("faaslane: "));
    expect(lines).toEqual([
      expect.stringMatching(/^faaslane: cannot keep the queue at NATS .* nats_reserved_bytes to at/),
    ]);
  });
});
