import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { ensurePrivateFolder } from "./private-folder.ts";
import { StartError } from "./process.ts";

/**
 * Makes `folder`, if missing, this process's own until it is released or the process dies. The lock is the operating
 * system's, so `kill -9` leaves no stale one behind; Node has none of its own, but SQLite does.
 * @returns a function that gives it back; may be called twice
 * @throws {StartError} when another process has it, or it cannot be made
 */
export function lockFolder(folder: string): () => void {
  try {
    ensurePrivateFolder(folder);
  } catch (cause) {
    throw new StartError(`data_dir: cannot use ${folder}: ${(cause as Error).message}`, { cause });
  }
  const lock = new DatabaseSync(join(folder, "instance.lock"));
  try {
    lock.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = OFF; BEGIN EXCLUSIVE");
  } catch (cause) {
    lock.close();
    throw new StartError(`data_dir: another faaslane is using ${folder}`, { cause });
  }
  return () => {
    if (lock.isOpen) lock.close();
  };
}
