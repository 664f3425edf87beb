import { createHmac } from "node:crypto";
import { mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { create } from "tar";
import { loadBuilderConfig } from "../../builder/config.ts";
import type { BuildResult } from "../../builder/results.ts";
import { type OpenBuilder, openBuilderServer } from "../../builder/serve.ts";
import { createLogger } from "../../kit/log.ts";
import { eventually } from "../support/eventually.ts";
import { pushBase } from "../support/oci-images.ts";
import { type OwnRegistry, startRegistry } from "../support/own-registry.ts";
import { ROOT, temporaryFolder } from "../support/platform.ts";

/** What somebody with the builder's payload secret, or without it, may send that means it no good. */
const SECRET = "the payload secret";
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let own: OwnRegistry;
let builder: OpenBuilder;

beforeAll(async () => {
  folder = await temporaryFolder();
  own = await startRegistry({}, null);
  await mkdir(join(folder.path, "base/etc"), { recursive: true });
  await pushBase(own.client, "node", "24", { layers: [{ folder: join(folder.path, "base"), at: "/" }] });
  await writeFile(join(folder.path, "payload-secret"), SECRET);
  const config = loadBuilderConfig({
    port: "0",
    data_dir: join(folder.path, "data"),
    secret_mount_path: folder.path,
    registry: own.address,
    build_max_bytes: "1Mi",
    build_concurrency: "1",
    build_max_waiting: "1",
    build_timeout: "60s",
    PATH: process.env.PATH,
  });
  builder = await openBuilderServer(config, undefined, join(ROOT, "dist/watchdog.mjs"), createLogger("silent"));
});
afterAll(async () => {
  await builder?.close(2_000);
  await own?.remove();
  await folder?.remove();
});

let packages = 0;

async function packageOf(install: readonly string[], fill: (at: string) => Promise<void> = async () => {}) {
  const at = join(folder.path, `package-${packages++}`);
  await mkdir(join(at, "context"), { recursive: true });
  const descriptor = { image: { base: `${own.address}/node:24` }, install };
  await writeFile(join(at, "context/faaslane.json"), JSON.stringify(descriptor));
  await writeFile(join(at, "com.openfaas.docker.config"), JSON.stringify({ image: "f:1" }));
  await fill(at);
  await create({ cwd: at, file: `${at}.tar` }, await readdir(at));
  return await readFile(`${at}.tar`);
}

const sign = (body: Buffer) => `sha256=${createHmac("sha256", SECRET).update(body).digest("hex")}`;
const post = (body: Buffer, init: RequestInit = {}) =>
  fetch(`${builder.url}/build`, {
    method: "POST",
    body: new Uint8Array(body),
    headers: { "x-build-signature": sign(body) },
    ...init,
  });
const errorOf = async (answer: Response) => ((await answer.json()) as BuildResult).error;
const leftovers = async () =>
  (await Promise.all(["builds", "uploads"].map((name) => readdir(join(folder.path, "data", name))))).flat();

test.each<[what: string, headers: Record<string, string>]>([
  ["no signature", {}],
  ["an empty one", { "x-build-signature": "sha256=" }],
  ["one of another length", { "x-build-signature": "sha256=00" }],
  ["one by another name", { "x-build-signature": `sha1=${"0".repeat(40)}` }],
  ["a guessed one", { "x-build-signature": `sha256=${"0".repeat(64)}` }],
])("a request with %s", async (_what, headers) => {
  const answer = await post(await packageOf(["true"]), { headers });
  expect(answer.status).toBe(401);
  expect(await leftovers()).toEqual([]);
});

test("a tar with a link out of its context", async () => {
  const body = await packageOf(["true"], (at) => symlink("/etc/passwd", join(at, "context/passwd")));
  const answer = await post(body);
  expect([answer.status, await answer.text()]).toEqual([400, expect.stringMatching(/symbolic link/)]);
});

test("a configuration that is a folder, or the context that is a file", async () => {
  for (const name of ["com.openfaas.docker.config", "context"]) {
    const at = join(folder.path, `odd-${packages++}`);
    await mkdir(at);
    if (name === "context") await writeFile(join(at, name), "x");
    else await mkdir(join(at, name));
    await create({ cwd: at, file: `${at}.tar` }, [name]);
    expect((await post(await readFile(`${at}.tar`))).status).toBe(400);
  }
});

test("a tar that unpacks to more than is allowed", async () => {
  const body = await packageOf(["true"], (at) => writeFile(join(at, "context/large"), Buffer.alloc(2 * 1024 ** 2)));
  expect((await post(body)).status).toBe(413);
  expect(await leftovers()).toEqual([]);
});

test("build arguments that would change where the step runs", async () => {
  const body = await packageOf(["sh", "-c", 'test "$HOME" = "$PWD" || exit 7'], (at) =>
    writeFile(
      join(at, "com.openfaas.docker.config"),
      JSON.stringify({ image: "f:2", buildArgs: { HOME: "/root", FAASLANE_MARK: "x", PATH: "/nowhere" } }),
    ),
  );
  expect(await errorOf(await post(body))).toBeUndefined();
});

test("an install step that leaves a process behind", async () => {
  const file = join(folder.path, "pid");
  const body = await packageOf(["sh", "-c", `setsid sleep 300 & echo $! > ${file}; exit 0`]);
  expect(await errorOf(await post(body))).toBeUndefined();
  const pid = Number(await readFile(file, "utf8"));
  await eventually(
    "it is gone",
    () => {
      try {
        process.kill(pid, 0);
        return false;
      } catch {
        return true;
      }
    },
    20_000,
  );
});

test("more builds than there is room for, and clients that leave theirs", async () => {
  const slow = await packageOf(["sleep", "30"]);
  const stop = new AbortController();
  const running = [post(slow, { signal: stop.signal }), post(slow, { signal: stop.signal })];
  for (const one of running) one.catch(() => {});
  await eventually("both are there", async () => (await leftovers()).length >= 3, 20_000);
  expect((await post(slow)).status).toBe(429);
  stop.abort();
  await eventually("they are stopped", async () => (await leftovers()).length === 0, 20_000);
  expect((await post(await packageOf(["true"]))).status).toBe(200);
}, 60_000);

test("a body that breaks off", async () => {
  const { hostname, port } = new URL(builder.url);
  const headers = { "content-length": 100_000, "x-build-signature": `sha256=${"0".repeat(64)}` };
  const broken = request({ hostname, port, method: "POST", path: "/build", headers });
  broken.on("error", () => {});
  await new Promise((sent) => broken.write(Buffer.alloc(1000), sent));
  await eventually("it is being received", async () => (await leftovers()).length === 1, 20_000);
  broken.destroy();
  await eventually("nothing is left of it", async () => (await leftovers()).length === 0, 20_000);
});
