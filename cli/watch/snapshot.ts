import type { Stats } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { basename, dirname, join, sep } from "node:path";
import { CliError } from "../errors.ts";

/** How files were at a moment; two of them tell what has changed, however it was written. */
export interface Snapshot {
  /** What was looked at. */
  readonly roots: readonly string[];
  /** Path → what differs once the file is written anew. */
  readonly files: ReadonlyMap<string, string>;
  /** Folders in which something may change. */
  readonly folders: ReadonlySet<string>;
}

/** Far more than a handler has; looking at them takes a part of a second. */
const MAX_FILES = 20_000;
const TOOLS = new Set(["node_modules", ".git", ".faaslane", "__pycache__"]);
/** What editors put beside a file while it is open or being saved. */
const TRANSIENT = /(~|\.sw[a-z]|\.tmp|\.crdownload)$|^\.#|^#.*#$|^4913$/;

/**
 * @param roots files and folders, absolute; what does not exist counts as empty
 * @param isIgnored for a path below one of them
 * @throws {CliError} when there are too many files
 */
export async function takeSnapshot(
  roots: readonly string[],
  isIgnored: (path: string) => boolean = () => false,
): Promise<Snapshot> {
  const files = new Map<string, string>();
  const folders = new Set<string>();
  const seen = new Set<string>();

  const add = (path: string, { mtimeMs, size, ino }: Stats) => {
    if (files.size >= MAX_FILES) throw new CliError(`--watch: there are more than ${MAX_FILES} files below ${path}`);
    files.set(path, `${mtimeMs} ${size} ${ino}`);
  };
  const visit = async (folder: string, id: string): Promise<void> => {
    // A link may lead back to where it is.
    if (seen.has(id)) return;
    seen.add(id);
    folders.add(folder);
    for (const name of await readdir(folder).catch(() => [])) {
      const path = join(folder, name);
      if (TOOLS.has(name) || TRANSIENT.test(name) || isIgnored(path)) continue;
      // It may be gone since the folder was read.
      const stats = await stat(path).catch(() => undefined);
      if (stats?.isDirectory()) await visit(path, `${stats.dev} ${stats.ino}`);
      else if (stats?.isFile()) add(path, stats);
    }
  };

  for (const root of roots) {
    const stats = await stat(root).catch(() => undefined);
    if (stats?.isDirectory()) await visit(root, `${stats.dev} ${stats.ino}`);
    else folders.add(dirname(root));
    if (stats?.isFile()) add(root, stats);
  }
  return { roots, files, folders };
}

/** Files that are new, gone or written anew, sorted. What only one of the two looked at does not count. */
export function changedFiles(before: Snapshot, after: Snapshot): string[] {
  const common = before.roots.filter((root) => after.roots.includes(root));
  const paths = new Set([...before.files.keys(), ...after.files.keys()]);
  return [...paths]
    .filter((path) => before.files.get(path) !== after.files.get(path))
    .filter((path) => common.some((root) => isBelow(path, root)))
    .sort();
}

/** Whether `path` is `root` or in it. */
export function isBelow(path: string, root: string): boolean {
  return path === root || path.startsWith(root.endsWith(sep) ? root : root + sep);
}

/** Up to three names, for people. */
export function describeChange(paths: readonly string[]): string {
  const names = [...new Set(paths.map((path) => basename(path)))];
  return names.length > 3 ? `${names.slice(0, 3).join(", ")} and ${names.length - 3} more` : names.join(", ");
}
