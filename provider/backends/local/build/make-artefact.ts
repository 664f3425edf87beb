import { existsSync } from "node:fs";
import { chmod, rename } from "node:fs/promises";
import { join } from "node:path";
import type { BuildConfig, BuildEvent } from "../../../../contract/build.ts";
import { DESCRIPTOR_FILE, type Descriptor } from "../../../../contract/descriptor.ts";
import { FaasError } from "../../../../contract/errors.ts";
import { runInstall } from "../../../../kit/install-step.ts";
import { readDescriptor } from "../../../../kit/read-descriptor.ts";
import { lentFiles } from "../../build/lent-variables.ts";
import type { BuildLimits } from "../../build/limits.ts";
import { unpackContext } from "../../build/unpack.ts";
import { syncFolder } from "../files.ts";
import type { Images } from "../images.ts";
import { MARK_VARIABLE, type OrphanProcesses } from "../orphan-processes.ts";
import type { Enclosed, Isolation } from "../sandbox/isolation.ts";
import { type Cell, INSIDE } from "../sandbox/wall.ts";
import { treeSize } from "../tree-size.ts";
import { cureFor } from "./cures.ts";
import { digestContext } from "./digest.ts";
import { followDockerfile } from "./dockerfile/follow.ts";
import { missingPrograms } from "./find-program.ts";
import type { KeyedLock } from "./keyed-lock.ts";
import { syncTree } from "./sync-tree.ts";

export interface ArtefactJob {
  /** Names this build alone. */
  readonly id: string;
  readonly archive: string;
  readonly config: BuildConfig;
  /** Empty folders of this build; the caller removes them. `context` is on the file system of the artefacts. */
  readonly context: string;
  readonly tmp: string;
  readonly images: Pick<Images, "artefactPath" | "artefactsDir" | "hold" | "register">;
  readonly limits: BuildLimits;
  /** Environment that every install step gets next to its own folders; `PATH` tells where programs are. */
  readonly baseEnv: Readonly<Record<string, string>>;
  /** Variables of the platform that build arguments may replace. */
  readonly lentEnv: Readonly<Record<string, string>>;
  readonly orphans: Pick<OrphanProcesses, "mark" | "kill">;
  readonly isolation: Isolation | undefined;
  /** Keeps two builds of one digest apart. */
  readonly lock: KeyedLock;
  readonly signal: AbortSignal;
}

/** Output lines as an event. */
export function progress(...log: string[]): BuildEvent {
  return { status: "in_progress", log };
}

const failed = (error: string): BuildEvent => ({ status: "failed", error });

/**
 * From an archive to a registered artefact; the last event tells how it ended.
 * @throws {FaasError} `invalid` or `tooLarge` before the first event when the context breaks a rule
 */
export async function* makeArtefact(job: ArtefactJob): AsyncGenerator<BuildEvent> {
  const { archive, config, context, images, limits, baseEnv, signal } = job;
  const { files, bytes } = await unpackContext(archive, context, limits, signal);
  const notes = await ensureDescriptor(context, config.buildArgs ?? {});
  const descriptor = await readDescriptor(context);
  const digest = await digestContext(context, config.buildArgs ?? {}, signal);
  yield progress(`received ${files} files, ${bytes} bytes`, `digest sha256:${digest}`, ...notes);

  const missing = await missingPrograms(descriptor.requires, baseEnv.PATH ?? "");
  if (missing.length > 0) {
    const names = missing.join(", ");
    yield failed(
      `${names} ${missing.length > 1 ? "are" : "is"} not installed on this machine, and the template of "${config.image}" needs ${missing.length > 1 ? "them" : "it"}`,
    );
    return;
  }
  const unlock = await job.lock.acquire(digest, signal);
  const release = images.hold(digest);
  try {
    let bytes: number | undefined;
    if (existsSync(images.artefactPath(digest))) {
      yield progress("this context has been built before, nothing to install");
    } else {
      const why = yield* install(descriptor, job);
      if (why !== undefined) {
        yield failed(why);
        return;
      }
      bytes = await publish(context, images, digest, signal);
    }
    images.register(config.image, digest, bytes);
  } finally {
    release();
    unlock();
  }
  yield { status: "success", image: `${config.image}@sha256:${digest}` };
}

/** Where the context does not say how it is built and run, its Dockerfile is followed as far as that goes. */
async function ensureDescriptor(
  context: string,
  buildArgs: Readonly<Record<string, string>>,
): Promise<readonly string[]> {
  if (existsSync(join(context, DESCRIPTOR_FILE))) return [];
  if (existsSync(join(context, "Dockerfile"))) return await followDockerfile(context, buildArgs);
  const why =
    `build context: has no ${DESCRIPTOR_FILE}, which tells how to build and run it without a container engine, and no ` +
    "Dockerfile. Take a template that has one, or add one such as " +
    '{ "requires": ["python3"], "env": { "mode": "http", "fprocess": "python3 index.py", "upstream_url": "http://127.0.0.1:0" } }';
  throw new FaasError("invalid", why);
}

/** Runs the install step, if any; returns why it failed. */
async function* install(descriptor: Descriptor, job: ArtefactJob): AsyncGenerator<BuildEvent, string | undefined> {
  const { id, context, limits, baseEnv, lentEnv, orphans, isolation, signal } = job;
  if (!descriptor.install) return undefined;
  yield progress(`running ${descriptor.install.join(" ")}`);
  const wall = isolation?.wall;
  const tmp = wall ? INSIDE.tmp : job.tmp;
  const env = {
    ...lentEnv,
    ...job.config.buildArgs,
    ...baseEnv,
    HOME: wall?.codeFolder ?? context,
    TMPDIR: tmp,
    // What package managers cache is of no use to the function.
    XDG_CACHE_HOME: join(tmp, "cache"),
    npm_config_cache: join(tmp, "npm"),
    [MARK_VARIABLE]: orphans.mark(id),
  };
  const { timeoutMs, maxOutputBytes } = limits;
  const cell = async () => ({
    code: context,
    readOnly: false,
    tmp: job.tmp,
    programs: [
      ...((await isolation?.pathsOf([...descriptor.requires, ...(descriptor.install?.slice(0, 1) ?? [])])) ?? []),
      ...lentFiles(lentEnv),
    ],
    network: true,
  });
  const enclosed = await encloseStep(isolation, id, cell, descriptor.install);
  if (typeof enclosed === "string") return enclosed;
  const { command, group } = enclosed;
  const step = runInstall(
    {
      command,
      cwd: context,
      env,
      timeoutMs,
      maxOutputBytes,
      enclosed: wall !== undefined,
      killOrphans: () => orphans.kill(id),
    },
    signal,
  );
  try {
    let next = await step.next();
    let cure: string | undefined;
    for (; !next.done; next = await step.next()) {
      for (const line of next.value) cure ??= cureFor(line);
      yield { status: "in_progress", log: next.value };
    }
    if (next.value.kind !== "failed") return undefined;
    return `the install step ${next.value.why}${cure === undefined ? "" : `; ${cure}`}`;
  } finally {
    // The reader may stop at any event; nothing of the step may stay behind.
    await step.return({ kind: "done" });
    await group?.close();
  }
}

/** @returns what to run, or why it must not be run */
async function encloseStep(
  isolation: Isolation | undefined,
  id: string,
  cell: () => Promise<Cell>,
  command: readonly string[],
): Promise<Enclosed | string> {
  if (!isolation) return { command, group: undefined };
  try {
    return await isolation.enclose(id, cell, command, {});
  } catch (error) {
    if (error instanceof FaasError) return `the install step cannot run: ${error.message}`;
    throw error;
  }
}

/**
 * Moves the finished folder to its place: after a crash it is there as a whole, or not at all.
 * @returns the size of its files, in bytes
 */
async function publish(
  context: string,
  images: ArtefactJob["images"],
  digest: string,
  signal: AbortSignal,
): Promise<number> {
  await syncTree(context);
  const bytes = await treeSize(context, { signal });
  // The install step may have made it one that cannot be moved.
  await chmod(context, 0o700);
  await rename(context, images.artefactPath(digest));
  await syncFolder(images.artefactsDir);
  return bytes;
}
