import { execFile, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import autocannon from "autocannon";

export interface LoadResult {
  readonly requestsPerSecond: number;
  /** Calls that were answered. */
  readonly requests: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
}

export interface LoadOptions {
  readonly url: string;
  readonly connections: number;
  /** A whole number. */
  readonly seconds: number;
  /** With POST and a body of so many bytes rather than GET. */
  readonly bodyBytes?: number | undefined;
  /** Whether a connection is used again; true unless given. */
  readonly keepAlive?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
}

const run = promisify(execFile);

/** Which generator {@link applyLoad} uses: `wrk` takes less of the machine, autocannon is always there. */
export const GENERATOR = spawnSync("wrk", ["-v"]).error ? "autocannon" : "wrk";

/** Of many connections with large bodies each waits for long. */
const ANSWER_WITHIN_S = 30;

/**
 * Calls `url` as fast as it answers.
 * @throws when the address is not loopback, or an answer is not 2xx
 */
export async function applyLoad(options: LoadOptions): Promise<LoadResult> {
  if (!/^http:\/\/127\.0\.0\.1:/.test(options.url)) throw new Error(`only loopback is load-tested, not ${options.url}`);
  return GENERATOR === "wrk" ? await runWrk(options) : await runAutocannon(options);
}

async function runWrk(options: LoadOptions): Promise<LoadResult> {
  const { url, connections, seconds, bodyBytes, keepAlive = true, headers = {} } = options;
  const script = fileURLToPath(new URL("post.lua", import.meta.url));
  const { stdout } = await run("wrk", [
    "-t1",
    `-c${connections}`,
    `-d${seconds}s`,
    `--timeout=${ANSWER_WITHIN_S}s`,
    "--latency",
    ...(keepAlive ? [] : ["-HConnection: close"]),
    ...Object.entries(headers).map(([name, value]) => `-H${name}: ${value}`),
    ...(bodyBytes === undefined ? [url] : ["-s", script, url, "--", String(bodyBytes)]),
  ]);
  if (/Non-2xx|Socket errors/.test(stdout)) throw new Error(`failed calls:\n${stdout}`);
  const latency = (percentile: string): number => {
    const [, value, unit] = new RegExp(`${percentile}%\\s+([\\d.]+)(us|ms|s|m)`).exec(stdout) as RegExpExecArray;
    return Number(value) * { us: 1e-3, ms: 1, s: 1e3, m: 6e4 }[unit as "us" | "ms" | "s" | "m"];
  };
  const requestsPerSecond = Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1]);
  const requests = Number(/(\d+) requests in/.exec(stdout)?.[1]);
  return { requestsPerSecond, requests, p50: latency("50"), p99: latency("99") };
}

async function runAutocannon(options: LoadOptions): Promise<LoadResult> {
  const { url, connections, seconds, bodyBytes, keepAlive = true } = options;
  const request = bodyBytes === undefined ? {} : { method: "POST" as const, body: Buffer.alloc(bodyBytes, "x") };
  const headers = { ...options.headers, ...(keepAlive ? {} : { connection: "close" }) };
  const result = await autocannon({
    url,
    connections,
    duration: seconds,
    timeout: ANSWER_WITHIN_S,
    headers,
    ...request,
  });
  if (result.non2xx > 0 || result.errors > 0) throw new Error(`${result.non2xx + result.errors} failed calls`);
  const { requests, latency } = result;
  return { requestsPerSecond: requests.average, requests: requests.total, p50: latency.p50, p99: latency.p99 };
}

/** The run in the middle by requests per second. */
export function median<T extends Pick<LoadResult, "requestsPerSecond">>(results: readonly T[]): T {
  const sorted = [...results].sort((a, b) => a.requestsPerSecond - b.requestsPerSecond);
  return sorted[Math.floor(sorted.length / 2)] as T;
}
