import { execFileSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync, statfsSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A file system of a few MiB, to be filled. */
export interface SmallDisk {
  readonly path: string;
  /** Leaves not a single byte. */
  fill(): void;
  /** Gives back what {@link fill} has taken. */
  clear(): void;
  readonly freeBytes: number;
  remove(): void;
}

/**
 * Mounts one, which takes root.
 * @returns undefined after saying why not
 * @throws where services are required and we are root
 */
export function mountSmallDisk(mebibytes: number): SmallDisk | undefined {
  const path = mkdtempSync(join(tmpdir(), "faaslane-disk-"));
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${mebibytes}m`, "tmpfs", path], { stdio: "pipe" });
  } catch (error) {
    rmSync(path, { recursive: true });
    if (process.env.REQUIRE_SERVICES === "1" && process.geteuid?.() === 0) throw error;
    const why = (error as Error).message.split("\n").at(-1);
    process.stderr.write(`skipped: this machine lets us mount no small disk to fill: ${why}\n`);
    return undefined;
  }
  const filler = join(path, "filler");
  return {
    path,
    fill: () => fill(filler),
    clear: () => rmSync(filler, { force: true }),
    get freeBytes() {
      const { bfree, bsize } = statfsSync(path);
      return bfree * bsize;
    },
    remove: () => {
      execFileSync("umount", ["-l", path]);
      rmSync(path, { recursive: true });
    },
  };
}

function fill(file: string): void {
  const fd = openSync(file, "a");
  try {
    for (const size of [1024 ** 2, 4096, 1]) fillWith(fd, Buffer.alloc(size, "x"));
  } finally {
    closeSync(fd);
  }
}

function fillWith(fd: number, piece: Buffer): void {
  try {
    for (;;) writeSync(fd, piece);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
  }
}
