/**
 * `npm run bench:provider`: the provider with the backend `kubernetes` against the test API server, which is a process of
 * its own. It takes more of the machine than the provider does, so that rates say little where it is the limit: the
 * provider's own time per deploy is shown next to them.
 */

import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { eventually } from "../support/eventually.ts";
import { jsonBody } from "../support/json-body.ts";
import { isAlive, ROOT, temporaryFolder } from "../support/platform.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";
import { EndpointsReader } from "./endpoints-reader.ts";
import type { Answer, PodState, Question } from "./kube-child.ts";
import { memoryOf } from "./memory.ts";

const FUNCTIONS = Number(process.env.BENCH_FUNCTIONS ?? 1_000);
const PODS_EACH = 5;
const AT_A_TIME = 16;
const PODS_PER_SECOND = 50;
const SECONDS = Number(process.env.BENCH_SECONDS ?? 20);
const LISTS = 100;
const IDLE_MS = 15_000;
/** Of `/proc/<pid>/stat`; the same on every Linux. */
const TICKS_PER_SECOND = 100;

class Kube {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async open(kubeconfig: string): Promise<Kube> {
    const kube = new Kube(
      fork(join(ROOT, "test/bench/kube-child.ts"), { execArgv: ["--disable-warning=ExperimentalWarning"] }),
    );
    const listening = await kube.#next("listening");
    await writeFile(kubeconfig, listening.kubeconfig, { mode: 0o600 });
    return kube;
  }

  async ask<K extends "requests" | "replaced">(question: Question, kind: K): Promise<Extract<Answer, { kind: K }>> {
    this.#child.send(question);
    return await this.#next(kind);
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const exited = once(this.#child, "exit");
    this.#child.kill();
    await exited;
  }

  async #next<K extends Answer["kind"]>(kind: K): Promise<Extract<Answer, { kind: K }>> {
    const [answer] = (await once(this.#child, "message")) as [Answer];
    if (answer.kind !== kind) throw new Error(`the API server said ${answer.kind} instead of ${kind}`);
    return answer as Extract<Answer, { kind: K }>;
  }
}

const folder = await temporaryFolder();
const kubeconfig = join(folder.path, "kubeconfig");
const kube = await Kube.open(kubeconfig);
const started: ServerProcess[] = [];
// Who is told to stop half-way takes along what he has started.
process.once("exit", () => {
  for (const { pid } of started.filter(({ pid }) => isAlive(pid))) process.kill(pid, "SIGTERM");
});
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
try {
  await bench();
} finally {
  for (const process of started) await process.stop();
  await kube.close();
  await folder.remove();
}

async function bench(): Promise<void> {
  const provider = await startProvider(kubeconfig);
  const { rss: empty } = await memoryOf(provider.pid);
  const reader = await EndpointsReader.open(provider.url);
  report(`Provider with ${FUNCTIONS} functions of ${PODS_EACH} pods each`, "measured", "aim", "");

  await benchDeploys(provider);
  await inParallel((name) => send(provider, "POST", `/system/scale-function/${name}`, { replicas: PODS_EACH }));
  await eventually("all pods are ready", () => reader.readyPods === FUNCTIONS * PODS_EACH, 300_000);
  await benchLists(provider);
  await benchChanges(reader);
  await benchMemory(provider, reader, empty);

  // A second one finds everything there, in one go, and takes the way that needs the official client library.
  const other = await startProvider(await writePluginKubeconfig());
  const otherReader = await EndpointsReader.open(other.url);
  await eventually("it has the whole snapshot", () => otherReader.readyPods === FUNCTIONS * PODS_EACH, 60_000);
  await loadLightly(other);
  await idle();
  report("… of another one that joins, with a credential plugin (RSS)", megabytes((await memoryOf(other.pid)).rss), "");
  await reader.close();
  await otherReader.close();
}

async function startProvider(path: string): Promise<ServerProcess> {
  const env = { backend: "kubernetes", KUBECONFIG: path, data_dir: join(folder.path, `provider-${started.length}`) };
  const provider = await startServerProcess("provider/main.ts", env);
  started.push(provider);
  return provider;
}

async function benchDeploys(provider: ServerProcess): Promise<void> {
  const asked = () => kube.ask({ kind: "requests" }, "requests");
  await asked();
  const cpuBefore = await cpuMs(provider.pid);
  const startedAt = performance.now();
  const times = await inParallel((service) => send(provider, "POST", "/system/functions", definition(service)));
  const seconds = (performance.now() - startedAt) / 1000;
  const cpu = (await cpuMs(provider.pid)) - cpuBefore;
  const requests = Object.entries((await asked()).counts).map(([what, count]) => ({ what, each: count / FUNCTIONS }));
  report(`deploys accepted a second, ${AT_A_TIME} at a time`, (FUNCTIONS / seconds).toFixed(0), "≥ 100");
  report("  p50 / p99", milliseconds(times), "");
  report("  the provider's own time for each", `${(cpu / FUNCTIONS).toFixed(1)} ms`, "");
  report("  requests to the Kubernetes API for each", requests.reduce((sum, { each }) => sum + each, 0).toFixed(1), "");
  for (const { what, each } of requests.filter(({ each }) => each >= 0.1)) report(`    ${what}`, each.toFixed(1), "");
}

/** As large as functions are on average. */
function definition(service: string) {
  return {
    service,
    image: `registry.example.com/team/${service}:1.4.2`,
    envProcess: "node index.js",
    envVars: { write_timeout: "30s", read_timeout: "30s", exec_timeout: "30s", LOG_LEVEL: "info" },
    labels: { "com.openfaas.scale.min": "1", "com.openfaas.scale.max": "20", team: "payments" },
    annotations: { topic: "orders.created", "com.openfaas.health.http.path": "/_/health" },
    limits: { memory: "128Mi", cpu: "500m" },
    requests: { memory: "64Mi", cpu: "50m" },
  };
}

async function benchLists(provider: ServerProcess): Promise<void> {
  const times: number[] = [];
  let bytes = 0;
  for (let round = 0; round < LISTS; round += 1) {
    const startedAt = performance.now();
    bytes = (await send(provider, "GET", "/system/functions")).length;
    times.push(performance.now() - startedAt);
  }
  report(`list of all functions, ${(bytes / 1024).toFixed(0)} kB, p50 / p99`, milliseconds(times), "p50 < 50 ms");
}

async function benchChanges(reader: EndpointsReader): Promise<void> {
  const question = { kind: "replacePods", perSecond: PODS_PER_SECOND, seconds: SECONDS } as const;
  const { changes } = await kube.ask(question, "replaced");
  const waits: Record<PodState, number[]> = { ready: [], leaving: [] };
  let missed = 0;
  for (const { pod, state, at } of changes) {
    const seenAt = reader.seenAt(pod, state);
    if (seenAt === undefined) missed += 1;
    else waits[state].push(seenAt - at);
  }
  if (missed > 0) throw new Error(`${missed} of ${changes.length} changes were never told`);
  const label = `${PODS_PER_SECOND} pods replaced a second: pod`;
  report(`${label} ready → line, p50 / p99`, milliseconds(waits.ready), "p99 < 50 ms");
  report(`${label} leaves → line, p50 / p99`, milliseconds(waits.leaving), "p99 < 50 ms");
}

/** Under a load as gateways and people make it, and when that has ended. */
async function benchMemory(provider: ServerProcess, reader: EndpointsReader, empty: number): Promise<void> {
  const changing = benchChangesQuietly();
  const samples: number[] = [];
  let isOver = false;
  void changing.then(() => {
    isOver = true;
  });
  while (!isOver) {
    await loadLightly(provider);
    samples.push((await memoryOf(provider.pid)).rss);
  }
  await changing;
  await eventually("all pods are back", () => reader.readyPods === FUNCTIONS * PODS_EACH, 60_000);
  await idle();
  const { rss, pss } = await memoryOf(provider.pid);
  report("memory (RSS): at its start", megabytes(empty), "");
  report(
    `  most while ${PODS_PER_SECOND} pods a second change, with lists`,
    megabytes(Math.max(...samples)),
    "< 200 MB",
  );
  report("  when idle, RSS / PSS", `${megabytes(rss)} / ${megabytes(pss)}`, "< 200 MB");
}

async function benchChangesQuietly(): Promise<void> {
  await kube.ask({ kind: "replacePods", perSecond: PODS_PER_SECOND, seconds: SECONDS }, "replaced");
}

/** A list, a function and a scaling, then half a second of nothing. */
async function loadLightly(provider: ServerProcess): Promise<void> {
  await send(provider, "GET", "/system/functions");
  await send(provider, "GET", "/system/function/fn-1");
  await send(provider, "POST", "/system/scale-function/fn-1", { replicas: PODS_EACH });
  await new Promise((resolve) => setTimeout(resolve, 500));
}

async function idle(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
}

/** The kubeconfig with a credential plugin, as cloud providers want it. */
async function writePluginKubeconfig(): Promise<string> {
  const config = JSON.parse(await readFile(kubeconfig, "utf8"));
  const credential = {
    apiVersion: "client.authentication.k8s.io/v1",
    kind: "ExecCredential",
    status: { token: "t", expirationTimestamp: "2999-01-01T00:00:00Z" },
  };
  const { apiVersion } = credential;
  config.users[0].user = { exec: { apiVersion, command: "echo", args: [JSON.stringify(credential)] } };
  const path = join(folder.path, "kubeconfig-plugin");
  await writeFile(path, JSON.stringify(config), { mode: 0o600 });
  return path;
}

/** Calls for each function, some at a time; what each took, in milliseconds. */
async function inParallel(call: (name: string) => Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  let next = 0;
  const work = async () => {
    while (next < FUNCTIONS) {
      const name = `fn-${next++}`;
      const startedAt = performance.now();
      await call(name);
      times.push(performance.now() - startedAt);
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, work));
  return times;
}

/** @throws when the answer is no success */
async function send(provider: ServerProcess, method: string, path: string, body?: unknown): Promise<string> {
  const response = await fetch(provider.url + path, {
    method,
    ...(body !== undefined && jsonBody(body)),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${text}`);
  return text;
}

/** Time that a process has had of the processors so far. */
async function cpuMs(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  // The name of the program, in parentheses, may hold spaces.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS_PER_SECOND;
}

function megabytes(value: number): string {
  return `${value.toFixed(0)} MB`;
}

function milliseconds(times: readonly number[]): string {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number) => (sorted[Math.floor(sorted.length * share)] ?? Number.NaN).toFixed(1);
  return `${at(0.5)} / ${at(0.99)} ms`;
}

function report(what: string, measured: string, aim: string, indent = "  "): void {
  console.log(`${(indent + what).padEnd(64)}${measured.padStart(16)}   ${aim}`.trimEnd());
}
