import { Agent, request } from "node:http";
import { sleep } from "../../kit/sleep.ts";
import { deployTwice, send } from "./split.ts";
import type { WholePath } from "./whole-path.ts";

const ROUNDS = 20;
const CALLS = 130;
/** Of each round, which do not count. */
const WARM_CALLS = 30;
/** Between two calls: copies are made, and have ended, before the next one. */
const PAUSE_MS = 5;
/** What a call may take with a mirror, as a part of what it takes without. */
const AIM = 1.02;

/**
 * What callers notice of a mirror: the same calls, a few hundred a second, to the same replica, while another version gets a copy of each
 * and while it gets none, in turn. Two functions would differ by more than a mirror makes out.
 * @returns whether the aim is reached
 */
export async function benchMirror({ gateways }: WholePath): Promise<boolean> {
  const [gateway] = gateways;
  if (!gateway) throw new Error("no gateway");
  const { url } = gateway.process;
  const { image } = (await (await fetch(`${url}/system/function/one`)).json()) as { image: string };
  const labels = { "com.openfaas.scale.min": "1", "com.openfaas.scale.max": "1" };
  const definition = (share: number) => ({
    service: "mirrored",
    image,
    labels,
    annotations: { "com.faaslane.rollout": "manual", "com.faaslane.mirror": `v2=${share}` },
  });
  await deployTwice(url, definition(0));
  const shares = { alone: 0, mirrored: 100 } as const;
  const names = ["alone", "mirrored"] as const;
  const times = { alone: [] as number[], mirrored: [] as number[] };
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  for (let round = -1; round < ROUNDS; round++) {
    for (const name of names) {
      await send(url, "PUT", "/system/functions", { ...definition(shares[name]), envVars: { LEVEL: "2" } });
      const taken = await callOften(`${url}/function/mirrored`, agent);
      // The first ones come before the change is known everywhere, and the first round before all is warm.
      if (round >= 0) times[name].push(...taken.slice(WARM_CALLS));
    }
  }
  agent.destroy();
  const [alone, mirrored] = names.map((name) => times[name].sort((a, b) => a - b)) as [number[], number[]];
  const ratio = at(mirrored, 0.5) / at(alone, 0.5);
  console.log(`\nA mirror of every call beside none (${ROUNDS} × ${CALLS - WARM_CALLS} calls; aim: p50 ≤ ${AIM} ×)`);
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
