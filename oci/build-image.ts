import { copyFile, mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { join, sep } from "node:path";
import type { BuildEvent } from "../contract/build.ts";
import { DESCRIPTOR_FILE, type Descriptor, type ImageRecipe } from "../contract/descriptor.ts";
import { runInstall } from "../kit/install-step.ts";
import { readDescriptor } from "../kit/read-descriptor.ts";
import { requireFit } from "./compiled-files.ts";
import type { RunSettings } from "./extend-image.ts";
import { hideSecrets, holdsSecrets } from "./hide-secrets.ts";
import { type ImageReference, parseImageReference } from "./image-reference.ts";
import { type Layer, writeLayer } from "./layer.ts";
import { formatPlatform, type Platform } from "./manifests.ts";
import { type BaseImage, buildIndex, pushImage, resolveBase } from "./push-image.ts";
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
  /**
   * A layer with the watchdog as one program, {@link EXECUTABLE}, for bases without Node.
   * @param tmp a folder for its file, which is read until the build ends
   * @throws {Error} when there is none for that platform
   */
  readonly executable: (platform: Platform, tmp: string, signal: AbortSignal) => Promise<Layer>;
  /** Parent of temporary files. */
  readonly tmp: string;
  /** Environment of the install step. */
  readonly env: Readonly<Record<string, string>>;
  /** Texts that the output of the install step must not show. */
  readonly secretTexts?: readonly string[];
  readonly timeoutMs: number;
  readonly maxOutputBytes: number;
  /** Ends what the install step has started and what has left its group since. */
  killOrphans?(): Promise<void>;
  /** The client for a registry, the same one each time. @throws {Error} when its login cannot be read */
  readonly clientOf: (registry: string) => RegistryClient;
  /** Of `org.opencontainers.image.*`, where they are known. */
  readonly labels?: Readonly<Record<string, string>>;
}

const APP = "/home/app";
const WATCHDOG = "/usr/bin/watchdog.mjs";
/** As images of OpenFaaS's have it. */
export const EXECUTABLE = "/usr/bin/fwatchdog";
/** That of functions on Kubernetes. */
const USER = "12000";
/** What is only of use to builds. */
const NOT_SHIPPED = new Set([DESCRIPTOR_FILE, "Dockerfile", "template.yml", ".dockerignore"]);

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
    const bases = yield* findBases(job, recipe, signal);
    const why = yield* install(job, descriptor, targetVariables(bases, recipe), signal);
    if (why !== undefined) {
      yield { status: "failed", error: why };
      return;
    }
    await requireFit(job.folder, job.platforms, job.here);
    const layers = await layersOf(job, recipe, tmp, signal);
    const digest = yield* push({ job, descriptor, recipe, bases, layers, tmp, target }, signal);
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

interface Base {
  readonly platform: Platform;
  readonly image: BaseImage;
}

async function* findBases(
  job: ImageBuild,
  recipe: ImageRecipe,
  signal: AbortSignal,
): AsyncGenerator<BuildEvent, Base[]> {
  const reference = parseImageReference((recipe.baseArg && job.buildArgs[recipe.baseArg]) ?? recipe.base);
  const client = job.clientOf(reference.registry);
  const bases: Base[] = [];
  for (const platform of job.platforms) {
    const image = await resolveBase(client, reference, platform, signal);
    yield progress(`base ${nameOf(reference)}@${image.digest} for ${formatPlatform(platform)}`);
    bases.push({ platform, image });
  }
  return bases;
}

const nameOf = ({ registry, repository }: ImageReference) => `${registry}/${repository}`;

/**
 * What an install step may want to know of the image: the names are those of `docker buildx`, and the base's own. What differs
 * between several platforms is left out.
 */
function targetVariables(bases: readonly Base[], { fromBase }: ImageRecipe): Record<string, string> {
  const [first, ...others] = bases;
  if (!first) return {};
  const given = first.image.config.config?.Env ?? [];
  const wanted = given
    .map((entry) => entry.split(/=(.*)/s, 2) as [string, string])
    .filter(([name]) => fromBase.includes(name));
  const { os, architecture } = first.platform;
  return {
    ...Object.fromEntries(wanted),
    TARGETPLATFORM: bases.map(({ platform }) => formatPlatform(platform)).join(","),
    TARGETOS: os,
    ...(others.length === 0 && { TARGETARCH: architecture }),
  };
}

async function* install(
  { folder, env, buildArgs, timeoutMs, maxOutputBytes, killOrphans, secretTexts = [] }: ImageBuild,
  { install: command }: Descriptor,
  target: Readonly<Record<string, string>>,
  signal: AbortSignal,
): AsyncGenerator<BuildEvent, string | undefined> {
  if (!command) return undefined;
  const all = { ...env, ...target, ...buildArgs };
  const hide = await hideSecrets(folder, all, secretTexts);
  yield progress(hide(`running ${command.join(" ")}`));
  const limits = { timeoutMs, maxOutputBytes };
  const step = runInstall({ command, cwd: folder, env: all, ...limits, ...(killOrphans && { killOrphans }) }, signal);
  for (let next = await step.next(); ; next = await step.next()) {
    if (next.done) return next.value.kind === "failed" ? `the install step ${next.value.why}` : undefined;
    yield { status: "in_progress", log: next.value.map(hide) };
  }
}

/** The watchdog's script, what changes seldom, then the rest: a change of the handler sends the last one only. */
async function layersOf(job: ImageBuild, recipe: ImageRecipe, tmp: string, signal: AbortSignal): Promise<NamedLayer[]> {
  const programs = join(tmp, "programs");
  await mkdir(programs);
  await copyFile(job.watchdog, join(programs, "watchdog.mjs"));
  const dependencies = await existing(job.folder, recipe.dependencies);
  const isElsewhere = (path: string) => NOT_SHIPPED.has(path) || dependencies.includes(path);
  const isOurs = (path: string) => !holdsSecrets(path);
  const script = { folder: programs, at: "/usr/bin", createdBy: "watchdog" };
  const parts = [
    ...(recipe.watchdog === "script" ? [script] : []),
    ...dependencies.map((path) => ({
      folder: join(job.folder, path),
      at: `${APP}/${path}`,
      filter: isOurs,
      createdBy: path,
    })),
    {
      folder: job.folder,
      at: APP,
      filter: (path: string) => !isElsewhere(path) && isOurs(path),
      createdBy: "function",
    },
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
  readonly recipe: ImageRecipe;
  readonly bases: readonly Base[];
  readonly layers: readonly NamedLayer[];
  readonly tmp: string;
  readonly target: ImageReference;
}

async function* push(
  { job, descriptor, recipe, bases, layers, tmp, target }: Push,
  signal: AbortSignal,
): AsyncGenerator<BuildEvent, string> {
  const client = job.clientOf(target.registry);
  const isSingle = bases.length === 1;
  const images: { platform: Platform; digest: string; size: number; mediaType: string }[] = [];
  for (const { platform, image: base } of bases) {
    const program =
      recipe.watchdog === "executable"
        ? [{ ...(await job.executable(platform, tmp, signal)), createdBy: "faaslane: watchdog" }]
        : [];
    let bytes = 0;
    const image = await pushImage({
      base,
      baseClient: job.clientOf(base.reference.registry),
      layers: [...program, ...layers],
      run: runOf(descriptor, recipe, job.labels ?? {}, base),
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
  { watchdog }: ImageRecipe,
  labels: Readonly<Record<string, string>>,
  { reference, digest }: BaseImage,
): RunSettings {
  const { tag } = reference;
  return {
    env,
    entrypoint: [],
    command: watchdog === "executable" ? [EXECUTABLE] : ["node", WATCHDOG],
    workingDir: APP,
    user: USER,
    exposedPorts: ["8080/tcp"],
    labels: {
      ...labels,
      "org.opencontainers.image.base.name": `${nameOf(reference)}${tag === undefined ? "" : `:${tag}`}`,
      "org.opencontainers.image.base.digest": digest,
    },
  };
}

function progress(...log: string[]): BuildEvent {
  return { status: "in_progress", log };
}
