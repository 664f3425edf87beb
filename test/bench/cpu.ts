import { readdirSync, readFileSync } from "node:fs";
import { descendants } from "../support/platform.ts";

/** What a process has computed so far, by the system's ticks of 10 ms: unlike its speed, it does not depend on others. */
export function cpuMicros(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "latin1")
    .replace(/^.*\) /s, "")
    .split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

/** The same of the threads that it has now, to the nanosecond: for rounds of a second or two. */
export function cpuMicrosOfThreads(pid: number): number {
  return readdirSync(`/proc/${pid}/task`).reduce((sum, thread) => {
    const [nanoseconds] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "latin1").split(" ");
    return sum + Number(nanoseconds) / 1_000;
  }, 0);
}

/** The same of a process and all that it has started and that still runs. */
export async function cpuMicrosOfTree(pid: number): Promise<number> {
  return [pid, ...(await descendants(pid))].reduce((sum, one) => sum + cpuMicros(one), 0);
}
