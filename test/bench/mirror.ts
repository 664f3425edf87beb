import { Agent, request } from "node:http";
import { sleep } from "../../kit/sleep.ts";
import { deployTwice } from "./split.ts";
import type { WholePath } from "./whole-path.ts";

const ROUNDS = 20;
const CALLS = 100;
/** Between two calls: copies are made, and have ended, before the next one. */
const PAUSE_MS = 5;
/** What a call may take with a mirror, as a part of what it takes without. */
const AIM = 1.02;

/**
 * What callers notice of a mirror: the same calls, a few hundred a second, to a function without and one whose other version
 * gets a copy of each.
 * @returns whether the aim is reached
 */
export async function benchMirror({ gateways }: WholePath): Promise<boolean> {
  const [gateway] = gateways;
  if (!gateway) throw new Error("no gateway");
  const { url } = gateway.process;
  const { image } = (await (await fetch(`${url}/system/function/one`)).json()) as { image: string };
  const labels = { "com.openfaas.scale.min": "1", "com.openfaas.scale.max": "1" };
  const manual = { "com.faaslane.rollout": "manual" };
  await deployTwice(url, { service: "alone", image, labels, annotations: manual });
  const annotations = { ...manual, "com.faaslane.mirror": "v2=100" };
  await deployTwice(url, { service: "mirrored", image, labels, annotations });
  const names = ["alone", "mirrored"] as const;
  const times = { alone: [] as number[], mirrored: [] as number[] };
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  for (const name of names) await callOften(`${url}/function/${name}`, agent);
  // One after the other, so that both have the same machine.
  for (let round = 0; round < ROUNDS; round++) {
    for (const name of names) times[name].push(...(await callOften(`${url}/function/${name}`, agent)));
  }
  agent.destroy();
  const [alone, mirrored] = names.map((name) => times[name].sort((a, b) => a - b)) as [number[], number[]];
  const ratio = at(mirrored, 0.5) / at(alone, 0.5);
  console.log(`\nA mirror of every call beside none (${ROUNDS} × ${CALLS} calls; aim: p50 ≤ ${AIM} ×)`);
  console.log("  way         p50 ms   × alone   p95 ms");
  for (const [name, sorted] of [["alone", alone] as const, ["mirrored", mirrored] as const]) {
    const times50 = at(sorted, 0.5);
    const relative = times50 / at(alone, 0.5);
    console.log(
      `  ${name.padEnd(10)}${times50.toFixed(3).padStart(8)}${relative.toFixed(3).padStart(10)}${at(sorted, 0.95).toFixed(3).padStart(9)}`,
    );
  }
  return ratio <= AIM;
}

const at = (sorted: readonly number[], part: number) => sorted[Math.floor(sorted.length * part)] as number;

/** @returns how long each call took, in milliseconds */
async function callOften(url: string, agent: Agent): Promise<number[]> {
  const times: number[] = [];
  for (let call = 0; call < CALLS; call++) {
    const begun = performance.now();
    await new Promise<void>((resolve, reject) => {
      const sent = request(url, { agent }, (answer) => answer.resume().once("end", resolve).once("error", reject));
      sent.once("error", reject).end();
    });
    times.push(performance.now() - begun);
    await sleep(PAUSE_MS);
  }
  return times;
}
