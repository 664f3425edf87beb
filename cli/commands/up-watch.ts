import { resolve } from "node:path";
import { isDeepStrictEqual } from "node:util";
import {
  type BuildOutcome,
  builderAt,
  buildFunctions,
  deployableOf,
  type StackBuildSettings,
} from "../build/build-functions.ts";
import { deployFunctions } from "../deploy/deploy-functions.ts";
import { resourceTitle } from "../deploy/deploy-resources.ts";
import { type DeployPlan, planDeployment } from "../deploy/plan-deployments.ts";
import { describeError } from "../errors.ts";
import type { Io } from "../io.ts";
import { findStackFile } from "../load-stack.ts";
import type { Stack, StackFunction, StackResource } from "../stack/types.ts";
import { affectedFunctions, compareStacks, partsOf } from "../watch/affected.ts";
import { describeChange, isBelow } from "../watch/snapshot.ts";
import { watchFiles } from "../watch/watch-files.ts";
import type { Connection } from "./connect.ts";
import { deployResourcesWithReport } from "./deploy-options.ts";
import { reportFailures } from "./report-failures.ts";
import type { ChosenParts } from "./selection.ts";

/** What `up --watch` goes on with after it has built and deployed everything once. */
export interface WatchedStack {
  /** `-f`, if given. */
  readonly file: string | undefined;
  readonly stack: Stack;
  /** Those that are watched. */
  readonly functions: readonly StackFunction[];
  /** What else is declared. */
  readonly resources: readonly StackResource[];
  /** Reads the stack file anew. */
  readonly reload: () => Promise<ChosenParts & { readonly stack: Stack }>;
  readonly settings: StackBuildSettings;
  readonly connection: Connection;
  readonly plan: DeployPlan;
}

/** Builds and deploys each function whose files change, until the process is interrupted. Failures do not end it. */
export async function watchStack(io: Io, watched: WatchedStack): Promise<void> {
  const { settings, file } = watched;
  const isUrl = file !== undefined && /^https?:/i.test(file);
  const stackFile = isUrl ? undefined : resolve(io.cwd, file ?? findStackFile(io.cwd) ?? "stack.yaml");
  const project = { baseDir: io.cwd, copyExtra: settings.copyExtra };
  const buildDir = resolve(io.cwd, settings.buildDir);
  let { stack, functions, resources } = watched;

  const rootsNow = () => [
    ...new Set([...(stackFile ? [stackFile] : []), ...functions.flatMap((fn) => partsOf(fn, project))]),
  ];
  const changes = watchFiles({
    roots: rootsNow,
    isIgnored: (path) => isBelow(path, buildDir),
    signal: io.signal,
  });
  io.stdout.write(`Watching ${functions.map(({ name }) => name).join(", ")}. Stop with Ctrl-C.\n`);
  for await (const paths of changes) {
    const noticedAt = performance.now();
    const affected = new Map(affectedFunctions(functions, paths, project).map((fn) => [fn.name, fn]));
    if (stackFile !== undefined && paths.includes(stackFile)) {
      try {
        const fresh = await watched.reload();
        const { changed, gone } = compareStacks(
          { ...stack, functions },
          { ...fresh.stack, functions: fresh.functions },
        );
        await redeclare(io, resources, fresh.resources, watched);
        ({ stack, functions, resources } = fresh);
        for (const fn of changed) affected.set(fn.name, fn);
        for (const name of gone) {
          affected.delete(name);
          io.stdout.write(`${name}: not in the stack file any more; faaslane remove ${name} takes it away\n`);
        }
      } catch (error) {
        io.stderr.write(`Error: ${describeError(error)}\n`);
        continue;
      }
    }
    if (affected.size === 0) continue;
    io.stdout.write(`${[...affected.keys()].join(", ")}: changed ${describeChange(paths)}\n`);
    await refresh(io, [...affected.values()], watched, noticedAt);
  }
}

/** Declares anew what the stack file says differently now. */
async function redeclare(
  io: Io,
  before: readonly StackResource[],
  now: readonly StackResource[],
  { connection, plan }: WatchedStack,
): Promise<void> {
  const changed = now.filter((resource) => !before.some((other) => isSame(other, resource)));
  const { namespace } = plan.flags;
  reportFailures(io, await deployResourcesWithReport(io, changed, connection, { namespace }));
  const kept = new Set(now.map(resourceTitle));
  for (const title of before.map(resourceTitle).filter((name) => !kept.has(name))) {
    const [kind, name] = title.split("/");
    io.stdout.write(`${title}: not in the stack file any more; faaslane ${kind}s remove ${name} takes it away\n`);
  }
}

/** Wherever they stand in the file. */
function isSame(one: StackResource, other: StackResource): boolean {
  const said = ({ kind, name, namespace, spec }: StackResource) => ({ kind, name, namespace, spec });
  return isDeepStrictEqual(said(one), said(other));
}

async function refresh(
  io: Io,
  functions: readonly StackFunction[],
  { settings, connection, plan }: WatchedStack,
  noticedAt: number,
): Promise<void> {
  const said = new Map<string, string[]>();
  const observer = {
    started: () => {},
    log: (name: string, line: string) => void said.set(name, [...(said.get(name) ?? []).slice(-MAX_LINES), line]),
    finished: (outcome: BuildOutcome) => {
      if (outcome.kind !== "failed") return;
      // What a build has written matters when it fails; otherwise it is in the way.
      for (const line of said.get(outcome.name) ?? []) io.stderr.write(`${outcome.name} | ${line}\n`);
      io.stderr.write(`Error: ${outcome.name}: ${describeError(outcome.error)}\n`);
    },
  };
  const signal = io.signal ?? new AbortController().signal;
  const built = await buildFunctions(functions, settings, { builder: builderAt(connection.client), observer, signal });
  const deployable = deployableOf(functions, built);
  // Whatever the first deployment was to do with what was there before: now it is there.
  await deployFunctions(deployable, async (fn) => await planDeployment(fn, plan), {
    target: connection.client,
    mode: "update",
    report: (outcome) => {
      if (outcome.kind === "failed") io.stderr.write(`Error: ${outcome.name}: ${describeError(outcome.error)}\n`);
      else io.stdout.write(`${outcome.name}: deployed in ${((performance.now() - noticedAt) / 1000).toFixed(2)} s\n`);
    },
  });
}

/** Of the output of a build that fails. */
const MAX_LINES = 200;
