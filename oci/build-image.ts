import { copyFile, mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { join, sep } from "node:path";
import type { BuildEvent } from "../contract/build.ts";
import { DESCRIPTOR_FILE, type Descriptor, type ImageRecipe } from "../contract/descriptor.ts";
import { runInstall } from "../kit/install-step.ts";
import { readDescriptor } from "../kit/read-descriptor.ts";
import type { RunSettings } from "./extend-image.ts";
import { type ImageReference, parseImageReference } from "./image-reference.ts";
import { type Layer, writeLayer } from "./layer.ts";
import { formatPlatform, type Platform } from "./manifests.ts";
import { buildIndex, pushImage, resolveBase } from "./push-image.ts";
import type { RegistryClient } from "./registry-client.ts";

export interface ImageBuild {
  /** A build context as it is laid out. It is changed: its install step runs in it. */
  readonly folder: string;
  /** What to push. */
  readonly image: string;
  readonly buildArgs: Readonly<Record<string, string>>;
  /** At least one. */
  readonly platforms: readonly Platform[];
  /** Of this machine, where the install step runs. */
  readonly here: Platform;
  /** The watchdog's bundle. */
  readonly watchdog: string;
  /** Parent of temporary files. */
  readonly tmp: string;
  /** Environment of the install step. */
  readonly env: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly maxOutputBytes: number;
  /** The client for a registry, the same one each time. @throws {Error} when its login cannot be read */
  readonly clientOf: (registry: string) => RegistryClient;
  /** Of `org.opencontainers.image.*`, where they are known. */
  readonly labels?: Readonly<Record<string, string>>;
}

const APP = "/home/app";
const WATCHDOG = "/usr/bin/watchdog.mjs";
/** That of functions on Kubernetes. */
const USER = "12000";
/** What is only of use to builds. */
const NOT_SHIPPED = new Set([DESCRIPTOR_FILE, "Dockerfile", "template.yml", ".dockerignore"]);

type Step = readonly string[];
type NamedLayer = Layer & { readonly createdBy: string };

/**
 * Builds an image without an engine: the files of a context on top of a base, pushed through the registry's API. A failure
 * of the build is its last event; the image is whole in the registry or not there.
 */
export async function* buildImage(job: ImageBuild, signal: AbortSignal): AsyncGenerator<BuildEvent> {
  const tmp = await mkdtemp(join(job.tmp, "faaslane-image-"));
  try {
    const target = parseImageReference(job.image);
    const descriptor = await readDescriptor(job.folder);
    const recipe = recipeOf(descriptor);
    const base = parseImageReference((recipe.baseArg && job.buildArgs[recipe.baseArg]) ?? recipe.base);
    const why = yield* install(job, descriptor, signal);
    if (why !== undefined) {
      yield { status: "failed", error: why };
      return;
    }
    await requirePortable(job);
    const layers = await layersOf(job, recipe, tmp, signal);
    const digest = yield* push({ job, descriptor, base, layers, target }, signal);
    yield { status: "success", image: `${job.image.split("@")[0]}@${digest}` };
  } catch (error) {
    signal.throwIfAborted();
    yield { status: "failed", error: (error as Error).message };
  } finally {
    await rm(tmp, { recursive: true, force: true });
  }
}

function recipeOf({ image }: Descriptor): ImageRecipe {
  if (image) return image;
  throw new Error(
    `${DESCRIPTOR_FILE} has no "image": its template cannot become an image without a container engine; ` +
      'add one such as { "image": { "base": "node:24-bookworm-slim" } }, or build its Dockerfile with docker or buildah',
  );
}

async function* install(
  { folder, env, buildArgs, timeoutMs, maxOutputBytes }: ImageBuild,
  { install: command }: Descriptor,
  signal: AbortSignal,
): AsyncGenerator<BuildEvent, string | undefined> {
  if (!command) return undefined;
  yield progress(`running ${command.join(" ")}`);
  const step = runInstall({ command, cwd: folder, env: { ...env, ...buildArgs }, timeoutMs, maxOutputBytes }, signal);
  for (let next = await step.next(); ; next = await step.next()) {
    if (next.done) return next.value.kind === "failed" ? `the install step ${next.value.why}` : undefined;
    yield { status: "in_progress", log: next.value };
  }
}

/** What was compiled here runs on machines like this one only. @throws {Error} naming a file */
async function requirePortable({ folder, platforms, here }: ImageBuild): Promise<void> {
  const other = platforms.find(({ os, architecture }) => os !== here.os || architecture !== here.architecture);
  if (!other) return;
  const compiled = /\.(node|so|dylib|dll)$/;
  const found = (await readdir(folder, { recursive: true })).find((path) => compiled.test(path));
  if (found === undefined) return;
  throw new Error(
    `${found} is compiled for ${formatPlatform(here)}; it cannot be part of an image for ${formatPlatform(other)}`,
  );
}

/** The watchdog, then what changes seldom, then the rest: a change of the handler sends the last one only. */
async function layersOf(job: ImageBuild, recipe: ImageRecipe, tmp: string, signal: AbortSignal): Promise<NamedLayer[]> {
  const programs = join(tmp, "programs");
  await mkdir(programs);
  await copyFile(job.watchdog, join(programs, "watchdog.mjs"));
  const dependencies = await existing(job.folder, recipe.dependencies);
  const isElsewhere = (path: string) => NOT_SHIPPED.has(path) || dependencies.includes(path);
  const parts = [
    { folder: programs, at: "/usr/bin", createdBy: "watchdog" },
    ...dependencies.map((path) => ({ folder: join(job.folder, path), at: `${APP}/${path}`, createdBy: path })),
    { folder: job.folder, at: APP, filter: (path: string) => !isElsewhere(path), createdBy: "function" },
  ];
  return await Promise.all(
    parts.map(async ({ createdBy, ...content }, i) => ({
      ...(await writeLayer(content, join(tmp, `layer-${i}`), signal)),
      createdBy: `faaslane: ${createdBy}`,
    })),
  );
}

async function existing(folder: string, paths: readonly string[]): Promise<string[]> {
  const found = await Promise.all(
    paths.map(async (path) => ({
      path,
      there: await readdir(join(folder, path)).then(
        () => true,
        () => false,
      ),
    })),
  );
  return found.filter(({ there }) => there).map(({ path }) => path.split(sep).join("/"));
}

interface Push {
  readonly job: ImageBuild;
  readonly descriptor: Descriptor;
  readonly base: ImageReference;
  readonly layers: readonly NamedLayer[];
  readonly target: ImageReference;
}

async function* push(
  { job, descriptor, base, layers, target }: Push,
  signal: AbortSignal,
): AsyncGenerator<BuildEvent, string> {
  const baseClient = job.clientOf(base.registry);
  const client = job.clientOf(target.registry);
  const isSingle = job.platforms.length === 1;
  const images: { platform: Platform; digest: string; size: number; mediaType: string }[] = [];
  for (const platform of job.platforms) {
    const found = await resolveBase(baseClient, base, platform, signal);
    yield progress(`base ${base.registry}/${base.repository}@${found.digest} for ${formatPlatform(platform)}`);
    let bytes = 0;
    const image = await pushImage({
      base: found,
      baseClient,
      layers,
      run: runOf(descriptor, job.labels ?? {}, base, found.digest),
      target: isSingle ? target : { ...target, tag: undefined },
      client,
      signal,
      sent: ({ size }) => {
        bytes += size;
      },
    });
    yield progress(`pushed ${bytes} bytes for ${formatPlatform(platform)}`);
    images.push({ platform, ...image });
  }
  const [first] = images;
  if (isSingle && first) return first.digest;
  const index = buildIndex(images);
  await client.pushManifest(target.repository, target.tag ?? index.digest, index, signal);
  return index.digest;
}

function runOf(
  { env }: Descriptor,
  labels: Readonly<Record<string, string>>,
  base: ImageReference,
  baseDigest: string,
): RunSettings {
  return {
    env,
    entrypoint: [],
    command: ["node", WATCHDOG] satisfies Step,
    workingDir: APP,
    user: USER,
    exposedPorts: ["8080/tcp"],
    labels: {
      ...labels,
      "org.opencontainers.image.base.name": `${base.registry}/${base.repository}${base.tag === undefined ? "" : `:${base.tag}`}`,
      "org.opencontainers.image.base.digest": baseDigest,
    },
  };
}

function progress(...log: string[]): BuildEvent {
  return { status: "in_progress", log };
}
