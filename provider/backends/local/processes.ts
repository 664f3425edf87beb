import { readFile } from "node:fs/promises";
import { namesIn } from "./files.ts";

/** What `/proc` tells about a process. */
export interface ProcessInfo {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  /** `R` for one that runs, `S` and `D` for those that wait, `T` and `t` for stopped ones, … */
  readonly state: string;
  /** User and system time so far, in clock ticks of 10 ms. */
  readonly cpuTicks: number;
  /** In RAM, what it shares with others included. */
  readonly residentPages: number;
}

/** Parses `/proc/<pid>/stat`; the program's name may hold spaces and parentheses. */
export function parseProcStat(text: string): ProcessInfo | undefined {
  const match = /^(\d+) \(.*\) (.*)$/s.exec(text);
  const fields = match?.[2]?.split(" ") ?? [];
  if (!match || fields.length < 22) return undefined;
  const [state = ""] = fields;
  const [parent = 0, group = 0, user = 0, system = 0, residentPages = 0] = [1, 2, 11, 12, 21].map((at) =>
    Number(fields[at]),
  );
  return { pid: Number(match[1]), parent, group, state, cpuTicks: user + system, residentPages };
}

/** Files of `/proc` that are open at a time: all at once would use up the descriptors of a small limit. */
const OPEN_AT_ONCE = 16;

/** A file below `/proc/<pid>` of each process, in their order; undefined for those that are gone or somebody else's. */
export async function readProcFiles(pids: readonly number[], file: string): Promise<(string | undefined)[]> {
  const texts = new Array<string | undefined>(pids.length);
  const queue = pids.entries();
  const reader = async () => {
    for (const [index, pid] of queue) texts[index] = await readProcFile(pid, file);
  };
  await Promise.all(Array.from({ length: Math.min(OPEN_AT_ONCE, pids.length) }, reader));
  return texts;
}

async function readProcFile(pid: number, file: string): Promise<string | undefined> {
  try {
    return await readFile(`/proc/${pid}/${file}`, "latin1");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ESRCH" || code === "EACCES" || code === "EPERM") return undefined;
    throw error;
  }
}

/** Ids of all processes there are; none on a system without `/proc`. */
export async function listPids(): Promise<number[]> {
  return (await namesIn("/proc")).filter((name) => /^\d+$/.test(name)).map(Number);
}

/** All processes there are; none on a system without `/proc`. */
export async function listProcesses(): Promise<ProcessInfo[]> {
  const stats = await readProcFiles(await listPids(), "stat");
  return stats.flatMap((text) => (text === undefined ? [] : (parseProcStat(text) ?? [])));
}

/** The processes of `leaders`, with all that descends from them and all of their groups. */
export function replicaProcesses(leaders: readonly number[], processes: readonly ProcessInfo[]): ProcessInfo[] {
  const roots = new Set(leaders);
  const members = new Map<number, ProcessInfo>();
  const isMember = ({ pid, group, parent }: ProcessInfo) => roots.has(pid) || roots.has(group) || members.has(parent);
  // Children may be listed before their parents, as process ids are used again.
  for (let before = -1; before < members.size; ) {
    before = members.size;
    for (const one of processes) if (isMember(one)) members.set(one.pid, one);
  }
  return [...members.values()];
}
