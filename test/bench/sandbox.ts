/**
 * `npm run bench:sandbox`: what the wall around functions costs, by two platforms side by side in one run, one with and
 * one without. The first call to a function at zero, and calls to one that is awake.
 */
import { join } from "node:path";
import { buildImage } from "../support/build-upload.ts";
import { eventually } from "../support/eventually.ts";
import { Platform, temporaryFolder } from "../support/platform.ts";
import { applyLoad, median } from "./load.ts";

const STARTS = Number(process.env.BENCH_STARTS ?? 25);
const SECONDS = Number(process.env.BENCH_SECONDS ?? 3);
const ROUNDS = 3;

/** Functions by what they are. */
const FUNCTIONS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "node, in the watchdog": {
    "faaslane.json": JSON.stringify({ env: { mode: "inproc", inproc_handler: "./index.mjs" } }),
    "index.mjs": "export default (req, res) => res.end('hello');\n",
  },
  "a program for each call": { "faaslane.json": JSON.stringify({ env: { mode: "classic", fprocess: "cat" } }) },
};

interface Side {
  readonly name: string;
  readonly platform: Platform;
}

const folder = await temporaryFolder();
const sides: Side[] = [];
try {
  for (const [name, sandbox] of [
    ["without", "off"],
    ["with", "required"],
  ] as const) {
    sides.push({ name, platform: await Platform.start({ dataDir: join(folder.path, name), env: { sandbox } }) });
  }
  for (const [index, [what, files]] of Object.entries(FUNCTIONS).entries()) await compare(what, `fn-${index}`, files);
} finally {
  for (const { platform } of sides) await platform.stop();
  await folder.remove();
}

async function compare(what: string, name: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const { platform } of sides) await deploy(platform, name, files);
  const waits = new Map<string, number[]>(sides.map((side) => [side.name, []]));
  // In turns, so that whatever else the machine does meets both alike.
  for (let start = 0; start < STARTS; start += 1) {
    for (const side of sides) waits.get(side.name)?.push(await firstCall(side.platform, name));
  }
  const middle = (values: readonly number[]) => values.toSorted((a, b) => a - b)[values.length >> 1] as number;
  console.log(`\n${what}: first call to a function at zero, of ${STARTS}`);
  for (const [kind, choose] of [
    ["median", middle],
    ["fastest", (values: readonly number[]) => Math.min(...values)],
  ] as const) {
    const [without = 0, walled = 0] = [...waits.values()].map(choose);
    const cost = signed(walled - without);
    console.log(`  ${kind}: without ${without.toFixed(1)} ms, with ${walled.toFixed(1)} ms: ${cost} ms`);
  }

  const rates = new Map<string, { requestsPerSecond: number; p50: number; p99: number }[]>(
    sides.map((side) => [side.name, []]),
  );
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const side of sides) {
      const url = `${side.platform.url}/function/${name}`;
      rates.get(side.name)?.push(await applyLoad({ url, connections: 8, seconds: SECONDS }));
    }
  }
  const [bare, enclosed] = [...rates.values()].map(median);
  if (!bare || !enclosed) throw new Error("nothing was measured");
  console.log(`  awake, 8 connections: without ${show(bare)}, with ${show(enclosed)}`);
  console.log(`  ratio ${(enclosed.requestsPerSecond / bare.requestsPerSecond).toFixed(2)}`);
}

function signed(value: number): string {
  return `${value < 0 ? "" : "+"}${value.toFixed(1)}`;
}

function show({ requestsPerSecond, p50 }: { requestsPerSecond: number; p50: number }): string {
  return `${requestsPerSecond.toFixed(0)} req/s, p50 ${p50.toFixed(2)} ms`;
}

async function deploy(platform: Platform, service: string, files: Readonly<Record<string, string>>): Promise<void> {
  await buildImage(platform, `${service}:1`, files);
  const labels = { "com.openfaas.scale.zero": "true", "com.openfaas.scale.max": "1" };
  const body = JSON.stringify({ service, image: `${service}:1`, labels });
  const answer = await platform.control("/system/functions", { method: "POST", body });
  if (answer.status !== 202) throw new Error(`deploying ${service}: ${answer.status} ${await answer.text()}`);
  await eventually("it answers", async () => (await fetch(`${platform.url}/function/${service}`)).status === 200);
}

async function firstCall(platform: Platform, service: string): Promise<number> {
  const body = JSON.stringify({ replicas: 0 });
  await platform.control(`/system/scale-function/${service}`, { method: "POST", body });
  await eventually(
    "it is asleep",
    async () => {
      const status = await (await platform.control(`/system/function/${service}`)).json();
      return (status as { availableReplicas?: number }).availableReplicas === undefined;
    },
    10_000,
    20,
  );
  // Its processes take a moment longer to end.
  await new Promise((resolve) => setTimeout(resolve, 400));
  const startedAt = performance.now();
  const response = await fetch(`${platform.url}/function/${service}`);
  await response.text();
  if (response.status !== 200) throw new Error(`${service} answered ${response.status}`);
  return performance.now() - startedAt;
}
