import type { StackFunction } from "./types.ts";
import { YamlReader } from "./yaml-reader.ts";

/** The `environment` of an environment file; no substitution happens in it. @throws {CliError} */
export function parseEnvironmentFile(text: string, file: string): Record<string, string> {
  const reader = new YamlReader(text, file);
  return reader.textMap(reader.entries(reader.root).get("environment"));
}

/**
 * The environment of a function: `flags` over the last environment file … over the first, over what stands inline.
 * @param readText reads a file named by `environment_file`; its error, naming the file, is passed on
 */
export async function resolveEnvironment(
  { environment, environmentFiles }: Pick<StackFunction, "environment" | "environmentFiles">,
  flags: Readonly<Record<string, string>>,
  readText: (path: string) => Promise<string>,
): Promise<Record<string, string>> {
  const files = await Promise.all(
    environmentFiles.map(async (path) => parseEnvironmentFile(await readText(path), path)),
  );
  return Object.fromEntries([environment, ...files, flags].flatMap((values) => Object.entries(values)));
}
