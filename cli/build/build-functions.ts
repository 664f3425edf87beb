import { resolve } from "node:path";
import type { BuildConfig, BuildEvent } from "../../contract/build.ts";
import { CliError } from "../errors.ts";
import { type TagMode, tagImage } from "../stack/image-tag.ts";
import type { StackFunction } from "../stack/types.ts";
import { mergeBuildArgs } from "./build-args.ts";
import { findBuildSecrets } from "./build-secrets.ts";
import { type LayoutSettings, layOutContext } from "./layout.ts";
import { packFolder } from "./pack.ts";
import { runPool } from "./pool.ts";
import { createTagFacts } from "./tag-facts.ts";
import { type FetchTemplate, type FoundTemplate, findOrFetchTemplate } from "./templates.ts";

export interface StackBuildSettings extends LayoutSettings {
  /** Parents of template folders; the first that has a template wins. */
  readonly templateDirs: readonly string[];
  /** For templates that are in none of them. */
  readonly fetchTemplate?: FetchTemplate | undefined;
  /** `--build-arg`s, in order. */
  readonly buildArgs: readonly (readonly [string, string])[];
  readonly buildOptions: readonly string[];
  readonly tag: TagMode;
  /** Builds at a time, at least 1. */
  readonly parallel: number;
  /** Stops after the context is laid out. */
  readonly shrinkwrap: boolean;
}

export type BuildOutcome =
  /** `image` is the reference that was built; `digest` the same with its `@sha256:…`; `pushed`: that is what to deploy. */
  | {
      readonly kind: "built";
      readonly name: string;
      readonly image: string;
      readonly digest: string;
      readonly pushed: boolean;
      readonly durationMs: number;
    }
  | { readonly kind: "laidOut"; readonly name: string; readonly folder: string; readonly durationMs: number }
  | { readonly kind: "skipped"; readonly name: string; readonly reason: string }
  | { readonly kind: "failed"; readonly name: string; readonly error: unknown; readonly durationMs: number };

/** Told how builds go on, in order for each function. */
export interface BuildObserver {
  started(name: string): void;
  log(name: string, line: string): void;
  finished(outcome: BuildOutcome): void;
}

/** Makes an image of a context. */
export interface ContextBuilder {
  /** @param folder the context, as it was laid out; may be changed */
  build(
    folder: string,
    config: BuildConfig,
    signal: AbortSignal,
    secrets: ReadonlyMap<string, string>,
  ): AsyncIterable<BuildEvent>;
  /** Whether it does something with `secrets`: files, by their names in the stack file. */
  readonly takesSecrets?: boolean;
}

/** The part of a gateway that builds what is uploaded to it. */
export interface Uploader {
  build(context: AsyncIterable<Uint8Array>, config: BuildConfig, signal: AbortSignal): AsyncIterable<BuildEvent>;
}

/** Has a gateway build. */
export function builderAt(gateway: Uploader): ContextBuilder {
  return { build: (folder, config, signal) => gateway.build(packFolder(folder), config, signal) };
}

/**
 * The functions that can be deployed, once they are built. What lies in a registry is deployed by its digest: a cluster does not
 * notice that a tag means something else.
 * @param outcomes of all of them, in order
 */
export function deployableOf(functions: readonly StackFunction[], outcomes: readonly BuildOutcome[]): StackFunction[] {
  return functions.flatMap((fn, index) => {
    const outcome = outcomes[index];
    if (outcome?.kind === "failed") return [];
    return [outcome?.kind === "built" && outcome.pushed ? { ...fn, image: outcome.digest } : fn];
  });
}

/** Builds every function; one that fails does not stop the others. Outcomes come in the order of `functions`. */
export async function buildFunctions(
  functions: readonly StackFunction[],
  settings: StackBuildSettings,
  { builder, observer, signal }: { builder: ContextBuilder; observer: BuildObserver; signal: AbortSignal },
): Promise<BuildOutcome[]> {
  return await runPool(functions, settings.parallel, async (fn) => {
    const startedAt = performance.now();
    const skipped = skipReason(fn);
    if (skipped === undefined) observer.started(fn.name);
    const outcome: BuildOutcome =
      skipped !== undefined
        ? { kind: "skipped", name: fn.name, reason: skipped }
        : await buildOne(fn, settings, builder, observer, signal).then(
            (built) => ({ ...built, name: fn.name, durationMs: performance.now() - startedAt }),
            (error: unknown) => ({ kind: "failed", name: fn.name, error, durationMs: performance.now() - startedAt }),
          );
    observer.finished(outcome);
    return outcome;
  });
}

function skipReason(fn: StackFunction): string | undefined {
  if (fn.skipBuild) return "skip_build is set";
  return fn.lang === undefined ? "it has no lang" : undefined;
}

async function buildOne(
  fn: StackFunction,
  settings: StackBuildSettings,
  builder: ContextBuilder,
  observer: BuildObserver,
  signal: AbortSignal,
): Promise<{ kind: "built"; image: string; digest: string; pushed: boolean } | { kind: "laidOut"; folder: string }> {
  const template = await templateOf(fn, settings);
  const buildArgs = mergeBuildArgs(fn, settings, template);
  const folder = await layOutContext(fn, template, settings);
  if (settings.shrinkwrap) return { kind: "laidOut", folder };

  if (!fn.image) throw new CliError("image: is missing from the stack file");
  if (Object.keys(fn.buildSecrets).length > 0 && !builder.takesSecrets) {
    throw new CliError("build_secrets: the builder takes no secrets");
  }
  const secrets = await findBuildSecrets(fn, settings.baseDir, settings.projectRoot);
  const image = await tagImage(fn.image, settings.tag, createTagFacts(settings.baseDir, fn.handler));
  for await (const event of builder.build(folder, { image, buildArgs }, signal, secrets)) {
    if (event.status === "success") {
      return { kind: "built", image, digest: event.image, pushed: event.pushed ?? false };
    }
    if (event.status === "failed") throw new CliError(event.error);
    for (const line of event.log) observer.log(fn.name, line);
  }
  throw new CliError("the builder ended before the build was done");
}

/** A Dockerfile build has no template: its handler folder is the whole context. */
async function templateOf(
  fn: StackFunction,
  { templateDirs, fetchTemplate }: StackBuildSettings,
): Promise<FoundTemplate | undefined> {
  if (fn.lang === undefined || fn.lang.toLowerCase() === "dockerfile") return undefined;
  return await findOrFetchTemplate(fn.lang, templateDirs, fetchTemplate);
}

/** `./template` of the working directory, then the templates that come with faaslane. */
export function templateDirsOf(baseDir: string, sourceRoot: string): string[] {
  return [resolve(baseDir, "template"), resolve(sourceRoot, "templates")];
}
