/**
 * `npm run fuzz -- --seconds 60 --seed 1`: input that is almost right, to everything that takes any from outside, each
 * part of it for its share of the time. Ends with an error when a process ends, restarts or complains, when others wait
 * for over a second, or when memory, descriptors or processes are not given back; the input is saved then, and
 * `--seed S --target T --case N` runs it again.
 */
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { whenToldToStop } from "../support/when-told-to-stop.ts";
import { type PlatformUnderFuzz, startPlatform } from "./platform-under-fuzz.ts";
import { runTarget } from "./run-target.ts";
import type { FuzzTarget } from "./target.ts";
import { openAnswerTarget } from "./targets/answer.ts";
import { batchTarget } from "./targets/batch.ts";
import { buildTarget } from "./targets/build.ts";
import { openChildTarget } from "./targets/child.ts";
import { deployTarget } from "./targets/deploy.ts";
import { openEndpointsTarget } from "./targets/endpoints.ts";
import { httpTarget } from "./targets/http.ts";
import { logsTarget } from "./targets/logs.ts";
import { openStackTarget } from "./targets/stack.ts";
import { Watch } from "./watch.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    seed: { type: "string" },
    target: { type: "string", multiple: true },
    case: { type: "string" },
  },
});

const TARGETS: Readonly<Record<string, (fuzzed: PlatformUnderFuzz) => FuzzTarget | Promise<FuzzTarget>>> = {
  http: httpTarget,
  child: openChildTarget,
  answer: openAnswerTarget,
  deploy: deployTarget,
  build: buildTarget,
  batch: batchTarget,
  logs: logsTarget,
  endpoints: openEndpointsTarget,
  stack: openStackTarget,
};
/** Of the whole time; the rest of it is shared evenly. */
const SHARES: Readonly<Record<string, number>> = { http: 0.3, child: 0.2 };
/** Heaps that have served a while are those to compare. */
const WARM_UP_MS = 3_000;

const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 32));
const names = values.target ?? Object.keys(TARGETS);
const cases = values.case?.split("-").map(Number);
const folder = join(tmpdir(), `faaslane-fuzz-${seed}`);
process.stdout.write(`fuzz: --seed ${seed} --seconds ${values.seconds}\n`);

const share = (name: string): number => {
  if (names.length < Object.keys(TARGETS).length) return 1 / names.length;
  const others = 1 - Object.values(SHARES).reduce((total, part) => total + part, 0);
  return SHARES[name] ?? others / (names.length - Object.keys(SHARES).length);
};

const fuzzed = await startPlatform();
using _ = whenToldToStop(() => fuzzed.stop());
const { platform } = fuzzed;
const watch = new Watch(
  { pid: platform.pid, output: () => platform.stdout + platform.stderr },
  fuzzed.probes,
  fuzzed.helpers,
);
const problems: string[] = [];
try {
  for (const name of names) {
    const open = TARGETS[name];
    if (!open) throw new Error(`--target: there is no ${name}, only ${Object.keys(TARGETS).join(", ")}`);
    const target = await open(fuzzed);
    await run(target, Number(values.seconds) * 1000 * share(name));
  }
} finally {
  await watch.close();
  await fuzzed.stop();
}
if (problems.length > 0) {
  process.stdout.write(`fuzz: --seed ${seed} found problems\n${problems.join("\n")}\n`);
  process.exitCode = 1;
}

async function run(target: FuzzTarget, ms: number): Promise<void> {
  const common = { seed, folder, problem: () => watch.problem };
  const wholeMs = cases ? ms : Math.max(0, ms - WARM_UP_MS);
  watch.takeLargestGap();
  const before = await watch.measure();
  const result = await runTarget(target, {
    ...common,
    ms: wholeMs,
    cases: cases && [cases[0] as number, cases.at(-1) as number],
  });
  problems.push(...result.problems);
  const gap = watch.takeLargestGap();
  const after = await watch.settled(before).catch((error: Error) => {
    problems.push(`${target.name}: ${error.message}`);
    return undefined;
  });
  const left = after
    ? `memory ${before.memoryMb.toFixed(0)} → ${after.memoryMb.toFixed(0)} MB, descriptors ${before.descriptors.length} → ${after.descriptors.length}`
    : "";
  process.stdout.write(`${target.name}: ${result.cases} cases, others waited at most ${gap.toFixed(0)} ms; ${left}\n`);
}
