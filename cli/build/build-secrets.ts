import { realpath } from "node:fs/promises";
import { resolve } from "node:path";
import { CliError } from "../errors.ts";
import type { StackFunction } from "../stack/types.ts";
import { isInProject } from "./project-root.ts";

/**
 * The files of a function's `build_secrets`, by their names. A stack file of somebody else must not hand out files of this
 * machine.
 * @param root of the project; absent takes them from anywhere
 * @throws {CliError}
 */
export async function findBuildSecrets(
  { buildSecrets }: Pick<StackFunction, "buildSecrets">,
  baseDir: string,
  root: string | undefined,
): Promise<ReadonlyMap<string, string>> {
  const entries = Object.entries(buildSecrets).map(async ([id, path]) => {
    const file = await realpath(resolve(baseDir, path)).catch((cause: Error) => {
      throw new CliError(`build_secrets: cannot read ${path}: ${cause.message}`, { cause });
    });
    if (/[,"]/.test(id + file))
      throw new CliError(`build_secrets: ${id}: neither name nor path may hold a comma or a quote`);
    if (root !== undefined && !isInProject(file, root)) {
      throw new CliError(
        `build_secrets: ${path} is outside of the project in ${root}; --allow-outside reads it all the same`,
      );
    }
    return [id, file] as const;
  });
  return new Map(await Promise.all(entries));
}
