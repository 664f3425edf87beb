import { randomUUID } from "node:crypto";
import { mkdirSync, renameSync, statSync, unlinkSync, utimesSync, writeFileSync } from "node:fs";
import { open, readdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";

const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;

// What adds names, renews or removes them is synchronous: the collector, which runs in this process too, never comes
// between a look at a file and what is done about it.

/** Whether the file is there; if so, it counts as used just now. */
export function renew(path: string): boolean {
  const now = new Date();
  return unlessAbsent(() => utimesSync(path, now, now)) !== undefined;
}

/** Puts a finished file in its place, whatever is there. */
export function place(from: string, path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: FOLDER_MODE });
  const now = new Date();
  utimesSync(from, now, now);
  renameSync(from, path);
}

/** Makes an empty file, or renews the one that is there. */
export function mark(path: string): void {
  if (renew(path)) return;
  mkdirSync(dirname(path), { recursive: true, mode: FOLDER_MODE });
  writeFileSync(path, "", { mode: FILE_MODE });
}

/** @returns whether it was there */
export function remove(path: string): boolean {
  return unlessAbsent(() => unlinkSync(path)) !== undefined;
}

/** Removes a file that nobody has used since `before`, in milliseconds of the epoch. @returns its bytes, if it did */
export function removeUnused(path: string, before: number): number | undefined {
  const stats = unlessAbsent(() => statSync(path));
  if (!stats || stats === true || stats.mtimeMs >= before) return undefined;
  unlinkSync(path);
  return stats.size;
}

/** Writes a file that is to be put in place. On the disk once this resolves; gone when it rejects. */
export async function writeDraft(folder: string, bytes: Uint8Array | string): Promise<string> {
  const path = join(folder, randomUUID());
  try {
    await using file = await open(path, "wx", FILE_MODE);
    await file.writeFile(bytes);
    await file.datasync();
    return path;
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  }
}

/** Makes the names in a folder last. */
export async function syncNames(path: string): Promise<void> {
  await using folder = await open(dirname(path), "r");
  await folder.sync();
}

/** The names in a folder; none when there is no such folder. */
export async function listNames(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (isAbsent(error)) return [];
    throw error;
  }
}

export function isAbsent(error: unknown): boolean {
  return ["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "");
}

function unlessAbsent<T>(act: () => T): T | true | undefined {
  try {
    return act() ?? true;
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}
