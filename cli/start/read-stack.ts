import { existsSync, readFileSync } from "node:fs";
import { StartError } from "../../kit/process.ts";
import { CliError } from "../errors.ts";
import { parseStack } from "../stack/parse.ts";
import type { Stack } from "../stack/types.ts";
import type { StartConfig } from "./start-config.ts";

const USUAL_NAMES = ["stack.yaml", "stack.yml"];

/**
 * The stack to deploy, or undefined when there is none.
 * @throws {StartError} when the file cannot be read or is broken: nothing has been started by then
 */
export function readStack(
  stackFile: StartConfig["stackFile"],
  env: Readonly<Record<string, string | undefined>>,
): Stack | undefined {
  const path = stackFile.kind === "file" ? stackFile.path : USUAL_NAMES.find((name) => existsSync(name));
  if (stackFile.kind === "none" || path === undefined) return undefined;
  try {
    return parseStack(readFileSync(path, "utf8"), { file: path, env });
  } catch (cause) {
    if (cause instanceof CliError) throw new StartError(cause.message, { cause });
    throw new StartError(`stack_file: cannot read ${path}: ${(cause as Error).message}`, { cause });
  }
}
