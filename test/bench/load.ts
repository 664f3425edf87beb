import { execFile, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import autocannon from "autocannon";

export interface LoadResult {
  readonly requestsPerSecond: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
}

export interface LoadOptions {
  readonly url: string;
  readonly connections: number;
  readonly seconds: number;
  /** With POST and a body of 256 bytes rather than GET. */
  readonly post?: boolean;
}

const run = promisify(execFile);

/** Which generator {@link applyLoad} uses: `wrk` takes less of the machine, autocannon is always there. */
export const GENERATOR = spawnSync("wrk", ["-v"]).error ? "autocannon" : "wrk";

/**
 * Calls `url` as fast as it answers.
 * @throws when the address is not loopback, or an answer is not 2xx
 */
export async function applyLoad(options: LoadOptions): Promise<LoadResult> {
  if (!/^http:\/\/127\.0\.0\.1:/.test(options.url)) throw new Error(`only loopback is load-tested, not ${options.url}`);
  return GENERATOR === "wrk" ? await runWrk(options) : await runAutocannon(options);
}

async function runWrk({ url, connections, seconds, post }: LoadOptions): Promise<LoadResult> {
  const script = post ? ["-s", fileURLToPath(new URL("post.lua", import.meta.url))] : [];
  const { stdout } = await run("wrk", ["-t1", `-c${connections}`, `-d${seconds}s`, "--latency", ...script, url]);
  if (/Non-2xx|Socket errors/.test(stdout)) throw new Error(`failed calls:\n${stdout}`);
  const latency = (percentile: string): number => {
    const [, value, unit] = new RegExp(`${percentile}%\\s+([\\d.]+)(us|ms|s)`).exec(stdout) as RegExpExecArray;
    return Number(value) * { us: 1e-3, ms: 1, s: 1e3 }[unit as "us" | "ms" | "s"];
  };
  const requestsPerSecond = Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1]);
  return { requestsPerSecond, p50: latency("50"), p99: latency("99") };
}

async function runAutocannon({ url, connections, seconds, post }: LoadOptions): Promise<LoadResult> {
  const request = post ? { method: "POST" as const, body: "x".repeat(256) } : {};
  const result = await autocannon({ url, connections, duration: seconds, ...request });
  if (result.non2xx > 0 || result.errors > 0) throw new Error(`${result.non2xx + result.errors} failed calls`);
  return { requestsPerSecond: result.requests.average, p50: result.latency.p50, p99: result.latency.p99 };
}

/** The run in the middle by requests per second. */
export function median(results: readonly LoadResult[]): LoadResult {
  const sorted = [...results].sort((a, b) => a.requestsPerSecond - b.requestsPerSecond);
  return sorted[Math.floor(sorted.length / 2)] as LoadResult;
}
