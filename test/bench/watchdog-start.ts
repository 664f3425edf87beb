import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ROOT } from "../support/platform.ts";

interface Variant {
  readonly name: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

const WATCHDOG = join(ROOT, "dist/watchdog.mjs");

/** A server and nothing else: what Node itself takes. */
const BARE = `process.getBuiltinModule("node:http").createServer().listen(0, () => console.log("listening"));`;

const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;

/** Starts it. @returns milliseconds until it says that it listens, and of the processor until then, in all threads */
async function startOnce({ args, env = {} }: Variant, cwd: string): Promise<readonly [wallMs: number, cpuMs: number]> {
  const own = {
    mode: "inproc",
    inproc_handler: "./index.mjs",
    port: "0",
    metrics_port: "0",
    healthcheck_interval: "0s",
  };
  const begunAt = performance.now();
  const child = spawn(process.execPath, args, {
    cwd,
    env: { PATH: process.env.PATH, TMPDIR: cwd, ...own, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = once(child, "exit");
  let output = "";
  const listening = new Promise<void>((resolve) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (text) => {
        output += text;
        if (output.includes("listening")) resolve();
      });
    }
  });
  await Promise.race([listening, ended]);
  const wallMs = performance.now() - begunAt;
  const cpuMs = await processorTime(child.pid as number);
  child.kill("SIGTERM");
  await ended;
  return [wallMs, cpuMs];
}

async function processorTime(pid: number): Promise<number> {
  const tasks = await readdir(`/proc/${pid}/task`).catch(() => []);
  const times = tasks.map((task) => readFile(`/proc/${pid}/task/${task}/schedstat`, "utf8").catch(() => "0"));
  return (await Promise.all(times)).reduce((sum, text) => sum + Number(text.split(" ")[0]) / 1e6, 0);
}

/**
 * How long a function's process takes from its start until it listens, with and without what an image has compiled ahead.
 * Their starts take turns, so that a busy machine is busy for all.
 */
export async function measureWatchdogStart(folder: string, starts: number): Promise<void> {
  const cwd = join(folder, "start");
  await mkdir(cwd, { recursive: true });
  await writeFile(join(cwd, "index.mjs"), "export default (req, res) => res.end('hi');");
  const cache = { NODE_COMPILE_CACHE: join(cwd, "cache") };
  const variants: readonly Variant[] = [
    { name: "Node alone, with a server", args: ["-e", BARE] },
    { name: "watchdog", args: [WATCHDOG] },
    { name: "watchdog, compiled ahead", args: [WATCHDOG], env: cache },
  ];
  // What is compiled is written when the process ends.
  for (const variant of variants) await startOnce(variant, cwd);
  const taken = variants.map(() => [] as (readonly [number, number])[]);
  for (let start = 0; start < starts; start += 1) {
    for (const [index, variant] of variants.entries()) taken[index]?.push(await startOnce(variant, cwd));
  }
  for (const [index, { name }] of variants.entries()) {
    const [wall, cpu] = [0, 1].map((field) => median((taken[index] ?? []).map((one) => one[field] ?? 0)));
    process.stdout.write(`start of ${name}: p50 ${wall?.toFixed(1)} ms, ${cpu?.toFixed(1)} ms of the processor\n`);
  }
}
