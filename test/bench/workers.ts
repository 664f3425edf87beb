/**
 * `npm run bench:workers`: gateways with one worker and with several, in turns in one run, in front of the same
 * replicas. Ratios are what is claimed, and only where there are cores for them.
 */
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { temporaryFolder } from "../support/platform.ts";
import { cpuMicros } from "./cpu.ts";
import { applyLoad, GENERATOR, type LoadResult, median } from "./load.ts";
import { memoryOf } from "./memory.ts";
import { type BenchGateway, openWholePath } from "./whole-path.ts";

const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 3);
const SECONDS = Number(process.env.BENCH_SECONDS ?? 3);
const CONNECTIONS = [1, 64, 256];
const WORKERS = [1, 2, 4];

/** Four workers on four cores, as calls per second of one. */
const AIM = 3;

interface Run extends LoadResult {
  /** Of the gateway, for each call. */
  readonly cpuMicros: number;
}

const cores = availableParallelism();
const folder = await temporaryFolder();
const path = await openWholePath(join(folder.path, "path"), WORKERS);
try {
  console.log(`${cores} cores, shared with the load generator (${GENERATOR}) and four replicas`);
  for (const connections of CONNECTIONS) await compare(connections);
  for (const { process: gateway, workers } of path.gateways) {
    const { pss } = await memoryOf(gateway.pid);
    console.log(`Memory after that with ${workers} worker${workers > 1 ? "s" : ""}: ${pss.toFixed(0)} MB`);
  }
  // Replicas and the generator need some of them too.
  if (cores < 8) {
    console.log(`Too few cores to tell whether four workers reach the aim of ${AIM} × one: it takes eight or more.`);
  }
} finally {
  await path.close();
  await folder.remove();
}

/** In turns, so that whatever else the machine does meets all of them alike. */
async function compare(connections: number): Promise<void> {
  const runs = new Map<BenchGateway, Run[]>(path.gateways.map((gateway) => [gateway, []]));
  for (const gateway of path.gateways) await measure(gateway, connections, 2); // until the optimizing compiler has come to rest
  for (let round = 0; round < ROUNDS; round++) {
    for (const gateway of path.gateways) runs.get(gateway)?.push(await measure(gateway, connections, SECONDS));
  }
  const results = path.gateways.map((gateway) => ({ gateway, ...(median(runs.get(gateway) ?? []) as Run) }));
  const one = results[0] as Run;
  console.log(`\n${connections} connection${connections > 1 ? "s" : ""} (median of ${ROUNDS} × ${SECONDS} s)`);
  console.log("  workers    req/s   × one   p50 ms   p99 ms   CPU µs/call");
  for (const { gateway, requestsPerSecond, p50, p99, cpuMicros: micros } of results) {
    const ratio = requestsPerSecond / one.requestsPerSecond;
    console.log(
      `  ${String(gateway.workers).padStart(7)}${requestsPerSecond.toFixed(0).padStart(9)}${ratio.toFixed(2).padStart(8)}` +
        `${p50.toFixed(3).padStart(9)}${p99.toFixed(3).padStart(9)}${micros.toFixed(0).padStart(14)}`,
    );
  }
}

async function measure({ process: gateway }: BenchGateway, connections: number, seconds: number): Promise<Run> {
  const before = cpuMicros(gateway.pid);
  const result = await applyLoad({ url: `${gateway.url}/function/four`, connections, seconds });
  return { ...result, cpuMicros: (cpuMicros(gateway.pid) - before) / result.requests };
}
