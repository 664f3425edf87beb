import { execFileSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync, statfsSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { unlessRequired } from "./needing.ts";

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

/** Why no small disk can be had; undefined when it can. Root can be required to have one. */
export function missingSmallDisk(): string | undefined {
  try {
    mountSmallDisk(1).remove();
    return undefined;
  } catch (error) {
    const { message } = error as Error;
    // Of what mount prints, the line that says why comes first; the path in it is another each time.
    const said = /^mount: \S+: (.*)$/m.exec(message)?.[1] ?? message;
    const why = `this machine lets us mount no small disk to fill: ${said}`;
    return process.geteuid?.() === 0 ? unlessRequired(why) : why;
  }
}

/**
 * Mounts one, which takes root.
 * @throws when that is not allowed
 */
export function mountSmallDisk(mebibytes: number): SmallDisk {
  const path = mkdtempSync(join(tmpdir(), "faaslane-disk-"));
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${mebibytes}m`, "tmpfs", path], { stdio: "pipe" });
  } catch (error) {
    rmSync(path, { recursive: true });
    throw error;
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
