import { mkdtemp, readdir, rm, stat, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "@jest/globals";
import type { LocalBackendOptions } from "../../../provider/backends/local/local-backend.ts";
import {
  call,
  deployment,
  ECHO,
  echo,
  endpointsOf,
  follow,
  forking,
  inProcess,
  isAlive,
  type LocalFixture,
  openFixture,
  readLogs,
  readyAddresses,
  ref,
  statusOf,
  until,
  untilReady,
} from "./support.ts";

let fixture: LocalFixture;
const open = async (options: Partial<LocalBackendOptions> = {}) => {
  fixture = await openFixture(options);
  await fixture.addImage("echo", ECHO);
  return fixture.backend;
};
afterEach(async () => {
  await fixture.close();
});

const fast = { backoff: { firstMs: 5, maxMs: 40, stableMs: 10_000 }, startTimeoutMs: 60_000, slowStartMs: 3_000 };

test("a function sees nothing of the platform's environment, and its own in the right order", async () => {
  const backend = await open();
  await fixture.addImage(
    "env",
    inProcess(ECHO["index.mjs"] as string, { a: "artefact", b: "artefact", port: "9", TMPDIR: "/nowhere" }),
  );
  await backend.functions.create(
    deployment("env", "env", {
      envProcess: "cat",
      envVars: { b: "deployed", c: "deployed", port: "8", bind_address: "0.0.0.0", OPENFAAS_NAME: "liar" },
    }),
  );
  await untilReady(backend, "env");
  const { env, cwd } = await echo(backend, "env");
  expect(env).toEqual({
    PATH: process.env.PATH,
    HOME: cwd,
    a: "artefact",
    b: "deployed",
    c: "deployed",
    fprocess: "cat",
    mode: "inproc",
    inproc_handler: "./index.mjs",
    healthcheck_interval: "0s",
    port: "0",
    metrics_port: "0",
    bind_address: "127.0.0.1",
    OPENFAAS_NAME: "env",
    OPENFAAS_NAMESPACE: "openfaas-fn",
    TMPDIR: expect.stringContaining(fixture.dataDir),
    FAASLANE_SECRETS_DIR: expect.stringContaining(fixture.dataDir),
    FAASLANE_MARK: expect.stringMatching(/^[0-9a-f]{16}\.env-\d+-[0-9a-f]{8}$/),
  });
});

test("programs that a function starts for a call see no more than it", async () => {
  const backend = await open();
  await fixture.addImage("env", forking("env"));
  await backend.functions.create(deployment("env", "env"));
  await untilReady(backend, "env");
  const [address = ""] = await readyAddresses(backend, "env");
  const { body } = await call(address);
  expect(body).toContain("OPENFAAS_NAME=env");
  expect(body).not.toContain("PLATFORM_TOKEN");
  expect(body).not.toContain("NODE_CHANNEL_FD");
});

test("a server of its own is ready once it takes connections, and ends with its replica", async () => {
  const backend = await open();
  await fixture.addImage("server", {
    "faaslane.json": JSON.stringify({
      env: { mode: "http", fprocess: "node server.mjs", upstream_url: "http://127.0.0.1:0" },
    }),
    "server.mjs": `
      import { createServer } from "node:http";
      const server = createServer((req, res) => res.end(String(process.pid)));
      setTimeout(() => server.listen(Number(process.env.http_port), "127.0.0.1"), 100);
    `,
  });
  await backend.functions.create(deployment("server", "server"));
  await untilReady(backend, "server");
  const [address = ""] = await readyAddresses(backend, "server");
  const { status, body } = await call(address);
  expect(status).toBe(200);
  await backend.functions.scale(ref("server"), 0);
  await until("its process is gone", () => !isAlive(Number(body)));
});

test("each function works on a copy of its own, which nobody else can read", async () => {
  const backend = await open();
  await backend.functions.create(deployment("one", "echo"));
  await backend.functions.create(deployment("two", "echo"));
  await untilReady(backend, "one");
  await untilReady(backend, "two");
  const [one, two] = [await echo(backend, "one"), await echo(backend, "two")];
  expect(one.cwd).not.toBe(two.cwd);
  for (const folder of [one.cwd, one.env.TMPDIR, one.env.FAASLANE_SECRETS_DIR, fixture.dataDir]) {
    expect((await stat(folder as string)).mode & 0o777).toBe(0o700);
  }
});

test("a memory limit bounds the heap of an in-process function", async () => {
  const backend = await open();
  await backend.functions.create(deployment("fn", "echo", { limits: { memory: "128Mi" } }));
  await untilReady(backend, "fn");
  expect((await echo(backend, "fn")).argv).toEqual(["--max-old-space-size=96"]);
});

test("a replica that dies is replaced", async () => {
  const backend = await open({ times: fast });
  await backend.functions.create(deployment("fn", "echo"));
  await untilReady(backend, "fn");
  const { pid } = await echo(backend, "fn");
  process.kill(pid, "SIGKILL");
  const next = await until("another process serves", async () => {
    const [address] = await readyAddresses(backend, "fn");
    if (!address) return undefined;
    const reply = await call(address).catch(() => undefined);
    const seen = reply && (JSON.parse(reply.body) as { pid: number });
    return seen && seen.pid !== pid && seen;
  });
  expect(isAlive(next.pid)).toBe(true);
  expect(await statusOf(backend, "fn")).not.toHaveProperty("problem");
});

test("a function that exits at once is a crash loop that says what happened", async () => {
  const backend = await open({ times: fast });
  await fixture.addImage(
    "bad",
    inProcess(`console.error("\\u001b[31mno licence for hunter2hunter2"); process.exit(3);`),
  );
  await backend.secrets.create(ref("key"), Buffer.from("hunter2hunter2"));
  await backend.functions.create(deployment("bad", "bad", { secrets: ["key"] }));
  const problem = await until("there were some restarts", async () => {
    const { problem: now } = await statusOf(backend, "bad");
    return now?.includes("3 restarts") && now;
  });
  expect(problem).toBe("exited with code 3, 3 restarts; last output: [31mno licence for ***");
  expect((await endpointsOf(backend, "bad")).problem).toMatch(/exited with code 3/);
  await backend.functions.scale(ref("bad"), 0);
  await until("asleep, it has no problem", async () => (await statusOf(backend, "bad")).problem === undefined);
});

test("a handler that throws while it loads says what it threw", async () => {
  const backend = await open({ times: fast });
  await fixture.addImage("bad", inProcess(`throw new TypeError("no such model");`));
  await backend.functions.create(deployment("bad", "bad"));
  const { problem } = await until("there is a problem", async () => {
    const status = await statusOf(backend, "bad");
    return status.problem !== undefined && status;
  });
  expect(problem).toMatch(/no such model/);
});

test("a function that never listens is reported soon and killed at its deadline", async () => {
  const backend = await open({ times: { ...fast, slowStartMs: 100, startTimeoutMs: 700 } });
  await fixture.addImage("mute", inProcess("await new Promise(() => setInterval(() => {}, 1000));"));
  await backend.functions.create(deployment("mute", "mute"));
  const problemNow = async () => (await statusOf(backend, "mute")).problem;
  expect(await until("it is reported as slow", problemNow)).toBe("has not started listening after 0.1 s");
  expect((await endpointsOf(backend, "mute")).problem).toBeUndefined();
  await until("its deadline passed", async () =>
    /did not start listening within 0.7 s/.test((await problemNow()) ?? ""),
  );
  const told = await until("it has failed often enough", async () => (await endpointsOf(backend, "mute")).problem);
  expect(told).toMatch(/did not start listening within 0.7 s, 2 restarts/);
});

test("a watchdog that cannot be started at all is a problem, not a failure of the platform", async () => {
  const backend = await open({ times: fast, nodePath: "/nowhere/node" });
  await fixture.addImage("cat", forking("cat"));
  await backend.functions.create(deployment("fn", "cat"));
  await until("there is a problem", async () =>
    // The shell says so where control groups are joined first.
    /^could not be started: ENOENT|^exited with code 127/.test((await statusOf(backend, "fn")).problem ?? ""),
  );
  await backend.functions.remove(ref("fn"));
  expect(await statusOf(backend, "fn").catch((error: Error) => error.message)).toMatch(/no function/);
});

test("a program left behind by a replica goes with it", async () => {
  const backend = await open({ times: fast });
  await fixture.addImage(
    "parent",
    inProcess(`
      import { spawn } from "node:child_process";
      const child = spawn("sleep", ["1000"], { stdio: "inherit" });
      export default (req, res) => res.end(String(child.pid));
    `),
  );
  await backend.functions.create(deployment("parent", "parent"));
  await untilReady(backend, "parent");
  const [address = ""] = await readyAddresses(backend, "parent");
  const child = Number((await call(address)).body);
  expect(isAlive(child)).toBe(true);
  await backend.functions.scale(ref("parent"), 0);
  await untilReady(backend, "parent", 0);
  await until("the child is gone", () => !isAlive(child));
});

test("scaling down stops the youngest replica and lets its calls finish", async () => {
  const backend = await open();
  await backend.functions.create(deployment("fn", "echo"));
  await untilReady(backend, "fn");
  const [oldest] = await readyAddresses(backend, "fn");
  await backend.functions.scale(ref("fn"), 2);
  await untilReady(backend, "fn", 2);
  const youngest = (await readyAddresses(backend, "fn")).find((address) => address !== oldest) ?? "";
  const slow = call(youngest, "/?sleep=700");
  await backend.functions.scale(ref("fn"), 1);
  await untilReady(backend, "fn", 1);
  expect(await readyAddresses(backend, "fn")).toEqual([oldest]);
  expect((await slow).status).toBe(200);
  await until("it is gone", async () => (await endpointsOf(backend, "fn")).endpoints.length === 1);
});

test("a replica that will not drain is killed when its write timeout is over", async () => {
  const backend = await open();
  await fixture.addImage("stuck", inProcess(`export default () => { for (;;); };`));
  await backend.functions.create(deployment("stuck", "stuck", { envVars: { write_timeout: "100ms" } }));
  await untilReady(backend, "stuck");
  const [address = ""] = await readyAddresses(backend, "stuck");
  const cut = call(address).then(
    () => "answered",
    () => "cut",
  );
  await backend.functions.scale(ref("stuck"), 0);
  await until("it is gone", async () => (await endpointsOf(backend, "stuck")).endpoints.length === 0);
  expect(await cut).toBe("cut");
});

test("no call fails while a function is updated, again and again", async () => {
  const backend = await open();
  const version = (n: number) => inProcess(`export default (req, res) => setTimeout(() => res.end("v${n}"), 5);`);
  for (let n = 0; n < 4; n += 1) await fixture.addImage(`fn:v${n}`, version(n));
  await backend.functions.create(deployment("fn", "fn:v0", { labels: { "com.openfaas.scale.min": "2" } }));
  await untilReady(backend, "fn", 2);

  // As a gateway does: choose among the replicas that are ready by the latest word of the stream.
  const { events, stop } = follow(backend);
  const readyNow = () => {
    const last = events.findLast((event) => event.type !== "heartbeat");
    const endpoints = last?.function.endpoints ?? [];
    return endpoints.filter(({ state }) => state === "ready").map(({ address }) => address);
  };
  await until("the stream is open", () => readyNow().length > 0);
  let hammering = true;
  let calls = 0;
  const failures: unknown[] = [];
  const seen = new Set<string>();
  const hammer = async () => {
    while (hammering) {
      const addresses = readyNow();
      if (addresses.length < 2) failures.push(`only ${addresses.length} replicas serve`);
      const address = addresses[calls % addresses.length] ?? "";
      calls += 1;
      await call(address).then(
        ({ status, body }) => (status === 200 ? seen.add(body) : failures.push(status)),
        (error) => failures.push(error),
      );
    }
  };
  const hammers = [hammer(), hammer(), hammer(), hammer()];
  for (let n = 1; n < 4; n += 1) {
    await backend.functions.update(
      deployment("fn", `fn:v${n}`, { labels: { "com.openfaas.scale.min": "2" }, envVars: { n: String(n) } }),
    );
    await until(`version ${n} serves alone`, async () => {
      const { endpoints, generation } = await endpointsOf(backend, "fn");
      return endpoints.length === 2 && endpoints.every(({ instance }) => instance.startsWith(`fn-${generation}-`));
    });
  }
  hammering = false;
  await Promise.all(hammers);
  await stop();
  expect(failures).toEqual([]);
  expect(calls).toBeGreaterThan(50);
  expect([...seen].sort()).toEqual(["v0", "v1", "v2", "v3"]);
});

test("an update leaves one working copy, a removal leaves nothing", async () => {
  const backend = await open();
  await backend.functions.create(deployment("fn", "echo"));
  await untilReady(backend, "fn");
  const before = await echo(backend, "fn");
  await backend.functions.update(deployment("fn", "echo", { envVars: { a: "1" } }));
  const home = join(before.cwd, "../..");
  await until("only the new copy is left", async () => (await readdir(home)).sort().join() === "2,logs");
  const { pid } = await until("the new version serves", async () => await echo(backend, "fn").catch(() => undefined));
  await backend.functions.remove(ref("fn"));
  expect(await backend.functions.list("openfaas-fn")).toEqual([]);
  await until("all files are gone", async () => (await readdir(join(home, ".."))).length === 0);
  expect(isAlive(pid)).toBe(false);
});

test("a function deployed without ever having been built says what to do", async () => {
  const backend = await open();
  await expect(backend.functions.create(deployment("fn", "registry:5000/team/fn"))).rejects.toMatchObject({
    kind: "invalid",
    message: expect.stringMatching(
      /^validation failed: image "registry:5000\/team\/fn:latest" has not been built here; run "faaslane up"/,
    ),
  });
});

test("an image can be named by its digest", async () => {
  const backend = await open();
  const digest = await fixture.addImage("team/fn:1", ECHO);
  await backend.functions.create(deployment("fn", `team/fn:1@sha256:${digest}`));
  await untilReady(backend, "fn");
  const other = deployment("other", `team/fn@sha256:${"0".repeat(64)}`);
  await expect(backend.functions.create(other)).rejects.toMatchObject({ kind: "invalid" });
  const traversal = deployment("other", "team/fn@sha256:../../functions");
  await expect(backend.functions.create(traversal)).rejects.toMatchObject({ kind: "invalid" });
});

test("building an image again and deploying it is a change", async () => {
  const backend = await open();
  await backend.functions.create(deployment("fn", "echo"));
  await untilReady(backend, "fn");
  const { generation } = await endpointsOf(backend, "fn");
  await fixture.addImage("echo", inProcess(`export default (req, res) => res.end("rebuilt");`));
  await backend.functions.update(deployment("fn", "echo:latest".replace(":latest", "")));
  await until("the new build serves", async () => {
    const [address] = await readyAddresses(backend, "fn");
    return address && (await call(address)).body === "rebuilt";
  });
  expect((await endpointsOf(backend, "fn")).generation).toBeGreaterThan(generation);
});

test.each<[string, Record<string, string>, RegExp]>([
  ["a NUL in a value", { a: "x\0y" }, /envVars\.a: must not contain NUL/],
  ["a name with an equals sign", { "a=b": "1" }, /envVars: "a=b"/],
  ["an empty name", { "": "1" }, /envVars: ""/],
  ["a value no process could take", { a: "x".repeat(200_000) }, /envVars\.a: is longer than 128 KiB/],
])("%s is refused", async (_case, envVars, message) => {
  const backend = await open();
  await expect(backend.functions.create(deployment("fn", "echo", { envVars }))).rejects.toMatchObject({
    kind: "invalid",
    message: expect.stringMatching(message),
  });
});

test("many functions start again together after a restart, as many replicas as before", async () => {
  const backend = await open();
  for (const name of ["a", "b", "c", "d"]) await backend.functions.create(deployment(name, "echo"));
  await backend.functions.scale(ref("b"), 2);
  await backend.functions.scale(ref("c"), 0);
  await untilReady(backend, "a");
  await untilReady(backend, "b", 2);
  await fixture.reopen();
  await Promise.all([
    untilReady(fixture.backend, "a", 1),
    untilReady(fixture.backend, "b", 2),
    untilReady(fixture.backend, "d", 1),
  ]);
  expect((await statusOf(fixture.backend, "c")).replicas).toBeUndefined();
});

test("a second backend on the same folder is refused, and leaves the first alone", async () => {
  const backend = await open();
  await backend.functions.create(deployment("fn", "echo"));
  await untilReady(backend, "fn");
  const elsewhere = await mkdtemp(join(tmpdir(), "faaslane-link-"));
  const link = join(elsewhere, "data");
  await symlink(fixture.dataDir, link);
  try {
    await expect(openFixture({ dataDir: link })).rejects.toThrow(/another process uses/);
  } finally {
    await rm(elsewhere, { recursive: true });
  }
  expect((await echo(backend, "fn")).pid).toBeGreaterThan(0);
});

test("closing stops every process and keeps what they said", async () => {
  const backend = await open();
  await backend.functions.create(deployment("fn", "echo"));
  await untilReady(backend, "fn");
  const { pid } = await echo(backend, "fn", "/log?line=remembered");
  await backend.close(5_000);
  expect(isAlive(pid)).toBe(false);
  await fixture.reopen();
  expect((await readLogs(fixture.backend, { name: "fn" })).some(({ text }) => text === "remembered\n")).toBe(true);
});

test("closing ends also what will not drain, in time", async () => {
  const backend = await open();
  await fixture.addImage("stuck", inProcess(`export default (req, res) => { res.end("now", () => { for (;;); }); };`));
  await backend.functions.create(deployment("stuck", "stuck"));
  await backend.functions.create(deployment("fn", "echo"));
  await untilReady(backend, "stuck");
  await untilReady(backend, "fn");
  const { pid } = await echo(backend, "fn");
  await call((await readyAddresses(backend, "stuck"))[0] ?? "");
  const startedAt = performance.now();
  await backend.close(300);
  expect(performance.now() - startedAt).toBeLessThan(10_000); // it would never end
  expect(isAlive(pid)).toBe(false);
});
