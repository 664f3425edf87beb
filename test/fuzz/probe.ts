import { Agent, request } from "node:http";
import { parentPort, workerData } from "node:worker_threads";

/** What the probe tells its parent after each call. */
export interface ProbeReport {
  readonly url: string;
  /** From the call to its answer, in milliseconds, as far as this thread itself was awake. */
  readonly ms: number;
  /** What was wrong with the answer, if anything. */
  readonly problem?: string;
  /** Of a good one. */
  readonly text?: string;
}

/** Calls a URL over and over, on a kept connection and on new ones in turn, in a thread that has nothing else to do. */
const { urls } = workerData as { readonly urls: readonly string[] };
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

async function call(url: string, agent: Agent | false): Promise<ProbeReport> {
  const from = performance.now();
  const asleepFrom = asleepMs;
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
  return { url, ms: performance.now() - from - (asleepMs - asleepFrom), ...outcome };
}

for (let round = 0; ; round++) {
  for (const url of urls) parentPort?.postMessage(await call(url, round % 2 === 0 ? kept : false));
  await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
}
