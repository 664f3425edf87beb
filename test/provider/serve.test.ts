import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import type { Env } from "../../kit/env.ts";
import { eventually } from "../support/eventually.ts";
import { jsonBody } from "../support/json-body.ts";
import { descendants, ROOT, temporaryFolder } from "../support/platform.ts";
import { tarOf } from "./tar-fixture.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeEach(async () => {
  folder = await temporaryFolder();
});
afterEach(() => folder.remove());

/** `provider/main.ts` as a process of its own. */
function start(env: Env) {
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", join(ROOT, "provider/main.ts")], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env.PATH, data_dir: folder.path, port: "0", basic_auth: "false", ...env },
  });
  const process_ = { child, out: "", err: "", ended: once(child, "close").then(([code]) => code as number | null) };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    process_.out += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    process_.err += text;
  });
  return process_;
}

const urlOf = (running: ReturnType<typeof start>) =>
  eventually("the provider listens", () => {
    if (running.err !== "") throw new Error(running.err);
    return /"url":"(http:[^"]+)"/.exec(running.out)?.[1];
  });

test("builds, runs, calls and stops a function; a second start finds it again", async () => {
  const first = start({ secret: "hunter2" });
  const url = await urlOf(first);
  const form = new FormData();
  const describe = { env: { fprocess: "sh run.sh" } };
  const archive = tarOf(
    { name: "faaslane.json", content: JSON.stringify({ ...describe, install: ["sh", "-c", "echo built > made"] }) },
    { name: "run.sh", content: "cat made - ; env" },
  );
  form.set("context", new Blob([new Uint8Array(archive)]), "context.tar");
  form.set("config", JSON.stringify({ image: "echo:1" }));
  const built = await (await fetch(`${url}/system/build`, { method: "POST", body: form })).text();
  expect(built).toContain('"image":"echo:1@sha256:');

  const unbuilt = await fetch(`${url}/system/functions`, {
    method: "POST",
    ...jsonBody({ service: "x", image: "never:1" }),
  });
  expect(unbuilt.status).toBe(400);
  const deployed = await fetch(`${url}/system/functions`, {
    method: "POST",
    ...jsonBody({ service: "f", image: "echo:1" }),
  });
  expect(deployed.status).toBe(202);

  const call = async (base: string) => {
    const answer = await fetch(`${base}/function/f`, { method: "POST", body: "hello\n" });
    return answer.status === 200 ? await answer.text() : undefined;
  };
  const said = await eventually("the function answers", () => call(url));
  expect(said).toMatch(/^built\nhello\n/);
  expect(said).not.toContain("hunter2");

  const children = await descendants(first.child.pid as number);
  expect(children.length).toBeGreaterThan(0);
  first.child.kill("SIGTERM");
  expect(await first.ended).toBe(0);
  expect(await descendants(first.child.pid as number)).toEqual([]);

  const second = start({});
  const again = await urlOf(second);
  expect(await eventually("the function is back", () => call(again))).toMatch(/^built\nhello\n/);
  second.child.kill("SIGINT");
  expect(await second.ended).toBe(0);
});

test("a stop ends streams that would go on for ever", async () => {
  const running = start({ drain_timeout: "20s" });
  const url = await urlOf(running);
  const stream = await fetch(`${url}/system/endpoints`);
  const startedAt = performance.now();
  running.child.kill("SIGTERM");
  expect(await stream.text()).toBe('{"type":"heartbeat"}\n');
  expect(await running.ended).toBe(0);
  expect(performance.now() - startedAt).toBeLessThan(5_000);
});

test.each<[rule: string, env: Env, message: RegExp]>([
  ["bad settings", { port: "x", backend: "docker" }, /^faaslane: bad settings:\n {2}port: .+\n {2}backend: .+\n$/],
  [
    "no credentials",
    { basic_auth: "true", secret_mount_path: "/nowhere" },
    /^faaslane: .*\/nowhere\/basic-auth-user.*\n$/,
  ],
])("%s: a clear message and an exit code", async (_rule, env, message) => {
  const failed = start(env);
  expect(await failed.ended).toBe(1);
  expect(failed.err).toMatch(message);
  expect(failed.out).toBe("");
});

test("a port in use is one line, and nothing is left running", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  const { port } = other.address() as AddressInfo;
  const failed = start({ port: String(port) });
  expect(await failed.ended).toBe(1);
  expect(failed.err).toBe(`faaslane: port ${port} is in use; stop the other program or choose another port\n`);
  other.close();
});

test("a second provider on the same folder is one line", async () => {
  const first = start({});
  await urlOf(first);
  const second = start({});
  expect(await second.ended).toBe(1);
  expect(second.err).toBe(`faaslane: data_dir: another faaslane is using ${folder.path}\n`);
  first.child.kill("SIGTERM");
  expect(await first.ended).toBe(0);
});

test("credentials are read from the folder they are mounted in", async () => {
  await writeFile(join(folder.path, "basic-auth-user"), "admin\n");
  await writeFile(join(folder.path, "basic-auth-password"), "hunter2\n");
  const running = start({ basic_auth: "true", secret_mount_path: folder.path });
  const url = await urlOf(running);
  expect((await fetch(`${url}/system/info`)).status).toBe(401);
  const authorization = `Basic ${Buffer.from("admin:hunter2").toString("base64")}`;
  expect((await fetch(`${url}/system/info`, { headers: { authorization } })).status).toBe(200);
  running.child.kill("SIGTERM");
  expect(await running.ended).toBe(0);
  expect(running.out + running.err).not.toContain("hunter2");
});
