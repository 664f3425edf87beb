import { createHash, randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { chmod, copyFile, mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { EXECUTABLE } from "./build-image.ts";
import { ELF_HEAD_BYTES, machineOf } from "./elf.ts";
import { type Layer, writeLayer } from "./layer.ts";
import { formatPlatform, type Platform } from "./manifests.ts";
import { buildExecutable } from "./single-executable.ts";

export interface ExecutableSources {
  /** The watchdog's bundle. */
  readonly bundle: string;
  /** Programs that were made elsewhere. */
  readonly given: readonly string[];
  /** Of this machine, for which one can be made. */
  readonly here: Platform;
  /** Where the layer of this machine's is kept: packing a hundred megabytes takes seconds. */
  readonly cacheDir: string;
}

const PREFIX = "watchdog-";
const KEPT_MS = 24 * 60 * 60_000;

/** A layer with the watchdog as one program, made once for all builds. */
export function executableLayers({ bundle, given, here, cacheDir }: ExecutableSources) {
  let underWay: Promise<Layer | undefined> | undefined;
  return async (platform: Platform, tmp: string, signal: AbortSignal): Promise<Layer> => {
    const file = await findGiven(given, platform);
    if (file !== undefined) return await pack((target) => copyFile(file, target), tmp, signal);
    if (platform.os !== here.os || platform.architecture !== here.architecture) {
      throw new Error(
        `the watchdog's executable can be made here for ${formatPlatform(here)} only; for ${formatPlatform(platform)} name one ` +
          "with --watchdog, which `npm run build:watchdog` makes on such a machine",
      );
    }
    const make = async (target: string) => {
      try {
        await buildExecutable(await readFile(bundle, "utf8"), process.execPath, target);
      } catch (cause) {
        const why = `the watchdog's executable cannot be made of the Node that runs: ${(cause as Error).message}`;
        throw new Error(`${why}; name one with --watchdog, or use one of nodejs.org for Linux`, { cause });
      }
    };
    // It is for other builds too, so it goes on when this one is stopped. Without a cache each has one of its own.
    underWay ??= cached(cacheDir, bundle, make)
      .catch((error: NodeJS.ErrnoException) => {
        if (error.code === undefined) throw error;
        return undefined;
      })
      .finally(() => {
        underWay = undefined;
      });
    const layer = await underWay;
    signal.throwIfAborted();
    return layer ?? (await pack(make, tmp, signal));
  };
}

async function findGiven(files: readonly string[], { architecture }: Platform): Promise<string | undefined> {
  for (const file of files) {
    const machine = await machineOfProgram(file);
    if (machine === undefined) throw new Error(`--watchdog: ${file} is no program for Linux`);
    if (machine === architecture) return file;
  }
  return undefined;
}

async function machineOfProgram(path: string): Promise<string | undefined> {
  try {
    await using file = await open(path, "r");
    const { buffer, bytesRead } = await file.read(Buffer.alloc(ELF_HEAD_BYTES), 0, ELF_HEAD_BYTES, 0);
    return machineOf(buffer.subarray(0, bytesRead));
  } catch (cause) {
    throw new Error(`--watchdog: ${path} cannot be read: ${(cause as Error).message}`, { cause });
  }
}

/** What is kept of a layer beside its file. */
type Kept = Pick<Layer, "digest" | "diffId" | "size">;

/** Builds that begin at once, in other processes too, each make one; whichever is named last is kept. */
async function cached(cacheDir: string, bundle: string, make: (target: string) => Promise<void>): Promise<Layer> {
  const index = join(cacheDir, `${PREFIX}${await keyOf(bundle)}.json`);
  const known = await readKept(index);
  if (known) return layerOf(known, cacheDir);
  const work = join(cacheDir, `.${PREFIX}${randomUUID()}`);
  await mkdir(work, { recursive: true, mode: 0o700 });
  try {
    const { digest, diffId, size } = await pack(make, work, new AbortController().signal);
    const kept: Kept = { digest, diffId, size };
    await rename(join(work, "layer-watchdog"), fileOf(kept, cacheDir));
    await writeFile(join(work, "kept"), JSON.stringify(kept));
    await rename(join(work, "kept"), index);
    await removeOld(cacheDir);
    return layerOf(kept, cacheDir);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** By its content, so that what says which it is cannot be of another one. */
const fileOf = ({ digest }: Kept, cacheDir: string) => join(cacheDir, `${PREFIX}${digest.replace("sha256:", "")}`);

function layerOf(kept: Kept, cacheDir: string): Layer {
  return { ...kept, open: () => createReadStream(fileOf(kept, cacheDir)) };
}

async function keyOf(bundle: string): Promise<string> {
  const { size, mtimeMs } = await stat(process.execPath);
  const hash = createHash("sha256").update(await readFile(bundle));
  return hash
    .update(JSON.stringify([1, process.version, process.arch, size, mtimeMs]))
    .digest("hex")
    .slice(0, 32);
}

/** @returns undefined when nothing is kept, or not whole */
async function readKept(index: string): Promise<Kept | undefined> {
  try {
    const { digest, diffId, size } = JSON.parse(await readFile(index, "utf8")) as Kept;
    return (await stat(fileOf({ digest, diffId, size }, dirname(index)))).size === size
      ? { digest, diffId, size }
      : undefined;
  } catch {
    return undefined;
  }
}

/** Those of other releases; one that is made today may still be read. */
async function removeOld(cacheDir: string): Promise<void> {
  const names = (await readdir(cacheDir)).filter((entry) => entry.startsWith(PREFIX));
  for (const path of names.map((name) => join(cacheDir, name))) {
    const changedAt = (await stat(path).catch(() => undefined))?.mtimeMs;
    if (changedAt !== undefined && Date.now() - changedAt > KEPT_MS) await rm(path, { force: true });
  }
}

async function pack(make: (target: string) => Promise<void>, tmp: string, signal: AbortSignal): Promise<Layer> {
  const folder = join(tmp, `program-${randomUUID()}`);
  await mkdir(folder, { recursive: true });
  try {
    const program = join(folder, basename(EXECUTABLE));
    await make(program);
    await chmod(program, 0o755);
    return await writeLayer({ folder, at: dirname(EXECUTABLE) }, join(tmp, "layer-watchdog"), signal);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
