import { chmod, lstat, opendir, rename, rmdir, unlink } from "node:fs/promises";
import { Pace } from "./pace.ts";

/** Entries of a folder that are read at a time. */
const READ_AT_A_TIME = 256;
/** Folders in one folder that are remembered at a time. */
const MAX_FOLDERS = 1_000;
/** A folder that is filled as fast as it is emptied would never be empty. */
const MAX_ROUNDS = 5;
/** A path of more than 4096 bytes is none; what lies deeper is brought up first. */
const MAX_PATH_BYTES = 1_000;

/** As bytes, since names of files need not be text. */
type Path = Buffer;

const inside = (folder: Path, name: Buffer | string): Path =>
  Buffer.concat([folder, Buffer.from("/"), typeof name === "string" ? Buffer.from(name) : name]);

/**
 * Removes a file, or a folder with all it holds, however that was made: folders that may not be written to, more files
 * than fit into memory, paths longer than the system takes, names that are no text. Links are removed, never followed.
 * Takes its time, so that nothing else has to wait for it, and no room on the disk.
 * @throws the signal's reason once it has aborted; what the system says of the first thing that cannot be removed
 */
export async function clearTree(path: string, signal?: AbortSignal): Promise<void> {
  let root: Path = Buffer.from(path);
  if (!(await isFolder(root))) return await unlessGone(unlink(root));
  const pace = new Pace(signal);
  let lifted = 0;

  async function clearFolder(at: Path, parent?: Path): Promise<void> {
    let folder = at;
    for (let round = 0; ; round++) {
      if (round === MAX_ROUNDS && parent === undefined) {
        root = await moveAside(root);
        folder = root;
      }
      const { folders, removed } = await removeFiles(folder, pace);
      for (const name of folders) {
        const inner = inside(folder, name);
        if (inner.length <= root.length + MAX_PATH_BYTES) await clearFolder(inner, folder);
        else await lift(folder, inner);
      }
      if (await removeEmpty(folder, parent)) return;
      // Somebody fills it while it is emptied, or it shows things that are not there.
      if (folders.length === 0 && removed === 0) throw new Error(`${folder} cannot be emptied`);
    }
  }

  /** Moves a folder that lies deep to the root, which is not done before that is empty. */
  async function lift(parent: Path, inner: Path): Promise<void> {
    const target = inside(root, `.${lifted++}-${process.hrtime.bigint()}`);
    await withAccess(inner, () => withAccess(parent, () => withAccess(root, () => rename(inner, target))));
  }

  await clearFolder(root);
}

/** Whoever goes on writing by its path misses it from then on. @returns where it is now */
async function moveAside(root: Path): Promise<Path> {
  const target = Buffer.concat([root, Buffer.from(`.${process.hrtime.bigint()}`)]);
  try {
    await rename(root, target);
    return target;
  } catch {
    return root;
  }
}

async function isFolder(path: Path): Promise<boolean> {
  try {
    return (await lstat(path)).isDirectory();
  } catch (error) {
    if (codeOf(error) === "ENOENT") return false;
    throw error;
  }
}

/** Removes what is no folder. @returns folders that are left, not more than can be remembered, and how much went */
async function removeFiles(folder: Path, pace: Pace): Promise<{ folders: Buffer[]; removed: number }> {
  const folders: Buffer[] = [];
  let removed = 0;
  // None stays open while the folders in it are gone through: they may be deeper than there are descriptors.
  const entries = await withAccess(folder, () =>
    opendir(folder as unknown as string, { bufferSize: READ_AT_A_TIME, encoding: "buffer" as BufferEncoding }),
  );
  for await (const entry of entries) {
    await pace.step();
    const name = entry.name as unknown as Buffer;
    if (entry.isDirectory()) {
      folders.push(name);
      if (folders.length >= MAX_FOLDERS) break;
    } else if (await withAccess(folder, () => isRemoved(unlink(inside(folder, name))))) removed += 1;
  }
  return { folders, removed };
}

/**
 * @param parent absent for the root, whose own place is left as it is
 * @returns false when it is not empty
 */
async function removeEmpty(folder: Path, parent: Path | undefined): Promise<boolean> {
  const remove = () => unlessGone(rmdir(folder));
  try {
    await (parent ? withAccess(parent, remove) : remove());
    return true;
  } catch (error) {
    if (codeOf(error) === "ENOTEMPTY" || codeOf(error) === "EEXIST") return false;
    throw error;
  }
}

/** Does something in a folder; when that is denied, once more with all rights that an owner can give. */
async function withAccess<T>(folder: Path, work: () => Promise<T>): Promise<T> {
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

/** @returns false when there was nothing of the name */
async function isRemoved(work: Promise<void>): Promise<boolean> {
  try {
    await work;
    return true;
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
    return false;
  }
}

async function unlessGone(work: Promise<void>): Promise<void> {
  await isRemoved(work);
}

const codeOf = (error: unknown) => (error as NodeJS.ErrnoException).code;
const isDenied = (error: unknown) => codeOf(error) === "EACCES" || codeOf(error) === "EPERM";
