// What users have, compiled: how long it takes until a change of a one-file Node handler is in a registry, by its digest, and what memory that takes:
// by `faaslane publish`, and by a builder that runs. The base is in the registry already. Prints medians, and each beside
// the same with Debian's registry where that is installed.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createHmac, randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { create } from "tar";
import { refreshPackage } from "../../deploy/build-package.mjs";
import { RegistryClient } from "../../oci/registry-client.ts";
import { eventually } from "../support/eventually.ts";
import { pushBase } from "../support/oci-images.ts";
import { COMPILE_CACHE, ROOT, temporaryFolder } from "../support/platform.ts";
import { DockerRegistry, PROGRAM } from "../support/registry-process.ts";

const ROUNDS = Number(process.env.ROUNDS ?? 11);
const TARGET_MS = 400;
const TARGET_MB = 64;
const SECRET = "of the bench";

interface Measured {
  readonly ms: number;
  /** Most that the process has had of memory. */
  readonly mebibytes: number;
}

const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
const print = (line: string) => void process.stdout.write(`${line}\n`);

/** The high-water mark of a process's memory. */
function peakOf(pid: number): number {
  try {
    return Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}

await refreshPackage();
const { path: folder, remove } = await temporaryFolder();
const children: ChildProcess[] = [];

function start(args: readonly string[], env: Readonly<Record<string, string>>, cwd = folder): ChildProcess {
  const flags = ["--disable-warning=ExperimentalWarning", join(ROOT, "dist/package/cli/main.js")];
  const child = spawn(process.execPath, [...flags, ...args], {
    cwd,
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...COMPILE_CACHE, PATH: process.env.PATH, HOME: folder, ...env },
  });
  children.push(child);
  return child;
}

async function startServer(args: readonly string[], env: Readonly<Record<string, string>>) {
  const child = start(args, { port: "0", ...env });
  let output = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  const url = await eventually(`${args[0]} listens`, () => /"(http:\/\/127[^"]+)"/.exec(output)?.[1], 30_000);
  return { url, pid: child.pid as number };
}

/** A base of some megabytes in three layers, which nobody runs here. */
async function prepareBase(address: string): Promise<void> {
  const layers = await Promise.all(
    [1, 2, 3].map(async (i) => {
      const layer = join(folder, `base-${i}`);
      await mkdir(layer, { recursive: true });
      await writeFile(join(layer, `file-${i}`), randomBytes(4 * 1024 ** 2));
      return { folder: layer, at: "/" };
    }),
  );
  await pushBase(new RegistryClient({ registry: address }), "node", "24", { layers });
}

let changes = 0;
async function changeHandler(project: string): Promise<void> {
  changes += 1;
  await writeFile(
    join(project, "hello/handler.js"),
    `module.exports = async (event, context) => context.succeed("${changes}");\n`,
  );
}

async function run(args: readonly string[], project: string): Promise<Measured> {
  const startedAt = performance.now();
  const child = start(args, {}, project);
  let mebibytes = 0;
  child.stdout?.resume();
  const look = setInterval(() => {
    mebibytes = Math.max(mebibytes, peakOf(child.pid as number));
  }, 5);
  const [code] = await once(child, "exit");
  clearInterval(look);
  if (code !== 0) throw new Error(`${args[0]} ended with ${code}`);
  return { ms: performance.now() - startedAt, mebibytes };
}

/** By the client, which starts anew each time. */
async function benchPublish(address: string, project: string): Promise<Measured[]> {
  const measured: Measured[] = [];
  for (let i = 0; i <= ROUNDS; i++) {
    await changeHandler(project);
    measured.push(await run(["publish", "--quiet", "--build-arg", `NODE_IMAGE=${address}/node:24`], project));
  }
  return measured.slice(1);
}

/** By a builder that runs, as for a provider: from the request to the digest. */
async function benchBuilder(address: string, project: string): Promise<Measured[]> {
  const builder = await startServer(["builder"], {
    data_dir: join(folder, `builder-${changes}`),
    secret_mount_path: folder,
  });
  const measured: Measured[] = [];
  for (let i = 0; i <= ROUNDS; i++) {
    await changeHandler(project);
    await run(["build", "--shrinkwrap", "--quiet"], project);
    const at = join(project, "package");
    await mkdir(at, { recursive: true });
    const config = { image: `${address}/me/hello:latest`, buildArgs: { NODE_IMAGE: `${address}/node:24` } };
    await writeFile(join(at, "com.openfaas.docker.config"), JSON.stringify(config));
    const tar = await packageOf(project, at);
    const signature = `sha256=${createHmac("sha256", SECRET).update(tar).digest("hex")}`;
    const startedAt = performance.now();
    const answer = await fetch(`${builder.url}/build`, {
      method: "POST",
      body: new Uint8Array(tar),
      headers: { "x-build-signature": signature },
    });
    const result = (await answer.json()) as { status: string; error?: string };
    if (result.status !== "success") throw new Error(`the build failed: ${result.error}`);
    measured.push({ ms: performance.now() - startedAt, mebibytes: peakOf(builder.pid) });
  }
  return measured.slice(1);
}

async function packageOf(project: string, at: string): Promise<Buffer> {
  await create(
    {
      cwd: project,
      file: join(folder, "package.tar"),
      onWriteEntry: (entry) => {
        entry.path = entry.path.replace(/^build\/hello/, "context").replace(/^package\//, "");
      },
    },
    ["build/hello", `${at.slice(project.length + 1)}/com.openfaas.docker.config`],
  );
  return await readFile(join(folder, "package.tar"));
}

async function bench(name: string, address: string): Promise<Map<string, number>> {
  await prepareBase(address);
  const project = join(folder, `project-${address.replace(/\W/g, "-")}`);
  await mkdir(project);
  await run(["new", "hello", "--lang", "node", "--prefix", `${address}/me`], project);
  const times = new Map<string, number>();
  for (const [way, measured] of [
    ["faaslane publish", await benchPublish(address, project)],
    ["a builder that runs", await benchBuilder(address, project)],
  ] as const) {
    const ms = median(measured.map((one) => one.ms));
    const best = Math.min(...measured.map((one) => one.ms));
    const mebibytes = Math.max(...measured.map((one) => one.mebibytes));
    times.set(way, ms);
    print(
      `${name}, ${way}: ${ms.toFixed(0)} ms (${(ms / TARGET_MS).toFixed(2)} of ${TARGET_MS} ms), at best ${best.toFixed(0)} ms, ` +
        `${mebibytes.toFixed(0)} MB at most (${(mebibytes / TARGET_MB).toFixed(2)} of ${TARGET_MB} MB)`,
    );
  }
  return times;
}

try {
  await writeFile(join(folder, "payload-secret"), SECRET);
  const registry = await startServer(["registry"], { basic_auth: "false", data_dir: join(folder, "registry") });
  const own = await bench("our registry", new URL(registry.url).host);
  print(`our registry's own memory: ${peakOf(registry.pid).toFixed(0)} MB at most`);
  if (spawnSync(PROGRAM, ["--version"]).status === 0) {
    const peer = await DockerRegistry.start();
    const theirs = await bench("Debian's registry", peer.address);
    for (const [way, ms] of own) {
      print(`${way}: ours takes ${(ms / (theirs.get(way) ?? ms)).toFixed(2)} of the time with Debian's registry`);
    }
    await peer.remove();
  } else print("Debian's registry is not installed: no comparison");
} finally {
  for (const child of children) child.kill("SIGTERM");
  await Promise.all(
    children.map(async (child) => child.exitCode === null && child.signalCode === null && (await once(child, "exit"))),
  );
  await remove();
}
