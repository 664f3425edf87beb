import { sleep } from "../../../kit/sleep.ts";
import { listProcesses, readProcFiles, replicaProcesses } from "./processes.ts";
import type { Usage } from "./status.ts";

const SAMPLE_MS = 200;
const TICK_MS = 10;

/** Memory in RAM as `/proc/<pid>/status` tells it, in bytes. */
export function parseResidentBytes(status: string): number {
  return Number(/^VmRSS:\s*(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
}

/** What the replicas with these first processes use now: CPU over a fifth of a second, and memory. */
export async function measureReplicaUsage(leaders: readonly number[]): Promise<Usage> {
  const members = async () => replicaProcesses(leaders, await listProcesses());
  const before = new Map((await members()).map(({ pid, cpuTicks }) => [pid, cpuTicks]));
  const startedAt = performance.now();
  await sleep(SAMPLE_MS);
  const after = await members();
  const elapsedMs = performance.now() - startedAt;
  const ticks = after.reduce((sum, { pid, cpuTicks }) => sum + cpuTicks - (before.get(pid) ?? 0), 0);
  const pids = after.map(({ pid }) => pid);
  const statuses = await readProcFiles(pids, "status");
  return {
    cpu: Math.round((ticks * TICK_MS * 1000) / elapsedMs),
    totalMemoryBytes: statuses.reduce((sum, text) => sum + parseResidentBytes(text ?? ""), 0),
  };
}
