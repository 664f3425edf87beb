import { randomUUID } from "node:crypto";
import { resolve } from "node:path";
import type { Command } from "commander";
import {
  type BuildOutcome,
  buildFunctions,
  type ContextBuilder,
  type StackBuildSettings,
  templateDirsOf,
} from "../build/build-functions.ts";
import { createPlainProgress } from "../build/progress.ts";
import { findProjectRoot } from "../build/project-root.ts";
import { CliError } from "../errors.ts";
import type { Io } from "../io.ts";
import type { JsonReport } from "../json-report.ts";
import { parsePairs } from "../key-values.ts";
import { parseTagMode } from "../stack/image-tag.ts";
import type { Stack, StackFunction } from "../stack/types.ts";
import { collectValues } from "./options.ts";
import { templateFetcherOf } from "./template-fetcher.ts";

export interface BuildFlags {
  readonly parallel: string;
  readonly buildArg?: readonly string[];
  readonly buildOption?: readonly string[];
  readonly copyExtra?: readonly string[];
  readonly tag?: string;
  readonly cache?: boolean;
  readonly quiet?: boolean;
  readonly shrinkwrap?: boolean;
  readonly allowOutside?: boolean;
  readonly disableStackPull?: boolean;
  readonly json?: boolean;
}

/** For commands whose results scripts read. */
export const JSON_OPTION = ["-j, --json", "a line of JSON for each function, and one that sums them up"] as const;

/** For commands that can stop where a build begins. */
export const SHRINKWRAP_OPTION = ["--shrinkwrap", "only lay out the build contexts below ./build"] as const;

export function addBuildOptions(command: Command): Command {
  return command
    .option("--parallel <count>", "builds at a time", "1")
    .option("-b, --build-arg <key=value>", "build argument (repeatable)", collectValues)
    .option("-o, --build-option <name>", "build option of the template, e.g. dev (repeatable)", collectValues)
    .option("--copy-extra <path>", "file or folder to put into the handler folder (repeatable)", collectValues)
    .option("--allow-outside", "pack handlers and follow links that are outside of the project")
    .option("--disable-stack-pull", "do not fetch templates that are missing")
    .option("--no-cache", "build even what has been built before")
    .option("--quiet", "do not show what the builds write");
}

/**
 * @throws {CliError}
 * @param project a path that is in the project; the working directory is unless given
 */
export function buildSettingsOf(
  io: Io,
  flags: BuildFlags,
  stack: Stack | undefined,
  project = ".",
): StackBuildSettings {
  if (!/^[1-9]\d{0,3}$/.test(flags.parallel)) throw new CliError("--parallel must be a whole number of at least 1");
  return {
    baseDir: io.cwd,
    buildDir: "build",
    templateDirs: templateDirsOf(io.cwd, io.sourceRoot),
    ...(!flags.disableStackPull && { fetchTemplate: templateFetcherOf(io, stack?.templates ?? []) }),
    copyExtra: [...new Set([...(stack?.copy ?? []), ...(flags.copyExtra ?? [])])],
    ...(!flags.allowOutside && { projectRoot: findProjectRoot(resolve(io.cwd, project), io.home) }),
    shared: io.env.CI === "true" || io.env.CI === "1",
    // Builders know a context by its files and arguments, so an argument never seen before makes it a new one.
    buildArgs: [
      ...parsePairs("--build-arg", flags.buildArg),
      ...(flags.cache === false ? [["CACHEBUST", randomUUID()] as const] : []),
    ],
    buildOptions: flags.buildOption ?? [],
    tag: parseTagMode(flags.tag ?? ""),
    parallel: Number(flags.parallel),
    shrinkwrap: flags.shrinkwrap ?? false,
  };
}

/** Builds with a picture of how it goes: moving on a terminal, plain lines elsewhere. */
export async function buildWithProgress(
  io: Io,
  functions: readonly StackFunction[],
  settings: StackBuildSettings,
  { builder, quiet, report }: { builder: ContextBuilder; quiet: boolean; report?: JsonReport | undefined },
): Promise<BuildOutcome[]> {
  const names = functions.map(({ name }) => name);
  const progress =
    report?.progress ??
    (io.stdout.isTTY === true
      ? (await import("../build/terminal-progress.ts")).createTerminalProgress(names, io)
      : createPlainProgress(io, quiet));
  const { signal } = new AbortController();
  const outcomes = await buildFunctions(functions, settings, { builder, observer: progress, signal });
  await progress.settled();
  return outcomes;
}
