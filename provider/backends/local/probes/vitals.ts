import { parseProcStat, readProcFiles } from "../processes.ts";

/** What a process and all that it has started are doing. */
export interface Vitals {
  /** One of them is stopped by a signal or a debugger. */
  readonly stopped: boolean;
  /** One of them runs, or would if a processor were free. */
  readonly running: boolean;
  /** CPU time of all so far, in clock ticks of 10 ms. */
  readonly cpuTicks: number;
}

/** Processes that are looked at; one that has more is at work. */
const MAX_PROCESSES = 64;

/** @returns undefined where the system does not tell */
export async function readVitals(pid: number): Promise<Vitals | undefined> {
  const pids = [pid];
  for (let next = 0; next < pids.length && pids.length < MAX_PROCESSES; next++) {
    const parent = pids[next] as number;
    const [children] = await readProcFiles([parent], `task/${parent}/children`);
    pids.push(...(children ?? "").split(" ").filter(Boolean).map(Number));
  }
  const stats = (await readProcFiles(pids, "stat")).flatMap((text) => parseProcStat(text ?? "") ?? []);
  if (stats.length === 0) return undefined;
  return {
    stopped: stats.some(({ state }) => state === "T" || state === "t"),
    running: stats.some(({ state }) => state === "R"),
    cpuTicks: stats.reduce((sum, { cpuTicks }) => sum + cpuTicks, 0),
  };
}

/**
 * Whether a process that has not answered for `silentMs` will not answer again: it is stopped, or it does nothing. One
 * that is at work, as a handler may be that never yields, has `patienceMs`; so has one of which nothing is known.
 */
export function isHung(
  before: Vitals | undefined,
  now: Vitals | undefined,
  silentMs: number,
  patienceMs: number,
): boolean {
  if (silentMs >= patienceMs) return true;
  if (!before || !now) return false;
  return now.stopped || (!now.running && now.cpuTicks === before.cpuTicks);
}
