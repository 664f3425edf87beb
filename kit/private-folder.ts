import { accessSync, chmodSync, constants, mkdirSync, statSync } from "node:fs";

/** Folders and files that nobody but their owner is to use. */
const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;

/** Only its owner, and a process with that privilege, may change the mode of a file. */
function isOurs(path: string): boolean {
  return statSync(path).uid === process.geteuid?.();
}

/**
 * Takes a file or folder from everybody but this process's user. One that belongs to somebody else, as volumes do, is
 * left as it is: who made it has decided who may use it.
 */
function closeToOthers(path: string, mode: number): void {
  if (!isOurs(path)) return;
  try {
    chmodSync(path, mode);
  } catch (error) {
    // File systems without modes of their own, such as those of network shares, refuse even the owner.
    if (!["EPERM", "ENOTSUP", "EROFS"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
  }
}

/**
 * Makes `folder` and its missing parents, for this user only. One that was there is brought to the same mode if it is
 * ours; otherwise it only has to be usable.
 * @throws the error of the system when it cannot be made, read or written
 */
export function ensurePrivateFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: FOLDER_MODE });
  closeToOthers(folder, FOLDER_MODE);
  accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK);
}

/** Takes a file that is there from everybody but this user, if it is ours. */
export function ensurePrivateFile(file: string): void {
  closeToOthers(file, FILE_MODE);
}
