import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Dice } from "./dice.ts";
import type { FuzzTarget } from "./target.ts";

export interface RunOptions {
  readonly seed: number;
  readonly ms: number;
  /** The cases to run, instead of as many as there is time for. */
  readonly cases?: readonly [first: number, last: number] | undefined;
  /** Where harmful input is saved. */
  readonly folder: string;
  /** What is wrong beside the cases themselves. */
  readonly problem: () => string | undefined;
}

export interface RunResult {
  readonly cases: number;
  readonly problems: readonly string[];
}

/** A case that takes longer hangs; those that wait for something know by themselves how long. */
const CASE_MS = 20_000;
/** Of what happens to everybody, each of the last cases may be the cause. */
const REMEMBERED = 64;
const TIDY_EVERY = 200;

/** Runs cases of one target until the time is over or something is wrong. */
export async function runTarget(target: FuzzTarget, options: RunOptions): Promise<RunResult> {
  const { seed, ms, cases, folder, problem } = options;
  const deadline = performance.now() + ms;
  const problems: string[] = [];
  const recent = new Map<number, Buffer>();
  let next = cases?.[0] ?? 0;
  let tidying: Promise<void> | undefined;
  const isOver = () => problems.length > 0 || (cases ? next > cases[1] : performance.now() >= deadline);

  /** The first is of interest: others follow from it, or come again. */
  const save = async (indices: Iterable<number>, why: string) => {
    if (problems.length > 0) return;
    problems.push(`${target.name}: ${why}`);
    await mkdir(folder, { recursive: true });
    const names = [...indices].sort((a, b) => a - b).map((index) => `${target.name}-${index}`);
    for (const name of names) {
      await writeFile(join(folder, name), recent.get(Number(name.slice(target.name.length + 1))) ?? "");
    }
    problems.push(`  saved in ${folder}: ${names[0]}${names.length > 1 ? ` to ${names.at(-1)}` : ""}`);
  };

  const one = async (index: number) => {
    const { input, run } = target.prepare(Dice.ofCase(seed, target.name, index));
    recent.set(index, input);
    if (recent.size > REMEMBERED) recent.delete(Math.min(...recent.keys()));
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => late.reject(new Error(`takes over ${CASE_MS} ms`)), CASE_MS);
    try {
      await Promise.race([run(), late.promise]);
    } catch (error) {
      await save([index], `case ${index}: ${(error as Error).message}`);
    } finally {
      clearTimeout(timer);
    }
    const common = problem();
    if (common !== undefined) await save(recent.keys(), `at case ${index}: ${common}`);
  };

  const tidy = async () => {
    await target.tidy?.().catch((error: Error) => save(recent.keys(), `after case ${next - 1}: ${error.message}`));
  };

  const lane = async () => {
    while (!isOver()) {
      await tidying;
      const index = next++;
      await one(index);
      if (index % TIDY_EVERY === TIDY_EVERY - 1) {
        tidying = tidy();
        await tidying;
      }
    }
  };
  await Promise.all(Array.from({ length: cases ? 1 : target.lanes }, lane));
  await tidy();
  await target.close().catch((error: Error) => save(recent.keys(), `at the end: ${error.message}`));
  return { cases: next - (cases?.[0] ?? 0), problems };
}
