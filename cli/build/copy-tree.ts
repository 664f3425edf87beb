import { copyFile, lstat, mkdir, readdir, realpath, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { CliError } from "../errors.ts";
import { isInProject } from "./project-root.ts";

export interface CopyOptions {
  readonly directoryMode: number;
  /** Links must not lead out of it; absent lets them. Absolute, without links. */
  readonly root?: string;
  /** Whether to leave out the entry at `path`. */
  readonly skip?: (path: string) => boolean;
}

/**
 * Copies a file, or all that is in a folder, over what is at `target`. Links are followed and become what they point
 * to; file modes are kept.
 * @throws {CliError} for a link that leads nowhere, back to a folder that holds it or out of the root, and for what is
 * no file
 */
export async function copyTree(source: string, target: string, options: CopyOptions): Promise<void> {
  await copyEntry(source, target, options, []);
}

async function copyEntry(source: string, target: string, options: CopyOptions, parents: readonly string[]) {
  const stats = await stat(source).catch((cause: NodeJS.ErrnoException) => {
    const why =
      cause.code === "ENOENT" || cause.code === "ELOOP" ? "does not exist, or is a link to nothing" : cause.message;
    throw new CliError(`cannot copy ${source}: ${why}`, { cause });
  });
  await checkLink(source, options.root);
  if (stats.isFile()) {
    await mkdir(dirname(target), { recursive: true, mode: options.directoryMode });
    await copyFile(source, target);
    return;
  }
  if (!stats.isDirectory()) throw new CliError(`cannot copy ${source}: it is neither a file nor a folder`);

  const real = await realpath(source);
  if (parents.includes(real)) throw new CliError(`cannot copy ${source}: it is a link to a folder that holds it`);
  await mkdir(target, { recursive: true, mode: options.directoryMode });
  const path = [...parents, real];
  for (const name of await readdir(source)) {
    const from = join(source, name);
    if (options.skip?.(from)) continue;
    await copyEntry(from, join(target, name), options, path);
  }
}

async function checkLink(source: string, root: string | undefined): Promise<void> {
  if (root === undefined || !(await lstat(source)).isSymbolicLink()) return;
  const real = await realpath(source);
  if (isInProject(real, root)) return;
  throw new CliError(
    `cannot copy ${source}: it is a link to ${real}, outside of ${root}; --allow-outside follows it all the same`,
  );
}
