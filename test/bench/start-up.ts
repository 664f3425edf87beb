import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { refreshPackage } from "../../deploy/build-package.mjs";
import { eventually } from "../support/eventually.ts";
import { Platform, ROOT, runCli } from "../support/platform.ts";
import { startServerProcess } from "../support/server-process.ts";
import { memoryOf } from "./memory.ts";
import { imageEnv } from "./whole-path.ts";

/** Gateway and provider as users have them: compiled, each a process of its own, the compile cache warm. */
export async function benchIdleMemory(folder: string): Promise<void> {
  await refreshPackage();
  const root = join(ROOT, "dist/package");
  const cache = imageEnv(folder);
  for (const run of ["cold", "warm"]) {
    const provider = await startServerProcess(
      "provider/main.ts",
      { ...cache, data_dir: join(folder, "provider") },
      root,
    );
    const env = { ...cache, data_dir: join(folder, "gateway"), functions_provider_url: provider.url };
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
export async function benchStartUp(folder: string): Promise<void> {
  const dataDir = join(folder, "samples");
  console.log("Start with the three sample functions (aim: first answer in ≤ 5 s; ≤ 350 MB idle)");
  for (const run of ["first start, functions are built", "next start"]) {
    const startedAt = performance.now();
    const platform = await Platform.start({
      dataDir,
      stackFile: join(ROOT, "stack.yml"),
      env: { NODE_COMPILE_CACHE: join(folder, "compile-cache") },
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

/** First calls to a Node function with no replica. */
export async function benchColdStart(folder: string): Promise<void> {
  const platform = await Platform.start({ dataDir: join(folder, "calls") });
  try {
    await deployBenchFunction(platform, folder);
    await callAtZero(platform);
  } finally {
    await platform.stop();
  }
}

async function callAtZero(platform: Platform): Promise<void> {
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

/** A Node function from the template. */
async function deployBenchFunction(platform: Platform, folder: string): Promise<void> {
  const project = join(folder, "project");
  await mkdir(join(project, "bench"), { recursive: true });
  await writeFile(join(project, "bench/handler.js"), 'module.exports = async () => "hello";\n');
  await writeFile(
    join(project, "stack.yml"),
    `provider: {name: openfaas}
functions:
  bench: {lang: node, handler: ./bench, image: bench, labels: {com.openfaas.scale.min: "1", com.openfaas.scale.max: "1"}}
`,
  );
  const env = { OPENFAAS_URL: platform.url, data_dir: join(folder, "calls") };
  const up = await runCli(["up"], { cwd: project, env });
  if (up.code !== 0) throw new Error(up.stdout + up.stderr);
  await eventually("the function answers", async () => (await fetch(`${platform.url}/function/bench`)).status === 200);
}
