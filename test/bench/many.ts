import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { buildImage } from "../support/build-upload.ts";
import { eventually } from "../support/eventually.ts";
import { descendants, Platform, temporaryFolder } from "../support/platform.ts";
import { memoryOf } from "./memory.ts";

/**
 * What one machine carries: many functions of which a few are in use and the others sleep, over a restart.
 * `npm run bench:many -- --functions 1000 --in-use 50`, with `--awake` for others that do not sleep.
 */
const { values } = parseArgs({
  options: {
    functions: { type: "string", default: "1000" },
    "in-use": { type: "string", default: "50" },
    awake: { type: "boolean", default: false },
  },
});
const FUNCTIONS = Number(values.functions);
const IN_USE = Number(values["in-use"]);
const AT_A_TIME = 8;
const QUIET_MS = 10_000;

const HANDLER = {
  "faaslane.json": JSON.stringify({ env: { mode: "inproc", inproc_handler: "./index.mjs" } }),
  "index.mjs": "export default (req, res) => res.end('ok');",
};

const names = Array.from({ length: FUNCTIONS }, (_, i) => `fn-${i}`);
/** Spread over all, so that none of them comes first by its name. */
const inUse = names.filter((_, i) => i % Math.floor(FUNCTIONS / IN_USE) === 0).slice(0, IN_USE);
const others = names.filter((name) => !inUse.includes(name));

const folder = await temporaryFolder();
let platform = await Platform.start({ dataDir: folder.path, env: { log_level: "error" } });
try {
  await buildImage(platform, "ok:1", HANDLER);
  const alone = await memoryOf(platform.pid);

  const deploying = await timed(() => eachOf(names, deploy));
  if (!values.awake) await eachOf(others, (name) => scale(name, 0));
  await settle();
  say(
    `deployed ${FUNCTIONS} functions in ${seconds(deploying)}, ${Math.round((FUNCTIONS * 1000) / deploying)} a second`,
  );
  const full = await memoryOf(platform.pid);
  const running = values.awake ? FUNCTIONS : IN_USE;
  const each = (full.pss - alone.pss) / running;
  say(`memory: ${mib(alone.pss)} without functions, ${mib(full.pss)} with ${running} replicas, ${mib(each)} for each`);
  say(`CPU while nobody calls: ${(await idleCpu()).toFixed(1)} % of one processor, all processes together`);
  say(`list of all functions: ${(await timed(list)).toFixed(0)} ms`);

  await platform.stop();
  const began = performance.now();
  platform = await Platform.start({ dataDir: folder.path, env: { log_level: "error" } });
  say(`started again: takes calls after ${seconds(performance.now() - began)}`);
  const first = await Promise.all(inUse.map(call));
  say(`first calls of the ${IN_USE} in use, all at once: ${spread(first)}`);
  const woken: number[] = [];
  for (const name of others.slice(-20)) woken.push(await call(name));
  say(`first calls of others, one by one: ${spread(woken)}`);
  const busy: number[] = [];
  for (let round = 0; round < 10; round++) busy.push(...(await Promise.all(inUse.map(call))));
  say(`calls of the ${IN_USE} in use from then on, ${IN_USE} at a time: ${spread(busy)}`);
} finally {
  await platform.stop();
  await folder.remove();
}

async function deploy(service: string): Promise<void> {
  const labels = values.awake || inUse.includes(service) ? {} : { "com.openfaas.scale.zero": "true" };
  await post("/system/functions", { service, image: "ok:1", labels });
}

async function scale(name: string, replicas: number): Promise<void> {
  await post(`/system/scale-function/${name}`, { serviceName: name, replicas });
}

async function post(path: string, body: object): Promise<void> {
  const answer = await platform.control(path, { method: "POST", body: JSON.stringify(body) });
  if (answer.status !== 202) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
}

async function list(): Promise<{ availableReplicas?: number }[]> {
  return (await (await platform.control("/system/functions")).json()) as { availableReplicas?: number }[];
}

/** Until as many replicas serve as there are to be. */
async function settle(): Promise<void> {
  const wanted = values.awake ? FUNCTIONS : IN_USE;
  const settled = async () => {
    const ready = (await list()).reduce((sum, { availableReplicas = 0 }) => sum + availableReplicas, 0);
    return ready === wanted;
  };
  await eventually(`${wanted} replicas serve`, settled, 15 * 60_000, 1_000);
}

/** @returns milliseconds */
async function call(name: string): Promise<number> {
  return await timed(async () => {
    const response = await fetch(`${platform.url}/function/${name}`);
    const text = await response.text();
    if (response.status !== 200) throw new Error(`${name}: ${response.status} ${text}`);
  });
}

/** Of the platform and its replicas, in percent of one processor. */
async function idleCpu(): Promise<number> {
  const before = await cpuMs();
  await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
  return ((await cpuMs()) - before) / (QUIET_MS / 100);
}

async function cpuMs(): Promise<number> {
  let ms = 0;
  for (const pid of [platform.pid, ...(await descendants(platform.pid))]) {
    const stat = await readFile(`/proc/${pid}/stat`, "latin1").catch(() => "");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    ms += (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * 10;
  }
  return ms;
}

async function eachOf<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values();
  const worker = async () => {
    for (const item of queue) await work(item);
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, worker));
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

function spread(ms: readonly number[]): string {
  const sorted = ms.toSorted((a, b) => a - b);
  const at = (part: number) =>
    (sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] as number).toFixed(0);
  return `p50 ${at(0.5)} ms, p90 ${at(0.9)} ms, at most ${at(1)} ms`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function mib(megabytes: number): string {
  return `${megabytes.toFixed(0)} MiB`;
}

function say(line: string): void {
  console.log(line);
}
