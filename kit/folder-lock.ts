import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { ensurePrivateFolder } from "./private-folder.ts";
import { StartError } from "./process.ts";

/** Primary result codes of SQLite for a file that somebody else has. */
const TAKEN: readonly unknown[] = [5, 6];

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
  const lock = open(join(folder, "instance.lock"));
  return () => {
    if (lock.isOpen) lock.close();
  };
}

function open(file: string): DatabaseSync {
  let lock: DatabaseSync | undefined;
  try {
    lock = new DatabaseSync(file);
    // In memory: a journal beside the file would want space, and nothing is ever written to it.
    lock.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
    return lock;
  } catch (cause) {
    lock?.close();
    const { errcode, message } = cause as Error & { errcode?: number };
    const why = TAKEN.includes((errcode ?? 0) & 0xff)
      ? `another faaslane is using ${dirname(file)}`
      : `cannot lock ${dirname(file)}: ${message}`;
    throw new StartError(`data_dir: ${why}`, { cause });
  }
}
