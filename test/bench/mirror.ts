import { Agent, request } from "node:http";
import { sleep } from "../../kit/sleep.ts";
import { deployTwice } from "./split.ts";
import type { WholePath } from "./whole-path.ts";

const TURNS = Math.max(40, Number(process.env.BENCH_ROUNDS ?? 40));
const CALLS = 60;
/** Of each turn, which do not count. */
const WARM_CALLS = 10;
const PER_SECOND = 200;
/** Between two calls one after the other: copies are made, and have ended, before the next one. */
const PAUSE_MS = 5;
/** What a call may take with a mirror, as a part of what it takes without. */
const AIM = 1.02;

type Way = "paced" | "in turn";
type Side = "alone" | "mirrored";
/** Makes {@link CALLS} calls. @returns how long each took, in milliseconds */
type Calls = (url: string, turn: number) => Promise<number[]>;
type Taken = Record<Side, number[][]>;

/**
 * What callers notice of a mirror: calls of which another version gets a copy each, beside calls that are not copied as they name their
 * version, in turn. One replica answers both.
 * @returns whether the aim is reached by calls that come when their callers want, as they do in service
 */
export async function benchMirror({ gateways }: WholePath): Promise<boolean> {
  const [gateway] = gateways;
  if (!gateway) throw new Error("no gateway");
  const { url, metricsUrl } = gateway.process;
  const { image } = (await (await fetch(`${url}/system/function/one`)).json()) as { image: string };
  const labels = { "com.openfaas.scale.min": "1", "com.openfaas.scale.max": "1" };
  const annotations = { "com.faaslane.rollout": "manual", "com.faaslane.mirror": "v2=100" };
  await deployTwice(url, { service: "mirrored", image, labels, annotations });
  const agent = new Agent({ keepAlive: true });
  const paths: Record<Side, string> = { alone: "mirrored@v1", mirrored: "mirrored" };
  const measure = async (calls: Calls): Promise<Taken> => {
    const taken: Taken = { alone: [], mirrored: [] };
    for (let turn = -4; turn < TURNS; turn++) {
      // What grows or wanes with time falls on both alike.
      const sides: readonly Side[] = turn % 2 === 0 ? ["alone", "mirrored"] : ["mirrored", "alone"];
      for (const side of sides) {
        const times = await calls(`${url}/function/${paths[side]}`, turn);
        await sleep(PAUSE_MS * 4);
        if (turn >= 0) taken[side].push(times.slice(WARM_CALLS).sort(ascending));
      }
    }
    return taken;
  };
  const before = await copies(metricsUrl);
  const taken = { paced: await measure(pacedCalls(agent)), "in turn": await measure(callsInTurn(agent)) };
  agent.destroy();
  const made = (await copies(metricsUrl)) - before;
  if (made < 2 * TURNS * CALLS) console.log(`${made} copies were made, fewer than calls`);
  return report(taken);
}

function report(taken: Readonly<Record<Way, Taken>>): boolean {
  console.log(
    `\nA mirror of every call beside none (${TURNS} turns of ${CALLS - WARM_CALLS} calls, × with its 95 % interval; aim: p50 ≤ ${AIM} ×)`,
  );
  console.log("  calls                way         p50 ms   × alone                  p95 ms   × alone");
  const names = { paced: `${PER_SECOND}/s, by chance`, "in turn": "one after the other" };
  let kept = false;
  for (const way of ["paced", "in turn"] as const) {
    for (const side of ["alone", "mirrored"] as const) {
      const columns = [0.5, 0.95].map((part) => {
        const times = taken[way][side].map((turn) => at(turn, part));
        const ratios = times.map((time, turn) => time / at(taken[way].alone[turn] as number[], part)).sort(ascending);
        if (way === "paced" && part === 0.5) kept = at(ratios, 0.5) <= AIM;
        const time = at(times.sort(ascending), 0.5).toFixed(3).padStart(9);
        return `${time}${at(ratios, 0.5).toFixed(3).padStart(10)} ${side === "alone" ? "" : interval(ratios)}`.padEnd(
          38,
        );
      });
      console.log(
        `  ${(side === "alone" ? names[way] : "").padEnd(20)} ${side.padEnd(9)}${columns.join("")}`.trimEnd(),
      );
    }
  }
  return kept;
}

/** Where the median lies, 19 times of 20, whatever the values are spread like. */
function interval(sorted: readonly number[]): string {
  const half = 0.98 / Math.sqrt(sorted.length);
  return `(${at(sorted, 0.5 - half).toFixed(3)} to ${at(sorted, 0.5 + half).toFixed(3)})`;
}

const ascending = (a: number, b: number) => a - b;
const at = (sorted: readonly number[], part: number) => sorted[Math.floor(sorted.length * part)] as number;

/** Copies that were answered so far. */
async function copies(metricsUrl: string): Promise<number> {
  const text = await (await fetch(`${metricsUrl}/metrics`)).text();
  let sum = 0;
  for (const [, value] of text.matchAll(/^gateway_function_version_mirrored_total\{[^}]*result="same"[^}]*\} (\d+)/gm))
    sum += Number(value);
  return sum;
}

/**
 * Calls that come by chance, whether or not those before have been answered: nobody waits for a slow one before sending the next. Each
 * is timed from its sending, as a timer's being late says nothing of the gateway. They come at the same times on both sides.
 */
function pacedCalls(agent: Agent): Calls {
  return async (url, turn) => {
    const random = seeded(turn + 5);
    let due = 0;
    const calls = Array.from({ length: CALLS }, async () => {
      due += (-Math.log(1 - random()) * 1000) / PER_SECOND;
      await sleep(due);
      return await call(url, agent);
    });
    return await Promise.all(calls);
  };
}

function callsInTurn(agent: Agent): Calls {
  return async (url) => {
    const times: number[] = [];
    for (let made = 0; made < CALLS; made++) {
      times.push(await call(url, agent));
      await sleep(PAUSE_MS);
    }
    return times;
  };
}

async function call(url: string, agent: Agent): Promise<number> {
  const begun = performance.now();
  await new Promise<void>((resolve, reject) => {
    const sent = request(url, { agent }, (answer) => answer.resume().once("end", resolve).once("error", reject));
    sent.once("error", reject).end();
  });
  return performance.now() - begun;
}

/** Numbers as if by chance, from 0 to 1, the same for the same seed. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return state / 2 ** 31;
  };
}
