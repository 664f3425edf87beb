import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type Credentials, readCredentials } from "../../provider/kit/basic-auth.ts";
import { StartError } from "../../provider/kit/process.ts";

export interface DataDir {
  readonly path: string;
  close(): void;
}

/**
 * Makes `path` this process's own until it closes or dies: the lock is the operating system's, so `kill -9` leaves no
 * stale one behind.
 * @throws {StartError} when another instance has it, or it cannot be made
 */
export function openDataDir(path: string): DataDir {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    chmodSync(path, 0o700);
  } catch (cause) {
    throw new StartError(`data_dir: cannot use ${path}: ${(cause as Error).message}`, { cause });
  }
  const lock = new DatabaseSync(join(path, "instance.lock"));
  try {
    lock.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = OFF; BEGIN EXCLUSIVE");
  } catch (cause) {
    lock.close();
    throw new StartError(`data_dir: another faaslane is using ${path}`, { cause });
  }
  return { path, close: () => lock.isOpen && lock.close() };
}

/** The credentials kept in `dataDir`, made on the first start: user `admin`, a random password, readable by the owner only. */
export async function ensureCredentials(dataDir: string): Promise<Credentials> {
  const ensure = (file: string, content: () => string) => {
    const path = join(dataDir, file);
    if (existsSync(path)) return;
    writeFileSync(`${path}.new`, content(), { mode: 0o600 });
    renameSync(`${path}.new`, path);
  };
  ensure("basic-auth-user", () => "admin\n");
  ensure("basic-auth-password", () => `${randomBytes(24).toString("base64url")}\n`);
  return await readCredentials(dataDir);
}
