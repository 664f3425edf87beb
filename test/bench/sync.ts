/**
 * `npm run bench`: the synchronous path side by side, cold start, start-up and idle memory, all in one run. Numbers of
 * one machine say little; the ratios are what is claimed.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { refreshPackage } from "../../deploy/build-package.mjs";
import { eventually } from "../support/eventually.ts";
import { Platform, ROOT, runCli, temporaryFolder } from "../support/platform.ts";
import { startServerProcess } from "../support/server-process.ts";
import { applyLoad, GENERATOR, type LoadResult, median } from "./load.ts";
import { memoryOf } from "./memory.ts";

const ROUNDS = 3;
const SECONDS = Number(process.env.BENCH_SECONDS ?? 3);
const CONNECTIONS = [1, 64];

const folder = await temporaryFolder();
try {
  await benchMemory();
  await benchStartUp();
  await benchCalls();
} finally {
  await folder.remove();
}

/** Gateway and provider as users have them: compiled, each a process of its own, the compile cache warm. */
async function benchMemory(): Promise<void> {
  await refreshPackage();
  const root = join(ROOT, "dist/package");
  // As the image starts them.
  const cache = { NODE_COMPILE_CACHE: join(folder.path, "package-cache"), NODE_OPTIONS: "--max-semi-space-size=4" };
  for (const run of ["cold", "warm"]) {
    const provider = await startServerProcess(
      "provider/main.ts",
      { ...cache, data_dir: join(folder.path, "provider") },
      root,
    );
    const env = { ...cache, data_dir: join(folder.path, "gateway"), functions_provider_url: provider.url };
    const gateway = await startServerProcess("gateway/process/main.ts", env, root);
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    const [ofGateway, ofProvider] = [await memoryOf(gateway.pid), await memoryOf(provider.pid)];
    if (run === "warm") {
      console.log(
        `Idle gateway ${ofGateway.pss.toFixed(0)} MB and provider ${ofProvider.pss.toFixed(0)} MB, together` +
          ` ${(ofGateway.pss + ofProvider.pss).toFixed(0)} MB (aim: ≤ 100; ${(ofGateway.rss + ofProvider.rss).toFixed(0)}` +
          " when what they share is counted for each)",
      );
    }
    await gateway.stop();
    await provider.stop();
  }
}

/** From `faaslane start` with the three sample functions to the first answer, twice: the second time they are built. */
async function benchStartUp(): Promise<void> {
  const dataDir = join(folder.path, "samples");
  console.log("Start with the three sample functions (aim: first answer in ≤ 5 s; ≤ 350 MB idle)");
  for (const run of ["first start, functions are built", "next start"]) {
    const startedAt = performance.now();
    const platform = await Platform.start({
      dataDir,
      stackFile: join(ROOT, "stack.yml"),
      env: { NODE_COMPILE_CACHE: join(folder.path, "compile-cache") },
    });
    const response = await fetch(`${platform.url}/function/hello`);
    await response.text();
    const firstAnswerMs = performance.now() - startedAt;
    if (response.status !== 200) throw new Error(`hello answered ${response.status}`);
    for (const name of ["wordcount", "shout"]) {
      const other = await fetch(`${platform.url}/function/${name}`, { method: "POST", body: "some words" });
      if (other.status !== 200) throw new Error(`${name} answered ${other.status}: ${await other.text()}`);
    }
    // Idle is when garbage has been left alone for a while; the numbers go down from here, not up.
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    const { pss, rss } = await memoryOf(platform.pid);
    console.log(
      `  ${run}: first 200 after ${(firstAnswerMs / 1000).toFixed(2)} s; idle ${pss.toFixed(0)} MB over all processes` +
        ` (${rss.toFixed(0)} MB when what they share is counted for each)`,
    );
    await platform.stop();
  }
}

async function benchCalls(): Promise<void> {
  const platform = await Platform.start({ dataDir: join(folder.path, "calls") });
  try {
    await deployBenchFunction(platform);
    const direct = `http://${await addressOf(platform, "bench")}/`;
    const plain = fork(join(ROOT, "test/bench/plain-proxy.mjs"), [direct]);
    const [{ port }] = (await once(plain, "message")) as [{ port: number }];
    const targets = {
      "straight to the function": direct,
      "through the gateway": `${platform.url}/function/bench`,
      "Express + http.request": `http://127.0.0.1:${port}/`,
    };
    for (const connections of CONNECTIONS) await compare(targets, connections);
    const { rss } = await memoryOf(plain.pid as number);
    const memory = await memoryOf(platform.pid);
    console.log(
      `\nMemory after the load: platform and function ${memory.rss.toFixed(0)} MB, plain proxy ${rss.toFixed(0)} MB`,
    );
    plain.kill();
    await benchColdStart(platform);
  } finally {
    await platform.stop();
  }
}

/** A Node function from the template, which does next to nothing. */
async function deployBenchFunction(platform: Platform): Promise<void> {
  const project = join(folder.path, "project");
  await mkdir(join(project, "bench"), { recursive: true });
  await writeFile(join(project, "bench/handler.js"), 'module.exports = async () => "hello";\n');
  await writeFile(
    join(project, "stack.yml"),
    // One replica throughout: the hop is measured, not how it scales.
    `provider: {name: openfaas}
functions:
  bench: {lang: node, handler: ./bench, image: bench, labels: {com.openfaas.scale.min: "1", com.openfaas.scale.max: "1"}}
`,
  );
  const env = { OPENFAAS_URL: platform.url, data_dir: join(folder.path, "calls") };
  const up = await runCli(["up"], { cwd: project, env });
  if (up.code !== 0) throw new Error(up.stdout + up.stderr);
  await eventually("the function answers", async () => (await fetch(`${platform.url}/function/bench`)).status === 200);
}

/** Where the only replica of a function listens, from the log line that its watchdog writes. */
async function addressOf(platform: Platform, name: string): Promise<string> {
  const logs = await (await platform.control(`/system/logs?name=${name}&follow=false`)).text();
  const port = /listening on port (\d+)/i.exec(logs)?.[1];
  if (port === undefined) throw new Error(`no port in the log:\n${logs}`);
  return `127.0.0.1:${port}`;
}

async function compare(targets: Readonly<Record<string, string>>, connections: number): Promise<void> {
  const results = new Map<string, LoadResult[]>(Object.keys(targets).map((name) => [name, []]));
  for (const url of Object.values(targets)) await applyLoad({ url, connections, seconds: 3 }); // until the optimizing compiler has come to rest
  // In turns, so that whatever else the machine does meets all of them alike.
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, url] of Object.entries(targets)) {
      results.get(name)?.push(await applyLoad({ url, connections, seconds: SECONDS }));
    }
  }
  const best = [...results].map(([name, runs]) => ({ name, ...median(runs) }));
  const direct = best[0] as LoadResult;
  console.log(
    `\n${connections} connection${connections > 1 ? "s" : ""} (median of ${ROUNDS} × ${SECONDS} s, ${GENERATOR})`,
  );
  console.log(
    `  ${"".padEnd(26)}${"req/s".padStart(9)}${"× direct".padStart(10)}${"p50 ms".padStart(9)}${"p99 ms".padStart(9)}`,
  );
  for (const { name, requestsPerSecond, p50, p99 } of best) {
    const ratio = requestsPerSecond / direct.requestsPerSecond;
    console.log(
      `  ${name.padEnd(26)}${requestsPerSecond.toFixed(0).padStart(9)}${ratio.toFixed(2).padStart(10)}` +
        `${p50.toFixed(3).padStart(9)}${p99.toFixed(3).padStart(9)}`,
    );
  }
}

/** First calls to a Node function with no replica. */
async function benchColdStart(platform: Platform): Promise<void> {
  const times: number[] = [];
  for (let round = 0; round < 10; round++) {
    await platform.control("/system/scale-function/bench", {
      method: "POST",
      body: JSON.stringify({ serviceName: "bench", replicas: 0 }),
    });
    await eventually("no replica is left", async () => {
      const status = (await (await platform.control("/system/function/bench")).json()) as Record<string, unknown>;
      return status.availableReplicas === undefined;
    });
    // The gateway has to have heard of it too, or the call would go to the replica that is just leaving.
    await eventually("the gateway sees no replica", async () => {
      const metrics = await (await fetch(`${platform.metricsUrl}/metrics`)).text();
      return /gateway_service_ready_count\{function_name="bench.openfaas-fn"\} 0/.test(metrics);
    });
    const startedAt = performance.now();
    const response = await fetch(`${platform.url}/function/bench`);
    await response.text();
    if (response.status !== 200) throw new Error(`bench answered ${response.status}`);
    times.push(performance.now() - startedAt);
  }
  times.sort((a, b) => a - b);
  const [fastest, middle, slowest] = [times[0], times[5], times[9]].map((ms) => (ms as number).toFixed(0));
  console.log(`\nFirst call to a Node function at zero: ${middle} ms (${fastest} to ${slowest} of 10; aim: ≤ 250 ms)`);
}
