import { existsSync, realpathSync } from "node:fs";
import { dirname, join, sep } from "node:path";

/**
 * The folder that a project's own files are in: the root of the Git work tree that `baseDir` is in, else `baseDir`
 * itself. A work tree that is all of `home`, or of the machine, is no project.
 * @returns an absolute path without links
 */
export function findProjectRoot(baseDir: string, home: string): string {
  const start = realPath(baseDir);
  const limits = new Set([realPath(home), dirname(sep)]);
  for (let folder = start; !limits.has(folder); folder = dirname(folder)) {
    if (existsSync(join(folder, ".git"))) return folder;
  }
  return start;
}

/** Whether `path` is `root` or below it; both absolute and without links. */
export function isInProject(path: string, root: string): boolean {
  return path === root || path.startsWith(root.endsWith(sep) ? root : root + sep);
}

function realPath(path: string): string {
  return existsSync(path) ? realpathSync(path) : path;
}
