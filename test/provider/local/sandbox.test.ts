import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "@jest/globals";
import type { LocalBackendOptions } from "../../../provider/backends/local/local-backend.ts";
import { describeWithBubblewrap } from "../../support/bubblewrap.ts";
import { testNeeding } from "../../support/needing.ts";
import { isRunning, temporaryFolder } from "../../support/platform.ts";
import { openBuildFixture, outputOf } from "../build-fixture.ts";
import { descriptor, tarOf } from "../tar-fixture.ts";
import {
  call,
  deployment,
  ECHO,
  echo,
  endpointsOf,
  forking,
  inProcess,
  type LocalFixture,
  openFixture,
  readLogs,
  readyAddresses,
  ref,
  statusOf,
  until,
  untilReady,
  WATCHDOG,
} from "./support.ts";

let fixture: LocalFixture | undefined;
const testAsRoot = testNeeding(
  process.getuid?.() === 0 ? undefined : "only root can become another user to try as that one",
);

const folders: string[] = [];
afterEach(async () => {
  await fixture?.close();
  fixture = undefined;
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

async function open(options: Partial<LocalBackendOptions>): Promise<LocalFixture> {
  fixture = await openFixture(options);
  await fixture.addImage("echo", ECHO);
  return fixture;
}

async function temporary(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "faaslane-sandbox-"));
  folders.push(folder);
  return folder;
}

/** A machine without bubblewrap: a PATH with next to nothing. */
async function withoutBubblewrap(): Promise<{ PATH: string }> {
  const folder = await temporary();
  for (const name of ["sh", "sleep", "cat"]) await symlink(`/bin/${name}`, join(folder, name));
  return { PATH: folder };
}

/** A machine where bubblewrap is installed and may not do anything. */
async function withBrokenBubblewrap(): Promise<{ PATH: string }> {
  const environment = await withoutBubblewrap();
  const program = join(environment.PATH, "bwrap");
  await writeFile(program, "#!/bin/sh\necho 'bwrap: setting up uid map: Permission denied' >&2\nexit 1\n");
  await chmod(program, 0o755);
  return environment;
}

test.each<[what: string, machine: () => Promise<{ PATH: string }>, why: RegExp]>([
  ["missing", withoutBubblewrap, /bubblewrap is not installed/],
  ["of no use", withBrokenBubblewrap, /bubblewrap does not work here: bwrap: setting up uid map: Permission denied/],
])("where bubblewrap is %s, one line at the start says so and how to get it", async (_what, machine, why) => {
  const { backend, logged } = await open({ sandbox: "auto", environment: await machine() });
  expect(logged.filter((line) => line.includes("without a sandbox"))).toHaveLength(1);
  expect(logged.join()).toMatch(why);
  expect(logged.join()).toMatch(/apt-get install bubblewrap/);
  await backend.functions.create(deployment("fn", "echo"));
  expect((await untilReady(backend, "fn")).sandbox).toBe("permission");
});

test("sandbox=off says nothing and restricts nothing", async () => {
  const { backend, logged } = await open({ sandbox: "off", environment: await withoutBubblewrap() });
  await backend.functions.create(deployment("fn", "echo"));
  expect((await untilReady(backend, "fn")).sandbox).toBe("none");
  expect(logged.join()).not.toMatch(/sandbox|bubblewrap/);
  expect((await echo(backend, "fn")).argv).toEqual([]);
});

test("sandbox=required starts no function without one, and says why", async () => {
  const { backend, logged } = await open({ sandbox: "required", environment: await withoutBubblewrap() });
  expect(logged.join()).toMatch(/a sandbox is required: starting no functions/);
  await backend.functions.create(deployment("fn", "echo"));
  const problem = await until("it says why", async () => (await statusOf(backend, "fn")).problem);
  expect(problem).toMatch(/^could not be prepared: sandbox=required, but bubblewrap is not installed/);
  expect(await readyAddresses(backend, "fn")).toEqual([]);
});

test("without a sandbox a function does not get a network that it asked not to have", async () => {
  const { backend } = await open({ sandbox: "auto", environment: await withoutBubblewrap() });
  const offline = (network: string) => deployment("fn", "echo", { annotations: { "com.faaslane.network": network } });
  for (const [network, message] of [
    ["none", /com\.faaslane\.network: none needs a sandbox, and there is none here/],
    ["off", /com\.faaslane\.network: must be none or host, not "off"/],
  ] as const) {
    const refused = backend.functions.create(offline(network));
    await expect(refused).rejects.toMatchObject({ kind: "invalid", message: expect.stringMatching(message) });
  }
});

test("a seat belt is no noose: what handlers usually do goes on", async () => {
  const { backend } = await open({ sandbox: "auto", environment: await withoutBubblewrap() });
  await (fixture as LocalFixture).addImage(
    "usual",
    inProcess(`
      import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
      import { lookup } from "node:dns/promises";
      import { tmpdir } from "node:os";
      import { Worker } from "node:worker_threads";
      import zlib from "node:zlib";
      export default async (req, res) => {
        writeFileSync(mkdtempSync(tmpdir() + "/x") + "/file", "text");
        writeFileSync("kept.txt", "kept");
        const worker = new Worker("require('node:worker_threads').parentPort.postMessage('worked')", { eval: true });
        const worked = await new Promise((resolve) => worker.once("message", resolve));
        const { address } = await lookup("localhost");
        res.end(JSON.stringify([readFileSync("kept.txt", "utf8"), worked, address !== "", zlib.gzipSync("a").length > 0]));
      };
    `),
  );
  await backend.functions.create(deployment("fn", "usual"));
  await untilReady(backend, "fn");
  const { body } = await call((await readyAddresses(backend, "fn"))[0] ?? "");
  expect(JSON.parse(body)).toEqual(["kept", "worked", true, true]);
});

test.each<[what: string, envVars: Record<string, string>, answer: RegExp]>([
  ["may not start programs", {}, /ERR_ACCESS_DENIED/],
  ["that has to may say so", { NODE_OPTIONS: "--allow-child-process" }, /^started$/],
])("without a wall, a handler in the watchdog's process %s", async (_what, envVars, answer) => {
  const { backend, addImage } = await open({ sandbox: "auto", environment: await withoutBubblewrap() });
  const source = `
    import { execFileSync } from "node:child_process";
    export default (req, res) => {
      try { res.end(execFileSync("/bin/echo", ["-n", "started"])); } catch (error) { res.end(error.code); }
    };
  `;
  await addImage("starter", inProcess(source));
  await backend.functions.create(deployment("fn", "starter", { envVars }));
  await untilReady(backend, "fn");
  expect((await call((await readyAddresses(backend, "fn"))[0] ?? "")).body).toMatch(answer);
});

describeWithBubblewrap("behind a wall", () => {
  const walled = (more: Partial<LocalBackendOptions> = {}) => open({ sandbox: "required", ...more });

  test("a function has its code, its secrets and its own /tmp where OpenFaaS's images have them", async () => {
    const { backend } = await walled();
    await backend.secrets.create(ref("key"), Buffer.from("v1"));
    await backend.functions.create(deployment("fn", "echo", { secrets: ["key"] }));
    await untilReady(backend, "fn");
    const { env, cwd, secret } = await echo(backend, "fn", "/?secret=key");
    expect([cwd, env.HOME, env.TMPDIR, env.FAASLANE_SECRETS_DIR, secret]).toEqual([
      "/home/app",
      "/home/app",
      "/tmp",
      "/var/openfaas/secrets",
      "v1",
    ]);
    await backend.secrets.update(ref("key"), Buffer.from("v2"));
    expect((await echo(backend, "fn", "/?secret=key")).secret).toBe("v2");
    expect((await statusOf(backend, "fn")).sandbox).toMatch(/^bubblewrap(\+cgroup)?$/);
  });

  test("calls under way end before a function does, and its last words are kept", async () => {
    const { backend } = await walled();
    await backend.functions.create(deployment("fn", "echo"));
    await untilReady(backend, "fn");
    const [address = ""] = await readyAddresses(backend, "fn");
    const slow = call(address, "/?sleep=700");
    await call(address, "/log?line=remembered");
    await backend.functions.scale(ref("fn"), 0);
    expect((await slow).status).toBe(200);
    await until("it is gone", async () => (await endpointsOf(backend, "fn")).endpoints.length === 0);
    const lines = (await readLogs(backend, { name: "fn" })).map(({ text }) => text);
    expect(lines).toContain("remembered\n");
    expect(lines.some((line) => line.includes("Drained"))).toBe(true);
  });

  test.each<[how: string, source: string, problem: RegExp]>([
    ["an exit code", "process.exit(3)", /^exited with code 3/],
    ["a signal", "process.kill(process.pid, 'SIGSEGV')", /^was killed by SIGSEGV/],
    ["an error while it loads", "throw new TypeError('no such model')", /no such model/],
  ])("%s comes through", async (_how, source, problem) => {
    const { backend } = await walled();
    await (fixture as LocalFixture).addImage("bad", inProcess(source));
    await backend.functions.create(deployment("bad", "bad"));
    const said = await until("there is a problem", async () => (await statusOf(backend, "bad")).problem);
    expect(said).toMatch(problem);
  });

  test("one that never yields is killed when it has to go", async () => {
    const { backend } = await walled();
    await (fixture as LocalFixture).addImage("stuck", inProcess(`export default () => { for (;;); };`));
    await backend.functions.create(deployment("stuck", "stuck", { envVars: { write_timeout: "100ms" } }));
    await untilReady(backend, "stuck");
    call((await readyAddresses(backend, "stuck"))[0] ?? "").catch(() => {});
    await backend.functions.scale(ref("stuck"), 0);
    await until("it is gone", async () => (await endpointsOf(backend, "stuck")).endpoints.length === 0);
  });

  test("what it uses is measured, its children included", async () => {
    const { backend } = await walled();
    await backend.functions.create(deployment("fn", "echo"));
    await untilReady(backend, "fn");
    const status = await backend.functions.get(ref("fn"), true);
    expect(status?.usage?.totalMemoryBytes).toBeGreaterThan(20 * 2 ** 20);
  });

  test("programs run that live outside the usual folders, and no others from there", async () => {
    const home = await temporary();
    const script = (text: string) => `#!/bin/sh\n${text}\n`;
    const bin = join(home, "tool-1.2", "bin");
    for (const folder of [bin, join(home, "tool-1.2", "lib")]) await mkdir(folder, { recursive: true });
    await writeFile(join(home, "tool-1.2", "lib", "words"), "from its library");
    await writeFile(join(bin, "tool"), script(`cat "${join(home, "tool-1.2/lib/words")}"; ls "${home}"`), {
      mode: 0o755,
    });
    await writeFile(join(home, "private"), "no");
    const { backend, addImage } = await walled({ environment: { PATH: `${bin}:${process.env.PATH}` } });
    await addImage("tool", forking("tool"));
    await backend.functions.create(deployment("fn", "tool"));
    await untilReady(backend, "fn");
    expect((await call((await readyAddresses(backend, "fn"))[0] ?? "")).body).toBe("from its librarytool-1.2\n");
  });

  test("a build reads the certificates that its environment names", async () => {
    const folder = await temporaryFolder();
    const ca = join(folder.path, "ca.pem");
    await writeFile(ca, "trusted\n", { mode: 0o644 });
    const building = await openBuildFixture({}, { PATH: process.env.PATH, PIP_CERT: ca }, "required");
    try {
      const text = "cat $PIP_CERT; ls -A $(dirname $PIP_CERT)";
      const context = tarOf(descriptor({ install: ["sh", "install.sh"] }), { name: "install.sh", content: text });
      expect(outputOf(await building.build(context))).toEqual(expect.arrayContaining(["trusted", "ca.pem"]));
      // A build argument names no file of the platform's.
      const other = join(folder.path, "other.pem");
      await writeFile(other, "private\n");
      const events = await building.build(context, { buildArgs: { PIP_CERT: other } });
      expect(outputOf(events)).not.toContain("private");
    } finally {
      await building.close();
      await folder.remove();
    }
  });

  test("an install step has its context, the network and the programs, and nothing of the platform", async () => {
    const building = await openBuildFixture({}, { PATH: process.env.PATH }, "required");
    try {
      const events = await building.build(
        tarOf(descriptor({ install: ["sh", "install.sh"] }), {
          name: "install.sh",
          content: [
            "pwd; echo made > made; echo x > $TMPDIR/x",
            `ls -A ${building.dataDir} 2>/dev/null | head -1; test -e ${building.dataDir} && echo visible`,
            "ls /sys/class/net 2>/dev/null; grep -c : /proc/net/dev",
            "setsid sleep 98765 >/dev/null 2>&1 & sleep 0.1; ls /proc | grep -c '^[0-9]*$'",
          ].join("\n"),
        }),
      );
      expect(events.at(-1)?.status).toBe("success");
      const output = outputOf(events);
      expect(output).toContain("/home/app");
      expect(output).not.toContain("visible");
      expect(Number(output.at(-1))).toBeLessThan(10);
      const { path } = building.images.resolve("test:1") ?? { path: "" };
      expect(await readFile(join(path, "made"), "utf8")).toBe("made\n");
      expect(await building.leftovers()).toEqual([]);
    } finally {
      await building.close();
    }
  });

  testAsRoot("the same holds for a user without privileges", async () => {
    const folder = await temporary();
    await chmod(folder, 0o777);
    const child = fileURLToPath(new URL("./sandbox-child.ts", import.meta.url));
    const args = ["--reuid", "1234", "--regid", "1234", "--clear-groups", process.execPath];
    const other = spawn(
      "setpriv",
      [...args, "--disable-warning=ExperimentalWarning", child, join(folder, "data"), WATCHDOG],
      {
        env: { PATH: process.env.PATH, HOME: folder },
        stdio: ["ignore", "pipe", "inherit"],
      },
    );
    const [line] = (await once(createInterface({ input: other.stdout }), "line")) as [string];
    const seen = JSON.parse(line) as { sandbox: string; uid: number; pids: number; outside: string };
    expect(seen).toEqual({ sandbox: "bubblewrap", uid: 1234, pids: expect.any(Number), outside: "ENOENT" });
    expect(seen.pids).toBeLessThan(10);
    await once(other, "exit");
    expect(await isRunning(other.pid ?? 0)).toBe(false);
  });
});
