import { mkdir, open, stat, statfs } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * Makes the file of a database and its folder when missing, for nobody but this user: what SQLite puts beside it has the
 * same mode. A path that cannot be opened is for SQLite to report.
 */
export async function ensureDatabasePlace(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await open(path, "a", 0o600).then(
    (file) => file.close(),
    () => undefined,
  );
}

/** Of the disk that the file lies on, or is to lie on. */
export async function lookAtDisk(path: string): Promise<{ readonly bytes: number; readonly usableBytes: number }> {
  const [file, disk] = await Promise.all([
    stat(path).catch(() => undefined), // no file yet, or none that can be looked at, as opening it will show
    statfs(dirname(path)),
  ]);
  return { bytes: disk.blocks * disk.bsize, usableBytes: disk.bavail * disk.bsize + (file?.size ?? 0) };
}
