import { readFile } from "node:fs/promises";
import { descendants } from "../support/platform.ts";

/** Megabytes. */
export interface Memory {
  /** Proportional set size: what processes share is counted once, so sums over processes are right. */
  readonly pss: number;
  /** Resident set size: what processes share is counted for each of them. */
  readonly rss: number;
}

/** Memory of a process and all that it has started. Linux only. */
export async function memoryOf(pid: number): Promise<Memory> {
  return await memoryOfAll([pid, ...(await descendants(pid))]);
}

/** Memory of these processes together. Linux only. */
export async function memoryOfAll(pids: readonly number[]): Promise<Memory> {
  const rollups = await Promise.all(pids.map((id) => readFile(`/proc/${id}/smaps_rollup`, "utf8").catch(() => "")));
  const sum = (field: string) =>
    rollups.reduce((total, text) => total + Number(new RegExp(`^${field}:\\s+(\\d+)`, "m").exec(text)?.[1] ?? 0), 0) /
    1024;
  return { pss: sum("Pss"), rss: sum("Rss") };
}
