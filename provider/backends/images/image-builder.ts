import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { BuildConfig, BuildEvent } from "../../../contract/build.ts";
import { DESCRIPTOR_FILE } from "../../../contract/descriptor.ts";
import { FaasError } from "../../../contract/errors.ts";
import type { Credentials } from "../../../kit/basic-auth.ts";
import type { Logger } from "../../../kit/log.ts";
import { buildImage } from "../../../oci/build-image.ts";
import { executableLayers } from "../../../oci/executable-layer.ts";
import { type Platform, parsePlatform } from "../../../oci/manifests.ts";
import type { Builder } from "../backend.ts";
import { createBuildSemaphore } from "../build/build-semaphore.ts";
import { checkBuildArgs, checkImageName } from "../build/image-name.ts";
import { pickEnv, pickLent } from "../build/lent-variables.ts";
import { type BuildLimits, DEFAULT_BUILD_LIMITS } from "../build/limits.ts";
import { unpackContext } from "../build/unpack.ts";
import { ensureFolder, removeTree, sweepLeftovers } from "../local/files.ts";
import { MARK_VARIABLE, OrphanProcesses } from "../local/orphan-processes.ts";
import { readPackage } from "./package.ts";
import { hasRecipe } from "./recipe.ts";
import { openClients, targetOf } from "./registries.ts";
import type { ImageSettings } from "./settings.ts";
import type { StepsBuilder } from "./steps-builder.ts";

export interface ImageBuilderOptions {
  /** Unfinished work is in `builds` below it. */
  readonly dataDir: string;
  readonly settings: ImageSettings;
  /** The platform's own, for a registry that is ours. */
  readonly credentials: Credentials | undefined;
  /** The watchdog's bundle. */
  readonly watchdog: string;
  /** For Dockerfiles that cannot be followed; they are refused without. */
  readonly steps?: StepsBuilder | undefined;
  readonly limits?: Partial<BuildLimits> | undefined;
  /** The platform's environment; install steps see its `PATH`, its locale, and what leads to registries. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: Logger;
}

export interface ImageBuilder extends Builder {
  /**
   * As `build`, of a tar for OpenFaaS's builder: the configuration is in it, and the context below `context/`.
   * @throws {FaasError} `invalid` when it breaks a rule, before the first event
   */
  buildPackage(archive: string, signal: AbortSignal): AsyncIterable<BuildEvent>;
  /** Stops all builds and waits until nothing of them is left. May be called twice. */
  close(): Promise<void>;
}

/** What is to be built: an archive, and where in it context and configuration are, once it is unpacked. */
interface Given {
  readonly archive: string;
  read(upload: string): Promise<{ readonly context: string; readonly config: BuildConfig }>;
}

const ARCHITECTURES: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64", arm: "arm", ppc64: "ppc64le" };

/** Of this machine. */
export const HERE_PLATFORM: Platform = { os: "linux", architecture: ARCHITECTURES[process.arch] ?? process.arch };

const NO_DESCRIPTOR =
  `build context: has no ${DESCRIPTOR_FILE}, which tells how to make an image of it without a container engine; take a ` +
  'template that has one with an "image", build its Dockerfile with docker, podman or buildah (faaslane publish does), or ' +
  "have the cluster run it: build_pod_image";

/** A builder that makes images and pushes them, for platforms whose functions run from a registry. */
export function openImageBuilder(options: ImageBuilderOptions): ImageBuilder {
  const { dataDir, settings, log, env } = options;
  const limits: BuildLimits = { ...DEFAULT_BUILD_LIMITS, ...options.limits };
  const lentEnv = pickLent(env);
  const buildsDir = join(dataDir, "builds");
  const orphans = new OrphanProcesses(buildsDir, log);
  const prepared = prepare(buildsDir, log);
  // Every build awaits it and tells; before the first one there is nobody to tell.
  prepared.catch(() => {});
  const executable = executableLayers({
    bundle: options.watchdog,
    given: [],
    here: HERE_PLATFORM,
    cacheDir: join(dataDir, "watchdogs"),
  });
  const slots = createBuildSemaphore(limits.concurrency, limits.maxWaiting);
  const closing = new AbortController();
  const active = new Set<Promise<void>>();

  async function* build(given: Given, left: AbortSignal): AsyncGenerator<BuildEvent> {
    const signal = AbortSignal.any([left, closing.signal]);
    const { promise: over, resolve: end } = Promise.withResolvers<void>();
    active.add(over);
    const permit = slots.request();
    try {
      await prepared;
      if (!permit.ready) {
        yield { status: "in_progress", log: ["waiting for another build to finish"] };
        await permit.acquired(signal);
      }
      yield* inWorkspace(given, signal);
    } catch (error) {
      if (!signal.aborted) throw error;
      yield { status: "failed", error: "the build was stopped" };
    } finally {
      permit.release();
      active.delete(over);
      end();
    }
  }

  async function* inWorkspace(given: Given, signal: AbortSignal): AsyncGenerator<BuildEvent> {
    const startedAt = performance.now();
    const id = randomUUID();
    const folder = join(buildsDir, id);
    const [upload, tmp] = [join(folder, "upload"), join(folder, "tmp")];
    let outcome: BuildEvent["status"] = "failed";
    let image: string | undefined;
    try {
      await mkdir(upload, { recursive: true, mode: 0o700 });
      await mkdir(tmp, { mode: 0o700 });
      const { files, bytes } = await unpackContext(given.archive, upload, limits, signal);
      const { context, config } = await given.read(upload);
      image = checkedTarget(config, settings);
      const steps = (await hasRecipe(context)) ? undefined : options.steps;
      if (!steps && !existsSync(join(context, DESCRIPTOR_FILE))) throw new FaasError("invalid", NO_DESCRIPTOR);
      yield { status: "in_progress", log: [`received ${files} files, ${bytes} bytes`] };
      const ownEnv = { ...pickEnv(env), ...foldersOf(context, tmp), [MARK_VARIABLE]: orphans.mark(id) };
      const job = {
        folder: context,
        image,
        // What the builder itself sets wins.
        buildArgs: Object.fromEntries(
          Object.entries(config.buildArgs ?? {}).filter(([name]) => !Object.hasOwn(ownEnv, name)),
        ),
        platforms: platformsOf(config),
        here: HERE_PLATFORM,
        watchdog: options.watchdog,
        executable,
        tmp,
        env: { ...lentEnv, ...ownEnv },
        timeoutMs: limits.timeoutMs,
        maxOutputBytes: limits.maxOutputBytes,
        killOrphans: () => orphans.kill(id),
        clientOf: await openClients(settings, options.credentials),
      };
      for await (const event of steps ? steps.build(job, signal) : buildImage(job, signal)) {
        outcome = event.status;
        yield event.status === "success" ? { ...event, pushed: true } : event;
      }
    } finally {
      await removeTree(folder);
      const durationMs = Math.round(performance.now() - startedAt);
      log.info({ image, outcome, durationMs }, "build ended");
    }
  }

  return {
    async *build(archive, config, signal) {
      checkedTarget(config, settings);
      platformsOf(config);
      yield* build({ archive, read: async (context) => ({ context, config }) }, signal);
    },
    buildPackage: (archive, signal) => build({ archive, read: readPackage }, signal),
    async close() {
      closing.abort(new FaasError("unavailable", "the builder is closing"));
      await Promise.all(active);
      await prepared.catch(() => {});
    },
  };
}

/** @throws {FaasError} `invalid` */
function checkedTarget({ image, buildArgs }: BuildConfig, settings: ImageSettings): string {
  checkImageName(image);
  checkBuildArgs(buildArgs ?? {});
  return targetOf(image, settings);
}

/** @throws {FaasError} `invalid` */
function platformsOf({ platforms }: BuildConfig): readonly Platform[] {
  if (!platforms || platforms.length === 0) return [HERE_PLATFORM];
  try {
    return platforms.map(parsePlatform);
  } catch (cause) {
    throw new FaasError("invalid", `config: platforms: ${(cause as Error).message}`, { cause });
  }
}

function foldersOf(home: string, tmp: string): Record<string, string> {
  return {
    HOME: home,
    TMPDIR: tmp,
    // What package managers cache is of no use to the function.
    XDG_CACHE_HOME: join(tmp, "cache"),
    npm_config_cache: join(tmp, "npm"),
  };
}

async function prepare(buildsDir: string, log: Logger): Promise<void> {
  const onError = (err: unknown) => log.warn({ err }, "could not remove the files of an earlier build");
  await sweepLeftovers(buildsDir, () => false, onError);
  await ensureFolder(buildsDir);
}
