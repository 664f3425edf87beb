import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "@jest/globals";
import { signalQuietly } from "../../kit/signal.ts";
import { NAMESPACE, ref, statusOf, untilReady } from "../provider/local/support.ts";
import { serveProvider } from "../provider/support.ts";
import { describeWithBubblewrap } from "../support/bubblewrap.ts";
import { eventually } from "../support/eventually.ts";
import { COLUMNS, type Column, isWalled, openScene, processesWith, type Scene, sizeOf } from "./sandbox-support.ts";

/** How an attempt ends in each column; a pattern is a refusal. */
type Expected = Readonly<Record<Column, "done" | RegExp>>;
interface Attempt {
  readonly what: string;
  /** @returns what the attacker is told */
  readonly order: (scene: Scene) => object | Promise<object>;
  readonly expected: Expected;
}

const gone = /ENOENT|EROFS|ESRCH/;
const restricted = /ERR_ACCESS_DENIED/;
const walls = (how: RegExp) => ({ "wall, in-process": how, "wall, forked": how });
/** Refused by a wall and by Node's permission model; nothing else could. */
const filesOnly = { ...walls(gone), permission: restricted, none: "done" } as const;

let victim: ChildProcess;
beforeAll(async () => {
  victim = spawn("sleep", ["1000"], { stdio: "ignore" });
  await once(victim, "spawn");
});
afterAll(() => void victim.kill("SIGKILL"));

const ATTEMPTS: readonly Attempt[] = [
  {
    what: "read the secret of another function in the store",
    order: ({ fixture }) => ({ kind: "read", path: join(fixture.dataDir, "secrets", NAMESPACE, "theirs") }),
    expected: filesOnly,
  },
  {
    what: "read the copy of a secret that another function was given",
    order: ({ fixture }) => ({
      kind: "read",
      path: join(fixture.dataDir, "functions", NAMESPACE, "victim.1", "1", "secrets", "theirs"),
    }),
    expected: filesOnly,
  },
  {
    what: "read the code of another function",
    order: ({ fixture }) => ({
      kind: "list",
      path: join(fixture.dataDir, "functions", NAMESPACE, "victim.1", "1", "code"),
    }),
    expected: filesOnly,
  },
  {
    what: "read the platform's password",
    order: async ({ fixture }) => {
      const path = join(fixture.dataDir, "basic-auth-password");
      await writeFile(path, "hunter2");
      return { kind: "read", path };
    },
    expected: filesOnly,
  },
  {
    what: "read the database",
    order: ({ fixture }) => ({ kind: "list", path: fixture.dataDir }),
    expected: filesOnly,
  },
  {
    what: "read the project that the platform was started in",
    order: () => ({ kind: "read", path: join(process.cwd(), "package.json") }),
    expected: filesOnly,
  },
  {
    what: "write to the watchdog that it runs in",
    order: ({ watchdog }) => ({ kind: "append", path: watchdog }),
    expected: filesOnly,
  },
  {
    what: "write to its own code in spite of a read-only root",
    order: () => ({ kind: "append", path: "attack.mjs" }),
    expected: filesOnly,
  },
  {
    what: "signal a process of the platform",
    order: () => ({ kind: "signal", pid: process.pid }),
    expected: { ...walls(gone), permission: "done", none: "done" },
  },
  {
    what: "see processes of others in /proc",
    order: () => ({ kind: "see", pid: victim.pid }),
    expected: filesOnly,
  },
  {
    what: "fill /tmp",
    order: () => ({ kind: "fill", folder: "tmp", bytes: 16 * 2 ** 20 }),
    expected: { ...walls(/ENOSPC/), permission: "done", none: "done" },
  },
  {
    what: "fill the memory behind /dev/shm",
    order: () => ({ kind: "fill", folder: "/dev/shm", bytes: 80 * 2 ** 20 }),
    expected: { ...walls(/ENOSPC/), permission: restricted, none: "done" },
  },
  {
    what: "fill the disk where its root is read-only",
    order: () => ({ kind: "fill", folder: ".", bytes: 2 ** 20 }),
    expected: { ...walls(/EROFS/), permission: restricted, none: "done" },
  },
  {
    what: "mount something over what it must not see",
    order: () => ({ kind: "run", command: ["unshare", "--mount", "mount", "-o", "remount,rw", "/usr"] }),
    expected: {
      ...walls(/exit code/),
      permission: restricted,
      none: /exit code|done/,
    },
  },
];

describeWithBubblewrap("what a function can reach", () => {
  for (const column of COLUMNS) {
    const scene: { current?: Scene } = {};
    beforeAll(async () => {
      scene.current = await openScene(column);
      const { backend } = scene.current.fixture;
      await backend.secrets.create({ name: "theirs", namespace: NAMESPACE }, Buffer.from("hunter2"));
      await scene.current.deploy("victim", { secrets: ["theirs"] });
      await scene.current.deploy("attacker", { readOnlyRootFilesystem: true });
    });
    afterAll(() => scene.current?.close());

    test.each(ATTEMPTS)(`${column}: $what`, async ({ order, expected }) => {
      const current = scene.current as Scene;
      const outcome = await current.attack("attacker", await order(current));
      const wanted = expected[column];
      if (typeof wanted === "string") expect(outcome).toBe(wanted);
      else expect(outcome).toMatch(wanted);
    });
  }
});

describeWithBubblewrap("how a function can stay or grow", () => {
  let scene: Scene;
  const marked = () => `${20_000 + Math.floor(Math.random() * 1e8)}`;
  const others: string[] = [];
  afterEach(async () => {
    await scene.close();
    for (const words of others.splice(0)) for (const pid of processesWith(words)) signalQuietly(pid, "SIGKILL");
  });

  test.each<[Column, how: "removed" | "stopped"]>([
    ["wall, in-process", "removed"],
    ["wall, in-process", "stopped"],
    ["wall, forked", "removed"],
    ["none", "removed"],
    ["none", "stopped"],
  ])("%s: outlive in a session of its own that it is %s", async (column, how) => {
    scene = await openScene(column);
    await scene.deploy("attacker");
    const seconds = marked();
    others.push(seconds);
    expect(await scene.attack("attacker", { kind: "outlive", command: ["sleep", seconds] })).toBe("done");
    await eventually("it runs", () => processesWith(seconds).length > 0);
    if (how === "removed") await scene.fixture.backend.functions.remove(ref("attacker"));
    else await scene.fixture.backend.close(2_000);
    await eventually("it is gone", () => processesWith(seconds).length === 0);
  });

  test.each<[Column, survives: boolean]>([
    ["wall, in-process", false],
    ["none", true],
  ])("%s: hide from the sweep by an empty environment", async (column, survives) => {
    scene = await openScene(column);
    await scene.deploy("attacker");
    const seconds = marked();
    others.push(seconds);
    const order = { kind: "outlive", command: ["/bin/sleep", seconds], env: {} };
    expect(await scene.attack("attacker", order)).toBe("done");
    await eventually("it runs", () => processesWith(seconds).length > 0);
    await scene.fixture.backend.close(2_000);
    if (survives) expect(processesWith(seconds)).toHaveLength(1);
    else await eventually("it is gone", () => processesWith(seconds).length === 0);
  });

  test.each<[Column]>([["wall, in-process"], ["wall, forked"], ["permission"], ["none"]])(
    "%s: use more memory than its limit",
    async (column) => {
      scene = await openScene(column);
      await scene.deploy("attacker", { limits: { memory: "64Mi" } });
      await scene.attack("attacker", { kind: "eat", bytes: 2 ** 30 }).catch(() => "cut off");
      await eventually("it was killed for it", async () =>
        (await statusOf(scene.fixture.backend, "attacker")).problem?.startsWith("OOMKilled"),
      );
      await untilReady(scene.fixture.backend, "attacker");
    },
  );

  test.each<[Column, folder: "." | "tmp"]>([
    ["wall, in-process", "."],
    ["wall, forked", "."],
    ["permission", "tmp"],
    ["none", "."],
    ["none", "tmp"],
  ])("%s: fill the disk by %s", async (column, folder) => {
    scene = await openScene(column, { diskBytes: 24 * 2 ** 20 });
    await scene.deploy("attacker");
    scene.attack("attacker", { kind: "hoard", folder, bytes: 64 * 2 ** 20 }).catch(() => {});
    await eventually("it was killed for it", async () =>
      (await statusOf(scene.fixture.backend, "attacker")).problem?.includes("wrote more than 24 MiB of files"),
    );
    await untilReady(scene.fixture.backend, "attacker");
    expect(await scene.attack("attacker", { kind: "list", path: "." })).toBe("done");
    expect(await sizeOf(join(scene.fixture.dataDir, "functions"))).toBeLessThan(8 * 2 ** 20);
  });

  test("none: fill the disk while somebody else frees more of it", async () => {
    scene = await openScene("none", { diskBytes: 24 * 2 ** 20 });
    const ballast = join(scene.fixture.dataDir, "ballast");
    await writeFile(ballast, Buffer.alloc(160 * 2 ** 20, 1));
    await scene.deploy("attacker");
    const freed = rm(ballast);
    scene.attack("attacker", { kind: "hoard", folder: ".", bytes: 64 * 2 ** 20 }).catch(() => {});
    await freed;
    await eventually("it was killed for it", async () =>
      (await statusOf(scene.fixture.backend, "attacker")).problem?.includes("wrote more than 24 MiB of files"),
    );
  });

  test.each<[Column]>([["wall, in-process"], ["wall, forked"], ["none"]])(
    "%s: start processes without end",
    async (column) => {
      scene = await openScene(column);
      await scene.deploy("attacker");
      const seconds = marked();
      others.push(seconds);
      const bomb = `i=0; while [ $i -lt 3000 ]; do sleep ${seconds} & i=$((i+1)); done`;
      const order = { kind: "run", command: ["sh", "-c", bomb] };
      scene.attack("attacker", order).catch(() => {}); // it may take its whole replica along
      let most = 0;
      const until = performance.now() + 4_000;
      while (performance.now() < until) {
        most = Math.max(most, processesWith(seconds).length);
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      expect(most).toBeGreaterThan(10);
      // Where the kernel does not bound them, they are killed once they are noticed.
      if (isWalled(column) || most < 1_100) expect(most).toBeLessThan(1_100);
      // Looking takes this process a while, and it is also the one that kills them.
      else await eventually("they are killed", () => processesWith(seconds).length === 0, 15_000, 500);
    },
  );

  test.each(COLUMNS)("%s: order the provider about without credentials", async (column) => {
    scene = await openScene(column);
    await scene.deploy("attacker");
    const { backend } = scene.fixture;
    const provider = await serveProvider({ backend, credentials: { user: "admin", password: "hunter2" } });
    try {
      for (const path of ["functions", "secrets", "logs?name=attacker", "endpoints"]) {
        expect(await scene.attack("attacker", { kind: "ask", url: `${provider.url}/system/${path}` })).toBe("401");
      }
    } finally {
      await provider.close();
    }
  });

  test("without network there is nothing to reach, while calls still come through", async () => {
    const server = createServer((_req, res) => res.end("reached")).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    scene = await openScene("wall, in-process");
    try {
      await scene.deploy("online");
      await scene.deploy("offline", { annotations: { "com.faaslane.network": "none" } });
      expect(await scene.attack("online", { kind: "reach", port })).toBe("done");
      expect(await scene.attack("offline", { kind: "reach", port })).toBe("ECONNREFUSED");
      const calls = Array.from({ length: 50 }, () => scene.attack("offline", { kind: "list", path: "." }));
      expect(new Set(await Promise.all(calls))).toEqual(new Set(["done"]));
    } finally {
      server.close();
    }
  });
});
