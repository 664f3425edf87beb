import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { CliError } from "../errors.ts";
import type { TagFacts } from "../stack/image-tag.ts";

const GIT_TIMEOUT_MS = 10_000;

/** Facts from the repository that holds `baseDir` and from the handler's files. */
export function createTagFacts(baseDir: string, handler: string | undefined): TagFacts {
  const git = async (...args: string[]) => {
    try {
      const { stdout } = await promisify(execFile)("git", args, { cwd: baseDir, timeout: GIT_TIMEOUT_MS });
      return stdout.trim();
    } catch (cause) {
      throw new CliError(`cannot tag the image: git ${args.join(" ")} failed in ${baseDir}`, { cause });
    }
  };
  return {
    sha: () => git("rev-parse", "--short", "HEAD"),
    branch: () => git("rev-parse", "--abbrev-ref", "HEAD"),
    describe: () => git("describe", "--tags", "--always"),
    digest: () => {
      if (!handler) throw new CliError("cannot tag the image: the function has no handler to take the digest of");
      return digestOfFolder(join(baseDir, handler));
    },
  };
}

/** MD5 of the MD5s of all regular files, in the order of their paths; names and modes play no part. */
export async function digestOfFolder(folder: string): Promise<string> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const hash = createHash("md5");
  for (const file of files.sort())
    hash.update(
      createHash("md5")
        .update(await readFile(file))
        .digest("hex"),
    );
  return hash.digest("hex");
}
