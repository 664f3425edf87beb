import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type IgnoreRules, parseIgnoreFile } from "../../contract/ignore-file.ts";
import { CliError } from "../errors.ts";

const NOTHING: IgnoreRules = { ignores: () => false, hasException: () => false };

/**
 * The rules of the `.dockerignore` in `folder`, none without one.
 * @throws {CliError} when it cannot be read or makes no sense
 */
export async function readIgnoreFile(folder: string): Promise<IgnoreRules> {
  const file = join(folder, ".dockerignore");
  try {
    return parseIgnoreFile(await readFile(file, "utf8"));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return NOTHING;
    throw new CliError(`${file}: ${(cause as Error).message}`, { cause });
  }
}
