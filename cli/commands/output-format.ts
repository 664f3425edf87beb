import { CliError } from "../errors.ts";

/** What `--output` says. @throws {CliError} for anything but text and json */
export function wantsJson(output: string | undefined): boolean {
  if (output !== undefined && output !== "json" && output !== "text") {
    throw new CliError("--output must be text or json");
  }
  return output === "json";
}
