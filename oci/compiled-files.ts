import type { Dirent } from "node:fs";
import { open, readdir } from "node:fs/promises";
import { join, relative } from "node:path";
import { ELF_HEAD_BYTES, machineOf } from "./elf.ts";
import { formatPlatform, type Platform } from "./manifests.ts";

/** Names of compiled code of every system. */
const COMPILED = /\.(node|so|dylib|dll)(\.\d+)*$/;

/**
 * Images for other machines than this one hold nothing that was compiled for a third one: what an install step has made here
 * runs on machines like this, unless it knows how to make it for others.
 * @throws {Error} naming a file, and what can be done
 */
export async function requireFit(folder: string, platforms: readonly Platform[], here: Platform): Promise<void> {
  if (platforms.every((platform) => isSame(platform, here))) return;
  for (const file of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!file.isFile()) continue;
    const machine = await machineOfFile(file);
    const unfit = machine === undefined ? undefined : platforms.find(({ architecture }) => architecture !== machine);
    if (!unfit) continue;
    const path = relative(folder, join(file.parentPath, file.name));
    const what = machine === OTHER ? "another kind of machine" : `${here.os}/${machine}`;
    const advice =
      platforms.length > 1
        ? "publish for one platform at a time, each with a tag of its own"
        : "publish on such a machine, or leave out what is compiled";
    throw new Error(
      `${path} is compiled for ${what}; it cannot be part of an image for ${formatPlatform(unfit)}: ${advice}`,
    );
  }
}

const OTHER = "other";

/** @returns undefined for what is not compiled */
async function machineOfFile({ parentPath, name }: Dirent): Promise<string | undefined> {
  await using file = await open(join(parentPath, name), "r");
  const { buffer, bytesRead } = await file.read(Buffer.alloc(ELF_HEAD_BYTES), 0, ELF_HEAD_BYTES, 0);
  return machineOf(buffer.subarray(0, bytesRead)) ?? (COMPILED.test(name) ? OTHER : undefined);
}

function isSame(one: Platform, other: Platform): boolean {
  return one.os === other.os && one.architecture === other.architecture;
}
