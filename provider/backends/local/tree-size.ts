import type { Stats } from "node:fs";
import { lstat, opendir } from "node:fs/promises";
import { Pace } from "./pace.ts";

/** Entries of a folder that are read at a time. */
const READ_AT_A_TIME = 256;
const SLASH = Buffer.from("/");
/** Up to here a file may be kept together with its inode, which takes no block. */
const INLINE_BYTES = 4096;

export interface TreeSizeOptions {
  readonly signal?: AbortSignal | undefined;
  /** Bytes of one file; what it holds unless given. */
  readonly measure?: (stats: Stats) => number;
  /** Counting ends once there is more than this; in bytes. */
  readonly enough?: number;
}

/**
 * What the files of a tree hold, in bytes. Links are not followed, a file with several names counts once, and holes in
 * files do not count. What cannot be read counts as nothing.
 * @throws the signal's reason once it has aborted
 */
export async function treeSize(
  root: string,
  { signal, measure = heldBytes, enough = Number.POSITIVE_INFINITY }: TreeSizeOptions = {},
): Promise<number> {
  const pace = new Pace(signal);
  const linked = new Set<number>();
  // As bytes, since names of files need not be text.
  const folders = [Buffer.from(root)];
  let bytes = 0;
  for (let next = folders.pop(); next !== undefined && bytes <= enough; next = folders.pop()) {
    const options = { bufferSize: READ_AT_A_TIME, encoding: "buffer" as BufferEncoding };
    const folder = await opendir(next as unknown as string, options).catch(() => undefined);
    if (!folder) continue;
    for await (const entry of folder) {
      await pace.step();
      const path = Buffer.concat([next, SLASH, entry.name as unknown as Buffer]);
      if (entry.isDirectory()) folders.push(path);
      if (!entry.isFile()) continue;
      const stats = await lstat(path).catch(() => undefined);
      if (!stats || linked.has(stats.ino)) continue;
      if (stats.nlink > 1) linked.add(stats.ino);
      bytes += measure(stats);
      if (bytes > enough) break;
    }
  }
  return bytes;
}

function heldBytes({ size, blocks }: Stats): number {
  return size <= INLINE_BYTES ? size : Math.min(size, blocks * 512);
}

/** What a file takes of the disk, in bytes, also where nothing has been written yet. */
export function allocatedBytes({ blocks }: Stats): number {
  return blocks * 512;
}
