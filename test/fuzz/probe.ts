import { readFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { parentPort, workerData } from "node:worker_threads";

/** What the probe tells its parent after each call. */
export interface ProbeReport {
  readonly url: string;
  /** From the call to its answer, in milliseconds, without what the machine had no processor for. */
  readonly ms: number;
  /** What was wrong with the answer, if anything. */
  readonly problem?: string;
  /** Of a good one. */
  readonly text?: string;
}

/** Calls URLs over and over, on a kept connection and on new ones in turn, in a thread that has nothing else to do. */
const { pids, urls } = workerData as { readonly pids: readonly number[]; readonly urls: readonly string[] };
const PAUSE_MS = 25;
const GIVE_UP_MS = 10_000;
const TICK_MS = 20;
const kept = new Agent({ keepAlive: true, maxSockets: 1 });

// What this machine keeps from this thread is not the platform's fault.
let asleepMs = 0;
let tickAt = performance.now();
setInterval(() => {
  const now = performance.now();
  asleepMs += Math.max(0, now - tickAt - 2 * TICK_MS);
  tickAt = now;
}, TICK_MS);

/** For how long all who take part in a call have been waiting for a processor so far. */
function waitedMs(): number {
  return asleepMs + pids.reduce((total, id) => total + runDelayMs(id), 0);
}

/** @see https://docs.kernel.org/scheduler/sched-stats.html */
function runDelayMs(id: number): number {
  try {
    return Number(readFileSync(`/proc/${id}/schedstat`, "utf8").split(" ")[1]) / 1e6;
  } catch {
    return 0; // it has ended, or the kernel does not count
  }
}

async function call(url: string, agent: Agent | false): Promise<ProbeReport> {
  const from = performance.now();
  const waitedFrom = waitedMs();
  const { promise, resolve } = Promise.withResolvers<{ problem?: string; text?: string }>();
  const sent = request(url, { agent, timeout: GIVE_UP_MS }, (answer) => {
    let text = "";
    answer.setEncoding("utf8").on("data", (piece: string) => {
      text += piece;
    });
    answer.on("error", (error) => resolve({ problem: error.message }));
    answer.on("end", () => resolve(answer.statusCode === 200 ? { text } : { problem: `${answer.statusCode} ${text}` }));
  });
  sent.on("timeout", () => sent.destroy(new Error(`no answer in ${GIVE_UP_MS} ms`)));
  sent.on("error", (error) => resolve({ problem: error.message }));
  sent.end();
  const outcome = await promise;
  const ms = Math.max(0, performance.now() - from - (waitedMs() - waitedFrom));
  return { url, ms, ...outcome };
}

for (let round = 0; ; round++) {
  for (const url of urls) parentPort?.postMessage(await call(url, round % 2 === 0 ? kept : false));
  await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
}
