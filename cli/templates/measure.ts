import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";

export interface TreeMeasure {
  readonly bytes: number;
  readonly entries: number;
  readonly tooLarge: boolean;
}

const MAX_ENTRIES = 200_000;

/** Size of what is below `folder`, no further than to where it is too much. Links are not followed. */
export async function measureTree(
  folder: string,
  maxBytes: number,
  maxEntries: number = MAX_ENTRIES,
): Promise<TreeMeasure> {
  let [bytes, entries] = [0, 0];
  const waiting = [folder];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    for (const entry of await readdir(next, { withFileTypes: true })) {
      entries += 1;
      const path = join(next, entry.name);
      if (entry.isDirectory()) waiting.push(path);
      else bytes += (await lstat(path)).size;
      if (bytes > maxBytes || entries > maxEntries) return { bytes, entries, tooLarge: true };
    }
  }
  return { bytes, entries, tooLarge: false };
}
