import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import type { BuildEvent } from "../../contract/build.ts";
import type { BuildLimits } from "../../provider/backends/build/limits.ts";
import { eventually } from "../support/eventually.ts";
import { isRunning } from "../support/platform.ts";
import { type BuildFixture, digestOf, openBuildFixture, outputOf } from "./build-fixture.ts";
import { descriptor, tarOf } from "./tar-fixture.ts";

let fixture: BuildFixture;
const open = async (limits: Partial<BuildLimits> = {}, env?: Record<string, string>) => {
  await fixture.close();
  fixture = await openBuildFixture(limits, env);
};
beforeEach(async () => {
  fixture = await openBuildFixture();
});
afterEach(() => fixture.close());

/** A context whose install step is the shell script. */
const script = (text: string, more: object = {}) =>
  tarOf(descriptor({ install: ["sh", "install.sh"], ...more }), { name: "install.sh", content: text });
const never = new AbortController().signal;

/** Waits for a file that an install step writes, and gives what is in it. */
async function written(name: string): Promise<string> {
  return await eventually(`${name} is written`, async () => {
    const text = await readFile(join(fixture.dataDir, name), "utf8").catch(() => "");
    return text.endsWith("\n") ? text.trim() : undefined;
  });
}

test("what the install step makes is part of the artefact, and its output is shown", async () => {
  const events = await fixture.build(script("echo hello; echo oops >&2; mkdir lib; echo made > lib/file"));
  expect(outputOf(events)).toEqual(expect.arrayContaining(["running sh install.sh", "hello", "oops"]));
  const { path, digest } = fixture.images.resolve("test:1") ?? { path: "", digest: "" };
  expect(digestOf(events)).toBe(digest);
  expect(await readFile(join(path, "lib/file"), "utf8")).toBe("made\n");
  expect(await fixture.leftovers()).toEqual([]);
});

test("proxies, registries and certificates of the platform reach the step, other variables do not", async () => {
  const lent = { https_proxy: "http://p:1", NODE_EXTRA_CA_CERTS: "/ca.pem", PIP_INDEX_URL: "http://r", NO_PROXY: "x" };
  const env = { PATH: process.env.PATH ?? "", SECRET: "s", npm_config_local_prefix: "/elsewhere", ...lent };
  await open({}, env);
  const events = await fixture.build(script("env"), { buildArgs: { PIP_INDEX_URL: "http://mine", PATH: "/nowhere" } });
  const lines = outputOf(events);
  expect(lines).toEqual(
    expect.arrayContaining([
      "https_proxy=http://p:1",
      "NODE_EXTRA_CA_CERTS=/ca.pem",
      "NO_PROXY=x",
      "PIP_INDEX_URL=http://mine",
      `PATH=${env.PATH}`,
    ]),
  );
  expect(lines.filter((line) => /^(SECRET|npm_config_local_prefix)=/.test(line))).toEqual([]);
});

test.each([
  ["npm error code SELF_SIGNED_CERT_IN_CHAIN", "NODE_EXTRA_CA_CERTS"],
  ["npm error unable to get local issuer certificate", "PIP_CERT"],
  ["[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate", "PIP_CERT"],
  ["npm error code ENOTFOUND", "https_proxy"],
  ["ERROR: Failed to establish a new connection: [Errno -3] Temporary failure in name resolution", "PIP_INDEX_URL"],
])("a step that fails with %j names the cure", async (line, cure) => {
  const [failed] = (await fixture.build(script(`echo '${line}' >&2; exit 1`))).slice(-1);
  expect(failed).toMatchObject({ status: "failed", error: expect.stringContaining("ended with exit code 1; ") });
  expect(failed).toMatchObject({ error: expect.stringContaining(cure) });
});

test("output that tells of such trouble is no failure by itself", async () => {
  const events = await fixture.build(script("echo ECONNREFUSED; exit 0"));
  expect(events.at(-1)?.status).toBe("success");
  const [failed] = (await fixture.build(script("echo other; exit 1"))).slice(-1);
  expect(failed).toEqual({ status: "failed", error: "the install step ended with exit code 1" });
});

test("output is streamed line by line while the step runs", async () => {
  const gate = join(fixture.dataDir, "gate");
  const running = await fixture.start(
    script(`echo first; until [ -e ${gate} ]; do sleep 0.01; done; printf last`),
    never,
  );
  const seen: BuildEvent[] = [];
  while (!outputOf(seen).includes("first")) seen.push((await running.next()).value);
  expect(outputOf(seen)).not.toContain("last");
  await writeFile(gate, "");
  for (let next = await running.next(); !next.done; next = await running.next()) seen.push(next.value);
  expect(outputOf(seen)).toContain("last");
  expect(seen.at(-1)?.status).toBe("success");
});

test("the same context is installed once", async () => {
  const count = `echo x >> ${fixture.dataDir}/count`;
  const first = await fixture.build(script(count));
  const again = await fixture.build(script(count), { image: "other:2" });
  expect(digestOf(again)).toBe(digestOf(first));
  expect(outputOf(again)).toContain("this context has been built before, nothing to install");
  expect(fixture.images.resolve("other:2")).toEqual(fixture.images.resolve("test:1"));
  expect(await readFile(join(fixture.dataDir, "count"), "utf8")).toBe("x\n");
});

test("builds of one context at the same time install it once", async () => {
  await open({ concurrency: 4 });
  const slow = script(`echo x >> ${fixture.dataDir}/count; sleep 0.1`);
  const all = await Promise.all(["a", "b", "c", "d"].map((image) => fixture.build(slow, { image })));
  expect(new Set(all.map(digestOf)).size).toBe(1);
  expect(await readFile(join(fixture.dataDir, "count"), "utf8")).toBe("x\n");
});

test("after a failure the next build of the context tries again", async () => {
  await open({ concurrency: 2 });
  const flaky = script(`[ -e ${fixture.dataDir}/second ] || { touch ${fixture.dataDir}/second; sleep 0.1; exit 7; }`);
  const [first, second] = await Promise.all([fixture.build(flaky), fixture.build(flaky)]);
  const outcomes = [first.at(-1)?.status, second.at(-1)?.status];
  expect(outcomes.sort()).toEqual(["failed", "success"]);
});

test.each<[rule: string, archive: Buffer, error: string | RegExp]>([
  ["exits with a code", script("exit 3"), "the install step ended with exit code 3"],
  ["is killed", script("kill -TERM $$"), "the install step was ended by SIGTERM"],
  [
    "cannot be started",
    tarOf(descriptor({ install: ["/no/such/program"] })),
    // The shell says so where control groups are joined first.
    /^the install step (could not be started: |ended with exit code 127)/,
  ],
  [
    "needs a program that is missing",
    tarOf(descriptor({ requires: ["sh", "no-such-program"] })),
    'no-such-program is not installed on this machine, and the template of "test:1" needs it',
  ],
])("a step that %s is a failed event, and leaves no image behind", async (_rule, archive, error) => {
  const events = await fixture.build(archive);
  expect(events.at(-1)).toEqual({ status: "failed", error: expect.stringMatching(error) });
  expect(fixture.images.resolve("test:1")).toBeUndefined();
  expect(await fixture.leftovers()).toEqual([]);
});

test("the step sees build arguments and folders of its own, and nothing of the platform", async () => {
  await open({}, { PATH: process.env.PATH as string, LANG: "C", secret: "hunter2", port: "8080" });
  const events = await fixture.build(script("env | sort; pwd; touch $TMPDIR/x"), {
    buildArgs: { GREETING: "hi there", HOME: "/root", LD_LIBRARY_PATH: "/lib" },
  });
  const env = Object.fromEntries(outputOf(events).map((line) => line.split("=", 2) as [string, string]));
  expect(Object.keys(env)).toEqual(expect.arrayContaining(["GREETING", "HOME", "LANG", "PATH", "TMPDIR"]));
  expect(env).toMatchObject({ GREETING: "hi there", LANG: "C", PATH: process.env.PATH });
  expect(env.HOME).toMatch(new RegExp(`^${fixture.dataDir}/builds/.+/context$`));
  expect(outputOf(events)).toContain(env.HOME);
  expect(JSON.stringify(events)).not.toContain("hunter2");
  expect(env).not.toHaveProperty("port");
  expect(existsSync(env.TMPDIR as string)).toBe(false);
});

test("a flood of output is cut, and does not stop the step", async () => {
  await open({ maxOutputBytes: 10_000 });
  const events = await fixture.build(script("yes flood | head -n 100000; echo done > marker"));
  const lines = outputOf(events);
  expect(lines.join("\n").length).toBeLessThan(12_000);
  expect(lines.filter((line) => line.includes("further output is left out"))).toHaveLength(1);
  expect(events.at(-1)?.status).toBe("success");
});

test("an endless line comes in pieces", async () => {
  const events = await fixture.build(script("head -c 100000 /dev/zero | tr '\\0' x"));
  const pieces = outputOf(events).filter((line) => line.startsWith("x"));
  expect(pieces.join("")).toBe("x".repeat(100_000));
  expect(Math.max(...pieces.map((piece) => piece.length))).toBe(8192);
});

const anyRunning = async (pids: number[]) => (await Promise.all(pids.map(isRunning))).includes(true);

/** Starts children that would outlive the script, and tells their process ids. */
const family = (dataDir: string) =>
  `sleep 100 & echo $! > ${dataDir}/child; echo $$ > ${dataDir}/leader; echo up; wait`;

test("a step that takes too long is killed with all it has started", async () => {
  await open({ timeoutMs: 300 });
  const events = await fixture.build(script(family(fixture.dataDir)));
  expect(events.at(-1)).toEqual({ status: "failed", error: "the install step took longer than 0.3 s" });
  const pids = [Number(await written("child")), Number(await written("leader"))];
  await eventually("the whole group is gone", async () => !(await anyRunning(pids)));
  expect(await fixture.leftovers()).toEqual([]);
});

test("a reader that leaves kills the step with all it has started", async () => {
  const left = new AbortController();
  const running = await fixture.start(script(family(fixture.dataDir)), left.signal);
  const events: BuildEvent[] = [];
  while (!outputOf(events).includes("up")) events.push((await running.next()).value);
  const pids = [Number(await written("child")), Number(await written("leader"))];
  expect(await Promise.all(pids.map(isRunning))).toEqual([true, true]);
  left.abort();
  await running.return?.();
  await eventually("the whole group is gone", async () => !(await anyRunning(pids)));
  expect(await fixture.leftovers()).toEqual([]);
});

test("closing stops builds, also those that wait", async () => {
  await open({ concurrency: 1 });
  const slow = script(family(fixture.dataDir));
  const builds = [fixture.build(slow), fixture.build(slow, { image: "waits" })];
  const pid = Number(await written("leader"));
  await fixture.close();
  for (const events of await Promise.all(builds)) {
    expect(events.at(-1)).toMatchObject({ status: "failed", error: expect.stringContaining("stopped") });
  }
  expect(await isRunning(pid)).toBe(false);
});

test("what a step leaves in the background ends with it", async () => {
  const events = await fixture.build(script(`sleep 100 & echo $! > ${fixture.dataDir}/child`));
  expect(events.at(-1)?.status).toBe("success");
  const pid = Number(await written("child"));
  await eventually("it is gone", async () => !(await isRunning(pid)));
});

test("so many builds run at a time, others wait in turn, and more are turned away", async () => {
  await open({ concurrency: 1, maxWaiting: 1 });
  const gate = join(fixture.dataDir, "gate");
  const gated = script(`echo up > ${fixture.dataDir}/started; until [ -e ${gate} ]; do sleep 0.01; done`);
  const first = fixture.build(gated);
  await written("started");

  const waiting = await fixture.start(tarOf(descriptor({})), never, { image: "second" });
  expect((await waiting.next()).value).toEqual({ status: "in_progress", log: ["waiting for another build to finish"] });
  await expect(fixture.build(tarOf(descriptor({})))).rejects.toMatchObject({ kind: "overloaded" });

  await writeFile(gate, "");
  expect((await first).at(-1)?.status).toBe("success");
  let last: BuildEvent | undefined;
  for (let next = await waiting.next(); !next.done; next = await waiting.next()) last = next.value;
  expect(last?.status).toBe("success");
});

test("one that leaves the queue makes room", async () => {
  await open({ concurrency: 1, maxWaiting: 1 });
  const gate = join(fixture.dataDir, "gate");
  const first = fixture.build(
    script(`echo up > ${fixture.dataDir}/started; until [ -e ${gate} ]; do sleep 0.01; done`),
  );
  await written("started");
  const left = new AbortController();
  const waiting = await fixture.start(tarOf(descriptor({})), left.signal);
  await waiting.next();
  left.abort();
  expect((await waiting.next()).value).toEqual({ status: "failed", error: "the build was stopped" });
  await waiting.return?.();
  const next = await fixture.start(tarOf(descriptor({})), never);
  expect((await next.next()).value).toMatchObject({ status: "in_progress" });
  await writeFile(gate, "");
  await first;
  await next.return?.();
});

test("what a crash left of a build is removed by the next start", async () => {
  const { dataDir } = fixture;
  await mkdir(join(dataDir, "builds", "dead", "context"), { recursive: true });
  await writeFile(join(dataDir, "builds", "dead", "context", "file"), "x");
  const { openBuilder } = await import("../../provider/backends/local/build/builder.ts");
  const { createLogger } = await import("../../kit/log.ts");
  const again = openBuilder({ dataDir, images: fixture.images, log: createLogger("silent"), env: {} });
  await again.close();
  expect(await fixture.leftovers()).toEqual([]);
});
