import { randomBytes } from "node:crypto";
import { open, readdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ensurePrivateFolder } from "../../../kit/private-folder.ts";
import { clearTree } from "./clear-tree.ts";

/**
 * What functions and install steps may make of their folders: some that may not be written to, lie too deep, or hold
 * names that are no text.
 */
const NEEDS_CARE: ReadonlySet<string> = new Set(["EACCES", "EPERM", "ENAMETOOLONG", "ENOTEMPTY"]);

/** Makes `folder` and its missing parents, readable by this user only; see {@link ensurePrivateFolder}. */
export async function ensureFolder(folder: string): Promise<void> {
  ensurePrivateFolder(folder);
}

/**
 * Writes a file of mode 0600 so that readers see the old bytes or the new ones, never a part, and a crash after the
 * promise has resolved loses nothing.
 * @param staging folder for the unfinished file, on the same file system; its name starts with a dot
 */
export async function writeFileDurably(file: string, bytes: Uint8Array, staging = dirname(file)): Promise<void> {
  // Without the file's own name, which may be as long as a name can be.
  const unfinished = join(staging, `.${randomBytes(12).toString("hex")}`);
  try {
    const handle = await open(unfinished, "wx", 0o600);
    try {
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(unfinished, file);
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  }
  await syncFolder(dirname(file));
}

/** Makes renames and removals in `folder` survive a crash. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Names in `folder`; none when it does not exist. */
export async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

/** Removes everything in `folder` that `keep` does not want; a folder that does not exist is empty. */
export async function sweepFolder(folder: string, keep: (name: string) => boolean): Promise<void> {
  const stale = (await namesIn(folder)).filter((name) => !keep(name));
  await Promise.all(stale.map((name) => removeTree(join(folder, name))));
}

/** As {@link sweepFolder}; what cannot be removed stays, and `onError` gets the error. */
export async function sweepLeftovers(
  folder: string,
  keep: (name: string) => boolean,
  onError: (error: unknown) => void,
): Promise<void> {
  const stale = (await namesIn(folder)).filter((name) => !keep(name));
  await Promise.all(stale.map((name) => removeTree(join(folder, name)).catch(onError)));
}

/** Removes a file or a folder with all it holds; retried, as a dying process may still be writing into it. */
export async function removeTree(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  } catch (error) {
    if (!NEEDS_CARE.has((error as NodeJS.ErrnoException).code ?? "")) throw error;
    await clearTree(path);
  }
}
