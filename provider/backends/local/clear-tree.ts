import { chmod, lstat, opendir, rename, rmdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import { Pace } from "./pace.ts";

/** Entries of a folder that are read at a time. */
const READ_AT_A_TIME = 256;
/** Folders in one folder that are remembered at a time. */
const MAX_FOLDERS = 1_000;
/** A path of more than 4096 bytes is none; what lies deeper is brought up first. */
const MAX_PATH_CHARS = 1_000;

/**
 * Removes a file, or a folder with all it holds, however that was made: folders that may not be written to, more files
 * than fit into memory, paths longer than the system takes. Links are removed, never followed. Takes its time, so that
 * nothing else has to wait for it, and no room on the disk.
 * @throws the signal's reason once it has aborted; what the system says of the first thing that cannot be removed
 */
export async function clearTree(root: string, signal?: AbortSignal): Promise<void> {
  if (!(await isFolder(root))) return await unlessGone(unlink(root));
  const pace = new Pace(signal);
  let lifted = 0;

  async function clearFolder(path: string): Promise<void> {
    for (;;) {
      const { folders, removed } = await removeFiles(path, pace);
      for (const name of folders) {
        const inner = join(path, name);
        if (inner.length <= root.length + MAX_PATH_CHARS) await clearFolder(inner);
        else await lift(path, inner);
      }
      if (await removeEmpty(path)) return;
      // Somebody fills it while it is emptied, or it shows things that are not there.
      if (folders.length === 0 && !removed) throw new Error(`${path} cannot be emptied`);
    }
  }

  /** Moves a folder that lies deep to the root, which is not done before that is empty. */
  async function lift(parent: string, inner: string): Promise<void> {
    const name = join(root, `.${lifted++}-${process.hrtime.bigint()}`);
    await withAccess(inner, () => withAccess(parent, () => withAccess(root, () => rename(inner, name))));
  }

  await clearFolder(root);
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isDirectory();
  } catch (error) {
    if (codeOf(error) === "ENOENT") return false;
    throw error;
  }
}

/** Removes what is no folder. @returns folders that are left, not more than can be remembered */
async function removeFiles(path: string, pace: Pace): Promise<{ folders: string[]; removed: boolean }> {
  const folders: string[] = [];
  let removed = false;
  // None stays open while the folders in it are gone through: they may be as deep as there are descriptors.
  const folder = await withAccess(path, () => opendir(path, { bufferSize: READ_AT_A_TIME }));
  for await (const entry of folder) {
    await pace.step();
    if (entry.isDirectory()) {
      folders.push(entry.name);
      if (folders.length >= MAX_FOLDERS) break;
      continue;
    }
    await withAccess(path, () => unlessGone(unlink(join(path, entry.name))));
    removed = true;
  }
  return { folders, removed };
}

/** @returns false when it is not empty */
async function removeEmpty(path: string): Promise<boolean> {
  try {
    await unlessGone(rmdir(path));
    return true;
  } catch (error) {
    if (["ENOTEMPTY", "EEXIST"].includes(codeOf(error) ?? "")) return false;
    // It lies in a folder that may not be written to, which `withAccess` below sees to.
    if (!isDenied(error)) throw error;
  }
  return await withAccess(join(path, ".."), async () => {
    await unlessGone(rmdir(path));
    return true;
  });
}

/** Does something in a folder; when that is denied, once more with all rights that an owner can give. */
async function withAccess<T>(folder: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!isDenied(error)) throw error;
    await chmod(folder, 0o700).catch(() => {
      throw error;
    });
    return await work();
  }
}

async function unlessGone(work: Promise<void>): Promise<void> {
  await work.catch((error) => {
    if (codeOf(error) !== "ENOENT") throw error;
  });
}

const codeOf = (error: unknown) => (error as NodeJS.ErrnoException).code;
const isDenied = (error: unknown) => codeOf(error) === "EACCES" || codeOf(error) === "EPERM";
