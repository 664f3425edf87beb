import { randomUUID } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { BuildConfig, BuildEvent } from "../../../../contract/build.ts";
import { FaasError } from "../../../../contract/errors.ts";
import type { Logger } from "../../../../kit/log.ts";
import type { Builder } from "../../backend.ts";
import { createBuildSemaphore } from "../../build/build-semaphore.ts";
import { checkBuildArgs, checkImageName } from "../../build/image-name.ts";
import { pickEnv, pickLent } from "../../build/lent-variables.ts";
import { type BuildLimits, DEFAULT_BUILD_LIMITS } from "../../build/limits.ts";
import { ensureFolder, removeTree, sweepLeftovers } from "../files.ts";
import type { Images } from "../images.ts";
import { OrphanProcesses } from "../orphan-processes.ts";
import type { Isolation } from "../sandbox/isolation.ts";
import { createKeyedLock } from "./keyed-lock.ts";
import { makeArtefact, progress } from "./make-artefact.ts";

export interface BuilderOptions {
  readonly dataDir: string;
  readonly images: Pick<Images, "artefactPath" | "artefactsDir" | "hold" | "register">;
  readonly log: Logger;
  readonly limits?: Partial<BuildLimits> | undefined;
  /** The backend's, which finds what builds of an earlier life have left. */
  readonly orphans?: Pick<OrphanProcesses, "mark" | "kill">;
  /** What install steps run within; nothing unless given. */
  readonly isolation?: Isolation;
  /** The platform's environment; install steps see its `PATH`, its locale, and what leads to registries. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface LocalBuilder extends Builder {
  /** Stops all builds and waits until nothing of them is left. May be called twice. */
  close(): Promise<void>;
}

/**
 * A builder for machines without a container engine. Unfinished work is kept in `builds` below `dataDir`, where what
 * an earlier process left is removed first; a finished artefact is a folder named by the digest of its context, so the
 * same context is installed once.
 */
export function openBuilder(options: BuilderOptions): LocalBuilder {
  const { dataDir, images, log, limits: given, env, orphans = new OrphanProcesses(dataDir, log), isolation } = options;
  const limits: BuildLimits = { ...DEFAULT_BUILD_LIMITS, ...given };
  const baseEnv = pickEnv(env);
  const lentEnv = pickLent(env);
  const buildsDir = join(dataDir, "builds");
  const prepared = prepare(buildsDir, log);
  // Every build awaits it and tells; before the first one there is nobody to tell.
  prepared.catch(() => {});
  const slots = createBuildSemaphore(limits.concurrency, limits.maxWaiting);
  const lock = createKeyedLock();
  const closing = new AbortController();
  const active = new Set<Promise<void>>();

  async function* build(archive: string, config: BuildConfig, left: AbortSignal): AsyncGenerator<BuildEvent> {
    checkImageName(config.image);
    checkBuildArgs(config.buildArgs ?? {});
    const signal = AbortSignal.any([left, closing.signal]);
    const { promise: over, resolve: end } = Promise.withResolvers<void>();
    active.add(over);
    try {
      yield* inSlot(archive, config, signal);
    } catch (error) {
      if (!signal.aborted) throw error;
      yield { status: "failed", error: "the build was stopped" };
    } finally {
      active.delete(over);
      end();
    }
  }

  async function* inSlot(archive: string, config: BuildConfig, signal: AbortSignal): AsyncGenerator<BuildEvent> {
    await prepared;
    const permit = slots.request();
    try {
      if (!permit.ready) {
        yield progress("waiting for another build to finish");
        await permit.acquired(signal);
      }
      yield* inWorkspace(archive, config, signal);
    } finally {
      permit.release();
    }
  }

  async function* inWorkspace(archive: string, config: BuildConfig, signal: AbortSignal): AsyncGenerator<BuildEvent> {
    const startedAt = performance.now();
    const id = randomUUID();
    const folder = join(buildsDir, id);
    const [context, tmp] = [join(folder, "context"), join(folder, "tmp")];
    let outcome: BuildEvent["status"] = "failed";
    try {
      await mkdir(context, { recursive: true, mode: 0o700 });
      await mkdir(tmp, { mode: 0o700 });
      for await (const event of makeArtefact({
        id,
        archive,
        config,
        context,
        tmp,
        images,
        limits,
        baseEnv,
        lentEnv,
        orphans: orphans,
        isolation,
        lock,
        signal,
      })) {
        outcome = event.status;
        yield event;
      }
    } finally {
      await removeTree(folder);
      const durationMs = Math.round(performance.now() - startedAt);
      log.info({ image: config.image, outcome, durationMs }, "build ended");
    }
  }

  return {
    build,
    async close() {
      closing.abort(new FaasError("unavailable", "the provider is closing"));
      await Promise.all(active);
      await prepared.catch(() => {});
    },
  };
}

async function prepare(buildsDir: string, log: Logger): Promise<void> {
  const onError = (err: unknown) => log.warn({ err }, "could not remove the files of an earlier build");
  await sweepLeftovers(buildsDir, () => false, onError);
  await ensureFolder(buildsDir);
}
