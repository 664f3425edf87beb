import { readFile } from "node:fs/promises";
import { CliError } from "../errors.ts";

/** Names of files that package managers look for, and the variables that lead them elsewhere. */
const FILES: Readonly<Record<string, string>> = {
  npmrc: "NPM_CONFIG_USERCONFIG",
  ".npmrc": "NPM_CONFIG_USERCONFIG",
  "pip.conf": "PIP_CONFIG_FILE",
  pipconf: "PIP_CONFIG_FILE",
  netrc: "NETRC",
  ".netrc": "NETRC",
};
const VARIABLE = /^[A-Z][A-Z0-9_]*$/;

/** What `build_secrets` are to an install step, and the texts of all of them. @throws {CliError} for a name that means nothing */
export async function secretVariables(
  secrets: ReadonlyMap<string, string>,
): Promise<{ readonly env: Readonly<Record<string, string>>; readonly texts: readonly string[] }> {
  const env: Record<string, string> = {};
  const texts: string[] = [];
  for (const [id, path] of secrets) {
    const text = await readFile(path, "utf8").catch((cause: Error) => {
      throw new CliError(`build_secrets: cannot read ${path}: ${cause.message}`, { cause });
    });
    texts.push(text);
    const variable = FILES[id];
    if (variable) env[variable] = path;
    else if (VARIABLE.test(id)) env[id] = text.trimEnd();
    else {
      throw new CliError(
        `build_secrets: ${id}: must be ${Object.keys(FILES).join(", ")}, or the name of a variable such as NPM_TOKEN`,
      );
    }
  }
  return { env, texts };
}
