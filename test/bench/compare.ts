/**
 * `npm run bench:compare -- REV`: the synchronous path of the work tree beside that of another commit, in one run and in
 * turns, so that whatever else the machine does meets both alike. The ratio is what counts.
 */
import { execFileSync } from "node:child_process";
import { mkdir, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { buildImage } from "../support/build-upload.ts";
import { eventually } from "../support/eventually.ts";
import { Platform, ROOT, temporaryFolder } from "../support/platform.ts";
import { cpuMicros } from "./cpu.ts";
import { applyLoad, GENERATOR, type LoadResult, median } from "./load.ts";

const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 5);
const SECONDS = Number(process.env.BENCH_SECONDS ?? 3);
const CONNECTIONS = [1, 64];
/** Of the function. */
const REPLICAS = process.env.BENCH_REPLICAS ?? "1";

interface Side {
  readonly label: string;
  readonly url: string;
  /** Of the platform, without its functions. */
  readonly pid: number;
}

const [revision] = process.argv.slice(2);
if (revision === undefined) throw new Error("name the commit to compare with: npm run bench:compare -- REV");

const folder = await temporaryFolder();
const base = join(folder.path, "base");
const opened: (() => unknown)[] = [() => folder.remove()];
try {
  git("worktree", "add", "--detach", base, revision);
  opened.push(() => git("worktree", "remove", "--force", base));
  await symlink(join(ROOT, "node_modules"), join(base, "node_modules"));
  await mkdir(join(base, "dist"), { recursive: true });
  execFileSync(process.execPath, [join(base, "watchdog/bundle.mjs")], { cwd: base });
  const sides = [await open("before", base, revision), await open("after", ROOT, "work tree")];
  for (const connections of CONNECTIONS) await compare(sides, connections);
} finally {
  for (const close of opened.reverse()) await close();
  await rm(folder.path, { recursive: true, force: true });
}

function git(...args: string[]): void {
  execFileSync("git", args, { cwd: ROOT, stdio: ["ignore", "ignore", "inherit"] });
}

/** A function that does next to nothing, behind the gateway of the sources in `root`. */
async function open(name: string, root: string, label: string): Promise<Side> {
  const platform = await Platform.start({ dataDir: join(folder.path, name), root });
  opened.push(() => platform.stop());
  await buildImage(platform, "bench:1", {
    "faaslane.json": JSON.stringify({ env: { mode: "inproc", inproc_handler: "./bench.mjs" } }),
    "bench.mjs": 'export default (req, res) => void req.resume().on("end", () => res.end("hello"));\n',
  });
  const labels = { "com.openfaas.scale.min": REPLICAS, "com.openfaas.scale.max": REPLICAS };
  const body = JSON.stringify({ service: "bench", image: "bench:1", labels });
  const answer = await platform.control("/system/functions", { method: "POST", body });
  if (answer.status !== 202) throw new Error(await answer.text());
  const url = `${platform.url}/function/bench`;
  await eventually("the function answers", async () => (await fetch(url)).status === 200);
  await eventually("all replicas are there", async () => {
    const status = (await (await platform.control("/system/function/bench")).json()) as Record<string, unknown>;
    return status.availableReplicas === Number(REPLICAS);
  });
  return { label, url, pid: platform.pid };
}

async function compare(sides: readonly Side[], connections: number): Promise<void> {
  const results = sides.map((side) => ({ ...side, runs: [] as LoadResult[], cpu: [] as number[] }));
  for (const { url } of sides) await applyLoad({ url, connections, seconds: 3 }); // warm
  for (let round = 0; round < ROUNDS; round++) {
    for (const { url, pid, runs, cpu } of results) {
      const before = cpuMicros(pid);
      const run = await applyLoad({ url, connections, seconds: SECONDS });
      cpu.push((cpuMicros(pid) - before) / (run.requestsPerSecond * SECONDS));
      runs.push(run);
    }
  }
  const rows = results.map(({ label, runs, cpu }) => ({ label, ...median(runs), cpu: middle(cpu) }));
  const [before] = rows as [(typeof rows)[number]];
  console.log(`\n${connections} connections, ${REPLICAS} replicas (medians of ${ROUNDS} × ${SECONDS} s, ${GENERATOR})`);
  for (const { label, requestsPerSecond, p50, p99, cpu } of rows) {
    const speed = `${requestsPerSecond.toFixed(0).padStart(9)} req/s (${(requestsPerSecond / before.requestsPerSecond).toFixed(2)} ×)`;
    const cost = `${cpu.toFixed(1)} µs of CPU each (${(cpu / before.cpu).toFixed(2)} ×)`;
    console.log(`  ${label.padEnd(12)}${speed}   ${cost}   p50 ${p50.toFixed(3)} ms   p99 ${p99.toFixed(3)} ms`);
  }
}

function middle(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] as number;
}
