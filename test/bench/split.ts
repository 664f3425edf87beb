import { eventually } from "../support/eventually.ts";
import { cpuMicrosOfTree } from "./cpu.ts";
import { applyLoad, type LoadResult, median } from "./load.ts";
import type { WholePath } from "./whole-path.ts";

const CONNECTIONS = [1, 64];
const ROUNDS = Math.max(5, Number(process.env.BENCH_ROUNDS ?? 5));
const SECONDS = Number(process.env.BENCH_SECONDS ?? 1);
/** The rate of a function with two versions, as a part of one with one. */
const AIM = 0.95;

interface Run extends LoadResult {
  /** Of the gateway, for each call. */
  readonly cpuMicros: number;
}

/**
 * What it costs to choose a version: calls of one that a cookie sticks to, beside the same calls of a function that has but
 * one. Either way one replica answers.
 * @returns whether the aim is reached
 */
export async function benchSplit({ gateways }: WholePath): Promise<boolean> {
  const [gateway] = gateways;
  if (!gateway) throw new Error("no gateway");
  const { url, pid } = gateway.process;
  await deploySplit(url);
  // A header costs something by itself, whoever reads it.
  const headers = { Cookie: "theme=dark; fl-v-split=a-caller" };
  const ways = [
    { name: "one version", url: `${url}/function/one`, headers },
    { name: "two, sticky cookie", url: `${url}/function/split`, headers },
  ];
  console.log(`\nTwo versions and a sticky cookie beside none (median of ${ROUNDS} × ${SECONDS} s; aim: ≥ ${AIM} ×)`);
  console.log("  conn.  way                    req/s   × one   p50 ms   p99 ms   CPU µs/call");
  let kept = true;
  for (const way of ways) await applyLoad({ ...way, connections: 16, seconds: 2 });
  for (const connections of CONNECTIONS) {
    const runs = ways.map((): Run[] => []);
    for (let round = 0; round < ROUNDS; round++) {
      for (const [at, way] of ways.entries()) {
        const before = await cpuMicrosOfTree(pid);
        const result = await applyLoad({ ...way, connections, seconds: SECONDS });
        runs[at]?.push({ ...result, cpuMicros: ((await cpuMicrosOfTree(pid)) - before) / result.requests });
      }
    }
    const rows = runs.map(median);
    for (const [at, { requestsPerSecond, p50, p99, cpuMicros }] of rows.entries()) {
      const ratio = requestsPerSecond / (rows[0] as Run).requestsPerSecond;
      kept &&= ratio >= AIM;
      console.log(
        `  ${(at === 0 ? String(connections) : "").padEnd(6)} ${ways[at]?.name.padEnd(20)} ${requestsPerSecond.toFixed(0).padStart(8)}` +
          `${ratio.toFixed(3).padStart(8)}${p50.toFixed(3).padStart(9)}${p99.toFixed(3).padStart(9)}${cpuMicros.toFixed(1).padStart(14)}`,
      );
    }
  }
  return kept;
}

/** A function with two versions of the same code, one replica each, and half of the callers with each. */
async function deploySplit(url: string): Promise<void> {
  const { image } = (await (await fetch(`${url}/system/function/one`)).json()) as { image: string };
  const labels = { "com.openfaas.scale.min": "1", "com.openfaas.scale.max": "1" };
  const annotations = { "com.faaslane.rollout": "manual", "com.faaslane.sticky": "cookie" };
  await deployTwice(url, { service: "split", image, labels, annotations });
  const half = (version: string) => ({ version, share: 5_000 });
  await send(url, "PUT", "/system/function/split/traffic", { targets: [half("v1"), half("v2")] });
}

/** Deploys a function with two versions of the same code; v1 has the calls, and v2 runs too. */
export async function deployTwice(
  url: string,
  definition: { readonly service: string } & Readonly<Record<string, unknown>>,
): Promise<void> {
  const { service } = definition;
  const deploy = (method: string, LEVEL: string) =>
    send(url, method, "/system/functions", { ...definition, envVars: { LEVEL } });
  await deploy("POST", "1");
  await eventually("it answers", async () => (await fetch(`${url}/function/${service}`)).status === 200, 60_000);
  await deploy("PUT", "2");
  await eventually(
    "both versions answer",
    async () => {
      const answers = await Promise.all(["v1", "v2"].map((each) => fetch(`${url}/function/${service}@${each}`)));
      return answers.every(({ status }) => status === 200);
    },
    60_000,
  );
}

export async function send(url: string, method: string, path: string, body: object): Promise<void> {
  const answer = await fetch(url + path, {
    method,
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
}
