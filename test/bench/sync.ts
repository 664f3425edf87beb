/**
 * `npm run bench`: the synchronous path side by side, with what it takes of processors and memory, what a split between
 * versions and a mirror cost, large bodies, cold start, start-up and idle memory, all in one run of six minutes at most. `-- --quick`
 * leaves out most of it, and `-- --million` makes a million calls instead. Numbers of one machine say little; the ratios
 * are what is claimed.
 */
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { temporaryFolder } from "../support/platform.ts";
import { benchMatrix, KINDS, type MatrixOptions } from "./call-matrix.ts";
import { benchLargeBodies } from "./large-bodies.ts";
import { benchMillion } from "./million.ts";
import { benchMirror } from "./mirror.ts";
import { benchSplit } from "./split.ts";
import { benchColdStart, benchIdleMemory, benchStartUp } from "./start-up.ts";
import { openWholePath, type WholePath } from "./whole-path.ts";

/** Of each gateway; the one with more shows what further cores are good for. */
const SEVERAL = Math.max(2, Math.min(4, availableParallelism()));
const WORKERS = [1, SEVERAL];

const seconds = Number(process.env.BENCH_SECONDS ?? 1);
const rounds = Number(process.env.BENCH_ROUNDS ?? 1);
const ALL: MatrixOptions = { kinds: KINDS, connections: [1, 16, 64, 256], seconds, rounds };
const QUICK: MatrixOptions = {
  kinds: KINDS.filter(({ keepAlive, bodyBytes = 0 }) => keepAlive && bodyBytes <= 1024),
  connections: [1, 64],
  seconds,
  rounds: Math.max(3, rounds),
};

const { quick, million } = parseArgs({
  options: { quick: { type: "boolean", default: false }, million: { type: "boolean", default: false } },
}).values;

const folder = await temporaryFolder();
try {
  let kept = true;
  if (!million && availableParallelism() <= SEVERAL) {
    console.log(
      `${availableParallelism()} cores: ${SEVERAL} workers, the functions and the load have none to themselves`,
    );
  }
  if (million) kept = await onWholePath(benchMillion, [1]);
  else if (quick) await onWholePath((path) => benchMatrix(path, QUICK), WORKERS);
  else {
    await benchIdleMemory(folder.path);
    await benchStartUp(folder.path);
    kept = await onWholePath(async (path) => {
      await benchMatrix(path, ALL);
      const split = await benchSplit(path);
      return (await benchMirror(path)) && split;
    }, WORKERS);
    kept = (await benchLargeBodies(join(folder.path, "large"))) && kept;
    await benchColdStart(folder.path);
  }
  if (!kept) process.exitCode = 1;
} finally {
  await folder.remove();
}

async function onWholePath<T>(bench: (path: WholePath) => Promise<T>, workers: readonly number[]): Promise<T> {
  const path = await openWholePath(join(folder.path, "path"), workers);
  try {
    return await bench(path);
  } finally {
    await path.close();
  }
}
