import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { Pack } from "tar/pack";

/**
 * The tar.gz of a folder, made while it is read. The same files give the same bytes: sorted, without owners, times or
 * any permission but "executable".
 */
export async function* packFolder(folder: string): AsyncGenerator<Uint8Array> {
  const pack = new Pack({
    cwd: folder,
    gzip: true,
    portable: true,
    mtime: new Date(0),
    noDirRecurse: true,
    onWriteEntry: (entry) => {
      if (entry.stat) entry.stat.mode = (entry.stat.mode & ~0o7777) | modeOf(entry.stat);
    },
  });
  for (const path of await pathsBelow(folder)) pack.write(path);
  pack.end();
  yield* pack;
}

function modeOf(stats: { mode: number; isDirectory(): boolean }): number {
  return stats.isDirectory() || (stats.mode & 0o111) !== 0 ? 0o755 : 0o644;
}

/** Folders come before what they hold. */
async function pathsBelow(folder: string, prefix = ""): Promise<string[]> {
  const entries = await readdir(join(folder, prefix), { withFileTypes: true });
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  const nested = await Promise.all(
    entries.map(async (entry) => {
      const path = `${prefix}${entry.name}`;
      return entry.isDirectory() ? [path, ...(await pathsBelow(folder, `${path}/`))] : [path];
    }),
  );
  return nested.flat();
}
