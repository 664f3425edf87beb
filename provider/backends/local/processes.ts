import { readFile } from "node:fs/promises";
import { namesIn } from "./files.ts";

/** What `/proc` tells about a process. */
export interface ProcessInfo {
  readonly pid: number;
  readonly group: number;
  /** User and system time so far, in clock ticks of 10 ms. */
  readonly cpuTicks: number;
}

/** Parses `/proc/<pid>/stat`; the program's name may hold spaces and parentheses. */
export function parseProcStat(text: string): ProcessInfo | undefined {
  const match = /^(\d+) \(.*\) (.*)$/s.exec(text);
  const fields = match?.[2]?.split(" ") ?? [];
  const [group, user, system] = [fields[2], fields[11], fields[12]].map(Number);
  if (!match || group === undefined || user === undefined || system === undefined) return undefined;
  return { pid: Number(match[1]), group, cpuTicks: user + system };
}

/** A file below `/proc/<pid>`; undefined when the process has gone or is somebody else's. */
export async function readProcFile(pid: number, file: string): Promise<string | undefined> {
  try {
    return await readFile(`/proc/${pid}/${file}`, "latin1");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ESRCH" || code === "EACCES" || code === "EPERM") return undefined;
    throw error;
  }
}

/** All processes there are; none on a system without `/proc`. */
export async function listProcesses(): Promise<ProcessInfo[]> {
  const pids = (await namesIn("/proc")).filter((name) => /^\d+$/.test(name)).map(Number);
  const stats = await Promise.all(pids.map((pid) => readProcFile(pid, "stat")));
  return stats.flatMap((text) => (text === undefined ? [] : (parseProcStat(text) ?? [])));
}
